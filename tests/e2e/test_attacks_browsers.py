"""Web pages and other strangers at the three ports; the numbers are those of the attack catalogue.
One refusal, and what they sent is never looked at.
"""

import os
import signal
import ssl

import pytest

from ecluse_support import CAROL
from imap_support import plain
from protocols import PROTOCOLS
from scripted_upstream import polite

HTTP = b"this is not an HTTP server\r\n"
SPOKE_FIRST = b"you spoke before you were greeted\r\n"
# Before the words of a refusal.
REFUSES = {"imap": b"* BYE ", "pop3": b"-ERR ", "smtp": b"421 4.7.0 "}
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


def commands(protocol, password):
    """What a web page would have us do."""
    return {"imap": f"a LOGIN {CAROL} {password}\r\nb SELECT INBOX\r\n",
            "pop3": f"USER {CAROL}\r\nPASS {password}\r\nDELE 1\r\nQUIT\r\n",
            "smtp": f"EHLO x\r\nAUTH PLAIN {plain(CAROL, password).decode()}\r\n"
                    f"MAIL FROM:<{CAROL}>\r\nRCPT TO:<evil@example.net>\r\nDATA\r\n"}[protocol]


def request(one, protocol, first="POST / HTTP/1.1"):
    body = commands(protocol, one.passwords["carol"])
    return (f"{first}\r\nHost: 127.0.0.1:{one.port_of(protocol)}\r\nContent-Length: {len(body)}\r\n"
            f"\r\n{body}")


def tls_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@each_protocol
@pytest.mark.parametrize("first", ["POST / HTTP/1.1", "GET /mail HTTP/1.0", "put /x http/1.1",
                                   "OPTIONS * HTTP/1.1", "HEAD / HTTP/1.1", "DELETE / HTTP/1.1",
                                   "PATCH / HTTP/1.1", "TRACE / HTTP/1.1", "post x",
                                   "CONNECT mail:993 HTTP/1.1", "PRI * HTTP/2.0",
                                   "a BREW /pot HTTP/1.1"])
def test_60_a_web_page_posts_to_us(serve, unharmed, protocol, first):
    """Its browser waits for the greeting, as none does."""
    upstream = serve(polite, protocol)
    mark = unharmed.log_size()
    client = unharmed.raw(protocol=protocol)
    client.send(request(unharmed, protocol, first))
    assert client.rest() == REFUSES[protocol] + HTTP
    unharmed.wait_log("cross-protocol .*HTTP", since=mark)
    unharmed.wait_log("session-close", since=mark)
    assert "client-auth" not in unharmed.log_since(mark)
    assert upstream.connections == []


@pytest.mark.parametrize("protocol", ["pop3", "smtp"])
@pytest.mark.parametrize("first", ["Host: localhost", "host:x", "Content-Type: text/plain",
                                   "Origin: https://evil.example", "X: y", "Accept-Language:"])
def test_60_a_header_line(serve, unharmed, protocol, first):
    """Where the first line was not seen for what it is."""
    upstream = serve(polite, protocol)
    mark = unharmed.log_size()
    client = unharmed.raw(protocol=protocol)
    client.send(f"{first}\r\n" + commands(protocol, unharmed.passwords["carol"]))
    assert client.rest() == REFUSES[protocol] + HTTP
    assert "client-auth" not in unharmed.log_since(mark)
    assert upstream.connections == []


@each_protocol
@pytest.mark.parametrize("cut", ["behind each line", "behind each octet"])
def test_60_in_pieces(serve, unharmed, protocol, cut):
    upstream = serve(polite, protocol)
    text = request(unharmed, protocol)
    client = unharmed.raw(protocol=protocol)
    try:
        for piece in text.splitlines(keepends=True) if cut == "behind each line" else text:
            client.send(piece)
    except ConnectionError:
        pass
    # A reset may overtake the refusal: we close while it is still sending.
    assert client.rest() in (REFUSES[protocol] + HTTP, b"")
    assert upstream.connections == []


@each_protocol
@pytest.mark.parametrize("what", ["a web page", "commands", "one octet", "a line end",
                                  "a TLS hello"])
def test_60_bytes_before_the_greeting(serve, unharmed, protocol, what):
    """The gate stands still until they are there. None is parsed, good ones neither."""
    upstream = serve(polite, protocol)
    said = {"a web page": request(unharmed, protocol),
            "commands": commands(protocol, unharmed.passwords["carol"]),
            "one octet": "a", "a line end": "\r\n", "a TLS hello": tls_hello()}[what]
    mark = unharmed.log_size()
    gate, = unharmed.gates()
    os.kill(gate, signal.SIGSTOP)
    try:
        client = unharmed.raw(greet=False, protocol=protocol)
        client.send(said)
    finally:
        os.kill(gate, signal.SIGCONT)
    received = client.rest()
    # What it sent is not read, so that a reset may overtake the refusal.
    assert received in (REFUSES[protocol] + SPOKE_FIRST, b"")
    unharmed.wait_log("cross-protocol .*spoke before", since=mark)
    unharmed.wait_log("session-close", since=mark)
    assert "client-auth" not in unharmed.log_since(mark)
    assert upstream.connections == []


@each_protocol
def test_61_a_tls_client(unharmed, protocol):
    mark = unharmed.log_size()
    client = unharmed.raw(protocol=protocol)
    client.send(tls_hello())
    assert client.rest() == REFUSES[protocol] + b"a TLS client on a plaintext port\r\n"
    unharmed.wait_log("cross-protocol .*a TLS client on a plaintext port", since=mark)
