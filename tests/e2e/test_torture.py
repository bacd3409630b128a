"""The k-th call of a kind fails, while mail passes on the three protocols: a clean refusal, or the
clean end of one process. Nobody gets in with a wrong password, nothing hangs, the account stays
signed in, and the next one is served as if nothing had been.

Every k up to the last call that is made is tried by `make torture`; here, a few of them. FROM=3
STEP=10 tries k = 3, 13, 23 …, so that all are tried by ten runs.
"""

import itertools
import os
import signal

import pytest

from attack_support import side_by_side
from ecluse_support import ALARMS, ALICE, IS_SANITIZED, Ecluse
from protocols import PROTOCOLS
from torture_support import use
from tracing import Injection
from waiting import wait_until

FAILURES = {"accept4": "EMFILE", "read": "EIO", "write": "EIO", "writev": "EPIPE",
            "readv": "ECONNRESET", "recvfrom": "ECONNRESET", "sendto": "EPIPE",
            "sendmsg": "ENOBUFS", "recvmsg": "ENOBUFS", "fsync": "EIO", "fdatasync": "EIO",
            "openat": "EMFILE", "rename": "EACCES", "unlink": "EACCES", "getrandom": "EINTR",
            "connect": "ECONNREFUSED", "socket": "EMFILE", "mmap": "ENOMEM", "pwrite64": "ENOSPC",
            "pread64": "EIO", "setsockopt": "EINVAL"}  # libuv itself gives up where epoll_ctl fails
ALL = "TORTURE" in os.environ
GUESSED = [f"user{number}" for number in range(20, 60)]  # a name is shut after five wrong passwords
MOST = 100_000
FIRST, STEP = (int(os.environ.get(name) or 1) for name in ("TORTURE_FROM", "TORTURE_STEP"))

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="a leak checker cannot work under a tracer")


class Tracer(Injection):
    """Makes the k-th such call of each thread of the process fail."""

    def __init__(self, process, call, error, k, log):
        super().__init__(process, call, f"error={error}:when={k}", log)
        self.log = log

    def has_struck(self):
        return b"(INJECTED)" in self.log.read_bytes()


def who_gets_in(ecluse, user, password):
    """By which protocols, all three at once."""
    results = side_by_side(lambda protocol: use(ecluse, protocol, user, password), PROTOCOLS)
    return [protocol for protocol, got_in in zip(PROTOCOLS, results) if got_in]


def victim(rig, folder):
    """Each login of alice needs a new token."""
    rig.reset()
    rig.knob("lifetime", 20)
    one = Ecluse(folder, rig, ["alice", *GUESSED])
    one.ready("alice")
    for name in GUESSED:
        one.grant(name)
    one.guessed = itertools.cycle(GUESSED)
    return one


@pytest.fixture(scope="module")
def tortured(running_rig, tmp_path_factory):
    one = victim(running_rig, tmp_path_factory.mktemp("tortured"))
    yield one
    running_rig.knob("lifetime", 3600)
    one.finish()


def strike(ecluse, weapon):
    """Whether it struck, and who got in meanwhile: with a wrong password, with the right one."""
    try:
        wrong = who_gets_in(ecluse, ecluse.address_of(next(ecluse.guessed)), "wrong password")
        right = who_gets_in(ecluse, ALICE, ecluse.passwords["alice"])
    finally:
        weapon.stop()
    return weapon.has_struck(), wrong, right


def process_of(ecluse, role):
    return ecluse.daemon.pid if role == "keeper" else ecluse.gates()[0]


def serves_again(ecluse):
    """All three protocols, at the latest when a gate was replaced and a pause is over. The keeper
    may give up, if it says why, and may take a moment to be gone; what it has stored is there."""
    if not ecluse.is_running():
        assert ecluse.daemon.returncode in (70, 74, 75, -signal.SIGABRT), ecluse.daemon
        ecluse.start()
    return who_gets_in(ecluse, ALICE, ecluse.passwords["alice"]) == list(PROTOCOLS)


def torture(ecluse, role, make_weapon, some):
    """Tries k by k, until there are no more calls. Returns how many have struck."""
    count = 0
    for k in range(FIRST, MOST, STEP) if ALL else some:
        struck, wrong, right = strike(ecluse, make_weapon(process_of(ecluse, role), k))
        assert not wrong, (k, wrong)
        if not struck:
            assert right == list(PROTOCOLS), (k, right, ecluse.log()[-3000:])
        mark = ecluse.log_size()
        try:
            wait_until(lambda: serves_again(ecluse), f"{role} {k}: mail as before")
        except AssertionError:
            print(ecluse.log()[max(0, mark - 3000):])
            raise
        assert ecluse.accounts()["alice"]["signed_in"] == "in", k
        count += struck
        if not struck:
            break
    print(f"{role}: {count} points, the last at {k}")


@pytest.mark.parametrize("call", FAILURES)
@pytest.mark.parametrize("role", ["gate", "keeper"])
def test_a_call_fails(tortured, role, call):
    torture(tortured, role, lambda process, k: Tracer(
        process, call, FAILURES[call], k, tortured.folder / "strace"), [1, 3, 10])
    assert not ALARMS.search(tortured.log())
