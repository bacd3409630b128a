"""What hostile servers say to a session that is logged in: it passes, costs nothing, and moves
nothing of ours. The numbers are those of the attack catalogue.
"""

import os
import socket

import pytest

from attack_support import SIZES
from processes import resident

QUADRATIC = b"* 1 FETCH (X" + b" {1}\r\nx" * 100_000 + b")\r\n"


def say(*replies):
    """Logs in; each command gets the next reply, "<tag>" is its own."""
    def script(connection):
        connection.handshake()
        connection.log_in()
        for reply in replies:
            tag = connection.line().split(b" ")[0]
            connection.send(reply.replace(b"<tag>", tag))
        connection.until_gone()

    return script


@pytest.mark.parametrize("reply", [b"<tag> NO [REFERRAL imap://mallory@127.0.0.1:%p/INBOX] over there",
                                   b"* OK [REFERRAL imap://mallory@127.0.0.1:%p/] moved"])
def test_12_mailbox_referral(serve, unharmed, reply):
    """Nobody goes there, and nobody is told that referrals are spoken here (RFC 2193)."""
    evil = socket.create_server(("127.0.0.1", 0))
    reply = reply.replace(b"%p", b"%d" % evil.getsockname()[1])
    serve(say(b"* CAPABILITY IMAP4rev1 MAILBOX-REFERRALS LOGIN-REFERRALS IDLE\r\n<tag> OK done\r\n",
              reply + b"\r\n", b"<tag> OK done\r\n"))
    session = unharmed.raw_session("carol")
    session.send("a CAPABILITY\r\n")
    assert session.line() == b"* CAPABILITY IMAP4rev1 IDLE"
    assert session.line() == b"a OK done"
    session.send("b SELECT elsewhere\r\n")
    assert session.line() == reply.replace(b"<tag>", b"b")
    session.send("c NOOP\r\n")
    assert session.line() == b"c OK done"
    evil.setblocking(False)
    with pytest.raises(BlockingIOError):
        evil.accept()
    evil.close()


@SIZES
def test_27_a_hundred_thousand_literals(serve, unharmed):
    serve(say(QUADRATIC + b"<tag> OK done\r\n"))
    session = unharmed.raw_session("carol")
    gate, = unharmed.gates()
    before = resident(gate)
    session.send("a FETCH 1 X\r\n")
    assert session.file.read(len(QUADRATIC)) == QUADRATIC
    assert session.line() == b"a OK done"
    assert resident(gate) - before < 1024


@SIZES
def test_29_sets_are_not_counted_out(serve, unharmed):
    reply = b"<tag> OK [COPYUID 1 1:4294967295 1:4294967295] done\r\n"
    serve(say(reply))
    session = unharmed.raw_session("carol")
    gate, = unharmed.gates()
    before = resident(gate)
    session.send("a UID COPY 1:4294967295 there\r\n")
    assert session.line() + b"\r\n" == reply.replace(b"<tag>", b"a")
    assert resident(gate) - before < 1024


@pytest.mark.parametrize("name", ["../../../x", "/etc/passwd", "a\x7f", "%n%s"])
def test_56_a_mailbox_is_no_path(serve, unharmed, name):
    """Whatever folders are called there, ours stay as they are."""
    def files():
        return {os.path.join(folder, file) for folder, _, names in os.walk(unharmed.folder)
                for file in names if "audit" not in folder}

    line = b'* LIST () "/" "' + name.encode() + b'"\r\n'
    serve(say(line + b"<tag> OK done\r\n", b"<tag> OK done\r\n"))
    before = files()
    session = unharmed.raw_session("carol")
    session.send('a LIST "" *\r\n')
    assert session.line() + b"\r\n" == line
    assert session.line() == b"a OK done"
    session.send(b'b SELECT "' + name.encode() + b'"\r\n')
    assert session.line() == b"b OK done"
    assert files() == before
