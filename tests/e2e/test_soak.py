"""Days of use in short: idle sessions, and mails that are sent and fetched all the time. `make soak
T=` says for how many seconds; what memory and descriptors grow by in an hour is printed at its end.
"""

import os
import time

import pytest

from ecluse_support import IS_SANITIZED
from soak_support import Idle, Post, Watch
from waiting import wait_until

SECONDS = float(os.environ.get("SOAK_SECONDS") or 6)
IS_LONG = "SOAK_SECONDS" in os.environ
IDLE = 200 if IS_LONG else 20
MAILS_A_SECOND = 20 if IS_LONG and not IS_SANITIZED else 10
EVERY = 5 if IS_LONG else 1  # seconds between two looks
REST = 600 if IS_LONG else 60  # what a busy machine may need for the mails that lie in queues

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="nobody else sees our descriptors")


def report(watch, post, sessions):
    seconds, last = watch.samples[-1]
    warm_up = min(180, seconds / 4)
    print(f"\n{seconds:.0f} s, {sessions} idle sessions, "
          f"{len(post.everything_sent()) / seconds:.1f} mails a second")
    for name, (memory, descriptors) in watch.slopes(warm_up).items():
        highest = max(now[name][0] for _, now in watch.samples)
        print(f"{name}: {last[name][0]} KiB at the end, {highest} KiB at most, {memory:+.0f} KiB "
              f"an hour; {last[name][1]} descriptors, {descriptors:+.1f} an hour")


def test_soak(ecluse, rig):
    """What was sent arrives, once; afterwards as many descriptors are open as before."""
    for protocol in ("imap", "pop3", "smtp"):
        ecluse.set(f"listen {protocol}", max_sessions=1000, max_sessions_per_account=1000)
    ecluse.add_account("user7")
    rig.knob("lifetime", 120)
    rig.knob("rotate", "on")
    ecluse.ready()
    for protocol in ("imap", "pop3", "smtp"):  # what is opened once, for good
        ecluse.raw_session("alice", protocol)
    for mail_of in ("bob", "user7"):
        ecluse.raw_session(mail_of)
    ecluse.hang_up()
    wait_until(lambda: ecluse.status()["sessions"] == 0, "the end of all sessions")
    watch = Watch(ecluse)
    before = watch.descriptors()
    idle = Idle(ecluse, "alice", IDLE)
    post = Post(ecluse, MAILS_A_SECOND)
    try:
        while time.monotonic() - watch.began < SECONDS and not post.failures:
            watch.sample()
            idle.tend()
            post.sending.wait(EVERY)
        post.stop_sending()
        if not post.failures:
            wait_until(lambda: post.failures or
                       set(post.everything_read()) >= post.everything_sent(), "all mails", REST)
    finally:
        post.stop()
    assert not post.failures, post.failures
    report(watch, post, IDLE)
    read = post.everything_read()
    assert read and sorted(read) == sorted(post.everything_sent())
    idle.end()
    ecluse.hang_up()
    wait_until(lambda: ecluse.status()["sessions"] == 0, "the end of all sessions")
    wait_until(lambda: all(now <= before[name] for name, now in watch.descriptors().items()),
               f"as few descriptors as before: {before}")
