"""The daemon as the subcommands see it: status, stop, reload, and who may talk to it."""

import json
import os
import random
import signal
import socket
import stat
import threading

import pytest

from cli_support import (PASSWORD, PATIENCE, Place, accounts, endpoint, grant, grants, login,
                         one_line, place, rotating)  # noqa: F401 (fixtures)


@pytest.mark.parametrize("command", ["status", "stop", "reload"])
def test_what_needs_the_daemon_is_69_without(place, command):
    one_line(place.ecluse(command), 69, "not running", "ecluse run")


def test_the_gate_is_not_for_hands(place):
    result = place.call("gate", stdin=b"")
    assert result.status != 0 and result.out == "", result


def test_the_daemon_answers_for_its_vault(place):
    daemon = place.start()
    result = grant(place)
    assert result.status == 0 and PASSWORD.fullmatch(result.out), result
    assert [row["name"] for row in grants(place)] == ["phone"]
    one_line(login(place, b"canary-4711\n"), 75,
             "the token is stored")
    assert accounts(place)["work"]["signed_in"] == "in"
    one_line(place.ecluse("token", "other"), 77, "other")
    assert place.ecluse("revoke", "work", "phone").status == 0
    assert place.ecluse("stop").out == "stopped\n"
    assert daemon.wait(PATIENCE) == 0, place.log()
    assert accounts(place)["work"]["signed_in"] == "in"
    assert "canary" not in place.log()


def test_status_tells_how_it_is(place):
    daemon = place.start()
    state = json.loads(place.ecluse("status", "--json").out)
    assert state["pid"] == daemon.pid and state["sessions"] == 0
    assert len(state["gates"]) == 1 and state["gate_restarts"] == 0
    assert [row["name"] for row in state["accounts"]] == ["work", "other"]
    assert all(row["needs_user"] and row["sessions"] == 0 for row in state["accounts"])
    text = place.ecluse("status").out
    assert f"pid {daemon.pid}" in text and "must be signed in" in text


def test_the_control_socket_is_private(place):
    place.start()
    about = (place.folder / "run" / "control").lstat()
    assert stat.S_ISSOCK(about.st_mode) and stat.S_IMODE(about.st_mode) == 0o600
    assert stat.S_IMODE((place.folder / "run").stat().st_mode) == 0o700


def test_a_daemon_leaves_no_core_file(place):
    daemon = place.start()
    with open(f"/proc/{daemon.pid}/limits") as limits:
        core = next(line for line in limits if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


def test_reload_takes_a_good_configuration_only(place):
    place.start()
    good = place.file.read_text()
    place.write(good.replace("web = off", "wep = off"))
    result = place.ecluse("reload")
    assert result.status == 78, result
    place.write(good + "\n[account third]\naddress = carol@example.test\nprovider = local\n"
                       "client_id = test-client\n")
    assert place.ecluse("reload").out == "reloaded\n"
    assert "third" in accounts(place)


def test_a_terminated_daemon_ends_with_0(place):
    daemon = place.start()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE) == 0, place.log()
    assert not (place.folder / "run" / "control").exists()


def test_a_killed_daemon_is_followed_by_another(place):
    daemon = place.start()
    daemon.kill()
    daemon.wait()
    assert (place.folder / "run" / "control").exists()
    one_line(place.ecluse("status"), 69, "not running")
    place.start()


def test_a_killed_daemon_is_followed_while_its_gate_still_holds_the_port(place):
    daemon = place.start()
    gate = json.loads(place.ecluse("status", "--json").out)["gates"][0]
    os.kill(gate, signal.SIGSTOP)
    daemon.kill()
    daemon.wait()
    waking = threading.Timer(0.3, os.kill, (gate, signal.SIGCONT))
    waking.start()
    place.start()
    waking.join()


def test_a_second_daemon_is_75(place):
    place.start()
    one_line(place.ecluse("run"), 75)


def test_a_port_that_is_taken_is_69(place):
    with socket.socket() as other:
        other.bind(("127.0.0.1", place.port))
        other.listen()
        result = place.ecluse("run")
    assert result.status == 69, result
    assert f"127.0.0.1:{place.port}" in result.err and "taken" in result.err, result


def test_noise_on_the_control_socket_is_survived(place):
    daemon = place.start()
    noise = random.Random(78)
    address = str(place.folder / "run" / "control")
    for _ in range(1000):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address)
            client.settimeout(PATIENCE)
            try:
                client.sendall(noise.randbytes(noise.randrange(1, 2000)))
            except OSError:
                pass  # it was closed before all was said
    assert daemon.poll() is None
    assert place.ecluse("status").status == 0


def test_idle_connections_do_not_lock_the_user_out(place):
    place.start()
    address = str(place.folder / "run" / "control")
    idle = [socket.socket(socket.AF_UNIX) for _ in range(16)]
    for client in idle:
        client.connect(address)
    assert place.ecluse("status").status == 0
    for client in idle:
        client.close()


def test_the_daemon_needs_a_free_vault(place, tmp_path_factory):
    """Two configurations, one state folder."""
    place.start()
    other = Place(tmp_path_factory.mktemp("other"))
    other.write(other.file.read_text().replace(f"{other.folder}/state", f"{place.folder}/state"))
    one_line(other.ecluse("grants"), 75)
    one_line(other.ecluse("run"), 75)


def test_the_daemon_keeps_a_token_as_long_as_it_is_good(place, endpoint):
    endpoint.answer = rotating
    place.start()
    one_line(place.ecluse("token", "work"), 77, "ecluse login work")
    assert login(place, b"r1\n").status == 0
    assert [place.ecluse("token", "work").out for _ in range(3)] == ["a1\n"] * 3
    assert len(endpoint.requests) == 1
    row = accounts(place)["work"]
    assert row["signed_in"] == "in" and row["expires"] > 0
    state = json.loads(place.ecluse("status", "--json").out)
    assert [row["needs_user"] for row in state["accounts"]] == [False, True]
    # Another sign-in takes the place of the first at once.
    assert login(place, b"r7\n").status == 0
    assert place.ecluse("token", "work").out == "a7\n"
