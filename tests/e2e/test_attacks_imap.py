"""What hostile clients, web pages and neighbours have done to others; the numbers are those of the
attack catalogue. After each attack the same processes must still serve their users.
"""

import base64
import concurrent.futures
import os
import random
import socket
import subprocess
import sys

import pytest

from attack_support import SIZES, side_by_side
from cli_support import PATIENCE
from ecluse_support import ALICE, CAROL, WRONG
from imap_support import RawImap, plain
from processes import resident
from scripted_upstream import polite
from waiting import wait_until

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user: run as root")


# ---- hostile clients: memory and time ----

@SIZES
@pytest.mark.parametrize("text", [b"a NOOP " + b"(" * 4000, b"a NOOP " + b"(((" * 1300 + b")))",
                                  b"a LOGIN {4000}\r\n" + b"x" * 3999, b"a AUTHENTICATE PLAIN "
                                  + b"QUJD" * 1000], ids=["open", "nested", "literal", "sasl"])
def test_25_a_thousand_unfinished_commands(unharmed, text):
    gate = unharmed.gates()[0]
    clients = []
    for _ in range(1000):
        client = socket.create_connection(("127.0.0.1", unharmed.port), PATIENCE)
        client.sendall(text)
        clients.append(client)
    assert unharmed.try_login("alice").startswith("OK ")
    assert resident(gate) < 64 * 1024
    for client in clients:
        client.close()


@pytest.mark.parametrize("text", [b"a NOOP " + b"(" * 64, b"x" * 64, b"\x80\xff" * 32,
                                  b"a AUTHENTICATE PLAIN " + b"QUJD" * 16])
def test_28_endless_line_of_the_client(unharmed, text):
    client = unharmed.raw()
    sent = 0
    try:
        while sent < 1 << 30:
            sent += client.socket.send(text * 1000)
    except ConnectionError:
        pass
    assert sent < 64 << 20
    assert client.rest() in (b"* BYE line too long\r\n", b"")  # a reset may have overtaken it


@SIZES
def test_34_aborted_exchanges_leave_nothing(unharmed):
    def abort(rounds):
        for number in range(rounds):
            client = RawImap(unharmed.port)
            client.send(b"a AUTHENTICATE PLAIN\r\n")
            assert client.line() == b"+ "
            if number % 2:
                client.send(b"*\r\n")
                assert client.line() == b"a BAD authentication cancelled"
            client.close()

    def sizes():
        return sum(resident(pid) for pid in unharmed.processes)

    abort(300)
    before = sizes()
    abort(700)
    assert sizes() - before < 512


def test_44_slow_loris(unharmed):
    """More connections than there are places, none of which says anything: a user gets in."""
    trickle = [unharmed.raw() for _ in range(100)]
    for client in trickle:
        try:
            client.send(b"a")
        except ConnectionError:
            pass  # it had to make room
    for _ in range(3):
        assert unharmed.try_login("alice").startswith("OK ")
    assert b"* BYE [LIMIT] too many connections wait for their login\r\n" == trickle[0].rest()


def test_44_a_token_request_that_hangs(hanging, unharmed):
    assert unharmed.try_login("alice").startswith("OK ")
    hanging.grant("user50", client="tablet")  # its own daemon answers, too
    assert hanging.login.poll() is None


# ---- hostile clients: SASL ----

@pytest.mark.parametrize("message", [b"!!!!", b"AGFs=", b"A", b"AGFsaWNl\0", b"=", b"=AAA",
                                     b"QUJD QUJD"])
def test_33_bad_base64_is_the_senders_problem(unharmed, message):
    attacker, user = unharmed.raw(), unharmed.raw()
    attacker.send(b"a AUTHENTICATE PLAIN\r\n")
    assert attacker.line() == b"+ "
    user.send(f"b LOGIN {ALICE} ")
    attacker.send(message + b"\r\n")
    assert attacker.until_tagged(b"a")[0].startswith("BAD ")
    user.send(f"{unharmed.passwords['alice']}\r\n")
    assert user.until_tagged(b"b")[0].startswith("OK ")
    assert attacker.login(ALICE, unharmed.passwords["alice"]).startswith("OK ")


LEAVING = {
    "greeting": [], "command": [b"a LOG"], "literal": [b"a LOGIN {20}\r\n"],
    "in the literal": [b"a LOGIN {20+}\r\nabc"], "challenge": [b"a AUTHENTICATE PLAIN\r\n"],
    "in the answer": [b"a AUTHENTICATE PLAIN\r\n", b"AGFs"],
    "second challenge": [b"a AUTHENTICATE LOGIN\r\n", b"YWxpY2VAZXhhbXBsZS50ZXN0\r\n"],
    "refusal": [b"a LOGIN nobody wrong\r\n"],
    "pipelined": [b"a LOGIN nobody wrong\r\nb NOOP\r\n" * 9],
}


@pytest.mark.parametrize("how", ["close", "reset"])
def test_35_leaving_in_the_midst_of_it(unharmed, how):
    for said in LEAVING.values():
        for _ in range(5):
            client = RawImap(unharmed.port)
            for piece in said:
                client.send(piece)
            getattr(client, how)()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("stage", ["connected", "greeted", "asked", "refused", "relayed"])
def test_35_leaving_while_we_log_in_upstream(serve, unharmed, stage, how):
    def script(connection):
        if stage == "connected":
            connection.until_gone()
        connection.handshake()
        if stage == "greeted":
            connection.send("* OK hello\r\n")
            connection.until_gone()
        connection.greet()
        tag = connection.read_token()
        if stage == "refused":
            connection.send("+ eyJzdGF0dXMiOiI0MDEifQ==\r\n")
        elif stage == "relayed":
            connection.accept(tag)
            connection.send(b"* 1 FETCH (BODY[] {1000000}\r\n" + b"x" * 500_000)
        connection.until_gone()

    upstream = serve(script)
    for count in range(1, 6):
        client = RawImap(unharmed.port)
        client.send(f"a LOGIN {CAROL} {unharmed.passwords['carol']}\r\n")
        connection = upstream.wait_for(count)[-1]
        marks = {"connected": lambda: connection.raw, "greeted": lambda: connection.plain,
                 "asked": lambda: connection.token, "refused": lambda: connection.token,
                 "relayed": lambda: connection.token}
        wait_until(marks[stage], stage)
        getattr(client, how)()
        upstream.wait_over()
    wait_until(lambda: unharmed.status()["sessions"] == 0, "no session left")


def sessions_of(one, name):
    return next(row["sessions"] for row in one.status()["accounts"] if row["name"] == name)


def test_36_too_many_sessions_of_an_account(ecluse):
    ecluse.set("listen imap", max_sessions_per_account=2)
    ecluse.ready("alice", "bob")
    sessions = [ecluse.raw_session("alice") for _ in range(2)]
    for _ in range(3):
        client = ecluse.raw()
        client.send(f"a LOGIN {ALICE} {ecluse.passwords['alice']}\r\nb NOOP\r\n")
        assert client.rest().startswith(b"* BYE [LIMIT] too many sessions of account alice\r\n")
    assert ecluse.try_login("bob").startswith("OK ")
    assert [session.command("NOOP")[0][:3] for session in sessions] == ["OK "] * 2
    sessions[0].command("LOGOUT")
    wait_until(lambda: sessions_of(ecluse, "alice") == 1, "the place to be free again")
    assert ecluse.try_login("alice").startswith("OK ")


def test_38_failures_leave_no_credentials_behind(fresh):
    good = fresh.passwords["alice"]
    for last in ("PLAIN", "LOGIN", "command"):
        client = fresh.raw()
        assert client.authenticate("PLAIN", plain("nobody", good)) == WRONG
        client.send(b"x AUTHENTICATE LOGIN\r\n")
        client.line()
        client.send(base64.b64encode(ALICE.encode()) + b"\r\n")
        client.line()
        client.send(b"*\r\n")
        assert client.line() == b"x BAD authentication cancelled"
        # The user of the exchange before must not be used again, nor its password.
        assert client.authenticate("LOGIN", b"", base64.b64encode(good.encode())).startswith("NO ")
        if last == "PLAIN":
            reply = client.authenticate("PLAIN", plain(ALICE, good), initial=True)
        elif last == "LOGIN":
            reply = client.authenticate("LOGIN", base64.b64encode(ALICE.encode()),
                                        base64.b64encode(good.encode()))
        else:
            reply = client.login(ALICE, good)
        assert reply.startswith("OK "), (last, reply)


def encoded(raw):
    return base64.b64encode(raw)


def plain_messages(password):
    user, word = ALICE.encode(), password.encode()
    return {
        "empty": b"", "one NUL": b"\0", "two NULs": b"\0\0", "no NUL": user + word,
        "one NUL between": user + b"\0" + word, "three NULs": b"\0" + user + b"\0" + word + b"\0",
        "junk behind": b"\0" + user + b"\0" + word + b"\0junk", "no user": b"\0\0" + word,
        "no password": b"\0" + user + b"\0", "other identity": b"bob\0" + user + b"\0" + word,
        "longest user": b"\0" + b"u" * 8000 + b"\0" + word,
        "longest password": b"\0" + user + b"\0" + b"p" * 9000,
        "cap": b"\0" + user + b"\0" + b"p" * (9216 - len(user) - 2),
    }


def test_39_plain_messages_of_all_shapes(fresh):
    def attempt(shape):
        (name, message), initial = shape
        client = RawImap(fresh.port)
        # An initial response of nothing is "=" (RFC 4959).
        coded = encoded(message) or (b"=" if initial else b"")
        reply = client.authenticate("PLAIN", coded, initial=initial)
        client.close()
        return name, reply

    messages = plain_messages(fresh.passwords["alice"]).items()
    shapes = [(item, initial) for item in messages for initial in (False, True)
              if not initial or len(item[1]) < 6000]
    for name, reply in side_by_side(attempt, shapes):
        assert reply.startswith(("NO [AUTHENTICATIONFAILED] ", "BAD ")), (name, reply)


def test_39_the_identity_may_be_said_twice(unharmed):
    good = f"{ALICE}\0{ALICE}\0{unharmed.passwords['alice']}".encode()
    assert unharmed.raw().authenticate("PLAIN", encoded(good)).startswith("OK ")


def test_39_a_message_beyond_the_cap(unharmed):
    client = unharmed.raw()
    client.send(b"a AUTHENTICATE PLAIN\r\n")
    client.line()
    client.send(b"QUJD" * 4000 + b"\r\n")
    assert client.rest() == b"* BYE line too long\r\n"


def test_42_messages_of_nothing(fresh):
    client = fresh.raw()
    assert client.command("AUTHENTICATE PLAIN =")[0].startswith("BAD ")
    assert client.authenticate("PLAIN", b"").startswith("BAD ")
    client = fresh.raw()
    assert client.authenticate("LOGIN", b"", b"").startswith(("BAD ", "NO "))
    client.send(b"x AUTHENTICATE LOGIN =\r\n")
    line = client.line()
    while line.startswith(b"+"):
        client.send(b"\r\n")
        line = client.line()
    assert line.startswith((b"x BAD ", b"x NO ")), line
    assert client.command('LOGIN "" ""')[0].startswith(("BAD ", "NO "))


@pytest.mark.parametrize("way", ["command", "PLAIN"])
def test_45_a_user_name_of_two_lines(unharmed, way):
    good = unharmed.passwords["alice"].encode()
    names = (b"alice@example.test\r\n", b"alice\r\n@example.test", b"x\r\nb NOOP",
             b"alice@example.test\t", b"\x7falice@example.test", b"\x01auth=Bearer x\x01\x01")

    def attempt(name):
        client = RawImap(unharmed.port)
        if way == "PLAIN":
            reply = client.authenticate("PLAIN", plain(name, good))
        else:
            client.send(b"a LOGIN {%d+}\r\n%s %s\r\n" % (len(name), name, good))
            reply, before = client.until_tagged(b"a")
            assert before == [], (name, before)
        client.close()
        return reply

    for name, reply in zip(names, side_by_side(attempt, names)):
        assert reply.startswith(("NO [AUTHENTICATIONFAILED] ", "BAD ")), (name, reply)


def test_53_nobody_writes_lines_into_the_log(unharmed):
    """The look at each line of the log follows the test: printable, and with its date."""
    names = (b'x\n{"event":{"action":"client-auth","outcome":"success"}}', b"\x1b[2J\x1b[31mred",
             b"2026-01-01T00:00:00Z info  keeper: forged", b"\xc2\x9b31m\xe2\x80\xae", b"%s%n\\")

    def attempt(name):
        client = RawImap(unharmed.port)
        client.send(b"a LOGIN {%d+}\r\n%s x\r\n" % (len(name), name))
        reply = client.until_tagged(b"a")[0]
        client.send(name + b" " + name + b"\r\nGET /" + name + b" HTTP/1.1\r\n")
        client.rest()
        client.close()
        return reply

    for reply in side_by_side(attempt, names):
        assert reply.startswith(("NO ", "BAD ")), reply
    log = unharmed.log()
    assert "\x1b" not in log and "\n{" not in log and "\n2026-01-01" not in log


def test_55_a_line_end_inside_quotes(unharmed):
    client = unharmed.raw()
    client.send(b'a SELECT "in\nb LOGOUT\r\n')
    assert client.line().startswith(b"a BAD ")
    client = unharmed.raw()
    client.send(b'a LOGIN "' + ALICE.encode() + b'\r\n" x\r\n')
    assert client.line().startswith(b"a BAD ")
    client = unharmed.raw()
    client.send(b"a LOGIN alice\r" + b"@example.test x\r\n")
    assert client.line().startswith(b"a BAD ")


def test_59_format_strings_are_words(unharmed):
    words = "%n%s%x%p%100000d"
    client = unharmed.raw()
    assert client.login(words, words) == WRONG
    assert client.authenticate("PLAIN", plain(words, words)) == WRONG
    client.send(f"{words} NOOP\r\n")
    assert client.line() == b"* BAD invalid tag"


# ---- neighbours ----

STRANGER = """
import socket, struct, sys
port, rounds, mode = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
for _ in range(rounds):
    client = socket.create_connection(("127.0.0.1", port), 30)
    client.settimeout(30)
    if mode == "wait":
        received = b""
        try:
            while data := client.recv(4096):
                received += data
        except ConnectionError:
            pass
        sys.stdout.write(f"{len(received)}\\n")
    else:
        client.send(b"a LOGIN x y\\r\\n")
        if mode == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
"""


def be_a_stranger(port, rounds, mode):
    done = subprocess.run([sys.executable, "-I", "-c", STRANGER, str(port), str(rounds), mode],
                          capture_output=True, text=True, user=65534, group=65534, extra_groups=[],
                          cwd="/", timeout=PATIENCE * 2)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@AS_ROOT
def test_62_another_user(unharmed):
    mark = unharmed.log_size()
    assert be_a_stranger(unharmed.port, 3, "wait") == ["0"] * 3
    unharmed.wait_log("peer-rejected .*user id 65534", since=mark)
    assert "session-open" not in unharmed.log_since(mark)


@AS_ROOT
def test_62_another_user_where_all_may(ecluse):
    ecluse.set("ecluse", peer="any")
    ecluse.start()
    mark = ecluse.log_size()
    be_a_stranger(ecluse.port, 1, "close")
    ecluse.wait_log("session-open", since=mark)


@AS_ROOT
@pytest.mark.parametrize("mode", ["close", "reset"])
def test_63_another_user_who_has_left_already(unharmed, mode):
    """A socket that is gone has no owner: it is nobody's friend."""
    mark = unharmed.log_size()
    be_a_stranger(unharmed.port, 200, mode)
    unharmed.wait_log("peer-rejected", since=mark)
    assert "session-open" not in unharmed.log_since(mark)


# ---- accounts ----

@pytest.mark.parametrize("life", ["live", "expired"])
def test_70_a_wrong_password_moves_nothing(fresh, rig, life):
    """GHSA-9wgg-m99q-hhfc: the token of the victim must not even be refreshed."""
    if life == "expired":
        rig.knob("expire", ALICE)
    rig.clear()
    before = fresh.accounts()["alice"]
    client = fresh.raw()
    good = fresh.passwords["alice"]
    for wrong in (good[:-1], good + "x", good.upper()):
        assert client.login(ALICE, wrong) == WRONG
    assert rig.token_requests() == 0 and fresh.accounts()["alice"] == before
    assert client.login(ALICE, good).startswith("OK ")
    assert rig.token_requests() == (life == "expired")


def test_71_names_that_look_alike(ecluse, upstreams):
    upstream = upstreams(polite)
    del ecluse.sections["account alice"]
    ecluse.serve_from(upstream, "lower")
    ecluse.set("account lower", address=ALICE)
    ecluse.add_account("upper", provider="of-lower", address="Alice@example.test",
                       user="bob@example.test")
    ecluse.start()
    for name, user in (("lower", ALICE), ("upper", "bob@example.test")):
        ecluse.sign_in(name, user)
        ecluse.grant(name)
        session = ecluse.raw_session(name)
        assert session.command("NOOP")[0] == f"OK NOOP completed for {user}"
    tokens = upstream.tokens()
    assert tokens == [ecluse.access_token("lower"), ecluse.access_token("upper")]
    assert len(set(tokens)) == 2

    names = ("ALICE@example.test", "alice@example.test ", " alice@example.test", "alice",
             "\u0430lice@example.test", "alice@example.test.", "alice@\u0435xample.test")

    def attempt(name, password):
        client = RawImap(ecluse.port)
        reply = client.login(name, password)
        client.close()
        return reply

    upper, lower = ecluse.passwords["upper"], ecluse.passwords["lower"]
    crossed = [(ALICE, upper), ("Alice@example.test", lower), *((name, lower) for name in names)]
    assert side_by_side(attempt, *zip(*crossed)) == [WRONG] * len(crossed)


def test_71_a_password_is_for_its_account(ecluse):
    ecluse.ready("alice", "bob")
    assert ecluse.try_login("alice", ecluse.passwords["bob"]) == WRONG
    assert ecluse.try_login("bob", ecluse.passwords["alice"]) == WRONG


def test_73_tags_from_hell(unharmed):
    for tag in (b"a\0b", b"%x", b"%n%n", b"{5}", b"(", b'"a"', b"a*", b"x" * 33, b"+", b"*", b""):
        client = unharmed.raw()
        client.send(tag + b" NOOP\r\n")
        assert client.line() == b"* BAD invalid tag", tag
    client = unharmed.raw()
    client.send(b"1.a_b-c] NOOP\r\n")
    assert client.line() == b"1.a_b-c] OK NOOP completed"


def test_74_a_session_is_never_another_users(ecluse, upstreams):
    upstream = upstreams(polite)
    ecluse.serve_from(upstream, "alice")
    ecluse.set("account bob", provider="of-alice")
    ecluse.ready("alice", "bob")
    for name in ("alice", "bob", "alice", "bob"):
        session = ecluse.raw_session(name)
        assert session.command("NOOP")[0] == f"OK NOOP completed for {name}@example.test"
        session.command("LOGOUT")
        upstream.wait_over()
    assert [c.user for c in upstream.connections] == ["alice@example.test", "bob@example.test"] * 2
    assert all(c.commands[-1].endswith(b"LOGOUT") for c in upstream.connections)


def test_78_noise_on_the_control_socket_touches_no_session(unharmed):
    noise = random.Random(78)
    session = unharmed.raw_session("alice")
    address = str(unharmed.folder / "run" / "control")

    def shout(_):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            try:
                client.connect(address)
                client.sendall(noise.randbytes(noise.randrange(1, 5000)))
            except (ConnectionError, BlockingIOError):
                pass  # closed before all was said, or no place

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(shout, range(300)))
    assert session.command("NOOP")[0].startswith("OK ")
    assert unharmed.ecluse("status").status == 0
