"""A refresh token that is brought: whose it is, and who is served until that is known."""

import json
import signal
import socket
import subprocess
import threading
import urllib.parse

import pytest

from cli_support import BINARY, PATIENCE, one_line
from ecluse_support import ALICE, BOB
from sign_in_support import assert_signed_in, odd  # noqa: F401
from terminal import Terminal
from waiting import wait_until


def test_a_brought_token_of_somebody_else(ecluse, rig):
    """Where the provider tells with the access token; the one from before stays."""
    ecluse.start()
    for signed_in in ("never", "in"):
        token = rig.refresh_token(BOB)
        ecluse.secrets[f"a token of bob ({signed_in})"] = token
        result = ecluse.ecluse("login", "alice", "--refresh-token-stdin", stdin=token.encode())
        assert result.status == 77 and f"the token is that of {BOB}, but the account is {ALICE}; " \
            "it is not kept" in result.err, result
        row = ecluse.accounts()["alice"]
        assert (row["signed_in"] == "in") == (signed_in == "in"), row
        if signed_in == "never":
            ecluse.ready("alice")
    assert ecluse.try_login("alice").startswith("OK ")


def bring(ecluse, rig, user, name="alice"):
    token = rig.refresh_token(user)
    ecluse.secrets[f"a token of {user} ({len(ecluse.secrets)})"] = token
    return ecluse.ecluse("login", name, "--refresh-token-stdin", stdin=token.encode())


@pytest.fixture
def untold(ecluse, rig):
    """No id_token comes with what alice's and bob's refresh tokens bring."""
    ecluse.ready("alice")
    rig.knob("break", "no_id_token", "20", "refresh_token")
    rig.clear()
    return ecluse


@pytest.mark.parametrize("has_userinfo", [True, False])
def test_a_brought_token_that_no_id_token_names(untold, rig, has_userinfo):
    """By userinfo or by the mailbox that it has to open; the one from before stays."""
    if has_userinfo:
        untold.set("provider local", userinfo_endpoint=rig.state["endpoints"]["userinfo"])
        assert untold.ecluse("reload").status == 0
    result = bring(untold, rig, BOB)
    words = f"the token is that of {BOB}, but the account is {ALICE}; it is not kept" \
        if has_userinfo else "the provider does not tell whose the token is, and it does not open"
    one_line(result, 77, words)
    assert rig.stats()["other_requests"].get("/me", 0) == has_userinfo
    assert_signed_in(untold)
    assert untold.try_login("alice").startswith("OK ")
    result = bring(untold, rig, ALICE)
    assert result.status == 0 and result.err == "", result


def test_a_brought_token_that_cannot_be_looked_at(untold, rig):
    """It may have rotated: it is kept, and what is not known of it is said."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for protocol in ("imap", "pop3", "smtp"):
            untold.set("provider local", **{protocol: f"tls://localhost:{closed.getsockname()[1]}"})
        assert untold.ecluse("reload").status == 0
        result = bring(untold, rig, ALICE)
    assert result.status == 0 and "alice is signed in" in result.out, result
    assert result.err.count("\n") == 1 and "nobody tells whose it is, and no mail server could be " \
        "asked (" in result.err, result


def test_what_is_awaited_is_said_on_a_terminal(ecluse, rig):
    ecluse.start()
    token = rig.refresh_token(ALICE)
    ecluse.secrets["a refresh token"] = token
    terminal = Terminal([BINARY, "login", "alice", "--refresh-token-stdin", "-c", ecluse.file],
                        ecluse.environment(), ecluse.folder)
    terminal.answer("the refresh token", token)
    terminal.await_text("Trying the token at the provider .*: 4 minutes at most")
    terminal.await_text("alice is signed in")
    assert terminal.end() == 0


# ---- until it is known ----

class Undecided:
    """A token that was brought, of which userinfo does not say yet whose it is."""

    def __init__(self, ecluse, odd, token=b"brought-1"):
        self.told = threading.Event()
        self.odd = odd
        odd.answers["/me"] = self.stall
        asked = odd.paths().count("/me")
        self.process = subprocess.Popen(
            [BINARY, "login", "alice", "--refresh-token-stdin", "-c", ecluse.file],
            env=ecluse.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.process.stdin.write(token)
        self.process.stdin.close()
        self.process.stdin = None
        wait_until(lambda: odd.paths().count("/me") > asked, "the question whose it is")

    def stall(self, _):
        self.told.wait()
        return self.answer

    def tell(self, user):
        """The exit code, and what was said."""
        self.answer = 200, {}, json.dumps({"email": user}).encode()
        self.told.set()
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err.decode()

    def end(self, verdict):
        if verdict == "own":
            assert self.tell(ALICE)[0] == 0
        elif verdict == "other":
            assert self.tell(BOB)[0] == 77
        else:
            self.interrupt()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=PATIENCE)
        self.answer = 500, {}, b""
        self.told.set()


@pytest.fixture
def keyed(ecluse, odd, rig):
    """The issuer rotates, and a mailbox opens with the tokens of brought-1 and what comes of it."""
    ecluse.start()
    ecluse.grant("alice")

    def token(body):
        was = urllib.parse.parse_qs(body)["refresh_token"][0]
        name, number = was.rsplit("-", 1)
        return 200, {}, json.dumps({
            "access_token": rig.access_token(ALICE), "token_type": "Bearer", "expires_in": 3600,
            "refresh_token": f"{name}-{int(number) + 1}"}).encode()

    odd.answers["/token"] = token
    return ecluse


def tokens_asked_for(odd):
    return [urllib.parse.parse_qs(body)["refresh_token"][0] for _, path, body in odd.requests
            if path == "/token"]


WAIT = "NO [UNAVAILABLE] account alice is being signed in; try again in a moment"


def test_nobody_is_served_before_it_is_known_whose_it_is(keyed, odd):
    undecided = Undecided(keyed, odd)
    assert keyed.try_login("alice") == WAIT
    assert keyed.accounts()["alice"]["signed_in"] == "never"
    assert undecided.tell(ALICE) == (0, "")
    assert keyed.try_login("alice").startswith("OK ")
    assert tokens_asked_for(odd) == ["brought-1"]


@pytest.mark.parametrize("verdict", ["own", "other", "none"])
def test_the_earlier_token_serves_until_it_is_known_whose_it_is(keyed, odd, verdict):
    assert Undecided(keyed, odd, b"earlier-1").tell(ALICE)[0] == 0
    keyed.hang_up()
    undecided = Undecided(keyed, odd)
    assert keyed.try_login("alice").startswith("OK ")
    undecided.end(verdict)
    assert keyed.stop() == 0
    keyed.start()  # its access token is gone, and the refresh token tells which it is
    assert keyed.try_login("alice").startswith("OK ")
    assert tokens_asked_for(odd) == ["earlier-1", "brought-1",
                                     "brought-2" if verdict == "own" else "earlier-2"]


def test_ctrl_c_before_it_is_known_whose_it_is(keyed, odd):
    Undecided(keyed, odd).interrupt()
    wait_until(lambda: keyed.try_login("alice") != WAIT, "the end of the trial")
    assert "sign in: ecluse login alice" in keyed.try_login("alice")
    assert keyed.accounts()["alice"]["signed_in"] == "never"


@pytest.mark.parametrize("verdict", ["own", "other", "none"])
def test_the_token_that_is_here_already_is_not_lost_when_it_rotates(keyed, odd, verdict):
    """It is dead once it was tried: what came in its place stays, whoever has had enough."""
    assert Undecided(keyed, odd, b"earlier-1").tell(ALICE)[0] == 0
    undecided = Undecided(keyed, odd, b"earlier-2")
    assert keyed.try_login("alice").startswith("OK ")
    undecided.end(verdict)
    assert keyed.stop() == 0
    keyed.start()
    reply = keyed.try_login("alice")
    if verdict == "other":
        assert "sign in: ecluse login alice" in reply
    else:
        assert reply.startswith("OK ")
        assert tokens_asked_for(odd)[-1] == "earlier-3"
