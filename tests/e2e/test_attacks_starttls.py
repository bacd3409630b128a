"""What attackers between us and a mail server have done to STARTTLS, in the three protocols; the
numbers are those of the attack catalogue. Judged by the octets on the wire: before TLS is up and
verified there is nothing on it but the request for TLS.
"""

import base64
import threading

import pytest

import canaries
from cli_support import PATIENCE
from ecluse_support import CAROL
from imap_support import plain
from protocols import PROTOCOLS
from scripted_upstream import polite_behind_starttls, server_context
from waiting import wait_until

# All that may be said before TLS.
REQUEST = {"imap": b"e1 STARTTLS\r\n", "pop3": b"STLS\r\n",
           "smtp": b"EHLO [127.0.0.1]\r\nSTARTTLS\r\n"}
INJECTED = {"imap": "* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2\r\ne2 OK injected\r\n",
            "pop3": "+OK injected\r\nSASL XOAUTH2\r\n.\r\n",
            "smtp": "250-injected\r\n250 AUTH PLAIN XOAUTH2\r\n"}
REFUSALS = {"imap": ["e1 NO not now", "e1 BAD what?", "e1 no [ALERT] call 555-0100"],
            "pop3": ["-ERR not now", "-ERR", "-ERR [AUTH] no"],
            "smtp": ["454 4.7.0 TLS not available", "502 5.5.1 what?", "500",
                     "454-not\r\n454 now", "530 5.7.0 log in first"]}
NONSENSE = {"imap": ["+ go ahead", "E1 OK go ahead", "e2 OK go ahead", "OK go ahead", "e1 WELL", "",
                     "\x16\x03\x01"],
            "pop3": ["+ ", "OK", "+OKAY", "e1 OK", "", "220 go ahead", "\x16\x03\x01"],
            "smtp": ["250 go ahead", "334 ", "2", "22", "", "220_go", "235 in", "354 go",
                     "220-go\r\n221 ahead", "+OK", "\x16\x03\x01"]}
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


def each(table):
    return pytest.mark.parametrize("protocol, said", [
        pytest.param(protocol, said, id=f"{protocol}-{ascii(said)[1:-1]}")
        for protocol in table for said in table[protocol]])


def secrets_of(one, name="carol"):
    return {"the password": one.passwords[name], "the token": one.access_token(name)}


def assert_nothing_but(request, one, upstream):
    """No octet more than that on any connection, and no secret anywhere."""
    for connection in upstream.wait_over():
        assert connection.raw == request
        assert connection.plain == b"" and connection.token is None
        canaries.assert_absent(secrets_of(one), {"the wire": bytes(connection.raw)})


def answers(*lines):
    """A server that answers the request for TLS so, and then waits for us to go on without it."""
    left = list(lines)

    def script(connection):
        connection.hello()
        connection.read_starttls()
        connection.send(left.pop(0))
        connection.until_gone()

    return script


@each_protocol
def test_good_servers_are_served(serve, unharmed, protocol):
    upstream = serve(polite_behind_starttls, protocol, "starttls")
    unharmed.raw_session("carol", protocol)
    connection, = upstream.connections
    assert connection.bare == REQUEST[protocol]
    assert (connection.user, connection.token) == (CAROL, unharmed.access_token("carol"))
    canaries.assert_absent(secrets_of(unharmed), {"the wire": bytes(connection.raw)})


@each_protocol
def test_01_stripping(serve, unharmed, protocol):
    """The server says that it can do anything but TLS: it is asked for it all the same."""
    def script(connection):
        if protocol == "imap":
            connection.hello(offer="IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER")
            connection.send("* OK go on\r\n")
        elif protocol == "pop3":
            connection.hello()
        else:
            connection.greet()
        connection.line()
        connection.send({"imap": "e1 BAD unknown command\r\n", "pop3": "-ERR unknown command\r\n",
                         "smtp": "502 5.5.2 unknown command\r\n"}[protocol])
        connection.until_gone()

    upstream = serve(script, protocol, "starttls")
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(PROTOCOLS[protocol].unreachable + "the mail server refuses TLS"), reply
    assert_nothing_but(REQUEST[protocol], unharmed, upstream)


@each(REFUSALS)
def test_02_refusal(serve, unharmed, protocol, said):
    upstream = serve(answers(said + "\r\n"), protocol, "starttls")
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply == PROTOCOLS[protocol].unreachable + "the mail server refuses TLS"
    assert_nothing_but(REQUEST[protocol], unharmed, upstream)


@each(NONSENSE)
def test_02_an_answer_that_is_none(serve, unharmed, protocol, said):
    """What follows it is not waited for, and is no answer either; nor is the user told of it."""
    upstream = serve(answers(f"{said}\r\n"), protocol, "starttls")
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(PROTOCOLS[protocol].unreachable), reply
    assert "ahead" not in reply
    assert_nothing_but(REQUEST[protocol], unharmed, upstream)


@each_protocol
@pytest.mark.parametrize("then", ["waits", "goes on"])
def test_03_04_05_injection_in_one_segment(serve, unharmed, protocol, then):
    """CVE-2021-22947 and its kin. There is not even a handshake, and the session ends."""
    def script(connection):
        connection.hello()
        connection.agree(connection.read_starttls(), behind=INJECTED[protocol])
        if then == "goes on":
            connection.handshake()
            connection.tell_capabilities()
            connection.accept(connection.read_token())
        connection.until_gone()

    upstream = serve(script, protocol, "starttls")
    said = PROTOCOLS[protocol]
    client = unharmed.raw(protocol=protocol)
    reply = client.login(CAROL, unharmed.passwords["carol"])
    assert reply == said.unreachable + "somebody put words behind the server's reply to STARTTLS"
    ending = b"the connection to the mail server is not to be trusted\r\n"
    assert client.rest() == {"imap": b"* BYE ", "pop3": b"-ERR [SYS/TEMP] ",
                             "smtp": b"421 4.7.0 "}[protocol] + ending
    assert_nothing_but(REQUEST[protocol], unharmed, upstream)


@each_protocol
@pytest.mark.parametrize("behind", ["\r\n", "x", "\0", "\x16\x03\x03"])
def test_03_04_05_a_single_octet_behind_the_reply(serve, unharmed, protocol, behind):
    def script(connection):
        connection.hello()
        connection.agree(connection.read_starttls(), behind=behind)
        connection.until_gone()

    upstream = serve(script, protocol, "starttls")
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(PROTOCOLS[protocol].unreachable + "somebody put words behind"), reply
    assert_nothing_but(REQUEST[protocol], unharmed, upstream)


@each_protocol
def test_06_injection_in_a_second_segment(serve, unharmed, protocol):
    """It comes in the place of the server's hello, and is no TLS."""
    def script(connection):
        connection.hello()
        connection.agree(connection.read_starttls())
        connection.receive_raw()
        connection.send_raw(INJECTED[protocol].encode())
        connection.until_gone()

    upstream = serve(script, protocol, "starttls")
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(PROTOCOLS[protocol].unreachable +
                            "no trusted connection to the mail server: "), reply
    connection, = upstream.wait_over()
    request = REQUEST[protocol]
    assert connection.raw[:len(request) + 2] == request + b"\x16\x03"  # our hello
    assert connection.plain == b""
    canaries.assert_absent(secrets_of(unharmed), {"the wire": bytes(connection.raw)})


def test_08_preauth_in_plaintext(serve, unharmed):
    """CVE-2020-14093."""
    def script(connection):
        connection.send("* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n* 1 EXISTS\r\n")
        connection.until_gone()

    upstream = serve(script, "imap", "starttls")
    assert unharmed.try_login("carol") == "NO [UNAVAILABLE] the mail server says that we are " \
        "logged in already, as somebody (PREAUTH)"
    assert_nothing_but(b"", unharmed, upstream)


GREETINGS = {
    "imap": ["garbage", "* WHAT", "e1 OK tagged", "220 ESMTP", "+OK ready", "\0\1", "* BYE no"],
    "pop3": ["garbage", "* OK hello", "220 ESMTP", "+ ", "+OKAY", "OK", "", "\0\1", "-ERR no"],
    "smtp": ["garbage", "* OK hello", "+OK ready", "250 hello", "2", "", "220_x", "\0\1",
             "220-a\r\n221 b", "554 no", "421 not now", "\x16\x03\x01"]}


@each(GREETINGS)
def test_10_invalid_greeting(serve, unharmed, protocol, said):
    """CVE-2020-28896."""
    def script(connection):
        connection.send(said + "\r\n")
        connection.until_gone()

    upstream = serve(script, protocol, "starttls")
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(PROTOCOLS[protocol].unreachable), reply
    assert_nothing_but(b"", unharmed, upstream)


@each_protocol
def test_13_14_what_was_shouted_before_tls_is_for_nobody(serve, unharmed, protocol):
    def script(connection):
        if protocol == "imap":
            connection.send("* OK [ALERT] call 555-0100 now\r\n")
            tag = connection.read_starttls()
            connection.send("* 5 EXISTS\r\n* OK [ALERT] call 555-0100\r\n* LIST () \"/\" 555-0100\r\n"
                            f"{tag} OK [ALERT] call 555-0100\r\n")
        elif protocol == "pop3":
            connection.send("+OK [ALERT] call 555-0100 now\r\n")
            connection.read_starttls()
            connection.send("+OK call 555-0100\r\n")
        else:
            connection.send("220-call 555-0100\r\n220 now\r\n")
            connection.tell_capabilities(offer=["555-0100", "STARTTLS"])
            connection.expect(b"STARTTLS")
            connection.send("220-call 555-0100\r\n220 now\r\n")
        connection.handshake()
        connection.tell_capabilities()
        connection.accept(connection.read_token())
        connection.answer_commands()

    serve(script, protocol, "starttls")
    client = unharmed.raw(protocol=protocol)
    shown = [client.greeting.decode(), client.login(CAROL, unharmed.passwords["carol"])]
    assert shown[-1].startswith(PROTOCOLS[protocol].logged_in), shown
    if protocol == "smtp":
        shown += client.extensions()
    assert "555-0100" not in " ".join(shown)
    client.send({"imap": "z LOGOUT\r\n"}.get(protocol, "QUIT\r\n"))
    assert b"555-0100" not in client.rest()


@each_protocol
def test_15_what_was_learned_before_tls_is_forgotten(serve, unharmed, protocol):
    """A mechanism, an initial response and a limit that TLS did not confirm."""
    def script(connection):
        if protocol == "imap":
            connection.hello(offer="IMAP4rev1 SASL-IR AUTH=OAUTHBEARER")
            connection.agree(connection.read_starttls())
            after = {"offer": "IMAP4rev1 AUTH=XOAUTH2"}
        elif protocol == "pop3":
            connection.hello()
            connection.agree(connection.read_starttls())
            after = {"offer": ["SASL XOAUTH2"]}
        else:
            connection.hello()
            connection.tell_capabilities(offer=["AUTH OAUTHBEARER", "SIZE 5", "STARTTLS"])
            connection.expect(b"STARTTLS")
            connection.agree(None)
            after = {"offer": ["AUTH XOAUTH2"]}
        connection.handshake()
        connection.tell_capabilities(**after)
        connection.accept(connection.read_token())
        connection.answer_commands()

    upstream = serve(script, protocol, "starttls")
    client = unharmed.raw_session("carol", protocol)
    connection, = upstream.connections
    assert connection.mechanism == "XOAUTH2"
    if protocol == "imap":
        assert b" AUTHENTICATE XOAUTH2\r\n" in connection.plain
    if protocol == "smtp":
        assert client.command(f"MAIL FROM:<{CAROL}> SIZE=1000").startswith("250 ")


@each_protocol
@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("stage", ["accepted", "greeted", "asked", "agreed", "hello", "secured"])
def test_35_the_server_leaves_at_every_stage(serve, unharmed, protocol, stage, ending):
    def script(connection):
        if stage != "accepted":
            connection.hello()
        if stage not in ("accepted", "greeted"):
            tag = connection.read_starttls()
        if stage in ("agreed", "hello", "secured"):
            connection.agree(tag)
        if stage == "hello":
            connection.receive_raw()
        if stage == "secured":
            connection.handshake()
        if ending == "reset":
            connection.reset()

    upstream = serve(script, protocol, "starttls")
    for _ in range(2):
        reply = unharmed.try_login("carol", protocol=protocol)
        assert reply.startswith(PROTOCOLS[protocol].unreachable), reply
    for connection in upstream.wait_over():
        assert connection.token is None
        assert REQUEST[protocol].startswith(connection.bare[:len(REQUEST[protocol])])
        canaries.assert_absent(secrets_of(unharmed), {"the wire": bytes(connection.raw)})


# ---- whatever the client pipelines or leaves out ----

def whole_sessions(user, password):
    message = plain(user, password).decode()
    return {
        ("imap", "pipelined"): f"a CAPABILITY\r\nb LOGIN {user} {password}\r\nc SELECT INBOX\r\n",
        ("imap", "left out"): f"b AUTHENTICATE PLAIN {message}\r\n",
        ("pop3", "pipelined"): f"CAPA\r\nUSER {user}\r\nPASS {password}\r\nSTAT\r\nRETR 1\r\n",
        ("pop3", "left out"): f"AUTH PLAIN {message}\r\n",
        ("smtp", "pipelined"): f"EHLO me\r\nAUTH PLAIN {message}\r\nMAIL FROM:<{user}>\r\n"
                               f"RCPT TO:<{user}>\r\n",
        ("smtp", "left out"): f"AUTH PLAIN {message}\r\n",
    }


@each_protocol
@pytest.mark.parametrize("how", ["pipelined", "left out"])
@pytest.mark.parametrize("server", ["good", "refuses", "silent"])
def test_no_credential_before_tls(serve, unharmed, protocol, how, server):
    """EHLO and AUTH in one piece, and AUTH without EHLO, have made others send the client's
    password or the token in plaintext."""
    seen = threading.Event()

    def script(connection):
        connection.hello()
        tag = connection.read_starttls()
        if server == "refuses":
            connection.send(REFUSALS[protocol][0] + "\r\n")
            connection.until_gone()
        if server == "silent":
            seen.wait(PATIENCE)
            return
        connection.agree(tag)
        connection.handshake()
        connection.tell_capabilities()
        connection.accept(connection.read_token())
        connection.answer_commands()

    upstream = serve(script, protocol, "starttls")
    client = unharmed.raw(protocol=protocol)
    client.send(whole_sessions(CAROL, unharmed.passwords["carol"])[protocol, how])
    connection = upstream.wait_for(1)[0]
    if server == "good":
        while not client.line().startswith((b"b OK", b"+OK Logged in", b"235 ")):
            pass
        assert connection.token == unharmed.access_token("carol")
    else:
        if server == "silent":
            wait_until(lambda: connection.raw == REQUEST[protocol], "the request for TLS")
            seen.set()
        no = PROTOCOLS[protocol].unreachable
        while not client.line().decode().removeprefix("b ").startswith(no):
            pass
    client.close()
    upstream.wait_over()
    assert connection.bare == REQUEST[protocol]
    secrets = secrets_of(unharmed)
    canaries.assert_absent(secrets, {"the wire": bytes(connection.raw)})
    # The client's password goes nowhere, TLS or not.
    canaries.assert_absent({"the password": secrets["the password"]},
                           {"inside TLS": bytes(connection.plain)})


@each_protocol
def test_the_second_token_wants_tls_too(serve, unharmed, protocol):
    """The first is refused behind TLS, and the server gone; on the next connection somebody has
    taken STARTTLS away."""
    def script(connection):
        connection.hello()
        tag = connection.read_starttls()
        if connection is not connection.server.connections[0]:
            connection.send(REFUSALS[protocol][0].replace("e1", tag or "") + "\r\n")
            connection.until_gone()
        connection.agree(tag)
        connection.handshake()
        connection.tell_capabilities()
        connection.refuse(connection.read_token())

    upstream = serve(script, protocol, "starttls")
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(PROTOCOLS[protocol].unreachable + "the mail server refuses TLS"), reply
    first, second = upstream.wait_over()
    assert first.token and first.bare == REQUEST[protocol]
    assert second.raw == REQUEST[protocol].replace(b"e1", b"e4")
    canaries.assert_absent({**secrets_of(unharmed), "the first token": first.token},
                           {"the first": bytes(first.raw), "the second": bytes(second.raw)})


@each_protocol
def test_the_second_token_goes_inside_the_same_tls(serve, unharmed, protocol):
    def script(connection):
        connection.start_tls()
        connection.tell_capabilities()
        connection.refuse(connection.read_token())
        connection.first = connection.token
        connection.accept(connection.read_token())
        connection.answer_commands()

    upstream = serve(script, protocol, "starttls")
    unharmed.raw_session("carol", protocol)
    connection, = upstream.connections
    assert connection.bare == REQUEST[protocol] and connection.first != connection.token
    canaries.assert_absent({"first": connection.first, "second": connection.token},
                           {"the wire": bytes(connection.raw)})


# ---- certificates ----

PORTS = {("imap", "tls"): "imaps", ("imap", "starttls"): "imap", ("pop3", "tls"): "pop3s",
         ("pop3", "starttls"): "pop3", ("smtp", "tls"): "submissions",
         ("smtp", "starttls"): "submission", ("postfix", "tls"): "postfixs",
         ("postfix", "starttls"): "postfix"}
FAULTS = {"wrong_name": "mismatch", "expired": "expired",
          "unknown_ca": "unable to get local issuer"}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("server, scheme", PORTS)
def test_18_bad_certificates_of_real_servers(ecluse, rig, server, scheme, kind):
    protocol = {"postfix": "smtp"}.get(server, server)
    # Without root there is no Postfix.
    port = rig.ports.get(PORTS[server, scheme], rig.ports[PORTS[protocol, scheme]])
    place = f"{scheme}://{rig.state['addresses'][kind]}:{port}"
    ecluse.set("provider local", **{protocol: place})
    ecluse.ready("alice")
    rig.clear()
    mark = ecluse.log_size()
    reply = ecluse.try_login("alice", protocol=protocol)
    assert reply.startswith(PROTOCOLS[protocol].unreachable +
                            "no trusted connection to the mail server: "), reply
    assert FAULTS[kind] in reply
    ecluse.wait_log(rf"upstream-connect .* reason=upstream-tls .*{FAULTS[kind]}", since=mark)
    assert not any(rig.stats()["introspections"].values())  # it had nothing to ask about


@each_protocol
@pytest.mark.parametrize("kind", [*FAULTS, "cn_only"])
def test_18_bad_certificates_behind_starttls(serve, unharmed, rig, protocol, kind):
    """The server goes on as if nothing were wrong."""
    upstream = serve(polite_behind_starttls, protocol, "starttls")
    upstream.context = server_context(rig.state["certs"][kind])
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(PROTOCOLS[protocol].unreachable + "no trusted connection"), reply
    connection, = upstream.wait_over()
    assert connection.bare == REQUEST[protocol]
    assert connection.plain == b"" and connection.token is None
    token = unharmed.access_token("carol").encode()
    assert token not in connection.raw and base64.b64encode(token)[4:-4] not in connection.raw
