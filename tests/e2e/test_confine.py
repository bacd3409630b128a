"""The processes as they are once they serve: what they gave up, and what goes on all the same."""

import ctypes
import os
import pathlib
import re
import shutil
import signal

import pytest

import ecluse_support
from cli_support import BINARY
from ecluse_support import BOB, IS_SANITIZED
from processes import children, is_alive
from waiting import wait_until

LANDLOCK = ctypes.CDLL(None).syscall(444, None, 0, 1)  # landlock_create_ruleset: its version
NOT_KNOWN = r"reload: ecluse did not know of folder \S+ when it started.*start it again"


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


def core_limit(pid):
    lines = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[4:6] for line in lines if line.startswith("Max core file size"))


def reload(ecluse, pattern):
    mark = ecluse.log_size()
    ecluse.daemon.send_signal(signal.SIGHUP)
    ecluse.wait_log(pattern, since=mark)


def assert_confined(pid, filters):
    status = status_of(pid)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert int(status["Seccomp_filters"]) == filters
    assert core_limit(pid) == ["0", "0"]


def the_other_child(ecluse):
    other, = set(children(ecluse.daemon.pid)) - set(ecluse.gates())
    return other


@pytest.fixture
def with_command(ecluse, rig):
    """Bob's password at his provider comes from a command, which reads it where ecluse may not."""
    hidden = ecluse.folder / "hidden"
    hidden.mkdir()
    (hidden / "password").write_text(rig.state["users"][BOB]["password"] + "\n")
    host = rig.state["addresses"]["password"]
    ecluse.set("provider passwords", imap=f"tls://{host}:{rig.ports['imaps']}")
    ecluse.set("account bob", provider="passwords", flow="none",
               password_command=f"cat {hidden}/password")
    for key in ("client_id", "client_secret"):
        ecluse.sections["account bob"].pop(key)
    ecluse.set("ecluse")
    ecluse.start()
    ecluse.grant("bob")
    return ecluse


# ---- what was given up ----

def test_keeper_and_gates_are_confined(ecluse):
    ecluse.set("ecluse", workers=2)
    ecluse.ready("alice")
    assert_confined(ecluse.daemon.pid, 1)
    gates = ecluse.gates()
    assert len(gates) == 2
    for gate in gates:
        assert_confined(gate, 1)
    if LANDLOCK > 0:
        assert f"keeper: confined: files (Landlock {LANDLOCK}), system calls" in ecluse.log()
    os.kill(gates[0], signal.SIGKILL)
    fresh = wait_until(lambda: set(ecluse.gates()) - set(gates), "another gate")
    wait_until(lambda: ecluse.status()["gate_restarts"] == 1 and len(ecluse.gates()) == 2, "it")
    wait_until(lambda: status_of(min(fresh))["Seccomp_filters"] == "2", "its filter")
    assert_confined(min(fresh), 2)  # its own, and what it has from the keeper
    assert children(ecluse.daemon.pid) and ecluse.try_login("alice").startswith("OK ")


def test_new_threads_are_confined_too(ecluse):
    """Passwords are checked, and names looked up, in threads that come with the first login."""
    ecluse.ready("alice")
    assert ecluse.try_login("alice").startswith("OK ")
    threads = os.listdir(f"/proc/{ecluse.daemon.pid}/task")
    assert len(threads) > 1
    for thread in threads:
        assert_confined(f"{ecluse.daemon.pid}/task/{thread}", 1)


# ---- older kernels ----

NO_LANDLOCK = ("warn  keeper: this kernel has no Landlock (Linux 5.13), or it is switched off: files "
               "are not confined")
NO_PORTS = "info  keeper: this kernel does not limit ports (Linux 6.7): gates may connect to any"
NO_FILTER = "warn  keeper: this kernel has no filter of system calls: they are not confined"



def start_traced(ecluse, monkeypatch, call, what):
    """What strace tells of this call, by keeper and gates."""
    script = ecluse.folder / "traced"
    told = ecluse.folder / "told"
    script.write_text(f"#!/bin/sh\nexec strace -D -f -X raw -o {told} -e trace={call} "
                      f"-e inject={call}:{what} {BINARY} \"$@\"\n")
    script.chmod(0o700)
    monkeypatch.setattr(ecluse_support, "BINARY", script)
    ecluse.ready("alice")
    return told.read_text()


def assert_serves(ecluse, said, filters):
    assert ecluse.try_login("alice").startswith("OK ")
    for process in (ecluse.daemon.pid, *ecluse.gates()):
        status = status_of(process)
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == filters
    lines = [line for line in ecluse.log().splitlines() if "this kernel" in line]
    assert len(lines) == 1 and lines[0].endswith(" " + said), lines


untraced = pytest.mark.skipif(IS_SANITIZED, reason="LeakSanitizer needs the tracer's place")


@untraced
@pytest.mark.parametrize("call, error, said, filters", [
    ("landlock_create_ruleset", "ENOSYS", NO_LANDLOCK, "2"),
    ("landlock_create_ruleset", "EOPNOTSUPP", NO_LANDLOCK, "2"),
    ("seccomp", "ENOSYS", NO_FILTER, "0"),
])
def test_a_kernel_without(ecluse, monkeypatch, call, error, said, filters):
    start_traced(ecluse, monkeypatch, call, f"error={error}")
    assert_serves(ecluse, said, filters)


@untraced
@pytest.mark.skipif(LANDLOCK <= 0, reason="this kernel does not confine files")
@pytest.mark.parametrize("version, rights", [(1, 0x1fff), (2, 0x3fff), (3, 0x7fff)])
def test_a_kernel_with_an_early_landlock(ecluse, monkeypatch, version, rights):
    """Which would refuse what came later. Each process first asks for the version."""
    told = start_traced(ecluse, monkeypatch, "landlock_create_ruleset", f"retval={version}:when=1")
    asked = re.findall(r"handled_access_fs=(\w+)", told)
    assert [int(known, 16) for known in asked] == [rights] * (1 + len(ecluse.gates()))
    assert_serves(ecluse, NO_PORTS, "2")


# ---- commands ----

def test_a_command_runs_unconfined(with_command):
    assert with_command.try_login("bob").startswith("OK ")
    runner = the_other_child(with_command)
    assert status_of(runner)["NoNewPrivs"] == "0" and status_of(runner)["Seccomp"] == "0"
    assert core_limit(runner) == ["0", "0"]
    assert with_command.stop() == 0
    assert not is_alive(runner)


def test_the_commands_of_a_reload(with_command):
    """They are read from the file by who runs them."""
    hidden = with_command.folder / "hidden"
    shutil.move(hidden / "password", hidden / "another")
    with_command.set("account bob", password_command=f"cat {hidden}/another")
    reload(with_command, "ready with the new configuration")
    assert with_command.try_login("bob").startswith("OK ")


def test_the_end_of_who_runs_commands(with_command):
    os.kill(the_other_child(with_command), signal.SIGKILL)
    with_command.wait_log("the process that runs commands has ended .*started again")
    reply = with_command.try_login("bob")
    assert reply.startswith("NO [UNAVAILABLE] "), reply
    assert "ecluse has to be started again" in reply
    assert with_command.stop() == 0


def test_the_first_command_takes_a_restart(ecluse):
    ecluse.ready("alice")
    assert children(ecluse.daemon.pid) == ecluse.gates()
    ecluse.set("ecluse", notify_command="true")
    reload(ecluse, "reload: there was no command in the configuration.*nothing was changed")
    assert ecluse.try_login("alice").startswith("OK ")
    assert ecluse.stop() == 0
    ecluse.start()
    assert ecluse.try_login("alice").startswith("OK ")


# ---- files ----

def elsewhere(tmp_path, name, rig):
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(rig.state["ca"], folder / "ca.pem")
    return folder / "ca.pem"


def test_a_file_that_is_exchanged_is_read_again(ecluse, rig, tmp_path):
    """As editors and certbot do it: by another file of the same name."""
    bundle = elsewhere(tmp_path, "bundles", rig)
    ecluse.set("ecluse", ca_file=bundle)
    ecluse.ready("alice")
    for path in (ecluse.file, bundle):
        other = path.with_suffix(".new")
        shutil.copy(path, other)
        other.replace(path)
    reload(ecluse, "ready with the new configuration")
    shutil.copy(bundle, bundle.with_name("next.pem"))
    ecluse.set("ecluse", ca_file=bundle.with_name("next.pem"))
    reload(ecluse, "ready with the new configuration")
    assert ecluse.try_login("alice").startswith("OK ")


@pytest.mark.skipif(LANDLOCK <= 0, reason="this kernel does not confine files")
def test_a_folder_that_was_not_known_takes_a_restart(ecluse, rig, tmp_path_factory):
    bundle = elsewhere(tmp_path_factory.mktemp("far"), "bundles", rig)
    ecluse.ready("alice")
    ecluse.set("ecluse", ca_file=bundle)
    reload(ecluse, NOT_KNOWN + "; nothing was changed")
    assert ecluse.try_login("alice").startswith("OK ")
    assert ecluse.stop() == 0
    ecluse.start()
    assert ecluse.try_login("alice").startswith("OK ")
