"""What hostile mail servers have done to others, behind a certificate that is in order; the numbers
are those of the attack catalogue. After each attack the same processes must serve their users.
"""

import socket

import pytest

from attack_support import NOT_IMAP, SIZES
from ecluse_support import CAROL
from processes import resident
from scripted_upstream import CAPABILITIES, OFFER


def greeting_only(*greetings):
    """Each connection gets the next greeting."""
    left = list(greetings)

    def script(connection):
        connection.handshake()
        connection.send(left.pop(0))
        connection.until_gone()

    return script


def nothing_was_sent(upstream):
    return all(c.plain == b"" and c.token is None for c in upstream.wait_over())


# ---- hostile servers ----

def test_09_preauth_inside_tls(serve, unharmed):
    upstream = serve(greeting_only("* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n* 1 EXISTS\r\n"))
    assert unharmed.try_login("carol") == "NO [UNAVAILABLE] the mail server says that we are " \
        "logged in already, as somebody (PREAUTH)"
    assert nothing_was_sent(upstream)


def test_10_invalid_greeting(serve, unharmed):
    greetings = ["garbage", "* WHAT is this", "e1 OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] tagged",
                 "220 mail ESMTP", "+OK ready", "* OK [X] {5}", "\0\1\2", "+ ", "HTTP/1.1 200 OK"]
    upstream = serve(greeting_only(*(greeting + "\r\n" for greeting in greetings)))
    for greeting in greetings:
        reply = unharmed.try_login("carol")
        assert reply.startswith(NOT_IMAP), (greeting, reply)
    assert len(upstream.connections) == len(greetings) and nothing_was_sent(upstream)


def test_10_bye(serve, unharmed):
    upstream = serve(greeting_only("* BYE down for maintenance\r\n"))
    assert unharmed.try_login("carol") == \
        "NO [UNAVAILABLE] the mail server ended the connection: down for maintenance"
    assert nothing_was_sent(upstream)


def test_11_login_referral(serve, unharmed, rig):
    evil = socket.create_server(("127.0.0.1", 0))
    address = f"imap://127.0.0.1:{evil.getsockname()[1]}/"

    def script(connection):
        connection.handshake()
        connection.greet()
        for _ in range(2):
            connection.send(f"{connection.read_token()} NO [REFERRAL {address}] go there\r\n")
        connection.until_gone()

    serve(script)
    rig.clear()
    assert unharmed.try_login("carol") == "NO [AUTHENTICATIONFAILED] the provider refused the " \
        f"access token: [REFERRAL {address}] go there"
    assert rig.refreshes() == {"ok": 1}
    evil.setblocking(False)
    with pytest.raises(BlockingIOError):
        evil.accept()
    evil.close()


def test_11_referral_with_success(serve, unharmed):
    """RFC 2221 allows it in the OK, too."""
    def script(connection):
        connection.handshake()
        connection.greet()
        tag = connection.read_token()
        connection.send(f"{tag} OK [REFERRAL imap://evil.example/] elsewhere\r\n")
        tag = connection.line().split()[0].decode()
        connection.send(f"* CAPABILITY {CAPABILITIES} LOGIN-REFERRALS MAILBOX-REFERRALS\r\n"
                        f"{tag} OK done\r\n")
        connection.answer_commands()

    serve(script)
    reply = unharmed.try_login("carol")
    assert reply.startswith("OK [CAPABILITY ") and "REFERRAL" not in reply


@SIZES
@pytest.mark.parametrize("size", ["4294967296", "2147483648", "18446744073709551616", "-1"])
def test_26_absurd_literal_of_the_server(serve, unharmed, size):
    def script(connection):
        connection.handshake()
        connection.log_in()
        connection.line()
        connection.send(b"* 1 FETCH (BODY[] {%s}\r\n" % size.encode() + b"x" * 1_000_000)
        connection.until_gone()

    serve(script)
    session = unharmed.raw_session("carol")
    gate, = unharmed.gates()
    before = resident(gate)
    session.send("a FETCH 1 BODY[]\r\n")
    assert session.line() == b"* 1 FETCH (BODY[] {%s}" % size.encode()
    assert session.file.read(1_000_000) == b"x" * 1_000_000
    assert resident(gate) - before < 1024


def test_28_endless_line_of_the_server(serve, unharmed):
    def script(connection):
        connection.handshake()
        connection.send("* OK ")
        while True:
            connection.send(b"x" * 65536)

    upstream = serve(script)
    assert unharmed.try_login("carol") == "NO [UNAVAILABLE] the mail server sent an endless line"
    assert nothing_was_sent(upstream)


@pytest.mark.parametrize("lines", [b"* OK [ALERT] read this\r\n", b"* CAPABILITY IMAP4rev1\r\n",
                                   b"* 1 EXISTS\r\n"])
def test_30_endless_untagged_lines(serve, unharmed, lines):
    def script(connection):
        connection.handshake()
        connection.greet()
        connection.read_token()
        while True:
            connection.send(lines * 1000)

    serve(script)
    assert unharmed.try_login("carol") == \
        "NO [UNAVAILABLE] the mail server said too much before the login"


def test_30_endless_challenges(serve, unharmed):
    answers = []

    def script(connection):
        connection.handshake()
        connection.greet()
        connection.read_token()
        while True:
            connection.send("+ e30=\r\n")
            answers.append(connection.line())

    upstream = serve(script)
    assert unharmed.try_login("carol").startswith(NOT_IMAP)
    upstream.wait_over()
    assert len(answers) <= 3


def test_13_what_the_server_shouts_before_the_login_is_for_nobody(serve, unharmed):
    def script(connection):
        connection.handshake()
        connection.send("* OK [ALERT] call 555-0100 now\r\n")
        tag = connection.line().split()[0].decode()
        connection.send(f"* OK [ALERT] or else\r\n* LIST () \"/\" evil\r\n* CAPABILITY {OFFER}\r\n"
                        f"{tag} OK done\r\n")
        tag = connection.read_token()
        connection.send("* 5 EXISTS\r\n* OK [ALERT] again\r\n")
        connection.accept(tag)
        connection.answer_commands()

    serve(script)
    client = unharmed.raw()
    client.send(f"a LOGIN {CAROL} {unharmed.passwords['carol']}\r\n")
    assert client.until_tagged(b"a") == (f"OK [CAPABILITY {visible(CAPABILITIES)}] Logged in", [])


def visible(capabilities):
    return " ".join(word for word in capabilities.split() if word != "SASL-IR")


def test_59_format_strings_of_the_server_are_words(serve, unharmed):
    words = "%n%s%x%p%100000d"
    upstream = serve(greeting_only(f"* BYE {words}\r\n", f"{words}\r\n"))
    assert unharmed.try_login("carol").endswith(f"the mail server ended the connection: {words}")
    assert unharmed.try_login("carol") == NOT_IMAP + words
    assert nothing_was_sent(upstream)


@pytest.mark.parametrize("stage", ["accepted", "handshake", "greeting", "capability", "token",
                                   "relay"])
def test_35_the_server_leaves_at_every_stage(serve, unharmed, stage):
    def script(connection):
        if stage != "accepted":
            connection.handshake()
        if stage == "capability":
            connection.send("* OK hello\r\n")
            connection.line()
        elif stage in ("greeting", "token", "relay"):
            connection.greet()
        if stage in ("token", "relay"):
            tag = connection.read_token()
        if stage == "relay":
            connection.accept(tag)
            connection.line()
        connection.reset()

    serve(script)
    for _ in range(3):
        client = unharmed.raw()
        reply = client.login(CAROL, unharmed.passwords["carol"])
        if stage == "relay":
            assert reply.startswith("OK ")
            client.send("a NOOP\r\n")
            assert b"a OK" not in client.rest()
        else:
            assert reply.startswith("NO [UNAVAILABLE] "), reply
