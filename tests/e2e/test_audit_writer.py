"""The audit journal on disk: what it tells, what is there before anybody hears of it, and disks that
fill, fail and stall."""

import json
import os
import signal

import pytest

from audit_support import (SmallDisk, action_of, actions, assert_in_order, find, folder_of, records,
                           segments)
from ecluse_support import ALICE, IS_SANITIZED, WRONG
from protocols import PROTOCOLS
from tracing import Injection
from waiting import wait_until

NEEDS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root may mount")
NEEDS_TRACER = pytest.mark.skipif(IS_SANITIZED, reason="a leak checker cannot work under a tracer")


def sequence_of(ecluse):
    return ecluse.status()["audit"]["sequence"]


# ---- what it tells ----

def test_a_day(ecluse, rig):
    """What was done is there, in that order, and nothing else."""
    ecluse.ready("alice")
    client = ecluse.session("alice")
    client.select("INBOX")
    client.logout()
    wait_until(lambda: find(ecluse, "session-close"), "the session's end")
    assert ecluse.try_login("alice", "wrong").endswith(WRONG.split(" ", 1)[1])
    wait_until(lambda: len(find(ecluse, "session-close")) == 2, "the other's")
    assert ecluse.ecluse("revoke", "alice", "phone").status == 0
    assert ecluse.ecluse("reload").status == 0
    assert ecluse.ecluse("logout", "alice").status == 0
    assert ecluse.stop() == 0
    session = ["session-open", "client-auth", "upstream-connect", "upstream-auth", "command",
               "command", "session-close"]
    # A token that was brought is tried before it is taken.
    assert actions(ecluse) == ["audit-open", "start", "config-load", "token-refresh", "oauth-authorize",
                    "grant-create", *session, "session-open", "client-auth", "session-close",
                    "grant-revoke", "config-reload", "token-revoke", "token-revoke", "stop",
                    "audit-checkpoint"]
    assert_in_order(ecluse)
    refused, = find(ecluse, "client-auth", event__outcome="failure")
    assert refused["event"]["code"] == "auth-rejected" and refused["user"]["name"] == "alice"
    assert refused["ecluse"]["auth"] == {"mechanism": "PLAIN", "login": ALICE}
    approved, = find(ecluse, "client-auth", event__outcome="success")
    assert approved["ecluse"]["grant"] == "phone"
    refresh, = find(ecluse, "token-refresh")
    assert refresh["ecluse"]["oauth"]["http_status"] == 200
    assert len(refresh["ecluse"]["oauth"]["token"]) == 16


def test_checkpoints_go_elsewhere_too(ecluse):
    elsewhere = ecluse.folder / "elsewhere"
    elsewhere.mkdir()
    ecluse.set("ecluse", audit_anchor=elsewhere / "anchor")
    for count in (1, 2):
        ecluse.start()
        assert ecluse.stop() == 0
        lines = (elsewhere / "anchor").read_bytes().splitlines(keepends=True)
        assert len(lines) == count
    written = b"".join(path.read_bytes() for path in segments(ecluse))
    assert all(line in written and b'"audit-checkpoint"' in line for line in lines)


def test_elsewhere_after_a_reload(ecluse):
    """What is in a folder that was named at the start, and the system's log, take no restart."""
    elsewhere = ecluse.folder / "elsewhere"
    elsewhere.mkdir()
    ecluse.set("ecluse", audit_anchor=elsewhere / "first")
    ecluse.start()
    other = ecluse.folder / "other"
    other.mkdir()
    ecluse.set("ecluse", audit_anchor=other / "anchor")
    result = ecluse.ecluse("reload")
    assert result.status == 78 and str(other) in result.err and "start" in result.err, result
    for where in ("none", elsewhere / "second"):
        ecluse.set("ecluse", audit_anchor=where)
        assert ecluse.ecluse("reload").status == 0
    assert ecluse.stop() == 0
    assert not (elsewhere / "first").exists() and not any(other.iterdir())
    checkpoint, = (elsewhere / "second").read_text().splitlines()
    assert json.loads(checkpoint) == records(ecluse, "audit-checkpoint")[-1]


def test_off_leaves_nothing(ecluse):
    ecluse.set("ecluse", audit="off")
    ecluse.ready("alice")
    assert ecluse.try_login("alice").startswith("OK ")
    assert ecluse.status()["audit"]["level"] == "off"
    assert not folder_of(ecluse).exists()


def test_a_folder_that_others_can_enter(ecluse):
    ecluse.ready("alice")
    assert ecluse.stop() == 0
    folder_of(ecluse).chmod(0o755)
    result = ecluse.ecluse("run")
    assert result.status == 78 and "chmod 700" in result.err


def test_without_a_daemon(ecluse):
    """A command that works on its own writes down what it did."""
    ecluse.sign_in("alice")
    ecluse.grant("alice")
    assert find(ecluse, "grant-create", ecluse__grant="phone")
    assert action_of(records(ecluse)[-1]) == "audit-checkpoint"
    ecluse.start()
    assert ecluse.try_login("alice").startswith("OK ")
    wait_until(lambda: find(ecluse, "session-close"), "the session's end")
    assert len(segments(ecluse)) == 1
    assert_in_order(ecluse)


def test_another_key_of_the_vault(ecluse):
    """The chain goes on behind it, though what it goes on from is sealed by the vault."""
    ecluse.ready("alice")
    assert ecluse.stop() == 0
    ecluse.set("ecluse", vault_key="command:echo a line of the keyring")
    assert ecluse.ecluse("vault", "rekey").status == 0
    told, = find(ecluse, "key-rotate")
    assert told["event"]["reason"] == "the vault is sealed with a command; before, with a keyfile"
    ecluse.start()
    assert ecluse.try_login("alice").startswith("OK ")
    assert not find(ecluse, "audit-recovered")
    assert_in_order(ecluse)


def test_another_level_after_a_reload(ecluse):
    ecluse.set("ecluse", audit="minimal")
    ecluse.ready("alice")
    assert ecluse.try_login("alice").startswith("OK ")
    wait_until(lambda: find(ecluse, "session-close"), "the session's end")
    login = find(ecluse, "client-auth")[0]["ecluse"]["auth"]["login"]
    assert login.startswith("h:") and login.endswith("@example.test")
    assert ALICE not in b"".join(path.read_bytes() for path in segments(ecluse)).decode()
    ecluse.set("ecluse", audit="standard")
    assert ecluse.ecluse("reload").status == 0
    wait_until(lambda: ecluse.try_login("alice").startswith("OK "), "a login at the new gates")
    wait_until(lambda: find(ecluse, "client-auth", ecluse__auth__login=ALICE), "the address")


# ---- what is there first ----

@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refusal_is_there_before_it_is_heard(ecluse, protocol):
    """Killed the moment a client hears of it, the daemon has the refusal on disk."""
    ecluse.ready("alice")
    for count in range(1, 4):
        ecluse.try_login("alice", f"wrong {count}", protocol=protocol)
        ecluse.kill()
        assert len(find(ecluse, "client-auth", event__outcome="failure")) == count
        ecluse.start()
    assert_in_order(ecluse)
    assert not find(ecluse, "audit-recovered", ecluse__audit__head=None)


def test_what_a_command_says_is_there_before(ecluse):
    ecluse.ready("alice")
    for count in range(5):
        ecluse.grant("alice", client=f"client {count}")
        ecluse.kill()
        assert find(ecluse, "grant-create", ecluse__grant=f"client {count}")
        ecluse.start()
    assert_in_order(ecluse)


def test_strictly_an_approval_is_there_before_it_is_heard(ecluse):
    ecluse.set("ecluse", audit_sync="strict")
    ecluse.ready("alice")
    for count in range(1, 6):
        assert ecluse.try_login("alice").startswith("OK ")
        ecluse.kill()
        assert len(find(ecluse, "client-auth", event__outcome="success")) == count
        ecluse.start()
    assert_in_order(ecluse)


def test_a_torn_line(ecluse):
    ecluse.ready("alice")
    ecluse.kill()
    with open(segments(ecluse)[-1], "ab") as file:
        file.write(b'{"@timestamp":"torn')
    ecluse.start()
    assert ecluse.try_login("alice").startswith("OK ")
    told, = find(ecluse, "audit-recovered")
    aside = folder_of(ecluse) / told["ecluse"]["audit"]["file"]
    assert aside.read_bytes() == b'{"@timestamp":"torn'
    assert_in_order(ecluse)


# ---- disks that fail ----

@pytest.fixture
def small_disk(ecluse, tmp_path):
    (ecluse.folder / "state").mkdir(mode=0o700, exist_ok=True)
    disk = SmallDisk(folder_of(ecluse))
    try:
        yield disk
        ecluse.note_processes()
        assert ecluse.stop() == 0
        ecluse.assert_intact()
    finally:
        disk.close(tmp_path / "copy")


def fail(ecluse, session):
    """Enough happens that it must be noticed."""
    def has_failed():
        try:
            session.send("NOOP\r\n" if not hasattr(session, "tags") else "x NOOP\r\n")
        except OSError:  # it was ended
            pass
        return ecluse.status()["audit"]["failing"]
    wait_until(has_failed, "the journal's failure")


@NEEDS_ROOT
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_full_disk_closes(ecluse, small_disk, protocol):
    temporary = PROTOCOLS[protocol].unreachable
    ecluse.ready("alice")
    session = ecluse.raw_session("alice", protocol)
    small_disk.fill()
    fail(ecluse, session)
    assert PROTOCOLS[protocol].stopping in session.rest()
    reply = ecluse.try_login("alice", protocol=protocol)
    assert reply.startswith(temporary) and "audit journal" in reply
    result = ecluse.ecluse("grant", "alice", "--name", "other")
    assert result.status == 75 and "audit journal" in result.err
    assert ecluse.ecluse("grants", "alice").status == 0
    small_disk.make_room()
    wait_until(lambda: not ecluse.status()["audit"]["failing"], "its recovery")
    assert ecluse.try_login("alice", protocol=protocol).startswith(PROTOCOLS[protocol].logged_in)
    status = ecluse.status()["audit"]
    assert status["lost"] == 0 and status["failures"] > 0
    assert_in_order(ecluse)
    gap, = find(ecluse, "audit-gap")
    assert gap["ecluse"]["audit"]["count"] == 0 and "No space left" in gap["event"]["reason"]


@NEEDS_ROOT
def test_a_full_disk_blocks(ecluse, small_disk):
    ecluse.set("ecluse", audit_failure="block")
    ecluse.ready("alice")
    session = ecluse.raw_session("alice")
    small_disk.fill()
    fail(ecluse, session)
    client = ecluse.raw()
    client.send(f'a LOGIN {ALICE} "wrong"\r\n'.encode())
    assert session.command("NOOP")[0].startswith("OK ")
    before = ecluse.status()["audit"]["failures"]
    # Longer than a refusal takes.
    wait_until(lambda: ecluse.status()["audit"]["failures"] > before + 3, "more tries")
    assert client.is_quiet()
    small_disk.make_room()
    assert WRONG in client.line().decode()
    assert ecluse.try_login("alice").startswith("OK ")
    assert ecluse.status()["audit"]["lost"] == 0
    assert_in_order(ecluse)


@NEEDS_ROOT
def test_a_full_disk_is_warned_of(ecluse, small_disk):
    ecluse.set("ecluse", audit_failure="warn")
    ecluse.ready("alice")
    session = ecluse.raw_session("alice")
    small_disk.fill()
    mark = ecluse.log_size()
    fail(ecluse, session)
    assert ecluse.try_login("alice", "wrong").startswith("NO [AUTHENTICATIONFAILED]")
    assert ecluse.try_login("alice").startswith("OK ")
    ecluse.wait_log("the journal cannot be written: .*No space left", since=mark)
    small_disk.make_room()
    wait_until(lambda: not ecluse.status()["audit"]["failing"], "its recovery")
    gap, = find(ecluse, "audit-gap")
    assert gap["ecluse"]["audit"]["count"] > 0
    wait_until(lambda: ecluse.try_login("alice").startswith("OK "), "a login")
    assert_in_order(ecluse)


@NEEDS_TRACER
def test_a_disk_with_errors(ecluse):
    """A sync that fails is not believed, nor tried again: what it was for is written anew."""
    ecluse.ready("alice")
    before = len(segments(ecluse))
    injection = Injection(ecluse.daemon.pid, "fdatasync", "error=EIO")
    with pytest.raises(EOFError):  # its connection was the first thing that could not be written
        ecluse.try_login("alice", "wrong")
    assert ecluse.try_login("alice", "wrong").startswith("NO [UNAVAILABLE]")
    assert ecluse.status()["audit"]["failing"]
    injection.stop()
    wait_until(lambda: not ecluse.status()["audit"]["failing"], "its recovery")
    assert ecluse.try_login("alice").startswith("OK ")
    assert len(segments(ecluse)) == before + 1
    gap, = find(ecluse, "audit-gap")
    assert "Input/output error" in gap["event"]["reason"]
    assert_in_order(ecluse)
    wait_until(lambda: any(record["event"]["sequence"] > gap["event"]["sequence"]
                           for record in find(ecluse, "session-open")), "a session behind it")


@NEEDS_TRACER
@pytest.mark.parametrize("left", [None, -10, 0], ids=["a gap", "a torn gap", "nothing"])
def test_killed_behind_a_gap(ecluse, left):
    """Before its checkpoint, or on the way to its record: the chain goes on all the same."""
    ecluse.ready("alice")
    folder = folder_of(ecluse)
    state = (folder / "state").read_bytes()
    injection = Injection(ecluse.daemon.pid, "fdatasync", "error=EIO")
    with pytest.raises(EOFError):
        ecluse.try_login("alice", "wrong")
    injection.stop()
    wait_until(lambda: not ecluse.status()["audit"]["failing"], "its recovery")
    ecluse.kill()
    (folder / "state").write_bytes(state)
    newest = segments(ecluse)[-1]
    gap = newest.read_bytes().splitlines(keepends=True)[0]
    newest.write_bytes(gap[:left])
    ecluse.start()
    assert ecluse.try_login("alice").startswith("OK ")
    assert len(find(ecluse, "audit-gap")) == (left is None)
    assert not find(ecluse, "audit-recovered")
    assert len(list(folder.glob("*.torn"))) == (left == -10)
    assert_in_order(ecluse)


@NEEDS_TRACER
def test_a_disk_that_stalls(ecluse):
    """A refusal waits for it; those who are logged in, and the daemon, do not."""
    ecluse.ready("alice")
    session = ecluse.raw_session("alice")
    wait_until(lambda: ecluse.status()["audit"]["queued"] == 0, "the journal's rest")
    injection = Injection(ecluse.daemon.pid, "fdatasync", "delay_enter=3000000")
    client = ecluse.raw()
    client.send(f'a LOGIN {ALICE} "wrong"\r\n'.encode())
    wait_until(lambda: ecluse.status()["audit"]["queued"] > 0, "a record on its way")
    assert session.command("NOOP")[0].startswith("OK ")
    assert client.is_quiet()
    assert WRONG in client.line().decode()
    injection.stop()
    assert find(ecluse, "client-auth", event__outcome="failure")


@NEEDS_TRACER
def test_a_stop_with_a_disk_that_fails(ecluse):
    ecluse.ready("alice")
    injection = Injection(ecluse.daemon.pid, "fdatasync", "error=EIO")
    with pytest.raises(EOFError):
        ecluse.try_login("alice", "wrong")
    ecluse.note_processes()
    ecluse.daemon.send_signal(signal.SIGTERM)
    assert ecluse.daemon.wait(30) == 0
    injection.stop()
    assert "records could not be written" in ecluse.log()
