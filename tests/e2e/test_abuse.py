"""A thousand connections that never log in, each a nuisance of its own kind, while somebody reads
mail. `make soak` does it for longer. How long the logins took is printed.
"""

import os
import selectors
import socket
import threading
import time

import pytest

from ecluse_support import ALICE, IS_SANITIZED
from processes import children, is_alive, proportional
from protocols import PROTOCOLS
from waiting import wait_until

pytestmark = [
    pytest.mark.skipif(IS_SANITIZED, reason="sanitizers change the sizes"),
    pytest.mark.skipif(os.geteuid() != 0, reason="nobody else sees how much memory ours share")]

CONNECTIONS = 1000
VISITS = 300 if "SOAK_SECONDS" in os.environ else 20
MOST = 64 << 10  # KiB, of all processes together

# What a connection says first, and then again and again.
NUISANCES = {
    "slow loris": (b"", b"a"),
    "parentheses": (b"a LIST ", b"(" * 500),
    "endless line": (b"", b"x" * 4000),
    "tiny literals": (b"a NOOP", b" {1+}\r\nx" * 100),
    "empty lines": (b"", b"\r\n" * 100),
    "lines": (b"", b"a NOOP\r\n" * 50),  # and it never reads the answers
}


class Mob:
    """A thread that keeps so many connections open; who is thrown out comes again."""

    def __init__(self, ports, count):
        self.over = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.left, self.came, self.rounds = count, 0, 0
        self.ports = ports
        self.is_complete = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _come(self):
        first, again = list(NUISANCES.values())[self.came % len(NUISANCES)]
        plug = socket.socket()
        try:
            plug.connect(("127.0.0.1", self.ports[self.came % len(self.ports)]))
            plug.setblocking(False)
            plug.send(first)
        except OSError:
            plug.close()
            return
        self.came += 1
        self.selector.register(plug, selectors.EVENT_WRITE, again)
        self.left -= 1

    def _leave(self, plug):
        self.selector.unregister(plug)
        plug.close()
        self.left += 1

    def _run(self):
        while not self.over.is_set():
            for _ in range(self.left):
                self._come()
            if self.left == 0:
                self.is_complete.set()
            for key, _ in self.selector.select(0.1):
                try:
                    key.fileobj.send(key.data)
                except BlockingIOError:
                    pass
                except OSError:
                    self._leave(key.fileobj)
            self.rounds += 1
            self.over.wait(0.1)
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_a_mob(ecluse):
    for protocol in PROTOCOLS:
        ecluse.set(f"listen {protocol}", max_sessions=2000)
    ecluse.ready("alice")
    processes = [ecluse.daemon.pid, *children(ecluse.daemon.pid)]
    times, highest = [], 0
    with Mob([ecluse.port_of(protocol) for protocol in PROTOCOLS], CONNECTIONS) as mob:
        assert mob.is_complete.wait(60), mob.left
        for _ in range(VISITS):
            seen = mob.rounds
            wait_until(lambda: mob.rounds > seen, "the mob")  # pylint: disable=cell-var-from-loop
            began = time.monotonic()
            session = ecluse.raw()
            assert session.login(ALICE, ecluse.passwords["alice"]).startswith("OK ")
            times.append(time.monotonic() - began)
            assert session.command("SELECT INBOX")[0].startswith("OK ")
            assert session.command("FETCH 1 BODY.PEEK[]")[0].startswith("OK ")
            assert session.command("LOGOUT")[0].startswith("OK ")
            ecluse.hang_up()
            highest = max(highest, sum(map(proportional, processes)))
        left, came = mob.left, mob.came
    assert all(map(is_alive, processes))
    assert 0 < highest <= MOST
    times.sort()
    print(f"\n{CONNECTIONS - left} nuisances at the end, {came} in all; {highest} KiB at most; "
          f"login {1000 * times[len(times) // 2]:.0f} ms in the middle, "
          f"{1000 * times[int(len(times) * 0.99)]:.0f} ms at the 99th of 100")
    assert came > CONNECTIONS  # some were thrown out
