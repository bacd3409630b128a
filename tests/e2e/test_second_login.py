"""A client that logs in once more in an IMAP session is answered here: its password is not for the
mail server. POP3's and SMTP's are in test_second_login_lines.
"""

import base64

import pytest

from audit_support import imap_verbs
from ecluse_support import ALICE
from imap_support import plain, quoted
from waiting import wait_until

IN_ALREADY = "BAD you are logged in already"
USER = ALICE.encode()


def literals(word, plus=b""):
    """Cut where the client waits for "+"."""
    return [b"x LOGIN {%d%s}\r\n" % (len(USER), plus),
            b"%s {%d%s}\r\n" % (USER, len(word), plus), word + b"\r\n"]


FORMS = {
    "words": lambda word: [b"x LOGIN " + USER + b" " + word + b"\r\n"],
    "quoted": lambda word: [b"x login " + quoted(USER) + b" " + quoted(word) + b"\r\n"],
    "literals": literals,
    "literals at once": lambda word: [b"".join(literals(word))],
    "literals pushed": lambda word: [b"".join(literals(word, b"+"))],
    "initial response": lambda word: [b"x AUTHENTICATE PLAIN " + plain(USER, word) + b"\r\n"],
    "exchange": lambda word: [b"x AUTHENTICATE PLAIN\r\n"],
    "exchange at once": lambda word: [b"x AUTHENTICATE PLAIN\r\n" + plain(USER, word) + b"\r\n"],
}


def assert_unheard(rawlog, password, verbs):
    """The whole session, which is over, and nothing of the login."""
    word = password.encode()
    wait_until(lambda: [imap_verbs(heard) for heard in rawlog.sessions()] == [verbs],
               "what Dovecot heard")
    heard, = rawlog.sessions()
    for secret in (word, base64.b64encode(word), plain(USER, word), USER, b"LOGIN ", b"AUTHENTICATE"):
        assert secret not in heard


@pytest.mark.parametrize("cut", ["in one piece", "octet by octet"])
@pytest.mark.parametrize("form", FORMS)
def test_it_stays_here(ecluse, rawlog, form, cut):
    client = ecluse.ready("alice").raw_session("alice")
    password = ecluse.passwords["alice"]
    assert client.command("EXAMINE", "INBOX")[0].startswith("OK ")
    pieces = FORMS[form](password.encode())
    for number, piece in enumerate(pieces):
        if number > 0:
            assert client.line() == b"+ go on"
        for start in range(len(piece)) if cut == "octet by octet" else [slice(None)]:
            client.send(piece[start:start + 1] if isinstance(start, int) else piece)
    reply, before = client.until_tagged(b"x")
    assert reply == IN_ALREADY
    assert before == [b"+ go on"] * (2 if form == "literals at once" else 0)
    reply, before = client.command("FETCH", "1", "(UID)")
    assert reply.startswith("OK ") and len(before) == (2 if form == "exchange at once" else 1)
    assert client.command("LOGOUT")[0].startswith("OK ")
    assert_unheard(rawlog, password, ["EXAMINE", "FETCH", "LOGOUT"])


def test_between_other_commands(ecluse, rawlog):
    """They are answered as if it had not been there."""
    client = ecluse.ready("alice").raw_session("alice")
    password = ecluse.passwords["alice"]
    login = b"".join(literals(password.encode(), b"+"))
    client.send(b"1 EXAMINE INBOX\r\n" + login + b"2 FETCH 1:3 BODY.PEEK[]\r\n" + login
                + b"3 FETCH 1:3 (FLAGS)\r\n" + login + b"4 LOGOUT\r\n")
    lines = client.rest().split(b"\r\n")
    tagged = [line for line in lines if line[:2] in (b"1 ", b"2 ", b"3 ", b"4 ")]
    assert [line[:5] for line in tagged] == [b"1 OK ", b"2 OK ", b"3 OK ", b"4 OK "]
    assert lines.count(b"x " + IN_ALREADY.encode()) == 3
    assert_unheard(rawlog, password, ["EXAMINE", "FETCH", "FETCH", "LOGOUT"])


def test_an_appended_message_may_say_what_it_will(ecluse, rawlog):
    """Its lines are no commands, with a literal of either kind."""
    ecluse.ready("alice")
    client = ecluse.raw_session("alice")
    message = b"Subject: x\r\n\r\nThe login page\r\nx LOGIN a b\r\nx AUTHENTICATE PLAIN\r\n"
    for plus in (b"", b"+"):
        assert client.append("Drafts", message, plus).startswith("OK ")
    assert client.command("SELECT", "Drafts")[0].startswith("OK ")
    client.send(b"b FETCH 1:* BODY[TEXT]\r\n")
    reply, before = client.until_tagged(b"b")
    assert reply.startswith("OK ") and before.count(b"x LOGIN a b") == 2
    assert client.command("LOGOUT")[0].startswith("OK ")
    heard, = rawlog.sessions()
    assert heard.count(message) == 2


def test_its_answer_stands_between_responses(serve, unharmed):
    """Not within a message of the server's, nor within a line."""
    def script(connection):
        connection.handshake()
        connection.log_in()
        connection.commands.append(connection.line())
        connection.send(b"* 1 FETCH (BODY[] {17}\r\na BAD within")
        connection.commands.append(connection.line())
        connection.send(b" it\r\n)\r\na OK do")
        connection.commands.append(connection.line())
        connection.send(b"ne\r\nb OK done\r\nc OK done\r\n")
        connection.until_gone()

    upstream = serve(script)
    client = unharmed.raw_session("carol")
    client.send(b"a FETCH 1 BODY[]\r\n")
    assert client.file.read(36) == b"* 1 FETCH (BODY[] {17}\r\na BAD within"
    client.send(b"x LOGIN a b\r\nb NOOP\r\n")
    assert client.line() == b" it" and client.line() == b")"
    assert client.line() == b"x " + IN_ALREADY.encode()
    assert client.file.read(7) == b"a OK do"
    client.send(b"y LOGIN a b\r\nc NOOP\r\n")
    assert [client.line() for _ in range(4)] == \
        [b"ne", b"y " + IN_ALREADY.encode(), b"b OK done", b"c OK done"]
    client.close()
    connection, = upstream.wait_over()
    assert connection.commands == [b"a FETCH 1 BODY[]", b"b NOOP", b"c NOOP"]
