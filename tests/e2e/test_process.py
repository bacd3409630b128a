"""Processes that die, stop, reload and share; places that are taken."""

import os
import signal
import socket
import threading
import time

import pytest

from cli_support import PATIENCE
from ecluse_support import SLOWNESS, WRONG
from processes import is_alive
from scripted_upstream import polite
from waiting import wait_until


# ---- death ----

def test_kill_9_of_a_gate(ecluse):
    """Its own sessions go; the port is never refused, and the next login is served."""
    ecluse.ready("alice", "bob")
    lost = ecluse.raw_session("alice")
    gate, = ecluse.gates()
    refused, over = [], threading.Event()

    def knock():
        while not over.is_set():
            try:
                socket.create_connection(("127.0.0.1", ecluse.port), PATIENCE).close()
            except ConnectionRefusedError as error:
                refused.append(error)

    knocking = threading.Thread(target=knock)
    knocking.start()
    os.kill(gate, signal.SIGKILL)
    began = time.monotonic()
    reply = ecluse.try_login("bob")
    took = time.monotonic() - began
    over.set()
    knocking.join()
    assert reply.startswith("OK ") and refused == []
    assert lost.rest() == b""
    print(f"served {took * 1000:.0f} ms after kill -9 of the gate")
    assert took < 1 * SLOWNESS
    assert ecluse.status()["gate_restarts"] == 1 and ecluse.gates() != [gate]
    assert ecluse.try_login("alice").startswith("OK ")


def test_a_gate_that_dies_again_and_again(ecluse):
    ecluse.ready("alice")
    for count in range(1, 4):
        gate, = wait_until(ecluse.gates, "a gate")
        os.kill(gate, signal.SIGKILL)
        wait_until(lambda: not is_alive(gate), "its end")
        assert ecluse.try_login("alice").startswith("OK ")
        assert ecluse.status()["gate_restarts"] == count


def test_kill_9_of_the_keeper(ecluse, rig):
    """Nothing is left over that serves; the next one finds vault and token."""
    ecluse.ready("alice")
    session = ecluse.raw_session("alice")
    ecluse.kill()
    assert session.rest() == b"* BYE ecluse is stopping\r\n"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ecluse.port), PATIENCE)
    rig.clear()
    ecluse.start()
    assert ecluse.accounts()["alice"]["signed_in"] == "in"
    assert ecluse.try_login("alice").startswith("OK ")
    assert rig.refreshes() == {"ok": 1}


def test_a_stopped_keeper_does_not_stop_the_mail(ecluse):
    """SIGSTOP: what is relayed goes on."""
    ecluse.ready("alice")
    session = ecluse.raw_session("alice")
    ecluse.daemon.send_signal(signal.SIGSTOP)
    try:
        assert session.command("EXAMINE INBOX")[0].startswith("OK ")
    finally:
        ecluse.daemon.send_signal(signal.SIGCONT)


# ---- the end ----

def test_sigterm_tells_who_waits_and_lets_sessions_finish(ecluse):
    ecluse.set("ecluse", drain=PATIENCE)
    ecluse.ready("alice")
    waiting = ecluse.raw()
    asked = ecluse.raw()
    asked.send(b"a AUTHENTICATE PLAIN\r\n")
    assert asked.line() == b"+ "
    session = ecluse.raw_session("alice")
    ecluse.daemon.send_signal(signal.SIGTERM)
    assert waiting.rest() == b"* BYE ecluse is stopping\r\n"
    assert asked.rest() == b"* BYE ecluse is stopping\r\n"
    assert session.command("EXAMINE INBOX")[0].startswith("OK ")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ecluse.port), PATIENCE)
    assert ecluse.daemon.poll() is None
    session.command("LOGOUT")
    assert ecluse.daemon.wait(PATIENCE) == 0  # long before the time is over


def test_sigterm_gives_sessions_no_more_than_the_drain_time(ecluse):
    ecluse.set("ecluse", drain=1)
    ecluse.ready("alice")
    session = ecluse.raw_session("alice")
    began = time.monotonic()
    ecluse.daemon.send_signal(signal.SIGTERM)
    session.rest()
    assert time.monotonic() - began > 0.9  # timers count whole milliseconds, from the start of a turn
    assert ecluse.daemon.wait(PATIENCE) == 0


def test_a_second_sigterm_stops_at_once(ecluse):
    ecluse.set("ecluse", drain=3600)
    ecluse.ready("alice")
    session = ecluse.raw_session("alice")
    mark = ecluse.log_size()
    ecluse.daemon.send_signal(signal.SIGTERM)
    ecluse.wait_log("stopping; sessions have 3600 s", since=mark)
    assert session.command("NOOP")[0].startswith("OK ")
    ecluse.daemon.send_signal(signal.SIGTERM)
    assert ecluse.daemon.wait(PATIENCE) == 0
    session.rest()


def test_a_login_under_way_at_sigterm_is_told(ecluse, upstreams):
    upstream = upstreams(lambda connection: connection.until_gone())
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    client = ecluse.raw()
    client.send(f"a LOGIN carol@example.test {ecluse.passwords['carol']}\r\n")
    upstream.wait_for(1)
    ecluse.daemon.send_signal(signal.SIGTERM)
    assert client.rest() == b"* BYE ecluse is stopping\r\n"
    assert ecluse.daemon.wait(PATIENCE) == 0


def test_the_port_can_be_had_again_at_once(ecluse):
    ecluse.ready("alice")
    ecluse.raw_session("alice").command("NOOP")
    assert ecluse.stop() == 0
    ecluse.start()
    assert ecluse.try_login("alice").startswith("OK ")


# ---- reload ----

def reload(ecluse):
    mark = ecluse.log_size()
    ecluse.daemon.send_signal(signal.SIGHUP)
    return mark


def test_sighup_takes_a_new_account_and_keeps_the_sessions(ecluse, rig):
    ecluse.ready("alice")
    session = ecluse.raw_session("alice")
    ecluse.add_account("carol")
    mark = reload(ecluse)
    ecluse.wait_log("ready with the new configuration", since=mark)
    assert session.command("EXAMINE INBOX")[0].startswith("OK ")
    ecluse.sign_in("carol")
    ecluse.grant("carol")
    assert ecluse.try_login("carol").startswith("OK ")
    rig.clear()
    assert ecluse.try_login("alice").startswith("OK ") and rig.token_requests() == 0
    assert len(ecluse.gates()) == 2  # the old one serves its session
    session.command("LOGOUT")
    wait_until(lambda: len(ecluse.gates()) == 1, "the old gate's end")
    assert ecluse.status()["gate_restarts"] == 0


def test_sighup_with_a_broken_file_changes_nothing(ecluse):
    ecluse.ready("alice")
    gates = ecluse.gates()
    good = ecluse.file.read_text()
    ecluse.write(good.replace("web = off", "wep = off"))
    mark = reload(ecluse)
    ecluse.wait_log(r"reload: .*ecluse\.ini:\d+: .*wep.*nothing was changed", since=mark)
    assert ecluse.try_login("alice").startswith("OK ")
    ecluse.write(good)
    assert ecluse.gates() == gates
    mark = reload(ecluse)
    ecluse.wait_log("ready with the new configuration", since=mark)
    assert ecluse.try_login("alice").startswith("OK ")


def test_a_removed_account_loses_its_sessions(ecluse):
    ecluse.ready("alice", "bob")
    session, other = ecluse.raw_session("bob"), ecluse.raw_session("alice")
    del ecluse.sections["account bob"]
    ecluse.set("ecluse", drain=1)  # writes the file
    mark = reload(ecluse)
    ecluse.wait_log("ready with the new configuration", since=mark)
    assert session.rest() == b"* BYE this password was revoked\r\n"
    assert other.command("NOOP")[0].startswith("OK ")
    assert ecluse.raw().login("bob@example.test", ecluse.passwords["bob"]).startswith("NO ")


def test_another_port_is_opened_and_the_old_one_closed(ecluse):
    ecluse.ready("alice")
    old = ecluse.port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        ecluse.port = probe.getsockname()[1]
    ecluse.set("listen imap", address=f"127.0.0.1:{ecluse.port}")
    mark = reload(ecluse)
    ecluse.wait_log("ready with the new configuration", since=mark)
    assert ecluse.try_login("alice").startswith("OK ")
    wait_until(lambda: is_refused(old), "the old port to be closed")


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        return False
    except ConnectionRefusedError:
        return True


# ---- grants ----

def test_a_revoked_grant_closes_its_sessions_alone(ecluse):
    ecluse.ready("alice")
    tablet = ecluse.grant("alice", client="tablet")
    phone_session = ecluse.raw_session("alice")
    other = ecluse.raw()
    assert other.login("alice@example.test", tablet).startswith("OK ")
    result = ecluse.ecluse("revoke", "alice", "phone")
    assert result.status == 0, result
    assert phone_session.rest() == b"* BYE this password was revoked\r\n"
    assert other.command("NOOP")[0].startswith("OK ")
    assert ecluse.try_login("alice") == WRONG
    assert ecluse.try_login("alice", tablet).startswith("OK ")


def test_a_grant_that_is_revoked_during_the_login(ecluse, upstreams):
    upstream = upstreams(lambda connection: connection.until_gone())
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    client = ecluse.raw()
    client.send(f"a LOGIN carol@example.test {ecluse.passwords['carol']}\r\n")
    upstream.wait_for(1)
    assert ecluse.ecluse("revoke", "carol", "phone").status == 0
    assert b"a OK" not in client.rest()


# ---- limits ----

def test_max_sessions(ecluse):
    """Sessions are never pushed out; who comes too late is told in place of a greeting."""
    ecluse.set("listen imap", max_sessions=3)
    ecluse.ready("alice")
    sessions = [ecluse.raw_session("alice") for _ in range(3)]
    late = ecluse.raw(greet=False)
    assert late.rest() == b"* BYE [LIMIT] too many sessions\r\n"
    assert [session.command("NOOP")[0][:2] for session in sessions] == ["OK"] * 3
    sessions.pop().command("LOGOUT")
    wait_until(lambda: ecluse.status()["sessions"] == 2, "the place")
    assert ecluse.try_login("alice").startswith("OK ")


def test_who_waits_longest_makes_room(ecluse):
    ecluse.set("listen imap", max_sessions=2)
    ecluse.ready("alice")
    first, second = ecluse.raw(), ecluse.raw()
    third = ecluse.raw()
    assert first.rest() == b"* BYE [LIMIT] too many connections wait for their login\r\n"
    assert second.command("NOOP")[0] == third.command("NOOP")[0] == "OK NOOP completed"


def test_two_listeners_count_their_sessions_apart(ecluse):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ecluse.set("listen imap", max_sessions=1, max_sessions_per_account=1)
    ecluse.set("listen other", protocol="imap", address=f"127.0.0.1:{port} [::1]:{port}")
    ecluse.ready("alice")
    ecluse.raw_session("alice")
    ecluse.port = port
    assert ecluse.try_login("alice").startswith("OK ")


# ---- workers ----

def test_two_workers(ecluse):
    ecluse.set("ecluse", workers=2)
    ecluse.set("listen imap", max_sessions=100, max_sessions_per_account=100)
    ecluse.ready("alice")
    gates = ecluse.gates()
    assert len(gates) == 2
    # The kernel deals the clients out; until each gate has one.
    sessions = {}
    for _ in range(60):
        mark = ecluse.log_size()
        session = ecluse.raw_session("alice")
        gate = ecluse.wait_log(r"upstream-auth .* session=(\d+)\.", since=mark)[1]
        sessions.setdefault(gate, []).append(session)
        if len(sessions) == 2:
            break
    os.kill(gates[0], signal.SIGKILL)
    wait_until(lambda: not is_alive(gates[0]), "its end")
    lost = sessions.pop("1")
    assert all(session.rest() == b"" for session in lost)
    for session in sum(sessions.values(), []):
        assert session.command("NOOP")[0].startswith("OK ")
    assert ecluse.try_login("alice").startswith("OK ")
    wait_until(lambda: len(ecluse.gates()) == 2, "another gate")


def test_the_limit_of_an_account_holds_across_workers(ecluse, upstreams):
    upstream = upstreams(polite)
    ecluse.serve_from(upstream)
    ecluse.set("ecluse", workers=2)
    ecluse.set("listen imap", max_sessions_per_account=4)
    ecluse.ready("carol")
    replies = []
    for _ in range(12):
        client = ecluse.raw()
        client.send(f"a LOGIN carol@example.test {ecluse.passwords['carol']}\r\n")
        replies.append(client.line()[:6])
    assert replies == [b"a OK [", ] * 4 + [b"* BYE "] * 8
