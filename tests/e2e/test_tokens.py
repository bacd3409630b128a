"""Access and refresh tokens: asked for once, never lost, whatever the provider answers."""

import concurrent.futures
import contextlib
import re
import sqlite3
import time

import pytest

from cli_support import BINARY, PATIENCE, one_line
from ecluse_support import ALICE, Ecluse
from scripted_upstream import polite
from terminal import Terminal
from waiting import wait_until

SIGN_IN = "NO [AUTHENTICATIONFAILED] account alice must be signed in again; " \
          "sign in: ecluse login alice"


# ---- one request for all ----

@pytest.mark.parametrize("how", ["absent", "refused"])
def test_fifty_logins_cost_one_request(ecluse, rig, how):
    """Nobody has a token yet; or all of them bring the one that the provider does not take."""
    ecluse.set("listen imap", max_sessions=100, max_sessions_per_account=100)
    ecluse.ready("alice")
    if how == "absent":
        assert ecluse.stop() == 0
        ecluse.start()
    else:
        rig.knob("expire", ALICE)
    rig.clear()
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: ecluse.try_login("alice"), range(50)))
    assert [reply[:15] for reply in replies] == ["OK [CAPABILITY "] * 50
    assert rig.refreshes() == {"ok": 1} and rig.token_requests() == 1
    status, = [row for row in ecluse.status()["accounts"] if row["name"] == "alice"]
    assert status["token_requests"] == {"absent": 1, "refused": 2}[how]  # one was the sign-in


def test_accounts_do_not_share_tokens(ecluse, rig):
    ecluse.ready("alice", "bob")
    assert ecluse.access_token("alice") != ecluse.access_token("bob")
    rig.knob("expire", ALICE)
    rig.clear()
    assert ecluse.try_login("bob").startswith("OK ") and rig.token_requests() == 0


def test_a_token_about_to_expire_is_not_given_out(ecluse, rig):
    rig.knob("lifetime", 20)  # less than what a token must still be good for
    ecluse.ready("alice")
    rig.clear()
    for count in (1, 2):
        assert ecluse.try_login("alice").startswith("OK ")
        assert rig.refreshes() == {"ok": count}


# ---- rotation ----

def test_a_rotated_token_survives_kill_9(ecluse, rig):
    """The client's OK says that the new refresh token is on disk."""
    rig.knob("rotate", "on")
    ecluse.ready("alice")
    for _ in range(3):
        rig.knob("expire", ALICE)
        assert ecluse.try_login("alice").startswith("OK ")
        ecluse.kill()
        ecluse.start()
    assert rig.refreshes() == {"ok": 4}
    assert ecluse.try_login("alice").startswith("OK ")
    assert rig.refreshes() == {"ok": 5}
    assert ecluse.accounts()["alice"]["signed_in"] == "in"


def test_a_spent_token_is_used_again(ecluse, rig):
    """The vault was put back from a copy. The server ends the whole grant, as it should."""
    rig.knob("rotate", "on")
    ecluse.ready("alice", "bob")
    vault = ecluse.folder / "state" / "vault.db"
    copy = vault.read_bytes()
    rig.knob("expire", ALICE)
    assert ecluse.try_login("alice").startswith("OK ")
    assert ecluse.stop() == 0
    vault.write_bytes(copy)
    ecluse.start()
    rig.clear()
    for _ in range(2):
        assert ecluse.try_login("alice") == SIGN_IN
    assert rig.refreshes() == {"invalid_grant": 1} and rig.token_requests() == 1
    account = ecluse.accounts()["alice"]
    assert account["signed_in"] == "out" and account["last_error"].startswith("invalid_grant")
    one_line(ecluse.ecluse("token", "alice"), 77, "ecluse login alice")
    assert ecluse.try_login("bob").startswith("OK ")
    ecluse.sign_in("alice")
    assert ecluse.try_login("alice").startswith("OK ")
    assert ecluse.accounts()["alice"]["signed_in"] == "in"


# ---- the authorization server is gone ----

def test_the_authorization_server_stops(ecluse, rig, upstreams):
    """Dovecot would have to ask it, so the mail server is a scripted one."""
    upstream = upstreams(polite)
    ecluse.serve_from(upstream, "alice")
    ecluse.serve_from(upstream, "bob")
    ecluse.start()
    ecluse.sign_in("bob")
    assert ecluse.stop() == 0  # bob's access token is gone with it
    ecluse.start()
    ecluse.ready("alice")
    ecluse.grant("bob")
    rig.kill("op")
    for _ in range(2):
        assert ecluse.try_login("alice").startswith("OK ")
        assert ecluse.try_login("bob").startswith("NO [UNAVAILABLE] ")
    rig.revive("op")
    wait_until(lambda: ecluse.try_login("bob").startswith("OK "), "bob's login")
    assert ecluse.accounts()["bob"]["signed_in"] == "in"


# ---- bad days of the token endpoint ----

NO_JSON = "the answer cannot be read as JSON"
NO_TOKEN = "there is no access token in the answer"
ODD_TOKEN = "the access token holds what a token must not hold"
# kind → what is logged and shown about it, "" where libcurl finds the words
BREAKS = {
    "500": "HTTP 500", "503": "HTTP 503", "429": "HTTP 429", "reset": "", "lost": "",
    "html": NO_JSON, "badjson": NO_JSON, "empty": NO_JSON, "huge": "",
    "redirect": "HTTP 302", "invalid_client": "invalid_client",
    "temporarily_unavailable": "HTTP 503", "no_access_token": NO_TOKEN,
    "token_cr": ODD_TOKEN, "token_lf": ODD_TOKEN, "token_ctl": ODD_TOKEN,
    "token_empty": NO_TOKEN, "token_number": "a field of the token answer has the wrong type",
    "token_type_mac": "the token is not a bearer token", "duplicate_keys": NO_JSON,
}
HARMLESS = ["no_expires_in", "no_refresh_token", "expires_in_string", "expires_in_negative",
            "expires_in_huge", "slow"]


@pytest.fixture(scope="module")
def broken(running_rig, tmp_path_factory):
    """One account for each kind, so that their pauses pass side by side: kind → what `login`, and
    a mail client at once and after the pause, were told, and what `accounts` said meanwhile."""
    rig = running_rig
    rig.reset()
    rig.knob("retry_after", 1)
    rig.knob("slow_ms", 1)
    kinds = [*BREAKS, *HARMLESS]
    people = {kind: f"user{20 + n}" for n, kind in enumerate(kinds)}
    one = Ecluse(tmp_path_factory.mktemp("broken"), rig, people.values())
    one.start()
    seen = {}
    for kind, name in people.items():
        one.grant(name)
        token = rig.refresh_token(one.address_of(name))
        one.secrets[name] = token
        rig.clear()
        rig.knob("break", kind, "1")
        login = one.ecluse("login", name, "--refresh-token-stdin", stdin=token.encode())
        seen[kind] = {"name": name, "login": login, "at once": one.try_login(name),
                      "meanwhile": one.accounts()[name], "requests": rig.token_requests(),
                      "redirects": rig.stats()["redirects_followed"]}
    for kind, name in people.items():
        last = []

        def answered():
            last[:] = [one.try_login(name)]
            return last[0].startswith("OK ")

        wait_until(answered, f"{kind}: {last}")
        seen[kind].update(after=last[0], account=one.accounts()[name])
    seen["log"] = one.log()
    yield seen
    one.finish()


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_answer_never_costs_the_token(broken, kind):
    seen = broken[kind]
    assert seen["login"].status in (75, 70, 78), seen["login"]
    assert "the token is stored" in seen["login"].err
    assert seen["at once"].startswith("NO [UNAVAILABLE] "), seen
    meanwhile = seen["meanwhile"]
    assert meanwhile["signed_in"] == "in" and meanwhile["expires"] is None, meanwhile
    assert meanwhile["last_error"] and BREAKS[kind] in meanwhile["last_error"], meanwhile
    assert BREAKS[kind] in seen["at once"]
    assert seen["requests"] == 1  # none during the pause
    assert seen["redirects"] == 0
    assert seen["after"].startswith("OK ")
    assert seen["account"]["signed_in"] == "in" and seen["account"]["last_error"] is None
    why = rf"account {seen['name']}\b.*{re.escape(BREAKS[kind])}"
    assert re.search(why, broken["log"]), why


@pytest.mark.parametrize("kind", HARMLESS)
def test_an_odd_answer_is_good_enough(broken, kind):
    seen = broken[kind]
    assert seen["login"].status == 0, seen["login"]
    assert seen["at once"].startswith("OK "), seen
    assert seen["meanwhile"]["signed_in"] == "in" and seen["meanwhile"]["last_error"] is None


def test_a_pause_is_as_long_as_the_provider_says(ecluse, rig):
    rig.knob("retry_after", 2)
    ecluse.ready("alice")
    rig.clear()
    rig.knob("expire", ALICE)
    rig.knob("break", "429", "1")
    mark = ecluse.log_size()
    began = time.monotonic()
    assert ecluse.try_login("alice").startswith("NO [UNAVAILABLE] ")
    ecluse.wait_log(r"account alice\b.*next try in 2 s", since=mark)
    wait_until(lambda: ecluse.try_login("alice").startswith("OK "), "the login after the pause")
    assert time.monotonic() - began >= 2
    assert rig.stats()["token_requests"]["refresh_token"] == {"broken:429": 1, "ok": 1}


# ---- the provider ends the grant ----

def test_invalid_grant_signs_out_and_a_sign_in_heals_it(ecluse, rig):
    ecluse.ready("alice", "bob")
    rig.knob("revoke", ALICE)
    rig.knob("expire", ALICE)
    rig.clear()
    client = ecluse.raw()
    for _ in range(3):
        assert client.login(ALICE, ecluse.passwords["alice"]) == SIGN_IN
    assert rig.refreshes() == {"invalid_grant": 1} and rig.token_requests() == 1
    assert ecluse.accounts()["alice"]["signed_in"] == "out"
    one_line(ecluse.ecluse("token", "alice"), 77, "ecluse login alice")
    assert ecluse.try_login("bob").startswith("OK ")
    ecluse.sign_in("alice")
    assert client.login(ALICE, ecluse.passwords["alice"]).startswith("OK ")
    assert ecluse.accounts()["alice"]["signed_in"] == "in"


def test_signed_out_stays_so_over_a_restart(ecluse, rig):
    ecluse.ready("alice")
    rig.knob("withdraw", ALICE)
    assert ecluse.try_login("alice") == SIGN_IN
    assert ecluse.stop() == 0
    ecluse.start()
    rig.clear()
    assert ecluse.try_login("alice") == SIGN_IN
    assert rig.token_requests() == 0


def test_a_damaged_token_needs_its_user(ecluse, rig):
    """Bob's stands in alice's place. It is not sent to anybody, and not lost."""
    ecluse.set("ecluse", notify_command=f"echo $ECLUSE_REASON >>{ecluse.folder}/notices")
    ecluse.ready("alice", "bob")
    assert ecluse.stop() == 0
    vault = ecluse.folder / "state" / "vault.db"
    with contextlib.closing(sqlite3.connect(vault)) as database, database:
        database.execute("UPDATE tokens SET refresh_token = (SELECT refresh_token FROM tokens"
                         " WHERE account = 'bob') WHERE account = 'alice'")
    ecluse.start()
    rig.clear()
    words = "the token of account alice in the vault is damaged, or was not put there by ecluse; " \
            "sign in: ecluse login alice"
    assert ecluse.try_login("alice") == f"NO [AUTHENTICATIONFAILED] {words}"
    assert ecluse.try_login("alice", protocol="pop3") == f"-ERR [AUTH] {words}"
    account = ecluse.accounts()["alice"]
    assert account["signed_in"] == "out" and "damaged" in account["last_error"]
    one_line(ecluse.ecluse("token", "alice"), 77, words)
    assert rig.token_requests() == 0
    notices = ecluse.folder / "notices"
    wait_until(notices.exists, "the notice")
    wait_until(lambda: notices.read_text() == words + "\n", "its words")
    assert ecluse.try_login("bob").startswith("OK ")
    ecluse.sign_in("alice")
    assert ecluse.try_login("alice").startswith("OK ")
    assert ecluse.accounts()["alice"]["signed_in"] == "in"


def test_a_token_that_the_provider_does_not_know_is_not_kept(ecluse, rig):
    ecluse.start()
    result = ecluse.ecluse("login", "alice", "--refresh-token-stdin", stdin=b"canary-unknown-token")
    ecluse.secrets["the unknown token"] = "canary-unknown-token"
    one_line(result, 77, "is not kept")
    assert ecluse.accounts()["alice"]["signed_in"] == "never"


def test_escapes_of_the_provider_do_not_reach_the_log(ecluse, rig):
    ecluse.ready("alice")
    rig.knob("expire", ALICE)
    rig.knob("break", "error_escape", "1")
    assert ecluse.try_login("alice") == SIGN_IN
    assert "\x1b" not in ecluse.log() and "\nforged" not in ecluse.log()
    assert "\x1b" not in ecluse.ecluse("accounts").out


def test_an_interaction_is_asked_for_and_the_token_kept(ecluse, rig):
    ecluse.ready("alice")
    rig.knob("expire", ALICE)
    rig.knob("break", "interaction_required", "1")
    reply = ecluse.try_login("alice")
    assert reply.startswith("NO [AUTHENTICATIONFAILED] ")
    assert reply.endswith("sign in: ecluse login alice")
    wait_until(lambda: ecluse.try_login("alice").startswith("OK "), "the login after the pause")


def test_a_fresh_token_that_is_refused_too_is_told_in_the_servers_words(ecluse, rig):
    """A wrong mailbox for this token: one refresh, one retry, and no loop."""
    ecluse.set("account alice", user="bob@example.test")
    ecluse.ready("alice")
    rig.clear()
    reply = ecluse.try_login("alice")
    assert reply.startswith("NO [AUTHENTICATIONFAILED] the provider refused the access token: ")
    assert rig.refreshes() == {"ok": 1}


def test_a_hanging_request_is_bounded(hanging):
    """It began as early as a test could have it."""
    out, err = hanging.login.communicate(timeout=PATIENCE * 2)
    assert hanging.login.returncode == 75 and out == b"", err
    assert b"the token is stored" in err
    assert time.monotonic() - hanging.began >= 29
    wait_until(lambda: hanging.try_login("user50").startswith("OK "), "the login afterwards")


def test_a_mail_client_of_a_hanging_request_is_told_in_time(hanging):
    assert hanging.meanwhile["signed_in"] == "in"
    reply = hanging.reply.result(PATIENCE * 2)
    assert reply.startswith("NO [UNAVAILABLE] no token for account user51 ("), reply
    account = hanging.accounts()["user51"]
    assert account["signed_in"] == "in" and account["last_error"], account
    wait_until(lambda: hanging.try_login("user51").startswith("OK "), "the login afterwards")
    assert hanging.accounts()["user51"]["last_error"] is None


# ---- long waits ----

@pytest.mark.parametrize("has_daemon", [True, False])
def test_a_long_wait_is_said_on_a_terminal_alone(ecluse, rig, has_daemon):
    """And how long it may take; not when the answer is there at once."""
    said = "Waiting for an answer, for 60 seconds at most."
    ecluse.sign_in("alice")

    def fresh():
        if has_daemon:
            assert ecluse.daemon is None or ecluse.stop() == 0
            ecluse.start()

    def ask():
        terminal = Terminal([BINARY, "token", "alice", "-c", ecluse.file], ecluse.environment(),
                            ecluse.folder)
        assert terminal.end() == 0
        terminal.close()
        return terminal.shown

    fresh()
    rig.knob("delay", 2000)
    assert ask().startswith(said + "\n")
    fresh()
    assert ecluse.ecluse("token", "alice").err == ""
    fresh()
    rig.knob("delay", 0)
    assert said not in ask()
