"""Local passwords that allow less: read-only ones, and those of one sender."""

import imaplib
import poplib
import smtplib

import pytest

from cli_support import PATIENCE, grants
from ecluse_support import ALICE, BOB

READ_ONLY = "[NOPERM] this password is read-only"
MAIL = b"Subject: hello\r\n\r\nhello\r\n"


@pytest.fixture
def reader(ecluse):
    """ecluse with a read-only password of alice, who has three mails."""
    ecluse.ready("alice")
    ecluse.passwords["alice"] = ecluse.grant("alice", "--read-only", client="reader")
    return ecluse


@pytest.fixture
def mailbox(reader):
    with imaplib.IMAP4("127.0.0.1", reader.port, timeout=PATIENCE) as mail:
        mail.login(ALICE, reader.passwords["alice"])
        mail.select(readonly=True)
        yield mail


def refused(answer):
    status, words = answer
    assert (status, words[0].decode()) == ("NO", READ_ONLY)
    return True


def test_reading_marks_nothing(reader, rig):
    """Of a mail that nobody has read yet."""
    rig.put_mail(ALICE, b"Subject: unread\n\nnothing\n")
    client = reader.raw()
    assert client.login(ALICE, reader.passwords["alice"]).startswith("OK")
    reply, lines = client.command("SELECT INBOX")
    assert reply.startswith("OK [READ-ONLY]")
    number, = (line.split()[1].decode() for line in lines if line.endswith(b" EXISTS"))
    for _ in range(2):
        reply, lines = client.command(f"FETCH {number} FLAGS")
        assert reply.startswith("OK") and lines and b"Seen" not in b"".join(lines)
        assert client.command(f"FETCH {number} BODY[]")[0].startswith("OK")


@pytest.mark.parametrize("change", [
    lambda mail: mail.store("1", "+FLAGS", r"(\Deleted)"),
    lambda mail: mail.uid("STORE", "1", "+FLAGS", r"(\Deleted)"),
    lambda mail: mail.expunge(),
    lambda mail: mail.copy("1", "Trash"),
    lambda mail: mail.uid("MOVE", "1", "Trash"),
    lambda mail: mail.create("new"),
    lambda mail: mail.delete("Trash"),
    lambda mail: mail.rename("Trash", "Rubbish"),
    lambda mail: mail.subscribe("Trash"),
    lambda mail: mail.append("INBOX", None, None, MAIL),
    lambda mail: mail.append('"INBOX"', None, None, MAIL * 100),
    lambda mail: mail.xatom("SETACL", "INBOX", "bob", "lr"),
    lambda mail: mail.xatom("X-UNHEARD-OF"),
])
def test_nothing_is_changed(mailbox, rig, change):
    before = sorted(path.name for path in rig.mail_files())
    flags = mailbox.fetch("1:3", "(FLAGS)")[1]
    assert refused(change(mailbox))
    assert mailbox.noop()[0] == "OK"
    assert mailbox.fetch("1:3", "(FLAGS)")[1] == flags
    assert sorted(path.name for path in rig.mail_files()) == before


def test_pop3_deletes_nothing(reader):
    mail = poplib.POP3("127.0.0.1", reader.pop3_port, timeout=PATIENCE)
    mail.user(ALICE)
    mail.pass_(reader.passwords["alice"])
    count = mail.stat()[0]
    with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/PERM\] this password is read-only"):
        mail.dele(1)
    assert mail.retr(1)[0].startswith(b"+OK")
    mail.quit()
    again = poplib.POP3("127.0.0.1", reader.pop3_port, timeout=PATIENCE)
    again.user(ALICE)
    again.pass_(reader.passwords["alice"])
    assert again.stat()[0] == count
    again.quit()


def sender(ecluse):
    mail = smtplib.SMTP("127.0.0.1", ecluse.smtp_port, timeout=PATIENCE)
    mail.login(ALICE, ecluse.passwords["alice"])
    return mail


def test_smtp_sends_nothing(reader):
    mail = sender(reader)
    assert mail.mail(ALICE) == (550, b"5.7.1 this password is read-only")
    assert mail.noop()[0] == 250
    mail.quit()


def test_one_sender(ecluse, rig):
    ecluse.ready("alice", "bob")
    ecluse.passwords["alice"] = ecluse.grant("alice", "--from", ALICE, client="scanner")
    mail = sender(ecluse)
    for other in (BOB, "", f'"alice"@{ALICE.split("@")[1]}', ALICE.upper()):
        assert mail.docmd("MAIL", f"FROM:<{other}>") == (
            550, b"5.7.1 this password is for other senders"), other
    before = set(rig.mail_files())
    mail.sendmail(ALICE, [BOB], MAIL)
    mail.quit()
    ecluse.wait_log("session-close account=alice")
    assert before <= set(rig.mail_files())


def test_they_are_listed(ecluse):
    ecluse.ready("alice")
    ecluse.grant("alice", "--read-only", "--from", f"{ALICE} {BOB}", client="both")
    row, = [row for row in grants(ecluse, "alice") if row["name"] == "both"]
    assert row["read_only"] is True and row["from"] == f"{ALICE} {BOB}"
    table = ecluse.ecluse("grants").out.splitlines()
    assert any(f"read-only, from {ALICE} {BOB}" in line for line in table)


@pytest.mark.parametrize("wrong", ["nobody", "@example.test", "alice@", "<alice@example.test>",
                                   "alice@example.test ", "a@b,c@d e", ""])
def test_what_is_no_sender(ecluse, wrong):
    ecluse.ready("alice")
    result = ecluse.ecluse("grant", "alice", "--name", "wrong", "--from", wrong)
    assert result.status in (64, 65), result
    assert all(row["name"] != "wrong" for row in grants(ecluse))


def test_a_denial_is_told(reader, mailbox):
    mark = reader.mark() if hasattr(reader, "mark") else 0
    refused(mailbox.create("new"))
    reader.wait_log("policy account=alice .* outcome=failure reason=policy", since=mark)
