"""Figures: memory of idle sessions, and of a message that is larger than any buffer. They are
printed (pytest -s) and written to memory.txt in the build folder.
"""

import concurrent.futures
import os
import resource
import select
import threading
import time

import pytest

from cli_support import BINARY, PATIENCE
from ecluse_support import IS_SANITIZED
from imap_support import RawImap
from processes import is_alive, proportional, resident
from scripted_upstream import polite
from waiting import wait_until

pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="sanitizers change the sizes")
SESSIONS = 1000
GIBIBYTE = 1 << 30
LITERAL = (4 if "SOAK_SECONDS" in os.environ else 1) * GIBIBYTE
REPORT = BINARY.parents[1] / "memory.txt"


@pytest.fixture(scope="module")
def report():
    lines = []
    yield lines.append
    text = "".join(line + "\n" for line in lines)
    if os.access(REPORT.parent, os.W_OK):
        REPORT.write_text(text)
    print("\n" + text, end="")


def sizes(pid):
    return f"RSS {resident(pid)} KiB, PSS {proportional(pid) or '?'} KiB"


def test_a_thousand_idle_sessions(ecluse, upstreams, report):
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(SESSIONS, (files - 300) // 2)  # here each session is two descriptors, too
    upstream = upstreams(polite)
    ecluse.serve_from(upstream)
    ecluse.set("listen imap", max_sessions=count + 10, max_sessions_per_account=count + 10)
    ecluse.ready("carol")
    gate, = ecluse.gates()
    ecluse.raw_session("carol").command("LOGOUT")
    upstream.wait_over()
    before = {pid: resident(pid) for pid in (gate, ecluse.daemon.pid)}
    report(f"no session:   gate {sizes(gate)}; keeper {sizes(ecluse.daemon.pid)}")
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sessions = list(pool.map(lambda _: ecluse.raw_session("carol"), range(count)))
    took = time.monotonic() - began
    assert ecluse.status()["sessions"] == count
    # Once more round, so that all are idle after some use.
    assert all(session.command("NOOP")[0].startswith("OK ") for session in sessions)
    grown = {pid: resident(pid) - size for pid, size in before.items()}
    report(f"{count} sessions: gate {sizes(gate)}; keeper {sizes(ecluse.daemon.pid)}; "
           f"opened in {took:.1f} s")
    report(f"per session:  gate {grown[gate] / count:.1f} KiB, "
           f"keeper {grown[ecluse.daemon.pid] / count:.2f} KiB")
    assert grown[gate] / count < 40  # TLS alone takes most of it
    assert grown[ecluse.daemon.pid] / count < 4
    ecluse.hang_up()
    wait_until(lambda: ecluse.status()["sessions"] == 0, "the end of all sessions")

    def left():
        return sum(resident(pid) - size for pid, size in before.items())

    wait_until(lambda: left() <= sum(before.values()) / 10, "what they held to be given back")
    report(f"all closed:   gate {sizes(gate)}; keeper {sizes(ecluse.daemon.pid)}")
    assert is_alive(gate)


def enormous(connection):
    """A FETCH of that literal, sent as fast as it is taken."""
    connection.handshake()
    connection.log_in()
    tag = connection.line().split()[0]
    connection.sent = 0
    connection.send(b"* 1 FETCH (BODY[] {%d}\r\n" % LITERAL)
    piece = bytes(1 << 20)
    while connection.sent < LITERAL:
        connection.send(piece)
        connection.sent += len(piece)
    connection.send(b")\r\n" + tag + b" OK FETCH completed\r\n")
    connection.answer_commands()


def test_an_enormous_literal_to_a_slow_reader(ecluse, upstreams, report):
    upstream = upstreams(enormous)
    ecluse.serve_from(upstream)
    session = ecluse.ready("carol").raw_session("carol")
    gate, = ecluse.gates()
    before = highest = resident(gate)
    session.send(b"a FETCH 1 BODY[]\r\n")
    assert session.line() == b"* 1 FETCH (BODY[] {%d}" % LITERAL
    connection, = upstream.connections
    wait_until(lambda: stands_still(lambda: connection.sent), "the sender to be held back")
    assert connection.sent < 64 << 20  # what the kernel's buffers of three sockets took
    report(f"reader asleep: {connection.sent >> 20} MiB are under way, gate grew by "
           f"{resident(gate) - before} KiB")
    left, began, block = LITERAL, time.monotonic(), bytearray(1 << 20)
    while left > 0:
        size = session.file.readinto(memoryview(block)[:min(left, len(block))])
        assert size > 0, "the session has ended"
        left -= size
        highest = max(highest, resident(gate))
    took = time.monotonic() - began
    assert session.line() == b")" and session.line() == b"a OK FETCH completed"
    report(f"{LITERAL >> 30} GiB in {took:.1f} s, gate grew by {highest - before} KiB at most")
    assert highest - before <= 1024
    assert session.command("NOOP")[0].startswith("OK ")


def stands_still(value):
    """The same for half a second."""
    before = value()
    select.select([], [], [], 0.5)
    return value() == before


def test_a_gibibyte_from_a_client_to_a_slow_server(ecluse, upstreams, report):
    awake = threading.Event()

    def script(connection):
        connection.handshake()
        connection.log_in()
        tag = connection.line().split()[0]
        awake.wait(PATIENCE)
        left = GIBIBYTE // 4 - len(connection.unread)
        while left > 0:
            left -= len(connection.receive())
            connection.plain.clear()
            connection.raw.clear()
        connection.unread = b""
        connection.send(tag + b" OK APPEND completed\r\n")
        connection.answer_commands()

    ecluse.serve_from(upstreams(script))
    session: RawImap = ecluse.ready("carol").raw_session("carol")
    gate, = ecluse.gates()
    before = highest = resident(gate)
    session.send(b"a APPEND Drafts {%d+}\r\n" % (GIBIBYTE // 4 - 2))
    block, left = bytes(1 << 18), GIBIBYTE // 4 - 2
    session.socket.setblocking(False)
    while True:  # until nobody takes any more
        if not select.select([], [session.socket], [], 0.5)[1]:
            break
        left -= session.socket.send(block[:left])
    taken = GIBIBYTE // 4 - left
    assert left > 0
    session.socket.settimeout(PATIENCE)
    highest = resident(gate)
    awake.set()
    while left > 0:
        left -= session.socket.send(block[:left])
        highest = max(highest, resident(gate))
    session.send(b"\r\n")
    assert session.until_tagged(b"a")[0] == "OK APPEND completed"
    report(f"server asleep: {taken >> 20} MiB are under way; 256 MiB up, gate grew by "
           f"{highest - before} KiB at most")
    assert highest - before <= 1024
