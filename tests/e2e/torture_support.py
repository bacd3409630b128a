"""What is done to a daemon on which something fails: three visits by each protocol, and who got in."""

import itertools
import os

from attack_support import side_by_side
from ecluse_support import ALICE, Ecluse
from protocols import PROTOCOLS

ALL = "TORTURE" in os.environ
FIRST, LAST, STEP, BURST = (int(os.environ.get(f"TORTURE_{name}") or default) for name, default in (
    ("FROM", 1), ("TO", 1_000_000), ("STEP", 1), ("BURST", 1)))
GUESSED = [f"user{number}" for number in range(20, 60)]  # a name is shut after five wrong passwords
REQUESTS = {"imap": "x SELECT INBOX\r\ny FETCH 1:* BODY.PEEK[]\r\nz LOGOUT\r\n",
            "pop3": "STAT\r\nRETR 1\r\nQUIT\r\n",
            "smtp": f"MAIL FROM:<{ALICE}>\r\nRSET\r\nQUIT\r\n"}


def points(some):
    """The k that are tried: all that were asked for, or some."""
    return range(FIRST, LAST + 1, STEP) if ALL else some


def use(ecluse, protocol, user, password):
    """Logs in, does something, logs out. True: it said yes to all of it; anything else that ends
    is fine, as long as it ends."""
    try:
        client = PROTOCOLS[protocol].client(ecluse.port_of(protocol))
    except (OSError, EOFError, AssertionError):
        return False
    try:
        if not client.login(user, password).startswith(PROTOCOLS[protocol].logged_in):
            return False
        client.send(REQUESTS[protocol])
        client.rest()
        return True
    except TimeoutError:
        raise
    except (OSError, EOFError, AssertionError):
        return False
    finally:
        client.close()


class Victim(Ecluse):
    """Each login of alice needs a new token, which comes from a provider that rotates."""

    def __init__(self, folder, rig):
        rig.reset()
        rig.knob("lifetime", 20)
        super().__init__(folder, rig, ["alice", *GUESSED])
        self.ready("alice")
        for name in GUESSED:
            self.grant(name)
        self.guessed = itertools.cycle(GUESSED)

    def lets_in(self, protocol):
        return use(self, protocol, ALICE, self.passwords["alice"])

    def lets_in_a_guesser(self, protocol):
        return use(self, protocol, self.address_of(next(self.guessed)), "wrong password")

    def who_gets_in(self, attempt, protocols=PROTOCOLS):
        """By which protocols, all at once."""
        results = side_by_side(attempt, protocols)
        return [protocol for protocol, got_in in zip(protocols, results) if got_in]
