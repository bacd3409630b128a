"""Real SMTP clients, with nothing but a password and a plaintext port, send through ecluse; other
clients read through ecluse what has come."""

import itertools

import pytest

from clients_readers import IMAP, POP3
from clients_senders import SENDERS
from clients_support import Customer, Letter, alice, bob  # noqa: F401 (fixtures)

# As many rounds as there are IMAP clients: everybody takes part at least once.
ROUNDS = list(zip(itertools.cycle(SENDERS), IMAP, itertools.cycle(POP3)))
assert len(IMAP) >= max(len(SENDERS), len(POP3))


@pytest.mark.parametrize("sender, imap, pop3", ROUNDS)
def test_one_sends_and_two_read(alice, bob, rig, tmp_path, sender, imap, pop3):  # noqa: F811
    letter = Letter(alice.user, bob.user)
    SENDERS[sender].send(alice, letter)
    arrived = letter.arrived(rig)
    SENDERS[sender].check(letter, arrived)
    IMAP[imap].check(bob, [arrived])
    POP3[pop3].check(Customer(bob.ecluse, "bob", tmp_path / "again"), [arrived])


@pytest.mark.parametrize("sender", ["curl-plain", "mutt-login"])
def test_the_provider_submits_by_dovecot(ecluse, rig, request, tmp_path, sender):
    ecluse.set("provider local", smtp=f"tls://localhost:{rig.ports['submissions']}")
    alice, bob = (request.getfixturevalue(name) for name in ("alice", "bob"))  # noqa: F811
    letter = Letter(alice.user, bob.user)
    SENDERS[sender].send(alice, letter)
    SENDERS[sender].check(letter, letter.arrived(rig))
