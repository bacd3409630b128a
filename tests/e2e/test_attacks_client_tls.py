"""What has been done to STARTTLS towards the client, on the three ports; the numbers are those of the
attack catalogue. What works is in test_client_tls.
"""

import ssl

import pytest

from ecluse_support import ALICE
from imap_support import plain, quoted
from protocols import PROTOCOLS
from scripted_upstream import polite_behind_starttls

REQUEST = {"imap": "s STARTTLS\r\n", "pop3": "STLS\r\n", "smtp": "STARTTLS\r\n"}
AGREED = {"imap": b"s OK Begin TLS now\r\n", "pop3": b"+OK Begin TLS now\r\n",
          "smtp": b"220 2.0.0 Begin TLS now\r\n"}
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


@pytest.fixture
def secured(ecluse):
    """All listeners have TLS."""
    def start(mode):
        for protocol in PROTOCOLS:
            ecluse.set(f"listen {protocol}", tls=mode)
        assert ecluse.ecluse("cert").status == 0
        return ecluse.ready("alice")

    return start


def context(ecluse):
    return ssl.create_default_context(cafile=ecluse.folder / "state" / "tls.crt")


def inside(ecluse, client):
    """The same client, in TLS from here."""
    client.socket = context(ecluse).wrap_socket(client.socket, server_hostname="localhost")
    client.file = client.socket.makefile("rb")
    return client


def ask_for_tls(client, protocol):
    client.send(REQUEST[protocol])
    assert client.line() + b"\r\n" == AGREED[protocol]


def session(ecluse, protocol):
    password = ecluse.passwords["alice"]
    return {"imap": f"a LOGIN {ALICE} {password}\r\n",
            "pop3": f"USER {ALICE}\r\nPASS {password}\r\n",
            "smtp": f"EHLO me\r\nAUTH PLAIN {plain(ALICE, password).decode()}\r\n"}[protocol]


@each_protocol
def test_starttls_on_both_sides(secured, upstreams, protocol):
    ecluse = secured("starttls")
    upstream = upstreams(polite_behind_starttls, protocol)
    ecluse.serve_from(upstream, "alice", scheme="starttls")
    mark = ecluse.log_size()
    assert ecluse.ecluse("reload").status == 0
    ecluse.wait_log("ready with the new configuration", since=mark)
    client = ecluse.raw(protocol=protocol)
    ask_for_tls(client, protocol)
    reply = inside(ecluse, client).login(ALICE, ecluse.passwords["alice"])
    assert reply.startswith(PROTOCOLS[protocol].logged_in)
    assert upstream.connections[0].token == ecluse.access_token("alice")


# ---- before TLS ----

@pytest.mark.parametrize("protocol, command, reply", [
    ("imap", b"a LOGIN %s %s", b"a NO [PRIVACYREQUIRED] STARTTLS comes first"),
    ("imap", b"a AUTHENTICATE PLAIN %b", b"a NO [PRIVACYREQUIRED] STARTTLS comes first"),
    ("pop3", b"USER %s", b"-ERR STLS comes first"), ("pop3", b"PASS x", b"-ERR STLS comes first"),
    ("pop3", b"AUTH PLAIN %b", b"-ERR STLS comes first"),
    ("pop3", b"APOP %s 0123", b"-ERR STLS comes first"), ("pop3", b"AUTH", b"-ERR STLS comes first"),
    ("smtp", b"AUTH PLAIN %b", b"530 5.7.0 STARTTLS comes first"),
    ("smtp", b"AUTH LOGIN", b"530 5.7.0 STARTTLS comes first"),
    ("smtp", b"MAIL FROM:<%s>", b"530 5.7.0 STARTTLS comes first")])
def test_no_password_is_looked_at_before_tls(secured, protocol, command, reply):
    ecluse = secured("starttls")
    password = ecluse.passwords["alice"]
    command = command.replace(b"%b", plain(ALICE, password))
    command = command.replace(b"%s", quoted(ALICE) if protocol == "imap" else ALICE.encode(), 1)
    command = command.replace(b"%s", quoted(password), 1)
    mark = ecluse.log_size()
    client = ecluse.raw(protocol=protocol)
    client.send(command + b"\r\n")
    assert client.line() == reply
    assert "client-auth" not in ecluse.log_since(mark)
    ask_for_tls(client, protocol)
    assert inside(ecluse, client).login(ALICE, password).startswith(PROTOCOLS[protocol].logged_in)


# ---- 7: command injection ----

@each_protocol
@pytest.mark.parametrize("behind", ["commands", "one octet", "a line end"])
def test_07_commands_in_one_piece_with_starttls(secured, protocol, behind):
    """CVE-2011-0411 and its kin. Not even the handshake begins."""
    ecluse = secured("starttls")
    mark = ecluse.log_size()
    client = ecluse.raw(protocol=protocol)
    client.send(REQUEST[protocol] + {"commands": session(ecluse, protocol), "one octet": "x",
                                     "a line end": "\r\n"}[behind])
    assert client.rest() == AGREED[protocol]
    ecluse.wait_log("session-close .*reason=client-protocol .*octets behind STARTTLS", since=mark)
    assert "client-auth" not in ecluse.log_since(mark)


@each_protocol
def test_07_commands_behind_the_reply(secured, protocol):
    """In the place of a hello."""
    ecluse = secured("starttls")
    mark = ecluse.log_size()
    client = ecluse.raw(protocol=protocol)
    ask_for_tls(client, protocol)
    client.send(session(ecluse, protocol))
    received = client.rest()
    assert received == b"" or received.startswith(b"\x15\x03")  # nothing but the alert of TLS
    ecluse.wait_log("session-close ", since=mark)
    assert "client-auth" not in ecluse.log_since(mark)


@each_protocol
def test_07_a_hello_in_one_piece_with_starttls(secured, protocol):
    """Impatient, or forged: it cannot be told apart."""
    ecluse = secured("starttls")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context(ecluse).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    client = ecluse.raw(protocol=protocol)
    client.send(REQUEST[protocol].encode() + outgoing.read())
    assert client.rest() == AGREED[protocol]


@each_protocol
def test_starttls_is_for_once(secured, protocol):
    ecluse = secured("starttls")
    client = ecluse.raw(protocol=protocol)
    ask_for_tls(client, protocol)
    inside(ecluse, client)
    client.send(REQUEST[protocol])
    assert client.line().startswith((b"s BAD ", b"-ERR STLS is not offered", b"502 5.5.1 "))
    reply = client.login(ALICE, ecluse.passwords["alice"])
    assert reply.startswith(PROTOCOLS[protocol].logged_in)
    client.send(REQUEST[protocol])
    assert client.line().startswith((b"s BAD ", b"s NO ", b"-ERR STLS is not ", b"502 5.5.1 "))


@each_protocol
@pytest.mark.parametrize("said", ["commands", "POST / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_61_plaintext_on_a_tls_port(secured, protocol, said):
    ecluse = secured("on")
    mark = ecluse.log_size()
    client = ecluse.raw(greet=False, protocol=protocol)
    client.send(session(ecluse, protocol) if said == "commands" else said)
    received = client.rest()
    assert received == b"" or received.startswith(b"\x15\x03")
    ecluse.wait_log("cross-protocol ", since=mark)
    assert "client-auth" not in ecluse.log_since(mark)
