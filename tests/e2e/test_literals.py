"""A large literal from the server, which is read in larger portions while it comes fast, comes whole
whatever the server does: also when it stalls, goes on in drips, ends early, or never meant it.
"""

import os

import pytest

from scripted_upstream import Gone

MUCH = 4 << 20
# Where a server stalls: within the first portion, between two, before the last, at the very end.
STOPS = [100_000, 1 << 20, MUCH - 200_000, MUCH - 130_000, MUCH - 1, MUCH]
MESSAGE = os.urandom(MUCH)


@pytest.fixture
def fetching(serve, unharmed):
    """carol has asked for a message, and the server does what the test says."""
    def start(script, protocol="imap", scheme="tls"):
        def play(connection):
            if scheme == "starttls":
                connection.start_tls()
                connection.tell_capabilities()
                connection.accept(connection.read_token())
            else:
                connection.handshake()
                connection.log_in()
            connection.line()
            script(connection)

        serve(play, protocol, scheme)
        client = unharmed.raw_session("carol", protocol)
        client.send(b"a FETCH 1 BODY[]\r\n" if protocol == "imap" else b"RETR 1\r\n")
        return client

    return start


def announce(connection, size=MUCH):
    connection.send(b"* 1 FETCH (BODY[] {%d}\r\n" % size)


def goes_on(connection):
    """When the client says so, which it does when it has everything that was sent."""
    connection.line()


def assert_comes(client, octets):
    came = client.file.read(len(octets))
    assert came == octets, (len(came), len(octets))


@pytest.mark.parametrize("stop", STOPS)
def test_a_stall(fetching, stop):
    def script(connection):
        announce(connection)
        connection.send(MESSAGE[:stop])
        goes_on(connection)
        connection.send(MESSAGE[stop:] + b")\r\na OK done\r\n")
        connection.until_gone()

    client = fetching(script)
    assert client.line() == b"* 1 FETCH (BODY[] {%d}" % MUCH
    assert_comes(client, MESSAGE[:stop])
    client.send(b"b NOOP\r\n")
    assert_comes(client, MESSAGE[stop:] + b")\r\na OK done\r\n")


@pytest.mark.parametrize("drip", [1, 1500, 60_000, 140_000])
def test_drips(fetching, drip):
    """Each of them is there before the next one is sent."""
    pieces = [MESSAGE[:1 << 20]]
    pieces += [MESSAGE[at:at + drip] for at in range(1 << 20, (1 << 20) + 10 * drip, drip)]
    pieces += [MESSAGE[(1 << 20) + 10 * drip:], b")\r\n", b"a OK done\r\n"]

    def script(connection):
        announce(connection)
        for piece in pieces:
            connection.send(piece)
            goes_on(connection)
        connection.until_gone()

    client = fetching(script)
    assert client.line() == b"* 1 FETCH (BODY[] {%d}" % MUCH
    for piece in pieces:
        assert_comes(client, piece)
        client.send(b"b NOOP\r\n")


@pytest.mark.parametrize("end", ["close_notify", "cut", "reset"])
@pytest.mark.parametrize("stop", STOPS[:-1])
def test_an_early_end(fetching, stop, end):
    """What came before it comes. A reset may overtake the server's last octets."""
    def script(connection):
        announce(connection)
        connection.send(MESSAGE[:stop])
        if end == "reset":
            goes_on(connection)
            connection.reset()
            raise Gone
        if end == "cut":
            connection.cut()
        else:
            try:
                connection.tls.unwrap()
            except OSError:
                pass  # it wants our close_notify
            connection.send_raw(connection.outgoing.read())
        connection.until_gone()

    client = fetching(script)
    assert client.line() == b"* 1 FETCH (BODY[] {%d}" % MUCH
    assert_comes(client, MESSAGE[:stop])
    if end == "reset":
        client.send(b"b NOOP\r\n")
    assert client.rest() == b""


def test_an_announcement_that_was_none(fetching):
    """A text that ends as one does: what comes behind it is still passed on as it comes."""
    def script(connection):
        connection.send(b"* OK " + b"x" * 100_000 + b" {99999999}\r\n")
        for number in range(3):
            connection.send(b"* %d EXISTS\r\n" % number)
            goes_on(connection)
        connection.send(b"a OK done\r\n")
        connection.until_gone()

    client = fetching(script)
    assert client.line().endswith(b" {99999999}")
    for number in range(3):
        assert client.line() == b"* %d EXISTS" % number
        client.send(b"b NOOP\r\n")
    assert client.line() == b"a OK done"


def test_many_at_once(fetching):
    """Of all sizes about a portion, with what stands between them."""
    sizes = [size + more for size in (1 << 17, 160 << 10, 1 << 18, 1 << 20) for more in (-1, 0, 1)]
    said = b"".join(b"* %d FETCH (BODY[] {%d}\r\n" % (size, size) + MESSAGE[:size] + b")\r\n"
                    for size in sizes) + b"a OK done\r\n"

    def script(connection):
        connection.send(said)
        goes_on(connection)
        for at in range(0, len(said), 50_000):
            connection.send(said[at:at + 50_000])
        connection.until_gone()

    client = fetching(script)
    assert_comes(client, said)
    client.send(b"b NOOP\r\n")
    assert_comes(client, said)


def test_behind_starttls(fetching):
    def script(connection):
        announce(connection)
        connection.send(MESSAGE)
        connection.send(b")\r\na OK done\r\n")
        connection.until_gone()

    client = fetching(script, scheme="starttls")
    assert client.line() == b"* 1 FETCH (BODY[] {%d}" % MUCH
    assert_comes(client, MESSAGE + b")\r\na OK done\r\n")


def test_pop3_which_says_a_length_that_means_nothing(fetching):
    def script(connection):
        connection.send(b"+OK %d octets\r\n" % MUCH + b"x" * 300_000)
        goes_on(connection)
        connection.send(b"\r\n.\r\n")
        connection.until_gone()

    client = fetching(script, "pop3")
    assert client.line() == b"+OK %d octets" % MUCH
    assert_comes(client, b"x" * 300_000)
    client.send(b"NOOP\r\n")
    assert_comes(client, b"\r\n.\r\n")
