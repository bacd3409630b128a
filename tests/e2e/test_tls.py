"""Whatever is wrong with the other end's TLS: the client is told, the log says why, and nothing
of a token has left."""

import base64
import ctypes
import re
import ssl

import pytest

from scripted_upstream import Gone, polite, server_context
from waiting import wait_until

BAD_CERTIFICATES = {
    "wrong_name": (r"127\.0\.0\.3|mismatch", "{wrong_name}:{imaps}"),
    "expired": (r"expired", "{expired}:{imaps}"),
    "unknown_ca": (r"unable to get local issuer", "{unknown_ca}:{imaps}"),
    "cn_only": (r"mismatch", "localhost:{imaps_cn_only}"),
}


def no_token_in(upstream, ecluse, name="carol"):
    """Neither on the wire nor inside TLS."""
    token = ecluse.access_token(name)
    for connection in upstream.wait_over():
        for octets in (connection.raw, connection.plain):
            assert token.encode() not in octets
            assert base64.b64encode(token.encode())[4:-4] not in octets
        assert connection.plain == b""


@pytest.mark.parametrize("kind", BAD_CERTIFICATES)
def test_a_bad_certificate_of_the_mail_server(ecluse, rig, kind):
    reason, place = BAD_CERTIFICATES[kind]
    ecluse.add_provider("bad", place.format(**rig.state["addresses"], **rig.ports))
    ecluse.set("account alice", provider="bad")
    ecluse.ready("alice")
    rig.clear()
    mark = ecluse.log_size()
    reply = ecluse.try_login("alice")
    assert reply.startswith("NO [UNAVAILABLE] no trusted connection to the mail server: ")
    assert re.search(reason, reply), reply
    ecluse.wait_log(rf"upstream-connect .* reason=upstream-tls .*({reason})", since=mark)
    assert not any(rig.stats()["introspections"].values())  # Dovecot had nothing to ask about


@pytest.mark.parametrize("kind", BAD_CERTIFICATES)
def test_a_bad_certificate_of_the_authorization_server(ecluse, rig, kind):
    """The token is only kept: the request that would carry it is not made."""
    endpoint = f"https://localhost:{rig.ports['op_' + kind]}/token"
    ecluse.set("provider local", token_endpoint=endpoint)
    ecluse.start()
    ecluse.grant("alice")
    token = rig.refresh_token("alice@example.test")
    ecluse.secrets["the refresh token"] = token
    rig.clear()
    result = ecluse.ecluse("login", "alice", "--refresh-token-stdin", stdin=token.encode())
    assert result.status == 75 and "the token is stored" in result.err, result
    assert ecluse.try_login("alice").startswith("NO [UNAVAILABLE] ")
    assert rig.token_requests() == 0


def test_17_plaintext_before_the_handshake(ecluse, upstreams):
    """CVE-2026-1642: what is said before TLS is no greeting."""
    def script(connection):
        connection.send_raw(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] hi\r\n"
                            b"e1 OK [CAPABILITY IMAP4rev1] in\r\n")
        connection.until_gone()

    upstream = upstreams(script)
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    mark = ecluse.log_size()
    reply = ecluse.try_login("carol")
    assert reply.startswith("NO [UNAVAILABLE] no trusted connection to the mail server: ")
    no_token_in(upstream, ecluse)
    assert b"AUTHENTICATE" not in upstream.connections[0].raw
    ecluse.wait_log("upstream-connect .* reason=upstream-tls", since=mark)


def test_17_plaintext_then_the_handshake(ecluse, upstreams):
    def script(connection):
        connection.send_raw(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] hi\r\n")
        polite(connection)

    upstream = upstreams(script)
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    assert ecluse.try_login("carol").startswith("NO [UNAVAILABLE] no trusted connection")
    no_token_in(upstream, ecluse)


# OpenSSL's servers answer a stranger's ALPN with nothing or an alert; one that breaks the rules
# has to be talked into it.
SELECT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_char_p),
                          ctypes.POINTER(ctypes.c_ubyte), ctypes.c_char_p, ctypes.c_uint,
                          ctypes.c_void_p)


def select_always(context, protocol):
    """`context` will select this protocol whatever it is offered; keep the result alive."""
    name = ctypes.c_char_p(protocol)

    @SELECT
    def select(_, chosen, size, *_offer):
        chosen[0] = name
        size[0] = len(protocol)
        return 0

    native = ctypes.cast(id(context) + object.__basicsize__,
                         ctypes.POINTER(ctypes.c_void_p)).contents
    ctypes.CDLL("libssl.so.3").SSL_CTX_set_alpn_select_cb(native, select, None)
    return select, name


@pytest.mark.parametrize("protocol", [b"h2", b"http/1.1", b"pop3"])
@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_19_another_application_protocol(ecluse, upstreams, protocol, version):
    """ALPACA (CVE-2021-3618)."""
    upstream = upstreams(polite)
    upstream.context.maximum_version = ssl.TLSVersion[version]
    alive = select_always(upstream.context, protocol)
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    assert ecluse.try_login("carol").startswith("NO [UNAVAILABLE] no trusted connection")
    no_token_in(upstream, ecluse)
    assert alive


def test_19_the_protocol_may_be_left_open(ecluse, rig, upstreams):
    upstream = upstreams(polite)
    upstream.context = server_context(rig.state["certs"]["good"])
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    assert ecluse.try_login("carol").startswith("OK ")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_20_an_old_version(ecluse, upstreams, version):
    upstream = upstreams(polite)
    upstream.context.set_ciphers("ALL:@SECLEVEL=0")
    upstream.context.minimum_version = ssl.TLSVersion.TLSv1
    upstream.context.maximum_version = ssl.TLSVersion[version]
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    assert ecluse.try_login("carol").startswith("NO [UNAVAILABLE] no trusted connection")
    no_token_in(upstream, ecluse)


@pytest.mark.parametrize("ending", ["cut", "reset"])
def test_21_truncation_is_no_success(ecluse, upstreams, ending):
    """An end without close_notify in the middle of a FETCH."""
    def script(connection):
        connection.handshake()
        connection.log_in()
        connection.line()
        connection.send(b"* 1 FETCH (BODY[] {1000}\r\nhalf of it")
        getattr(connection, ending)()
        raise Gone

    upstream = upstreams(script)
    ecluse.serve_from(upstream)
    session = ecluse.ready("carol").raw_session("carol")
    mark = ecluse.log_size()
    session.send("a FETCH 1 BODY[]\r\n")
    received = session.rest()
    assert b"* 1 FETCH (BODY[] {1000}\r\nhalf of it".startswith(received)
    if ending == "cut":
        assert received.endswith(b"half of it")
    ecluse.wait_log("session-close account=carol .*reason=(server-gone|upstream-tls) ", since=mark)


def test_21_truncation_at_the_login(ecluse, upstreams):
    def script(connection):
        connection.handshake()
        connection.greet()
        connection.read_token()
        connection.cut()

    upstream = upstreams(script)
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    assert ecluse.try_login("carol").startswith("NO [UNAVAILABLE] ")


def test_a_server_that_does_not_answer_the_handshake_holds_up_nobody(ecluse, upstreams):
    upstream = upstreams(lambda connection: connection.until_gone())
    ecluse.serve_from(upstream)
    ecluse.ready("alice", "carol")
    client = ecluse.raw()
    client.send(f"a LOGIN carol@example.test {ecluse.passwords['carol']}\r\n")
    upstream.wait_for(1)
    assert ecluse.try_login("alice").startswith("OK ")
    assert client.is_quiet()


# ---- resumption ----

@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_second_login_resumes_and_another_account_does_not(ecluse, upstreams, version):
    upstream = upstreams(polite)
    upstream.context.maximum_version = ssl.TLSVersion[version]
    ecluse.serve_from(upstream, "alice")
    ecluse.set("account bob", provider="of-alice")
    ecluse.ready("alice", "bob")
    connections = upstream.connections
    for count, name in enumerate(("alice", "alice", "bob", "bob"), 1):
        session = ecluse.raw_session(name)
        assert session.command("NOOP")[0].startswith("OK ")  # the tickets have been read
        session.command("LOGOUT")
        upstream.wait_over()
        assert len(connections) == count
    assert [c.resumed for c in connections] == [False, True, False, True]
    line = r"upstream-connect account=(\w+) .* detail=\"TLSv1\.\d \S+( resumed)?\""
    wait_until(lambda: len(re.findall(line, ecluse.log())) == count, "the log's lines")
    assert re.findall(line, ecluse.log()) == [("alice", ""), ("alice", " resumed"),
                                              ("bob", ""), ("bob", " resumed")]


def test_a_ticket_of_another_certificate_is_not_asked_for_trust(ecluse, rig, upstreams):
    """Resumption does not excuse from the name: the ticket is for that host and port alone."""
    upstream = upstreams(polite)
    ecluse.serve_from(upstream, "alice")
    ecluse.ready("alice")
    session = ecluse.raw_session("alice")
    session.command("NOOP")
    session.command("LOGOUT")
    upstream.wait_over()
    upstream.context = server_context(rig.state["certs"]["wrong_name"])
    assert ecluse.try_login("alice").startswith("NO [UNAVAILABLE] no trusted connection")
