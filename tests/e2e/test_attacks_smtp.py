"""SMTP behind the login: what clients and servers do to those between them; the numbers are those of
the attack catalogue. The logins are in test_attacks_logins, what servers say before them in
test_attacks_replies, and what is smuggled in messages in test_smuggling.
"""

import pytest

from attack_support import SIZES
from ecluse_support import ALICE, CAROL
from processes import resident
from scripted_upstream import polite

@pytest.fixture
def submission(serve, unharmed):
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

        unharmed.upstream = serve(script, "smtp")
        return unharmed.raw_session("carol", "smtp")

    return start


def commands_at(unharmed):
    connection, = unharmed.upstream.wait_over()
    return connection.commands


# ---- the client ----

@pytest.mark.parametrize("line", [
    b'MAIL FROM:<"a\rRCPT TO:<x>"@y>', b"MAIL FROM:<a\0b@c>", b"RCPT TO:<a@b>\rRCPT TO:<c@d>",
    b"RCPT TO:<a@b>\x01", b"EHLO a\x1b[2J", b"NOOP\r", b"MAIL FROM:<a>\tSIZE=1", b"VRFY \x7f"])
def test_48_control_characters_stay_here(submission, unharmed, line):
    client = submission(b"250 ok\r\n")
    assert client.command(line) == "501 5.5.2 control characters in a command"
    assert client.command("NOOP") == "250 ok"
    client.close()
    assert commands_at(unharmed) == [b"NOOP"]


@pytest.mark.parametrize("line", [
    "MAIL FROM:<carol@example.test> AUTH=<+0Aevil>", "MAIL FROM:<a@b> AUTH=<>",
    "MAIL FROM:<a@b> SIZE=-1", "MAIL FROM:<a@b> SIZE=1 SIZE=2", "RCPT TO:<a@b> ORCPT=rfc822;+0D+0A",
    "MAIL FROM:<> ENVID=%n%s", "RCPT TO:<\"\"@x>", "MAIL FROM:<", "RCPT", "MAIL",
    "RCPT TO:<" + "a" * 8000 + "@x>", "MAIL FROM:<caf\u00e9@x>"])
def test_41_57_odd_parameters_are_one_line(submission, unharmed, line):
    """Whatever they mean is the server's to say; what matters is that it sees one command."""
    client = submission(b"555 5.5.4 no\r\n", b"250 ok\r\n")
    assert client.command(line) == "555 5.5.4 no"
    assert client.command("NOOP") == "250 ok"
    client.close()
    assert commands_at(unharmed) == [line.encode(), b"NOOP"]


@pytest.mark.parametrize("before", [b"RCPT TO:<", b"MAIL FROM:<", b"MAIL FROM:<a@b> AUTH="])
def test_41_an_address_of_64_kib(submission, unharmed, before):
    """It is longer than a command may be: the server sees none of it."""
    client = submission(b"250 ok\r\n")
    assert client.command("NOOP") == "250 ok"
    mark = unharmed.log_size()
    client.send(before + b"a" * 65536 + b"@x>\r\nMAIL FROM:<evil@example.net>\r\n")
    # What it sent is not read to its end, so that a reset may overtake the reply.
    assert client.rest() in (b"500 5.5.2 a command is too long\r\n", b"")
    unharmed.wait_log("session-close account=carol .*a command is too long", since=mark)
    assert commands_at(unharmed) == [b"NOOP"]


@pytest.mark.parametrize("line", ["XCLIENT NAME=evil LOGIN=bob", "XFORWARD NAME=evil", "xclient",
                                  "LHLO me", "STARTTLS", "starttls",
                                  "BURL imap://x/ LAST"])
def test_58_what_speaks_for_others_stays_here(submission, unharmed, line):
    client = submission(b"250 ok\r\n")
    assert client.command(line) == "502 5.5.1 not available here"
    assert client.command("NOOP") == "250 ok"
    client.close()
    assert commands_at(unharmed) == [b"NOOP"]


def test_answers_of_ours_keep_their_places(submission, unharmed):
    """The server answers late, and in pieces."""
    client = submission(b"", b"", b"250-one\r\n250 one\r\n250 tw", b"o\r\n250 three\r\n250 four\r\n")
    client.send(b"NOOP 1\r\nAUTH PLAIN AGEAYg==\r\nNOOP 2\r\nSTARTTLS\r\nNOOP 3\r\nNOOP\0\r\nNOOP 4\r\n"
                b"XCLIENT x\r\n")
    expected = (b"250-one\r\n250 one\r\n503 5.5.1 you are logged in already\r\n250 two\r\n"
                b"502 5.5.1 not available here\r\n250 three\r\n"
                b"501 5.5.2 control characters in a command\r\n250 four\r\n"
                b"502 5.5.1 not available here\r\n")
    assert client.file.read(len(expected)) == expected
    client.close()
    assert commands_at(unharmed) == [b"NOOP 1", b"NOOP 2", b"NOOP 3", b"NOOP 4"]


def test_ten_thousand_commands_at_once(unharmed, serve):
    """More than may be unanswered: the client waits, and nothing is lost."""
    def script(connection):
        connection.handshake()
        connection.log_in()
        while (line := connection.line()) != b"QUIT":
            connection.send(b"250-" + line + b"\r\n250 " + line + b"\r\n")
        connection.send("221 bye\r\n")

    serve(script, "smtp")
    client = unharmed.raw_session("carol", "smtp")
    commands = [b"NOOP %d" % number for number in range(10_000)]
    client.send(b"".join(command + b"\r\nAUTH x\r\n" for command in commands) + b"QUIT\r\n")
    for command in commands:
        assert client.line() == b"250-" + command and client.line() == b"250 " + command
        assert client.line() == b"503 5.5.1 you are logged in already"
    assert client.rest() == b"221 bye\r\n"


@pytest.mark.parametrize("line", [b"BDAT 0 LAST", b"BDAT 86 LAST", b"bdat 99999999999999999999",
                                  b"BDAT -1", b"BDAT x", b"BDAT"])
def test_77_chunks_are_not_commands(submission, unharmed, line):
    """What is in one must never be read as a command; with what went before it is dealt first."""
    client = submission(b"250 one\r\n")
    client.send(b"NOOP\r\n" + line + b"\r\nMAIL FROM:<evil@example.net>\r\nQUIT\r\n")
    assert client.rest() == b"250 one\r\n502 5.5.1 BDAT is not offered\r\n"
    assert commands_at(unharmed) == [b"NOOP"]


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("octets", [b"", b"Subject: x\r\n\r\nhalf", b"half\r\n.", b"half\r\n.\r",
                                    b"half\n.\n"])
def test_35_leaving_within_a_message(serve, unharmed, octets, how):
    """The server never sees its end."""
    def script(connection):
        connection.handshake()
        connection.log_in()
        connection.line()
        connection.send("354 go on\r\n")
        connection.until(b"\r\n.\r\n")
        connection.commands.append(b"the end of a message")

    upstream = serve(script, "smtp")
    client = unharmed.raw_session("carol", "smtp")
    assert client.command("DATA") == "354 go on"
    client.send(octets)
    getattr(client, how)()
    connection, = upstream.wait_over()
    assert connection.commands == [] and b"\r\n.\r\n" not in connection.plain


def test_messages_in_one_piece(serve, unharmed):
    """Two of them and a QUIT, to a server that is slow to say 354: nothing goes before it."""
    upstream = serve(polite, "smtp")
    client = unharmed.raw_session("carol", "smtp")
    client.send(b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\none\r\n.\r\nMAIL FROM:<c>\r\nDATA\r\n"
                b"MAIL FROM:<evil>\r\n..\r\n.\r\nAUTH x\r\nQUIT\r\n")
    codes = [client.line()[:3] for _ in range(9)]
    assert codes == [b"250", b"250", b"354", b"250", b"250", b"354", b"250", b"503", b"221"]
    assert client.rest() == b""
    connection, = upstream.wait_over()
    assert connection.messages == [b"one", b"MAIL FROM:<evil>\r\n.."]
    assert connection.commands == [b"MAIL FROM:<a>", b"RCPT TO:<b>", b"DATA", b"MAIL FROM:<c>",
                                   b"DATA", b"QUIT"]


# ---- the server ----

NONSENSE = [b"\r\n", b"2\r\n", b"25\r\n", b"250_x\r\n", b"hello\r\n", b"250-a\r\n251 b\r\n",
            b"120 wait\r\n", b"\0\0\0\0\r\n", b"+OK\r\n", b"\n"]


@pytest.mark.parametrize("answer", NONSENSE)
def test_31_a_reply_that_is_none_ends_the_session(submission, unharmed, answer):
    """From there nobody knows what is answered by what."""
    client = submission(answer)
    mark = unharmed.log_size()
    client.send("NOOP\r\nNOOP\r\n")
    client.rest()
    unharmed.wait_log("session-close account=carol .*reason=upstream-protocol", since=mark)


def test_a_go_ahead_that_nobody_asked_for(submission, unharmed):
    """Were the client to believe it, its next commands would be taken for a message by the server,
    or its message for commands by us."""
    client = submission(b"354 go on\r\n")
    mark = unharmed.log_size()
    client.send(b"NOOP\r\n")
    received = client.rest()
    assert received.count(b"\r\n") <= 2
    unharmed.wait_log("session-close account=carol .*reason=upstream-protocol", since=mark)


def test_a_refused_message_is_not_read_as_one(submission, unharmed):
    """And what the client pipelined are commands, each of them."""
    client = submission(b"503 no\r\n", b"250 ok\r\n", b"221 bye\r\n")
    client.send(b"DATA\r\nRSET\r\nAUTH x\r\nQUIT\r\n")
    expected = b"503 no\r\n250 ok\r\n503 5.5.1 you are logged in already\r\n221 bye\r\n"
    assert client.file.read(len(expected)) == expected
    client.close()
    assert commands_at(unharmed) == [b"DATA", b"RSET", b"QUIT"]


@SIZES
@pytest.mark.parametrize("answer", [b"250-x\r\n" * 8192, b"250 " + b"x" * 65536],
                         ids=["lines", "line"])
def test_28_30_without_end(serve, unharmed, answer):
    """What has no end is passed on as it comes, and costs no memory."""
    def script(connection):
        connection.handshake()
        connection.log_in()
        connection.line()
        for _ in range(512):
            connection.send(answer)

    serve(script, "smtp")
    client = unharmed.raw_session("carol", "smtp")
    gate, = unharmed.gates()
    before = resident(gate)
    client.send("HELP\r\n")
    received = 0
    while data := client.socket.recv(1 << 20):
        received += len(data)
    assert received == 512 * len(answer) and resident(gate) - before < 2048


@pytest.mark.parametrize("lines", [b"250-x\r\n", b"x" * 4096], ids=["lines", "line"])
def test_30_a_list_without_end(serve, unharmed, lines):
    """Of a list each line is looked at, and so it has an end or the session has."""
    def script(connection):
        connection.handshake()
        connection.log_in()
        connection.line()
        connection.send("250-there\r\n250-SIZE\r\n250-")
        while True:
            connection.send(lines * 100)

    serve(script, "smtp")
    client = unharmed.raw_session("carol", "smtp")
    mark = unharmed.log_size()
    client.send("EHLO me\r\n")
    client.rest()
    unharmed.wait_log("session-close account=carol .*reason=upstream-protocol", since=mark)


def test_43_a_message_of_one_line(serve, unharmed):
    """A header of 20 MiB, without a line end."""
    upstream = serve(polite, "smtp")
    client = unharmed.raw_session("carol", "smtp")
    gate, = unharmed.gates()
    before = resident(gate)
    message = b"X-Long: " + b"x" * (20 << 20)
    assert client.submit(CAROL, ALICE, message + b"\r\n.\r\n").startswith("250 ")
    assert upstream.connections[0].messages == [message]
    assert resident(gate) - before < 8192
