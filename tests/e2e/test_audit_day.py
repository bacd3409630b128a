"""A day in the life of a user: the journal tells it completely, and tells nothing else."""

from audit_support import field, records
from clients_readers import IMAP, press_in_mutt
from clients_senders import SENDERS
from clients_support import Customer, Letter
from ecluse_support import ALICE, WRONG
from waiting import wait_until

# What somebody did, or what was done for him; what it took of the protocols is told apart.
DEEDS = ("client-auth", "upstream-auth", "token-refresh", "message-send", "message-fetch",
         "message-delete", "session-close")
ENDS = {"client-gone", "server-gone"}  # which of them leaves first is nobody's decision


def story(ecluse):
    """(account, protocol, action, how it ended) of each deed, in the journal's order."""
    told = []
    for record in records(ecluse):
        action = field(record, "event.action")
        if action in DEEDS:
            how = field(record, "event.code", field(record, "event.outcome"))
            told.append((field(record, "user.name"), field(record, "network.protocol"), action,
                         "over" if how in ENDS else how))
    return told


def visit(name, protocol, *deeds):
    """A session that went well."""
    return [(name, protocol, "client-auth", "success"), (name, protocol, "upstream-auth", "success"),
            *((name, protocol, deed, "success") for deed in deeds),
            (name, protocol, "session-close", "over")]


def wait_closed(ecluse, count):
    """One session ends before the next begins: that is the order in which they are told."""
    wait_until(lambda: len(records(ecluse, "session-close")) == count, f"the end of session {count}")


def test_a_day_in_the_life(ecluse, rig, tmp_path):
    ecluse.ready("alice", "bob")
    alice, bob = (Customer(ecluse, name, tmp_path / name) for name in ("alice", "bob"))
    begun = len(story(ecluse))
    rig.put_mail(ALICE, b"Subject: to be deleted\n\nnothing\n")  # the others are for other tests

    press_in_mutt(alice, "imap", "mutt", "login",
                  "<last-entry><display-message><exit><delete-message><sync-mailbox><quit>")
    wait_closed(ecluse, 1)
    letter = Letter(alice.user, bob.user)
    SENDERS["msmtp-plain"].send(alice, letter)
    wait_closed(ecluse, 2)
    IMAP["mbsync-plain"].check(bob, [letter.arrived(rig)])
    wait_closed(ecluse, 3)
    assert ecluse.try_login("alice", "wrong") == WRONG
    wait_closed(ecluse, 4)
    rig.knob("expire", ALICE)
    assert ecluse.try_login("alice").startswith("OK ")
    wait_closed(ecluse, 5)
    ecluse.session("alice").select("INBOX")
    rig.kill("dovecot")
    wait_closed(ecluse, 6)
    assert story(ecluse)[begun:] == [
        *visit("alice", "imap", "message-fetch", "message-fetch", "message-delete"),  # mutt
        *visit("alice", "smtp", "message-send"),  # msmtp
        *visit("bob", "imap", "message-fetch"),  # mbsync
        ("alice", "imap", "client-auth", "auth-rejected"),
        (None, "imap", "session-close", "over"),
        ("alice", "imap", "client-auth", "success"),
        ("alice", "imap", "upstream-auth", "token-rejected"),
        ("alice", None, "token-refresh", "success"),
        ("alice", "imap", "upstream-auth", "success"),
        ("alice", "imap", "session-close", "over"),
        *visit("alice", "imap"),  # the server was killed
    ]
    assert field(records(ecluse, "session-close")[-1], "event.code") == "server-gone"
    sent, = records(ecluse, "message-send")
    assert field(sent, "ecluse.smtp.mail_from") == letter.sender
    assert field(sent, "ecluse.smtp.rcpt") == letter.recipient
    headers, body = [record for record in records(ecluse, "message-fetch")
                     if field(record, "user.name") == "alice"]
    assert field(headers, "ecluse.message.count") == 4
    assert field(body, "ecluse.message.count") == 1
    deleted, = records(ecluse, "message-delete")
    assert field(deleted, "ecluse.mailbox") == "INBOX"
    assert field(deleted, "ecluse.message.count") == 1
