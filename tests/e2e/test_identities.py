"""Three names kept apart: what the client types, who has signed in, and whose mailbox it is, the last
one by protocol."""

import pytest

from ecluse_support import ALICE, BOB, WRONG
from protocols import PROTOCOLS
from waiting import wait_until

TEAM = "team@example.test"  # nobody at the provider has that name
KEYS = {"imap": "imap_user", "pop3": "pop3_user", "smtp": "smtp_user"}


def signed_in(ecluse, user):
    ecluse.start()
    ecluse.sign_in("alice", user=user)
    ecluse.grant("alice")


@pytest.mark.parametrize("own", PROTOCOLS)
def test_each_protocol_may_have_a_user_of_its_own(ecluse, own):
    """The real servers take alice's token for alice alone."""
    users = {key: ALICE if protocol == own else BOB for protocol, key in KEYS.items()}
    ecluse.add_account("alice", address=TEAM, login_hint=ALICE, **users)
    signed_in(ecluse, ALICE)
    for protocol, words in PROTOCOLS.items():
        reply = ecluse.try_login("alice", protocol=protocol)
        assert reply.startswith(words.logged_in) == (protocol == own), (protocol, reply)


@pytest.mark.parametrize("own", PROTOCOLS)
def test_the_others_have_the_account_s_user(ecluse, own):
    ecluse.add_account("alice", address=TEAM, user=ALICE, **{KEYS[own]: BOB})
    signed_in(ecluse, ALICE)
    for protocol, words in PROTOCOLS.items():
        reply = ecluse.try_login("alice", protocol=protocol)
        assert reply.startswith(words.logged_in) == (protocol != own), (protocol, reply)


def test_a_shared_mailbox_and_its_sender(ecluse, rig):
    """bob's sign-in reads what is alice's and sends in her name; the client knows neither of them,
    and its password is for the name that it types."""
    rig.knob("delegate", BOB, ALICE)
    ecluse.add_account("alice", address=TEAM, login_hint=BOB, user=ALICE)
    signed_in(ecluse, BOB)
    assert ecluse.session("alice").select("INBOX", readonly=True) == ("OK", [b"3"])
    before = len(rig.mails(BOB))
    client = ecluse.smtp_session("alice")
    assert client.sendmail(ALICE, [BOB], f"From: {ALICE}\r\nSubject: from all of us\r\n\r\nx\r\n") == {}
    wait_until(lambda: len(rig.mails(BOB)) > before, "the mail")
    for name in (ALICE, BOB):
        assert ecluse.raw().login(name, ecluse.passwords["alice"]) == WRONG
