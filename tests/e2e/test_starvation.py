"""The k-th allocation fails, while mail passes on the three protocols or a process starts: a clean
refusal, or the clean end of one process. Nobody gets in with a wrong password, nothing hangs or
leaks, the account stays signed in, and the next one is served as if nothing had been.

Every k up to the last allocation that is made is tried by `make torture`; here, a few of them.
FROM=3 TO=500 STEP=10 tries k = 3, 13, 23 … 493; with BURST=4 the three after it fail too.

What the libraries cannot do without memory is an invariant to us, so that a process ends by that.
"""

import collections
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import canaries
import cli_support
import ecluse_support
from cli_support import BINARY, PATIENCE
from ecluse_support import IS_SANITIZED, LOG_LINE
from starving import GATE, KEEPER, Control
from torture_support import BURST, Victim, points
from waiting import wait_until

ROLES = {"keeper": KEEPER, "gate": GATE}
LAST_WORDS = re.compile(r"ecluse: (?:out of memory|broken invariant: .*|run: .*|error: .*)"
                        r"|\S+\.ini: .*|\S+: OpenSSL internal error: .*")
STACK_LINE = re.compile(r"\S+\(.*\) ?\[0x[0-9a-f]+\]")
GLIBC_WORDS = re.compile(r"(?:free|malloc|realloc)\(\): .*|double free or .*|corrupted .*")
# Where a library goes on with what it did not get: a process crashes while it starts, before it has
# heard of anybody. libseccomp 2.5 does when it makes the program of a filter, glibc 2.36 when it
# reads nsswitch.conf.
CRASHES_AT_START = re.compile(r"libseccomp\.so\S*\(seccomp_(?:export_bpf|release)\+"
                              r"|libc\.so\S*\(getservbyname_r\+")
# A filter that libseccomp has lost a part of may leave glibc without the calls that it builds on.
GLIBC_ASSERTION = re.compile(r"ecluse: nss_database\.c:\d+: .*|The futex facility returned .*")
LINES = (LOG_LINE, LAST_WORDS, STACK_LINE, GLIBC_WORDS, GLIBC_ASSERTION)
ENDS = (70, 71, 74, 75, -signal.SIGABRT)  # sysexits.h
START_ENDS = (65, 66, 78, -signal.SIGSEGV, -signal.SIGSYS, *ENDS)
GATE_END = re.compile(r"gate \d+ (?:was ended by|ended with) (.*)")
# One that says why it does not serve is told to go.
GATE_ENDS = {"status 0", "signal 9", f"signal {signal.SIGABRT:d}",
             *(f"status {status}" for status in ENDS)}
FILTERED = "its filter of system calls"  # of which libseccomp has lost a part: it allows less
GATE_START_ENDS = {f"signal {signal.SIGSEGV:d}", FILTERED, *GATE_ENDS}
GATE_ENDS_MAX = 3  # before the keeper waits for long
LOG_MAX = 4 << 20
FAILED_MAX = 20
MISSED_MAX = 5
FAILURES = (AssertionError, TimeoutError, subprocess.TimeoutExpired)
SOME = {"keeper": [1, 55, 900, 1500, 2300, 2700, 3300], "gate": [1, 8, 200, 377, 550, 815]}
SOME_AT_START = {"keeper": [1, 5, 377, 1444, 5000, 12600, 15000],
                 "gate": [1, 55, 1000, 2072, 8000, 12000]}

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="sanitizers have an allocator of their own")


class Starved(Victim):
    def __init__(self, folder, rig):
        self.control = Control(folder / "state" / "control")
        self.ends = []  # of keepers, that were not asked for
        self.is_starting = False  # that is what is starved
        self.gates_ended = 0
        super().__init__(folder, rig)

    def start(self):
        self.daemons.clear()
        self.gates_ended = 0
        return super().start()

    def restart(self):
        assert self.stop() == 0, self.log()
        self.start()

    def begin_anew(self):
        """After a failure, so that the next k tells something too."""
        self.control.rest()
        self.ends.clear()
        if self.is_running():
            self.kill()
        self.start()

    def process_of(self, role):
        return self.daemon.pid if role == "keeper" else self.control.gate

    def confinements(self):
        """Of keeper and gate, as the kernel tells."""
        found = []
        for process in (self.daemon.pid, self.control.gate):
            with open(f"/proc/{process}/status", encoding="ascii") as status:
                found.append(re.findall(r"^(?:NoNewPrivs|Seccomp):.*", status.read(), re.M))
        return found

    def serves(self, protocol):
        """At the latest when a gate was replaced and a pause is over. The keeper may give up, if
        it says why, and may take a moment to be gone; what it has stored is there."""
        if not self.is_running():
            assert self.daemon.returncode in (START_ENDS if self.is_starting else ENDS), self.daemon
            self.ends.append(self.daemon.returncode)
            self.start()
        return self.lets_in(protocol)

    def look_after(self, protocol):
        wait_until(lambda: self.serves(protocol), "mail as before")
        assert not self.lets_in_a_guesser(protocol)
        assert self.accounts()["alice"]["signed_in"] == "in"

    def shrink_log(self):
        """What is in it is plausible, and is not needed any more."""
        text = self.log()
        odd = [line for line in text.splitlines()
               if not any(known.fullmatch(line) for known in LINES)]
        assert not odd, odd
        canaries.assert_absent(self.secrets, {"the log": text.encode()})
        os.truncate(self.folder / "daemon.log", 0)


@pytest.fixture(scope="module")
def starved(running_rig, tmp_path_factory):
    """A build of its own. What is to fail stands beside it, in a place where a gate that is started
    by a confined keeper can look too."""
    folder = tmp_path_factory.mktemp("starved")
    program = folder / "program" / "ecluse"
    program.parent.mkdir()
    shutil.copy(BINARY.parent / "torture" / "ecluse", program)
    (folder / "state").mkdir(mode=0o700)
    (program.parent / "control").symlink_to(folder / "state" / "control")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli_support, "BINARY", program)
        patch.setattr(ecluse_support, "BINARY", program)
        one = Starved(folder, running_rig)
        yield one
        running_rig.knob("lifetime", 3600)
        assert one.stop() == 0
        one.shrink_log()
        one.assert_intact()
        one.close()


# ---- what became of it ----

def last_words(one, log, role):
    said = LAST_WORDS.findall(log) or re.findall(rf" error {role}(?: \d+)?: (.*)", log)
    crash = CRASHES_AT_START.search(log) if one.is_starting else None
    if crash and not said:
        return [f"crash in {crash.group().partition('.')[0]}"]
    assert not GLIBC_WORDS.search(log), log
    return said


def end_of_keeper(one, mark):
    """None: it goes on."""
    if not one.ends:
        return None
    status, log = one.ends.pop(), one.log_since(mark)
    said = [FILTERED] if status == -signal.SIGSYS else last_words(one, log, "keeper")
    assert said and not one.ends, (status, log)
    return f"keeper ended with {status}: {said[-1]}"


def end_of_gate(one, mark):
    log = one.log_since(mark)
    how = GATE_END.findall(log)
    if not how:
        return None
    one.gates_ended += len(how)
    assert set(how) <= (GATE_START_ENDS if one.is_starting else GATE_ENDS), log
    said = [FILTERED] if FILTERED in how else last_words(one, log, "gate")
    assert said, log
    return f"gate ended by {how[-1]}: {said[-1]}"


def what_became(one, mark, right):
    return end_of_keeper(one, mark) or end_of_gate(one, mark) or ("served" if right else "refused")


def try_visit(one, role, protocol, k):
    """What became of it, in words. None: k was beyond the last allocation."""
    mark = one.log_size()
    one.control.aim(k, BURST, process=one.process_of(role))
    assert not one.lets_in_a_guesser(protocol)
    right = one.lets_in(protocol)
    struck = one.control.rest()
    assert right or struck
    one.look_after(protocol)
    outcome = what_became(one, mark, right)
    assert role == "keeper" or "keeper" not in outcome, outcome
    return outcome if struck else None


def leak_of(one, role, protocol, k):
    """How many blocks are lost each time; what is only kept, is kept once, or once by each of the
    eight threads of the keeper's pool: OpenSSL has a list of errors for each."""
    process = one.process_of(role)
    one.look_after(protocol)
    one.control.watch(process)
    lost = []
    for _ in range(10):
        before = one.control.blocks
        try_visit(one, role, protocol, k)
        if one.process_of(role) != process:
            return 0
        lost.append(one.control.blocks - before)
        if lost[-1] <= 0:
            return 0
    return min(lost)


def try_start(one, role, k):
    confinements = one.confinements()
    assert one.stop() == 0
    mark = one.log_size()
    one.control.aim(k, BURST, awaited=ROLES[role])
    try:
        one.start()
    except AssertionError:
        try:
            one.daemon.wait(PATIENCE)
        except subprocess.TimeoutExpired as hung:
            raise AssertionError("a start that hangs") from hung
    struck = one.control.rest()
    assert one.is_running() or struck
    one.look_after("imap")
    assert one.confinements() == confinements
    outcome = what_became(one, mark, True)
    return outcome if struck else None


class Tally:
    def __init__(self, what):
        self.what, self.began = what, time.monotonic()
        self.outcomes = collections.Counter()
        self.last = self.missed = 0
        self.failed = []

    def run(self, one, try_point, some):
        """How many allocations there are is not the same each time."""
        for self.last in points(some):
            mark = one.log_size()
            try:
                outcome = try_point(self.last)
            except FAILURES as error:
                log = one.log_since(mark)
                print(f"{self.what}, k = {self.last}: {error}\n{log[:6000]}\n…\n{log[-2000:]}")
                self.failed.append(self.last)
                assert len(self.failed) < FAILED_MAX, self.failed
                one.begin_anew()
                continue
            self.missed = self.missed + 1 if outcome is None else 0
            self.outcomes[outcome or "not reached"] += 1
            if self.missed == MISSED_MAX:
                break
            if os.path.getsize(one.folder / "daemon.log") > LOG_MAX:
                one.shrink_log()
        self.show()
        assert not self.failed, self.failed

    def show(self):
        print(f"{self.what}: {self.outcomes.total()} points up to {self.last}, "
              f"{time.monotonic() - self.began:.0f} s")
        for outcome, number in self.outcomes.most_common():
            print(f"{number:8} {outcome}")


@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
@pytest.mark.parametrize("role", ROLES)
def test_an_allocation_fails(starved, role, protocol):
    leaks = {}

    def try_point(k):
        if starved.gates_ended >= GATE_ENDS_MAX:
            starved.restart()
        process = starved.process_of(role)
        if starved.control.watched != process:
            starved.look_after(protocol)
            starved.control.watch(process)
        before = starved.control.blocks
        outcome = try_visit(starved, role, protocol, k)
        if starved.process_of(role) == process and starved.control.blocks > before and (
                leak := leak_of(starved, role, protocol, k)) > 0:
            leaks[k] = leak
        return outcome

    Tally(f"{role}, {protocol}").run(starved, try_point, SOME[role])
    assert not leaks, leaks


@pytest.mark.parametrize("role", ROLES)
def test_an_allocation_fails_at_first(starved, role):
    """Behind the start: nothing is cached."""
    starved.control.put(is_shown=1)

    def try_point(k):
        starved.restart()
        return try_visit(starved, role, "imap", k)

    Tally(f"{role}, at first").run(starved, try_point, SOME[role])


@pytest.mark.parametrize("role", ROLES)
def test_an_allocation_fails_at_the_start(starved, role):
    """Of the daemon, or of a gate."""
    starved.is_starting = True
    starved.control.put(is_shown=1)  # a crash may leave no stack to look at
    Tally(f"{role}, start").run(starved, lambda k: try_start(starved, role, k), SOME_AT_START[role])
