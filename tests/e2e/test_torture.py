"""The k-th call of a kind fails, while mail passes on the three protocols: a clean refusal, or the
clean end of one process. Nobody gets in with a wrong password, nothing hangs, the account stays
signed in, and the next one is served as if nothing had been.

Every k up to the last call that is made is tried by `make torture`; here, a few of them.
"""

import itertools
import os
import signal
import subprocess

import pytest

from attack_support import side_by_side
from cli_support import PATIENCE
from ecluse_support import ALARMS, ALICE, IS_SANITIZED, Ecluse
from protocols import PROTOCOLS
from waiting import wait_until

FAILURES = {"accept4": "EMFILE", "read": "EIO", "write": "EIO", "writev": "EPIPE",
            "readv": "ECONNRESET", "recvfrom": "ECONNRESET", "sendto": "EPIPE",
            "sendmsg": "ENOBUFS", "recvmsg": "ENOBUFS", "fsync": "EIO", "fdatasync": "EIO",
            "openat": "EMFILE", "rename": "EACCES", "unlink": "EACCES", "getrandom": "EINTR",
            "connect": "ECONNREFUSED", "socket": "EMFILE", "mmap": "ENOMEM", "pwrite64": "ENOSPC",
            "pread64": "EIO", "setsockopt": "EINVAL"}  # libuv itself gives up where epoll_ctl fails
ALL = "TORTURE" in os.environ
SOME = [1, 3, 10]
GUESSED = [f"user{number}" for number in range(20, 60)]  # a name is shut after five wrong passwords
MOST = 400 if ALL else max(SOME)

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="a leak checker cannot work under a tracer")


class Tracer:
    """Makes the k-th such call of each thread of the process fail."""

    def __init__(self, process, call, error, k, log):
        self.log = log
        # Those that are there: what it starts meanwhile has calls of its own.
        threads = os.listdir(f"/proc/{process}/task")
        self.tracer = subprocess.Popen(
            ["strace", "-o", log, "-e", f"trace={call}",
             "-e", f"inject={call}:error={error}:when={k}",
             *(word for thread in threads for word in ("-p", thread))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in threads:
            line = self.tracer.stderr.readline()
            assert b"attached" in line, line

    def has_struck(self):
        return b"(INJECTED)" in self.log.read_bytes()

    def stop(self):
        self.tracer.send_signal(signal.SIGINT)
        self.tracer.communicate(timeout=PATIENCE)


def use(ecluse, protocol, password, user):
    """Logs in, does something, logs out. True: it said yes to all of it; anything else that ends
    is fine, as long as it ends."""
    try:
        client = PROTOCOLS[protocol].client(ecluse.port_of(protocol))
    except (OSError, EOFError, AssertionError):
        return False
    try:
        if not client.login(user, password).startswith(PROTOCOLS[protocol].logged_in):
            return False
        client.send({"imap": "x SELECT INBOX\r\ny FETCH 1:* BODY.PEEK[]\r\nz LOGOUT\r\n",
                     "pop3": "STAT\r\nRETR 1\r\nQUIT\r\n",
                     "smtp": f"MAIL FROM:<{ALICE}>\r\nRSET\r\nQUIT\r\n"}[protocol])
        client.rest()
        return True
    except (OSError, EOFError, AssertionError):
        return False
    finally:
        client.close()


def who_gets_in(ecluse, user, password):
    """By which protocols, all three at once."""
    results = side_by_side(lambda protocol: use(ecluse, protocol, password, user), PROTOCOLS)
    return [protocol for protocol, got_in in zip(PROTOCOLS, results) if got_in]


@pytest.fixture(scope="module")
def tortured(running_rig, tmp_path_factory):
    running_rig.reset()
    running_rig.knob("lifetime", 20)  # so that each login needs a new token
    one = Ecluse(tmp_path_factory.mktemp("tortured"), running_rig, ["alice", *GUESSED])
    one.ready("alice")
    for name in GUESSED:
        one.grant(name)
    one.guessed = itertools.cycle(GUESSED)
    yield one
    running_rig.knob("lifetime", 3600)
    one.finish()


def points(ecluse, role, call):
    """Tries k by k, until there are no more calls; yields those that have struck."""
    for k in range(1, MOST + 1) if ALL else SOME:
        process = ecluse.daemon.pid if role == "keeper" else ecluse.gates()[0]
        tracer = Tracer(process, call, FAILURES[call], k, ecluse.folder / "strace")
        try:
            wrong = who_gets_in(ecluse, ecluse.address_of(next(ecluse.guessed)), "wrong password")
            right = who_gets_in(ecluse, ALICE, ecluse.passwords["alice"])
        finally:
            tracer.stop()
        struck = tracer.has_struck()
        yield k, struck, wrong, right
        if not struck:
            return


def serves_again(ecluse):
    """All three protocols, at the latest when a gate was replaced and a pause is over."""
    return who_gets_in(ecluse, ALICE, ecluse.passwords["alice"]) == list(PROTOCOLS)


@pytest.mark.parametrize("call", FAILURES)
@pytest.mark.parametrize("role", ["gate", "keeper"])
def test_a_call_fails(tortured, role, call, record_property):
    count = 0
    for k, struck, wrong, right in points(tortured, role, call):
        assert not wrong, (k, wrong)
        count += struck
        if not struck:
            assert right == list(PROTOCOLS), (k, right, tortured.log()[-3000:])
        if not tortured.is_running():
            # The keeper may give up, if it says why; what it has stored is there.
            assert tortured.daemon.returncode in (70, 74, 75, -signal.SIGABRT), tortured.daemon
            tortured.start()
        wait_until(lambda: serves_again(tortured), f"{role} {call} {k}: mail as before")
        assert tortured.accounts()["alice"]["signed_in"] == "in", k
    assert not ALARMS.search(tortured.log())
    record_property("points", count)
    print(f"{role} {call}: {count} points")
