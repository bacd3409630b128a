"""Clients that never send their password: offered where a grant keeps one for them, and only there."""

import base64
import hashlib
import hmac
import imaplib
import os
import signal
import socket

import pytest

from ecluse_support import ALICE, WRONG
from waiting import wait_until

CHALLENGES = ["SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5", "CRAM-MD5"]


def offered(ecluse):
    client = ecluse.imap()
    words = client.capabilities
    client.shutdown()
    return [word.removeprefix("AUTH=") for word in words if word.startswith("AUTH=")]


@pytest.fixture
def challenged(ecluse):
    """ecluse with a password of alice's that is kept, besides her usual one."""
    ecluse.ready("alice")
    ecluse.kept = ecluse.grant("alice", "--challenge", client="old")
    return ecluse


def cram(client, user, password):
    """The tagged reply to one exchange of CRAM-MD5 (RFC 2195), by hand."""
    client.send(b"c AUTHENTICATE CRAM-MD5\r\n")
    line = client.line()
    if not line.startswith(b"+ "):
        return line.removeprefix(b"c ").decode()
    digest = hmac.new(password.encode(), base64.b64decode(line[2:]), hashlib.md5).hexdigest()
    client.send(base64.b64encode(f"{user} {digest}".encode()) + b"\r\n")
    return client.until_tagged(b"c")[0]


def test_imaplib(challenged):
    client = challenged.imap()
    assert "AUTH=CRAM-MD5" in client.capabilities
    assert client.login_cram_md5(ALICE, challenged.kept)[0] == "OK"
    assert client.select("INBOX", readonly=True) == ("OK", [b"3"])


def test_offered_where_a_password_is_kept(ecluse):
    ecluse.ready("alice")
    assert offered(ecluse) == ["PLAIN", "LOGIN"]
    assert cram(ecluse.raw(), ALICE, ecluse.passwords["alice"]).startswith(("NO ", "BAD "))
    ecluse.grant("alice", "--challenge", "--protocols", "smtp", client="printer")
    ecluse.grant("alice", "--apop", client="pop")
    assert offered(ecluse) == ["PLAIN", "LOGIN"]
    ecluse.grant("alice", "--challenge", "--protocols", "imap", client="old")
    wait_until(lambda: offered(ecluse) == [*CHALLENGES, "PLAIN", "LOGIN"], "the offer")


def test_the_same_password_may_be_sent(challenged):
    assert challenged.raw().login(ALICE, challenged.kept).startswith("OK ")


def test_wrong_passwords(challenged):
    client = challenged.raw()
    assert cram(client, ALICE, "wrong") == WRONG
    assert cram(client, ALICE, challenged.passwords["alice"]) == WRONG
    assert cram(client, "nobody@example.test", challenged.kept) == WRONG
    assert cram(client, ALICE, challenged.kept).startswith("OK ")


def test_five_wrong_ones_shut_the_name(challenged):
    for _ in range(5):
        assert cram(challenged.raw(), ALICE, "wrong") == WRONG
    assert cram(challenged.raw(), ALICE, challenged.kept) == WRONG
    assert challenged.raw().login(ALICE, challenged.passwords["alice"]) == WRONG


def test_a_chosen_password(ecluse):
    ecluse.ready("alice")
    password = "pässwörd of alice"
    made = ecluse.ecluse("grant", "alice", "--name", "old", "--challenge", "--password-stdin",
                         stdin=password.encode() + b"\n")
    assert made.status == 0 and made.out == "", made
    ecluse.secrets["the chosen password"] = password
    wait_until(lambda: "CRAM-MD5" in offered(ecluse), "the offer")
    assert cram(ecluse.raw(), ALICE, password).startswith("OK ")


def test_after_a_restart(challenged):
    assert challenged.stop() == 0
    challenged.start()
    assert offered(challenged) == [*CHALLENGES, "PLAIN", "LOGIN"]
    assert cram(challenged.raw(), ALICE, challenged.kept).startswith("OK ")


def test_after_a_reload_and_a_dead_gate(challenged):
    assert challenged.ecluse("reload").status == 0
    wait_until(lambda: len(challenged.gates()) == 1, "the new gate alone")
    assert cram(challenged.raw(), ALICE, challenged.kept).startswith("OK ")
    gate, = challenged.gates()
    os.kill(gate, signal.SIGKILL)
    wait_until(lambda: challenged.gates() not in ([], [gate]), "another gate")
    assert offered(challenged) == [*CHALLENGES, "PLAIN", "LOGIN"]


def test_after_a_reload_that_fails(challenged):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{challenged.port}"
        challenged.set("listen imap", address=f"{address} 127.0.0.1:{taken.getsockname()[1]}")
        assert challenged.ecluse("reload").status == 69
        challenged.set("listen imap", address=address)
    assert cram(challenged.raw(), ALICE, challenged.kept).startswith("OK ")
    assert challenged.ecluse("revoke", "alice", "old").status == 0
    wait_until(lambda: offered(challenged) == ["PLAIN", "LOGIN"], "the offer")


def test_revoke_ends_the_session_and_the_offer(challenged):
    client = challenged.raw()
    assert cram(client, ALICE, challenged.kept).startswith("OK ")
    waiting = challenged.raw()
    assert challenged.ecluse("revoke", "alice", "old").status == 0
    assert b"BYE" in client.rest()
    wait_until(lambda: offered(challenged) == ["PLAIN", "LOGIN"], "the offer")
    assert cram(waiting, ALICE, challenged.kept).startswith(("NO ", "BAD "))


def test_imaplib_goes_on_with_another_mechanism(challenged):
    """A refused exchange leaves the connection as it was."""
    client = challenged.imap()
    with pytest.raises(imaplib.IMAP4.error):
        client.login_cram_md5(ALICE, "wrong")
    assert client.login(ALICE, challenged.passwords["alice"])[0] == "OK"
