"""Every command that the mail server heard has a record, with each client of the table."""

import collections

import pytest

import clients_readers
import clients_senders
from audit_support import field, imap_verbs, pop3_verbs, records, smtp_verbs, wait_records
from clients_support import Letter, alice, bob, three_mails  # noqa: F401 (fixtures)
from waiting import wait_same


def told(ecluse):
    """The verbs of each session that is over, in the order of its commands."""
    sessions = collections.defaultdict(list)
    for record in records(ecluse, "command"):
        sessions[field(record, "trace.id")].append(record)
    return [[field(record, "ecluse.command.verb")
             for record in sorted(commands, key=lambda record: int(field(record, "transaction.id")))]
            for commands in sessions.values()]


def compare(ecluse, rawlog, verbs_of):
    """The client has left; records come to the disk in groups, those of its last session last."""
    def heard():
        return sorted(verbs for verbs in map(verbs_of, rawlog.sessions()) if verbs)

    def counts():
        told_of = (field(close, "ecluse.commands", 0) for close in records(ecluse, "session-close"))
        return sorted(filter(None, told_of))

    wait_same(lambda: sorted(told(ecluse)), heard, "a record of every command")
    wait_same(counts, lambda: sorted(map(len, heard())), "the end of every session")
    assert heard() and not records(ecluse, "tap-off")


@pytest.mark.parametrize("reader", clients_readers.IMAP)
def test_imap(ecluse, alice, three_mails, rawlog, reader):  # noqa: F811
    clients_readers.IMAP[reader].check(alice, three_mails)
    compare(ecluse, rawlog, imap_verbs)


@pytest.mark.parametrize("reader", clients_readers.POP3)
def test_pop3(ecluse, alice, three_mails, rawlog, reader):  # noqa: F811
    clients_readers.POP3[reader].check(alice, three_mails)
    compare(ecluse, rawlog, pop3_verbs)


@pytest.mark.parametrize("sender", clients_senders.SENDERS)
def test_smtp(ecluse, alice, bob, rig, sender):  # noqa: F811
    letter = Letter(alice.user, bob.user)
    clients_senders.SENDERS[sender].send(alice, letter)
    letter.arrived(rig)
    sent, = wait_records(ecluse, "message-send", 1)
    assert field(sent, "event.outcome") == "success"
    assert field(sent, "ecluse.smtp.mail_from") == alice.user
    assert field(sent, "ecluse.smtp.rcpt") == bob.user
    assert field(sent, "ecluse.smtp.rcpt_count") == 1 and field(sent, "ecluse.smtp.size") > 0
    assert "queued" in field(sent, "ecluse.smtp.queue_reply").lower()

    def transaction():
        return [verb for verbs in told(ecluse) for verb in verbs if verb in ("MAIL", "RCPT", "DATA")]

    wait_same(transaction, lambda: ["MAIL", "RCPT", "DATA"], "the commands of the transaction")


@pytest.mark.parametrize("sender", clients_senders.SENDERS)
def test_smtp_by_dovecot(ecluse, alice, bob, rig, rawlog, sender):  # noqa: F811
    """Postfix does not write down what it hears."""
    ecluse.set("provider local", smtp=f"tls://localhost:{rig.ports['submissions']}")
    assert ecluse.ecluse("reload").status == 0
    letter = Letter(alice.user, bob.user)
    clients_senders.SENDERS[sender].send(alice, letter)
    letter.arrived(rig)
    compare(ecluse, rawlog, smtp_verbs)
