"""What a mail client is told, in the words of each protocol: tokens, limits, the end."""

import signal
import socket

import pytest

from cli_support import PATIENCE
from ecluse_support import ALICE
from imap_support import plain
from protocols import PROTOCOLS
from waiting import wait_until

WRONG = "wrong user name or password"
SIGN_IN = "account alice must be signed in again; sign in: ecluse login alice"
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
each_new_protocol = pytest.mark.parametrize("protocol", ["pop3", "smtp"])


def say_noop(client, protocol):
    """That its session is alive; the answer is the mail server's."""
    if protocol == "imap":
        return client.command("NOOP")[0].startswith("OK ")
    return client.command("NOOP").startswith(("+OK", "250 "))


def leave(client, protocol):
    if protocol == "imap":
        client.command("LOGOUT")
    else:
        client.command("QUIT")
    client.close()


# ---- the local login ----

@each_protocol
def test_a_wrong_password_costs_no_token_request(ecluse, rig, protocol):
    said = PROTOCOLS[protocol]
    ecluse.ready("alice", "bob")
    rig.clear()
    rig.knob("expire", ALICE)
    client = ecluse.raw(protocol=protocol)
    assert client.login(ALICE, "wrong") == said.auth + WRONG
    assert client.login("nobody@example.test", "wrong") == said.auth + WRONG
    assert client.authenticate("PLAIN", plain(ALICE, ecluse.passwords["bob"])) == said.auth + WRONG
    assert rig.token_requests() == 0 and not any(rig.stats()["introspections"].values())
    assert client.login(ALICE, ecluse.passwords["alice"]).startswith(said.logged_in)
    assert rig.refreshes() == {"ok": 1}


@each_protocol
def test_the_fifth_failure_closes(ecluse, protocol):
    said = PROTOCOLS[protocol]
    ecluse.ready("alice")
    client = ecluse.raw(protocol=protocol)
    for number in range(5):
        assert client.login(f"other{number}@example.test", "wrong") == said.auth + WRONG
    assert client.rest() == said.too_many + b"too many failed logins\r\n"


@each_protocol
@pytest.mark.parametrize("allowed", PROTOCOLS)
def test_a_grant_is_for_its_protocols(ecluse, allowed, protocol):
    ecluse.ready("alice")
    password = ecluse.grant("alice", "--protocols", allowed, client="scanner")
    said = PROTOCOLS[protocol]
    expected = said.logged_in if protocol == allowed else said.not_allowed
    assert ecluse.try_login("alice", password, protocol).startswith(expected)


@each_protocol
def test_a_listener_for_one_account(ecluse, protocol):
    ecluse.set(f"listen {protocol}", account="alice")
    ecluse.ready("alice", "bob")
    said = PROTOCOLS[protocol]
    assert ecluse.try_login("bob", protocol=protocol).startswith(said.not_allowed)
    assert ecluse.try_login("alice", protocol=protocol).startswith(said.logged_in)


# ---- tokens ----

@each_protocol
def test_a_token_that_was_killed_goes_unnoticed(ecluse, rig, protocol):
    """A refresh, and the second try on the same connection."""
    ecluse.ready("alice")
    leave(ecluse.raw_session("alice", protocol), protocol)
    rig.clear()
    rig.knob("expire", ALICE)
    client = ecluse.raw_session("alice", protocol)
    assert say_noop(client, protocol)
    assert rig.refreshes() == {"ok": 1} and rig.token_requests() == 1
    assert rig.stats()["introspections"] == {"active": 1, "inactive": 1, "error": 0}
    leave(client, protocol)
    leave(ecluse.raw_session("alice", protocol), protocol)
    assert rig.token_requests() == 1


@each_protocol
@pytest.mark.parametrize("ending", ["stays", "closes", "resets"])
def test_the_second_token(ecluse, rig, upstreams, protocol, ending):
    """On the connection on which the first was refused, or on a new one."""
    def script(connection):
        connection.handshake()
        connection.greet()
        tag = connection.read_token()
        if connection.server.connections[0] is connection:
            connection.refuse(tag)
            if ending == "resets":
                connection.reset()
            if ending != "stays":
                return
            connection.first_token = connection.token
            tag = connection.read_token()
        connection.accept(tag)
        connection.answer_commands()

    upstream = upstreams(script, protocol)
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    rig.clear()
    assert say_noop(ecluse.raw_session("carol", protocol), protocol)
    assert rig.refreshes() == {"ok": 1}
    connections = upstream.connections
    assert len(connections) == (1 if ending == "stays" else 2)
    first = connections[0].first_token if ending == "stays" else connections[0].token
    assert first != connections[-1].token == ecluse.access_token("carol")


@each_protocol
def test_a_fresh_token_that_is_refused_too(ecluse, rig, upstreams, protocol):
    """One refresh, one retry, and no loop; the server's own reason is told."""
    def script(connection):
        connection.handshake()
        connection.greet()
        for _ in range(2):
            connection.refuse(connection.read_token())
        connection.until_gone()

    upstream = upstreams(script, protocol)
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    rig.clear()
    client = ecluse.raw(protocol=protocol)
    reply = client.login("carol@example.test", ecluse.passwords["carol"])
    assert reply.startswith(PROTOCOLS[protocol].auth + "the provider refused the access token: ")
    assert reply.endswith("not with that")
    assert rig.refreshes() == {"ok": 1} and len(upstream.wait_over()) == 1


@each_protocol
def test_sign_in_needed(ecluse, rig, protocol):
    ecluse.ready("alice")
    rig.knob("withdraw", ALICE)
    rig.clear()
    client = ecluse.raw(protocol=protocol)
    said = PROTOCOLS[protocol]
    for _ in range(2):
        assert client.login(ALICE, ecluse.passwords["alice"]) == said.auth + SIGN_IN
    assert rig.refreshes() == {"invalid_grant": 1}
    ecluse.sign_in("alice")
    assert client.login(ALICE, ecluse.passwords["alice"]).startswith(said.logged_in)


@each_protocol
def test_the_authorization_server_is_down(ecluse, rig, protocol):
    ecluse.ready("alice")
    rig.knob("expire", ALICE)
    rig.kill("op")
    reply = ecluse.try_login("alice", protocol=protocol)
    assert reply.startswith(PROTOCOLS[protocol].unreachable), reply


@each_protocol
def test_the_mail_server_is_down(ecluse, protocol):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        place = f"localhost:{gone.getsockname()[1]}"
    ecluse.set("provider local", **{protocol: f"tls://{place}"})
    ecluse.ready("alice")
    said = PROTOCOLS[protocol]
    reply = ecluse.try_login("alice", protocol=protocol)
    assert reply.startswith(said.unreachable + "the mail server cannot be reached: "), reply
    # No protocol is the worse for another's.
    for other in PROTOCOLS.keys() - {protocol}:
        assert ecluse.try_login("alice", protocol=other).startswith(PROTOCOLS[other].logged_in)


# ---- the end ----

@each_protocol
def test_sigterm_tells_who_waits_and_lets_sessions_finish(ecluse, protocol):
    ecluse.set("ecluse", drain=PATIENCE)
    ecluse.ready("alice")
    said = PROTOCOLS[protocol]
    waiting, asked = ecluse.raw(protocol=protocol), ecluse.raw(protocol=protocol)
    asked.send({"imap": "a AUTHENTICATE PLAIN\r\n"}.get(protocol, "AUTH PLAIN\r\n"))
    assert asked.line() in (b"+ ", b"334 ")
    session = ecluse.raw_session("alice", protocol)
    ecluse.daemon.send_signal(signal.SIGTERM)
    assert waiting.rest() == asked.rest() == said.stopping + b"ecluse is stopping\r\n"
    assert say_noop(session, protocol)
    leave(session, protocol)
    assert ecluse.daemon.wait(PATIENCE) == 0  # long before the time is over


@each_protocol
def test_sessions_are_told_when_the_drain_time_is_over(ecluse, protocol):
    ecluse.set("ecluse", drain=1)
    ecluse.ready("alice")
    session = ecluse.raw_session("alice", protocol)
    ecluse.daemon.send_signal(signal.SIGTERM)
    assert session.rest() == PROTOCOLS[protocol].stopping + b"ecluse is stopping\r\n"
    assert ecluse.daemon.wait(PATIENCE) == 0


@each_protocol
def test_a_login_under_way_at_sigterm_is_told(ecluse, upstreams, protocol):
    upstream = upstreams(lambda connection: connection.until_gone(), protocol)
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    client = ecluse.raw(protocol=protocol)
    client.send({
        "imap": f"a LOGIN carol@example.test {ecluse.passwords['carol']}\r\n",
        "pop3": f"USER carol@example.test\r\nPASS {ecluse.passwords['carol']}\r\n",
        "smtp": b"AUTH PLAIN " + plain("carol@example.test", ecluse.passwords["carol"]) + b"\r\n",
    }[protocol])
    upstream.wait_for(1)
    ecluse.daemon.send_signal(signal.SIGTERM)
    received = client.rest()
    before = b"+OK\r\n" if protocol == "pop3" else b""
    assert received == before + PROTOCOLS[protocol].stopping + b"ecluse is stopping\r\n"
    assert ecluse.daemon.wait(PATIENCE) == 0


@each_protocol
def test_a_revoked_grant_closes_its_sessions_alone(ecluse, protocol):
    ecluse.ready("alice")
    said = PROTOCOLS[protocol]
    tablet = ecluse.grant("alice", client="tablet")
    phone = ecluse.raw_session("alice", protocol)
    other = ecluse.raw(protocol=protocol)
    assert other.login(ALICE, tablet).startswith(said.logged_in)
    assert ecluse.ecluse("revoke", "alice", "phone").status == 0
    assert phone.rest() == said.withdrawn + b"this password was revoked\r\n"
    assert say_noop(other, protocol)
    assert ecluse.try_login("alice", protocol=protocol) == said.auth + WRONG
    assert ecluse.try_login("alice", tablet, protocol).startswith(said.logged_in)


# ---- limits ----

@each_new_protocol
def test_max_sessions(ecluse, protocol):
    """Sessions are never pushed out; who comes too late is told in place of a greeting."""
    ecluse.set(f"listen {protocol}", max_sessions=2)
    ecluse.ready("alice")
    said = PROTOCOLS[protocol]
    sessions = [ecluse.raw_session("alice", protocol) for _ in range(2)]
    late = ecluse.raw(greet=False, protocol=protocol)
    assert late.rest() == said.too_many + b"too many sessions\r\n"
    assert all(say_noop(session, protocol) for session in sessions)
    leave(sessions.pop(), protocol)
    wait_until(lambda: ecluse.status()["sessions"] == 1, "the place")
    assert ecluse.try_login("alice", protocol=protocol).startswith(said.logged_in)


@each_new_protocol
def test_max_sessions_per_account(ecluse, protocol):
    ecluse.set(f"listen {protocol}", max_sessions_per_account=2)
    ecluse.ready("alice", "bob")
    said = PROTOCOLS[protocol]
    sessions = [ecluse.raw_session("alice", protocol) for _ in range(2)]
    late = ecluse.raw(protocol=protocol)
    if protocol == "pop3":
        late.command(f"USER {ALICE}")
        late.send(f"PASS {ecluse.passwords['alice']}\r\nNOOP\r\n")
    else:
        late.send(b"AUTH PLAIN " + plain(ALICE, ecluse.passwords["alice"]) + b"\r\nNOOP\r\n")
    assert late.rest() == said.too_many + b"too many sessions of account alice\r\n"
    assert ecluse.try_login("bob", protocol=protocol).startswith(said.logged_in)
    assert all(say_noop(session, protocol) for session in sessions)
    # The other protocols have places of their own.
    assert ecluse.try_login("alice").startswith("OK ")


@each_new_protocol
def test_who_waits_longest_makes_room(ecluse, protocol):
    ecluse.set(f"listen {protocol}", max_sessions=2)
    ecluse.ready("alice")
    said = PROTOCOLS[protocol]
    first, second = ecluse.raw(protocol=protocol), ecluse.raw(protocol=protocol)
    third = ecluse.raw(protocol=protocol)
    assert first.rest() == said.too_many + b"too many connections wait for their login\r\n"
    assert say_noop(second, protocol) and say_noop(third, protocol)

