"""POP3 behind the login: what clients and servers do to those between them; the numbers are those of
the attack catalogue. The logins are in test_attacks_logins, what servers say before them in
test_attacks_replies.
"""

import pytest

from attack_support import SIZES
from processes import resident
from scripted_upstream import Gone

@pytest.fixture
def mailbox(serve, unharmed):
    """carol's session with a server that answers her commands, in order, by these octets."""
    def start(*answers):
        def script(connection):
            connection.handshake()
            connection.log_in()
            for answer in answers:
                connection.commands.append(connection.line())
                connection.send(answer)
            while True:
                connection.commands.append(connection.line())

        unharmed.upstream = serve(script, "pop3")
        return unharmed.raw_session("carol", "pop3")

    return start


def commands_at(unharmed):
    connection, = unharmed.upstream.wait_over()
    return connection.commands


# ---- the client ----

@pytest.mark.parametrize("line", [b"NOOP\0", b"RETR 1\rDELE 1", b"RETR 1\r", b"\x1b[2J", b"DELE\t1",
                                  b"RETR 1\x7f"])
def test_50_control_characters_stay_here(mailbox, unharmed, line):
    client = mailbox(b"+OK\r\n")
    assert client.command(line) == "-ERR control characters in a command"
    assert client.command("NOOP") == "+OK"
    client.close()
    assert commands_at(unharmed) == [b"NOOP"]


def test_another_login_stays_here(mailbox, unharmed):
    """Also where its answer must wait for others, and with the letters of either case."""
    client = mailbox(b"+OK 1\r\n", b"+OK\r\nSubject: x\r\n\r\n.", b"\r\n")
    client.send(b"STAT\r\nUSER bob@example.test\r\npass wrong\r\nRETR 1\r\nAUTH PLAIN AGEAYg==\r\n"
                b"Apop x y\r\nSTLS\r\nDELE 1\r\n")
    expected = (b"+OK 1\r\n-ERR you are logged in already\r\n-ERR you are logged in already\r\n"
                b"+OK\r\nSubject: x\r\n\r\n.\r\n-ERR you are logged in already\r\n"
                b"-ERR you are logged in already\r\n-ERR STLS is not available here\r\n")
    assert client.file.read(len(expected)) == expected
    client.close()
    assert commands_at(unharmed) == [b"STAT", b"RETR 1", b"DELE 1"]


def test_a_bare_line_feed_ends_a_command(mailbox, unharmed):
    """So the server and we agree on where it ends."""
    client = mailbox(b"+OK 1\r\n", b"+OK 2\r\n")
    client.send(b"NOOP\nSTAT\nUSER x\n")
    assert [client.line() for _ in range(3)] == \
        [b"+OK 1", b"+OK 2", b"-ERR you are logged in already"]
    client.close()
    assert commands_at(unharmed) == [b"NOOP", b"STAT"]


def test_ten_thousand_commands_at_once(unharmed, serve):
    """More than may be unanswered: the client waits, and nothing is lost."""
    def script(connection):
        connection.handshake()
        connection.log_in()
        while (line := connection.line()) != b"QUIT":
            connection.commands.append(line)
            connection.send(b"+OK " + line + b"\r\n")
        connection.send("+OK bye\r\n")

    serve(script, "pop3")
    client = unharmed.raw_session("carol", "pop3")
    commands = [b"NOOP %d" % number for number in range(10_000)]
    client.send(b"".join(command + b"\r\nAPOP x y\r\n" for command in commands) + b"QUIT\r\n")
    for command in commands:
        assert client.line() == b"+OK " + command
        assert client.line() == b"-ERR you are logged in already"
    assert client.rest() == b"+OK bye\r\n"


# ---- the server ----

@pytest.mark.parametrize("body", [
    b".\n.\r\n", b"\n.\n", b"a\n.\r\nb\r\n", b"a\r.\r\nb\r\n", b"..\r\n...\r\n", b". \r\n", b".a\r\n",
    b"\r\r\n", b"\r\n\r\n", b"-ERR no\r\n+OK yes\r\n", b"a\r\n.\n", b"a\r\n.\r", b"\0\xff\r\n"])
def test_only_a_dot_on_a_line_of_its_own_ends_a_mail(mailbox, body):
    """Else our own answer would stand within it."""
    mail = b"+OK\r\n" + body + b"\r\n.\r\n"
    client = mailbox(mail[:-3], mail[-3:] + b"+OK the second\r\n")
    client.send(b"RETR 1\r\nAPOP x y\r\nNOOP\r\n")
    expected = mail + b"-ERR you are logged in already\r\n+OK the second\r\n"
    assert client.file.read(len(expected)) == expected


@SIZES
@pytest.mark.parametrize("what", ["a line", "a mail", "a list"])
def test_28_without_end(serve, unharmed, what):
    """What has no end is passed on as it comes, and costs no memory."""
    def script(connection):
        connection.handshake()
        connection.log_in()
        connection.line()
        connection.send({"a line": b"+OK ", "a mail": b"+OK\r\n", "a list": b"+OK\r\n"}[what])
        piece = b"x" * 65536 if what != "a list" else b"X-CAPABILITY\r\n" * 4096
        for _ in range(1024):
            connection.send(piece)
        connection.cut()
        raise Gone

    serve(script, "pop3")
    client = unharmed.raw_session("carol", "pop3")
    gate, = unharmed.gates()
    before = resident(gate)
    client.send("CAPA\r\n" if what == "a list" else "RETR 1\r\n")
    received = 0
    while data := client.socket.recv(1 << 20):
        received += len(data)
    assert received > 1024 * 14 * 4096 and resident(gate) - before < 2048


def test_28_a_capability_without_end(serve, unharmed):
    """Of a list each line is looked at, and so it has an end or the session has."""
    def script(connection):
        connection.handshake()
        connection.log_in()
        connection.line()
        connection.send("+OK\r\nTOP\r\n")
        while True:
            connection.send(b"x" * 65536)

    serve(script, "pop3")
    client = unharmed.raw_session("carol", "pop3")
    mark = unharmed.log_size()
    client.send("CAPA\r\n")
    assert client.rest() == b"+OK\r\nTOP\r\n"
    unharmed.wait_log("session-close account=carol .*an endless line", since=mark)


def test_words_that_nobody_asked_for(mailbox):
    """They pass, and no answer of ours is lost or comes too early by them."""
    client = mailbox(b"+OK 1\r\n+OK unasked\r\nnor this\r\n", b"+OK 2\r\n")
    assert client.command("NOOP") == "+OK 1"
    assert client.line() == b"+OK unasked" and client.line() == b"nor this"
    assert client.command("APOP x y") == "-ERR you are logged in already"
    assert client.command("NOOP") == "+OK 2"


def test_a_refused_list_is_one_line(mailbox):
    client = mailbox(b"-ERR no\r\n", b"-ERR no\r\n", b"-ERR no\r\n", b"+OK 1 2\r\n")
    client.send(b"LIST\r\nSTLS\r\nRETR 9\r\nSTLS\r\nCAPA\r\nSTLS\r\nLIST 1\r\nSTLS\r\n")
    no_tls = b"-ERR STLS is not available here\r\n"
    expected = (b"-ERR no\r\n" + no_tls) * 3 + b"+OK 1 2\r\n" + no_tls
    assert client.file.read(len(expected)) == expected
