"""Clients that keep on, and processes that are killed under them at random instants.

`make crash N=300` sets how many kills there are; each run says its seed, and CRASH_SEED repeats it
(the instants, not what the machine does in them).
"""

import contextlib
import itertools
import os
import random
import re
import shutil
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

from audit_support import field, records
from ecluse_support import ALICE, BOB, IS_SANITIZED
from waiting import wait_until

KILLS = int(os.environ.get("CRASH_KILLS") or (10 if IS_SANITIZED else 25))
SEED = int(os.environ.get("CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
ENDS = (EOFError, OSError)  # of a connection whose other end was killed


def chance(what):
    """A source of instants for one test."""
    print(f"\n{what}: {KILLS} kills, CRASH_SEED={SEED}")
    return random.Random(f"{SEED} {what}")


class Load:
    """Each of the workers runs again and again, in a thread of its own, until the end of the block.

    What ends a connection is no failure; anything else that is raised is, and ends the test.
    """

    def __init__(self, *workers):
        self.over = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self.run, args=(worker,)) for worker in workers]

    def run(self, worker):
        while not self.over.is_set():
            try:
                worker()
            except ENDS:
                self.over.wait(0.01)  # nobody listens while the keeper is dead
            except Exception as error:  # pylint: disable=broad-except
                self.failures.append(error)
                return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures


@contextlib.contextmanager
def closing(client):
    try:
        yield client
    finally:
        client.close()


def pause(seconds):
    """The random instant itself."""
    time.sleep(seconds)


def assert_valid(vault):
    """Looked at in a copy with what SQLite left beside it, since looking repairs."""
    with tempfile.TemporaryDirectory() as folder:
        for path in vault.parent.glob(f"{vault.name}*"):
            shutil.copy(path, folder)
        with contextlib.closing(sqlite3.connect(Path(folder) / vault.name)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def assert_journal(ecluse):
    """Whole, but for a last line that a crash has cut off. True: it has."""
    result = ecluse.ecluse("audit", "verify")
    assert result.status in (0, 2), result
    return result.status == 2


class Mails:
    """Those that a client was told were taken; by which reply."""

    def __init__(self):
        self.numbers = itertools.count(1)
        self.taken = {}  # mark → the server's own words

    def send(self, client):
        mark = f"crash-{next(self.numbers)}-end"
        for command, expected in ((f"MAIL FROM:<{ALICE}>", "250 "), (f"RCPT TO:<{BOB}>", "250 "),
                                  ("DATA", "354 "),
                                  (f"Subject: {mark}\r\n\r\n{'x' * 70}\r\n.", "250 ")):
            reply = client.command(command)
            if reply.startswith("421 "):
                raise EOFError(reply)
            assert reply.startswith(expected), reply
        self.taken[mark] = reply.removeprefix("250 ")

    def assert_kept(self, ecluse, rig):
        """Each is in the mailbox, and each stands in the journal as sent."""
        def arrived():
            return {mark for mail in rig.mails(BOB)
                    for mark in re.findall(r"crash-\d+-end", mail.decode())}

        wait_until(lambda: set(self.taken) <= arrived(), "the mails that were sent")
        noted = {field(record, "ecluse.smtp.queue_reply")
                 for record in records(ecluse, "message-send")}
        assert set(self.taken.values()) <= noted, set(self.taken.values()) - noted
