"""What must be in the journal when a client has its answer: read there at once, without a wait."""

import os

import pytest

from audit_support import field, records
from ecluse_support import ALICE, BOB
from protocols import PROTOCOLS

MAIL = b"Subject: hello\r\n\r\nhello\r\n"


@pytest.fixture
def strict(ecluse):
    ecluse.set("ecluse", audit_sync="strict")
    return ecluse.ready("alice")


def verbs(ecluse):
    return [field(record, "ecluse.command.verb") for record in records(ecluse, "command")]


def test_every_answer_of_imap(strict):
    client = strict.raw()
    client.login(ALICE, strict.passwords["alice"])
    said = []
    for line in ("SELECT INBOX", "NOOP", "FETCH 1:* FLAGS", "UID FETCH 1:* BODY.PEEK[]", "X-UNKNOWN",
                 "STORE 1 +FLAGS (x)", "CLOSE", "LOGOUT"):
        client.command(line)
        words = line.split()
        said.append({"X-UNKNOWN": "other", "UID": "UID FETCH"}.get(words[0], words[0]))
        assert verbs(strict) == said


def test_every_answer_of_pop3(strict):
    mail = strict.pop3_session("alice")
    mail.stat()
    assert verbs(strict) == ["STAT"]
    mail.retr(1)
    assert verbs(strict) == ["STAT", "RETR"]
    assert len(records(strict, "message-fetch")) == 1
    mail.quit()
    assert verbs(strict) == ["STAT", "RETR", "QUIT"]


def test_every_answer_of_smtp(strict):
    mail = strict.smtp_session("alice")
    before = len(verbs(strict))
    mail.noop()
    assert verbs(strict)[before:] == ["NOOP"]
    mail.sendmail(ALICE, [BOB], MAIL)
    assert verbs(strict)[before:] == ["NOOP", "MAIL", "RCPT", "DATA"]
    assert len(records(strict, "message-send")) == 1


def test_pipelined_answers(strict):
    client = strict.raw()
    client.login(ALICE, strict.passwords["alice"])
    count = 100
    client.send(b"".join(b"p%d NOOP\r\n" % i for i in range(count)))
    for i in range(count):
        assert client.line().startswith(b"p%d OK" % i)
        assert len(verbs(strict)) > i


def test_a_message_sent(ecluse):
    mail = ecluse.ready("alice").smtp_session("alice")
    for i in range(5):
        mail.sendmail(ALICE, [BOB], MAIL)
        sent = records(ecluse, "message-send")
        assert len(sent) == i + 1
        assert field(sent[-1], "ecluse.smtp.rcpt_count") == 1


def test_a_denial(ecluse):
    ecluse.ready("alice")
    ecluse.passwords["alice"] = ecluse.grant("alice", "--read-only", client="reader")
    client = ecluse.raw()
    client.login(ALICE, ecluse.passwords["alice"])
    for i in range(5):
        assert client.command(f"CREATE new{i}")[0].startswith("NO [NOPERM]")
        denials = records(ecluse, "policy")
        assert len(denials) == i + 1
        assert field(denials[-1], "ecluse.policy.rule") == "read-only"
        assert field(denials[-1], "ecluse.command.verb") == "CREATE"
    assert not records(ecluse, "command")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("waits", [True, False])
def test_another_protocol(ecluse, protocol, waits):
    ecluse.start()
    for i in range(5):
        browser = ecluse.raw(protocol=protocol, greet=waits)
        browser.send(b"GET / HTTP/1.1\r\n")
        assert PROTOCOLS[protocol].stopping.split()[0] in browser.rest()
        foreign = records(ecluse, "cross-protocol")
        assert len(foreign) == i + 1
        assert field(foreign[-1], "ecluse.first_word") == "GET"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user(ecluse):
    ecluse.start()
    for i in range(5):
        os.seteuid(65534)
        try:
            stranger = ecluse.raw(greet=False)
        finally:
            os.seteuid(0)
        assert stranger.rest() == b""
        rejected = records(ecluse, "peer-rejected")
        assert len(rejected) == i + 1
        assert field(rejected[-1], "client.user.id") == 65534
