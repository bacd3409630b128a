"""What hostile POP3 and SMTP servers have said, behind a certificate that is in order; the numbers
are those of the attack catalogue (IMAP's are in test_attacks_server). After each attack the same
processes must serve their users.
"""

import pytest

from ecluse_support import CAROL
from imap_support import plain
from protocols import PROTOCOLS
from scripted_upstream import Gone, polite

each_protocol = pytest.mark.parametrize("protocol", ["pop3", "smtp"])
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
NO_SENSE = "the mail server does not speak as it should: "
CHALLENGE = {"pop3": "+ e30=\r\n", "smtp": "334 e30=\r\n"}


def each(table):
    return pytest.mark.parametrize("protocol, said", [
        pytest.param(protocol, said, id=f"{protocol}-{ascii(said)[1:-1]}")
        for protocol in table for said in table[protocol]])


def unreachable(protocol):
    return PROTOCOLS[protocol].unreachable


def assert_nothing_was_sent(upstream):
    for connection in upstream.wait_over():
        assert connection.plain == b"" and connection.token is None


def secured(action):
    """A script that begins with TLS and ends when we have left."""
    def script(connection):
        connection.handshake()
        action(connection)
        connection.until_gone()

    return script


# ---- greetings ----

GREETINGS = {"pop3": ["garbage", "* OK hello", "220 ESMTP", "+ ", "+", "+O", "OK", "+OKAY", "",
                      "\0\1", "HTTP/1.1 200 OK", "+ok\0"],
             "smtp": ["garbage", "* OK hello", "+OK ready", "250 hello", "235 in", "334 ", "354 go",
                      "", "2", "22", "22 ", "220_x", "220a", "2200", "120 wait", "600 x", "\0\1",
                      "220-a\r\n221 b", "220-a\r\n250 b", "HTTP/1.1 200 OK"]}


@each(GREETINGS)
def test_10_31_invalid_greeting(serve, unharmed, protocol, said):
    upstream = serve(secured(lambda connection: connection.send(said + "\r\n")), protocol)
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(unreachable(protocol) + NO_SENSE.removesuffix(": ")), reply
    assert_nothing_was_sent(upstream)


@pytest.mark.parametrize("protocol, said, told", [
    ("pop3", "-ERR down", "down"), ("pop3", "-ERR [SYS/TEMP] down", "[SYS/TEMP] down"),
    ("pop3", "-ERR", None), ("smtp", "421 down", "421 down"), ("smtp", "554 no", "554 no"),
    ("smtp", "554-no\r\n554 and no", "554 no and no"), ("smtp", "421", "421 ")])
def test_10_a_server_that_is_not_available(serve, unharmed, protocol, said, told):
    upstream = serve(secured(lambda connection: connection.send(said + "\r\n")), protocol)
    reply = unharmed.try_login("carol", protocol=protocol)
    expected = unreachable(protocol) + "the mail server is not available"
    assert reply == (expected if told is None else f"{expected}: {told}")
    assert_nothing_was_sent(upstream)


@each_protocol
def test_13_what_the_server_shouts_before_the_login_is_for_nobody(serve, unharmed, protocol):
    def script(connection):
        connection.handshake()
        if protocol == "pop3":
            connection.send("+OK [ALERT] call 555-0100\r\n")
            connection.tell_capabilities(offer=["555-0100", "SASL XOAUTH2"])
        else:
            connection.send("220-call 555-0100\r\n220 now\r\n")
            connection.tell_capabilities(offer=["555-0100", "AUTH XOAUTH2"])
        connection.read_token()
        connection.send("+OK call 555-0100\r\n" if protocol == "pop3"
                        else "235-call 555-0100\r\n235 2.7.0 now\r\n")
        connection.answer_commands()

    serve(script, protocol)
    client = unharmed.raw(protocol=protocol)
    client.send(b"AUTH PLAIN " + plain(CAROL, unharmed.passwords["carol"]) + b"\r\nQUIT\r\n")
    assert client.line() == {"pop3": b"+OK Logged in", "smtp": b"235 2.7.0 Logged in"}[protocol]
    assert b"555-0100" not in client.rest()


@each_protocol
@pytest.mark.parametrize("then", ["waits", "goes on"])
def test_17_plaintext_before_the_handshake(serve, unharmed, protocol, then):
    """CVE-2026-1642: what is said before TLS is no greeting."""
    def script(connection):
        connection.send_raw({"pop3": b"+OK hi\r\n+OK\r\nSASL XOAUTH2\r\n.\r\n+ \r\n",
                             "smtp": b"220 hi\r\n250-hi\r\n250 AUTH XOAUTH2\r\n334 \r\n"}[protocol])
        if then == "goes on":
            polite(connection)
        connection.until_gone()

    upstream = serve(script, protocol)
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(unreachable(protocol) + "no trusted connection to the mail server: ")
    assert_nothing_was_sent(upstream)
    raw = bytes(upstream.connections[0].raw)
    assert b"AUTH" not in raw and b"EHLO" not in raw and b"CAPA" not in raw


# ---- endless ----

@each_protocol
@pytest.mark.parametrize("stage", ["greeting", "capabilities", "login"])
def test_28_endless_line(serve, unharmed, protocol, stage):
    def script(connection):
        connection.handshake()
        if stage != "greeting":
            connection.hello()
        if stage == "login":
            connection.tell_capabilities()
            connection.read_token()
        connection.send({"pop3": "+OK ", "smtp": "250-"}[protocol])
        while True:
            connection.send(b"x" * 65536)

    serve(script, protocol)
    assert unharmed.try_login("carol", protocol=protocol) == \
        unreachable(protocol) + "the mail server sent an endless line"


@pytest.mark.parametrize("protocol, stage, lines", [
    ("pop3", "capabilities", b"X-CAPABILITY of its own\r\n"),
    ("smtp", "greeting", b"220-and more\r\n"), ("smtp", "capabilities", b"250-X-EXTENSION\r\n"),
    ("smtp", "login", b"535-x\r\n"), ("smtp", "login", b"235-x\r\n")])
def test_30_endless_lines(serve, unharmed, protocol, stage, lines):
    def script(connection):
        connection.handshake()
        if stage != "greeting":
            connection.hello()
        if stage == "capabilities":
            connection.line()
            if protocol == "pop3":
                connection.send("+OK\r\n")
        if stage == "login":
            connection.tell_capabilities()
            connection.read_token()
        while True:
            connection.send(lines * 1000)

    serve(script, protocol)
    assert unharmed.try_login("carol", protocol=protocol) == \
        unreachable(protocol) + "the mail server said too much before the login"


@each_protocol
def test_30_endless_challenges(serve, unharmed, protocol):
    answers = []

    def script(connection):
        connection.handshake()
        connection.greet()
        connection.read_token()
        while True:
            connection.send(CHALLENGE[protocol])
            answers.append(connection.line())

    upstream = serve(script, protocol)
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(unreachable(protocol) + NO_SENSE), reply
    upstream.wait_over()
    assert len(answers) <= 2


# ---- short, torn and contradictory ----

ANSWERS = {"smtp": ["2", "25", "", "250_x", "2a0 x", "250-a\r\n", "250-a\r\n\r\n", "250-a\r\n25",
                    "250-a\r\n235 b", "220-a\r\n250 b", "354 go", "334 ", "220 again", "\0\0\0 "]}
LOGINS = {"pop3": ["", "+O", "OK", "-", "235 in", "+OKAY"],
          "smtp": ["2", "23", "", "+OK", "235_in", "235a", "250 in", "220 in", "354 in",
                   "235-in\r\n535 out", "535-out\r\n235 in", "135 in", "\0\0\0 "]}


@each(ANSWERS)
def test_31_answers_to_ehlo(serve, unharmed, protocol, said):
    """What is torn is torn off: the server closes behind it."""
    def script(connection):
        connection.handshake()
        connection.hello()
        connection.line()
        connection.send(said if said.endswith("\r\n") else said + "\r\n")
        if not said.endswith("a\r\n"):
            connection.until_gone()

    upstream = serve(script, protocol)
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(unreachable(protocol)), reply
    for connection in upstream.wait_over():
        assert connection.plain == b"EHLO [127.0.0.1]\r\n"


@each(LOGINS)
def test_31_answers_to_the_token(serve, unharmed, rig, protocol, said):
    def script(connection):
        connection.handshake()
        connection.greet()
        connection.read_token()
        connection.send(said + "\r\n")
        connection.until_gone()

    serve(script, protocol)
    rig.clear()
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(unreachable(protocol) + NO_SENSE.removesuffix(": ")), reply
    assert rig.token_requests() == 0  # that was no refusal


@pytest.mark.parametrize("said", ["2", "25", "250", "250-a", "-", "+", ""])
@each_protocol
@pytest.mark.parametrize("stage", ["greeting", "capabilities", "login"])
def test_31_cut_off_in_a_line(serve, unharmed, protocol, stage, said):
    def script(connection):
        connection.handshake()
        if stage != "greeting":
            connection.hello()
            connection.tell_capabilities() if stage == "login" else connection.line()
        if stage == "login":
            connection.read_token()
        connection.send(said)

    serve(script, protocol)
    assert unharmed.try_login("carol", protocol=protocol) == \
        unreachable(protocol) + "the mail server closed the connection during the login"


def test_32_a_refusal_of_several_lines(serve, unharmed):
    """One clean line for the client, whatever the server wrote."""
    def script(connection):
        connection.handshake()
        connection.greet()
        for _ in range(2):
            connection.read_token()
            connection.send("535-5.7.8 first\r\n535-5.7.8 \x1b[31msecond\r\n535 5.7.8 third\r\n")
        connection.until_gone()

    serve(script, "smtp")
    client = unharmed.raw(protocol="smtp")
    client.send(b"AUTH PLAIN " + plain(CAROL, unharmed.passwords["carol"]) + b"\r\nQUIT\r\n")
    first, second = client.rest().decode().split("\r\n")[:2]
    assert first == "535 5.7.8 the provider refused the access token: " \
        "535 5.7.8 first 5.7.8 \\x1b[31msecond 5.7.8 third"
    assert second.startswith("221 ")


@each_protocol
def test_32_each_failure_is_one_answer(serve, unharmed, protocol):
    """Five of them on one connection, each contradicting itself, and then the last words."""
    def script(connection):
        connection.handshake()
        connection.hello()
        connection.line()
        connection.send({"smtp": "220-a\r\n250 b\r\n", "pop3": "+OK\r\nSASL XOAUTH2\r\n+ \r\n"
                                                              "220-a\r\n"}[protocol])
        if protocol == "pop3":
            return
        connection.until_gone()

    serve(script, protocol)
    client = unharmed.raw(protocol=protocol)
    message = plain(CAROL, unharmed.passwords["carol"])
    replies = [client.authenticate("PLAIN", message, initial=True) for _ in range(5)]
    assert all(reply.startswith(unreachable(protocol)) for reply in replies), replies
    assert client.rest() == PROTOCOLS[protocol].too_many + b"too many failed logins\r\n"


@every_protocol
def test_a_yes_before_the_token_is_none(serve, unharmed, protocol):
    """Nobody can know who we are."""
    def script(connection):
        connection.handshake()
        connection.greet(**({"offer": "IMAP4rev1 AUTH=XOAUTH2"} if protocol == "imap" else {}))
        tag = connection.line().split(b" ")[0].decode()
        connection.accept(tag)
        connection.until_gone()

    upstream = serve(script, protocol)
    reply = unharmed.try_login("carol", protocol=protocol)
    assert reply.startswith(unreachable(protocol)), reply
    assert all(connection.token is None for connection in upstream.wait_over())


# ---- leaving ----

@each_protocol
@pytest.mark.parametrize("how", ["close", "cut", "reset"])
@pytest.mark.parametrize("stage", ["handshake", "greeting", "capabilities", "challenge", "token",
                                   "relay"])
def test_21_35_the_server_leaves_at_every_stage(serve, unharmed, protocol, stage, how):
    def script(connection):
        connection.handshake()
        if stage != "handshake":
            connection.hello()
        if stage in ("challenge", "token", "relay"):
            connection.tell_capabilities()
        if stage == "challenge":
            connection.line()
            connection.send("+ \r\n" if protocol == "pop3" else "334 \r\n")
        if stage in ("token", "relay"):
            connection.read_token()
        if stage == "relay":
            connection.accept()
            connection.line()
        if how != "close":
            getattr(connection, how)()
            raise Gone

    serve(script, protocol)
    for _ in range(2):
        client = unharmed.raw(protocol=protocol)
        reply = client.login(CAROL, unharmed.passwords["carol"])
        if stage == "relay":
            assert reply.startswith(PROTOCOLS[protocol].logged_in), reply
            client.send("NOOP\r\n")
            assert client.rest() == b""
        else:
            assert reply.startswith(unreachable(protocol)), reply


@each_protocol
@pytest.mark.parametrize("ending", ["cut", "reset"])
def test_21_truncation_is_no_success(serve, unharmed, protocol, ending):
    """An end without close_notify in the middle of a mail or of a list."""
    half = {"pop3": b"+OK 1000 octets\r\nhalf of it\r\n.", "smtp": b"214-half of it\r\n214-."}
    command = {"pop3": "RETR 1\r\n", "smtp": "HELP\r\n"}

    def script(connection):
        connection.handshake()
        connection.log_in()
        connection.line()
        connection.send(half[protocol])
        getattr(connection, ending)()
        raise Gone

    serve(script, protocol)
    session = unharmed.raw_session("carol", protocol)
    mark = unharmed.log_size()
    session.send(command[protocol])
    received = session.rest()
    assert half[protocol].startswith(received)
    if ending == "cut":
        assert received == half[protocol]
    unharmed.wait_log("session-close account=carol .*reason=(server-gone|upstream-tls) ", since=mark)


@each_protocol
def test_59_format_strings_of_the_server_are_words(serve, unharmed, protocol):
    words = "%n%s%x%p%100000d"
    upstream = serve(secured(lambda connection: connection.send(f"{words}\r\n")), protocol)
    assert unharmed.try_login("carol", protocol=protocol) == \
        unreachable(protocol) + NO_SENSE + words
    assert_nothing_was_sent(upstream)
