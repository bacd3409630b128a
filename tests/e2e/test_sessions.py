"""`ecluse sessions`: what is open, as real clients and octet counters see it."""

import concurrent.futures
import json
import os
import resource
import signal
import time

from cli_support import one_line
from scripted_upstream import polite
from waiting import wait_until

MANY = 500


def listed(ecluse, *arguments):
    result = ecluse.ecluse("sessions", "--json", *arguments)
    assert result.status == 0, result
    return json.loads(result.out)


def rows(ecluse, *arguments):
    return listed(ecluse, *arguments)["sessions"]


def place_of(client):
    """As the daemon writes the other end of a socket."""
    host, port = client.getsockname()
    return f"{host}:{port}"


def test_without_a_daemon_there_are_none(ecluse):
    one_line(ecluse.ecluse("sessions"), 69, "not running", "ecluse run")


def test_three_protocols_by_real_clients(ecluse):
    ecluse.ready("alice", "bob")
    imap, pop3, smtp = (ecluse.session("alice"), ecluse.pop3_session("bob"),
                        ecluse.smtp_session("alice"))
    found = {row["protocol"]: row for row in rows(ecluse)}
    assert len(found) == 3
    sockets = {"imap": imap.sock, "pop3": pop3.sock, "smtp": smtp.sock}
    for protocol, row in found.items():
        assert row["client"] == place_of(sockets[protocol])
        assert row["account"] == ("bob" if protocol == "pop3" else "alice")
        assert (row["listener"], row["grant"], row["state"]) == (protocol, "phone", "relaying")
    shown = ecluse.ecluse("sessions")
    assert shown.status == 0 and shown.err == "", shown
    head, *lines = shown.out.splitlines()
    assert head.split() == ["ACCOUNT", "GRANT", "CLIENT", "PROTOCOL", "LISTENER", "STATE", "FROM",
                            "CLIENT", "FROM", "SERVER", "AGE"]
    assert sorted(line.split()[3] for line in lines) == ["imap", "pop3", "smtp"]
    assert [row["account"] for row in rows(ecluse, "--account", "bob")] == ["bob"]
    one_line(ecluse.ecluse("sessions", "--account", "nobody"), 65, "nobody")
    # A client that goes takes its row with it.
    pop3.quit()
    wait_until(lambda: {row["protocol"] for row in rows(ecluse)} == {"imap", "smtp"}, "pop3 gone")


def test_bytes_and_ages(ecluse):
    ecluse.ready("alice")
    before = time.monotonic()
    client = ecluse.raw_session("alice")
    after = time.monotonic()
    row, = rows(ecluse)
    assert (row["client_bytes"], row["server_bytes"]) == (0, 0)
    sent = received = 0
    for _ in range(3):
        client.send("x1 NOOP\r\n")
        sent += len("x1 NOOP\r\n")
        received += len(client.line()) + len("\r\n")
    since = time.monotonic()
    row, = rows(ecluse)
    until = time.monotonic()
    assert (row["client_bytes"], row["server_bytes"]) == (sent, received)
    assert since - after - 1 <= row["age"] <= until - before


def test_who_has_not_logged_in_is_counted(ecluse):
    ecluse.ready("alice")
    first, second = ecluse.raw(), ecluse.raw(protocol="smtp")
    answer = listed(ecluse)
    assert answer["before_login"] == 2 and answer["sessions"] == []
    shown = ecluse.ecluse("sessions")
    assert "2 more have not logged in" in shown.err and shown.out.count("\n") == 1, shown
    assert place_of(first.socket) not in shown.out + shown.err
    second.close()
    wait_until(lambda: listed(ecluse)["before_login"] == 1, "one of them gone")


def test_a_login_upstream_that_takes_its_time(ecluse, upstreams):
    upstream = upstreams(lambda connection: connection.until_gone())
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    client = ecluse.raw()
    client.send(f"a LOGIN carol@example.test {ecluse.passwords['carol']}\r\n")
    upstream.wait_for(1)
    row = wait_until(lambda: rows(ecluse), "the session")[0]
    assert (row["account"], row["state"]) == ("carol", "connecting")


def test_a_session_without_a_login_has_no_grant(ecluse):
    ecluse.set("listen smtp", auth="none", account="alice")
    ecluse.start()
    ecluse.sign_in("alice")
    client = ecluse.raw(protocol="smtp")
    client.extensions()
    assert client.command("MAIL FROM:<alice@example.test>").startswith("250 ")
    row, = rows(ecluse)
    assert row["grant"] is None and row["account"] == "alice"
    assert ecluse.ecluse("sessions").out.splitlines()[1].split()[1] == "-"


def test_500_sessions_and_their_end(ecluse, upstreams):
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(MANY, (files - 300) // 2)
    upstream = upstreams(polite)
    ecluse.serve_from(upstream)
    ecluse.set("ecluse", workers=2)
    ecluse.set("listen imap", max_sessions=count + 10, max_sessions_per_account=count + 10)
    ecluse.ready("carol")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sessions = list(pool.map(lambda _: ecluse.raw_session("carol"), range(count)))
    found = rows(ecluse)
    assert sorted(row["client"] for row in found) == sorted(
        place_of(session.socket) for session in sessions)
    assert {row["state"] for row in found} == {"relaying"}
    ecluse.hang_up()
    wait_until(lambda: not rows(ecluse), "the end of all sessions")


def test_a_gate_that_hangs_is_said_and_not_waited_for(ecluse):
    ecluse.set("ecluse", workers=2)
    ecluse.ready("alice")
    clients = [ecluse.raw_session("alice") for _ in range(8)]
    gate = ecluse.gates()[0]
    os.kill(gate, signal.SIGSTOP)
    try:
        result = ecluse.ecluse("sessions", "--json")
        answer = json.loads(result.out)
        assert result.status == 0 and answer["silent_gates"] == 1, result
        assert "1 gate did not answer" in result.err
        assert len(answer["sessions"]) <= len(clients)
    finally:
        os.kill(gate, signal.SIGCONT)
    answer = listed(ecluse)
    assert answer["silent_gates"] == 0 and len(answer["sessions"]) == len(clients)
