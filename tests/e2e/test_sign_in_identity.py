"""Whose token a sign-in has brought: only the account's own is kept."""

import re
import signal
import socket
import urllib.parse

import pytest

from browser_support import Browser, Login, visit
from cli_support import id_token, one_line
from ecluse_support import ALICE, BOB, CAROL
from processes import children, is_alive
from sign_in_support import (assert_completes, assert_signed_in, changed, human, odd,  # noqa: F401
                             waiting)
from waiting import wait_until

REVOKE = "/token/revocation"


def assert_refused(login, ecluse, words):
    """And what was there before goes on."""
    status, out, err = login.end()
    assert (status, err.count("\n")) == (77, 1) and words in err, (status, out, err)
    assert "is signed in" not in out
    assert_signed_in(ecluse)


@pytest.mark.parametrize("has_id_token", [True, False])
@pytest.mark.parametrize("who, revoked", [(CAROL, 1), (BOB, 0)])
def test_somebody_else_signs_in(waiting, ecluse, rig, has_id_token, who, revoked):
    """Their token is given back, unless they have an account of their own here: it may go with
    that one's."""
    ecluse.sign_in("alice")
    ecluse.sign_in("bob")
    if not has_id_token:
        rig.knob("break", "no_id_token", "1", "authorization_code")
    rig.clear()
    assert visit(Browser(rig).sign_in(waiting.url(), who))[0] == 200
    assert_refused(waiting, ecluse, f"signed in as {who}, but the account is {ALICE}")
    asked = rig.stats()["other_requests"]
    assert asked.get(REVOKE, 0) == revoked and asked.get("/me", 0) == (not has_id_token)
    assert_signed_in(ecluse, "bob")


def test_somebody_else_types_the_code(human, ecluse, rig):
    ecluse.ready("alice")
    login = human("alice", "--device")
    code = login.read_until(r"type this code: (\S+)")[1]
    Browser(rig).confirm_device(login.url(), code, CAROL)
    assert_refused(login, ecluse, f"signed in as {CAROL}, but the account is {ALICE}")


@pytest.mark.parametrize("with_daemon", [True, False])
def test_userinfo_tells_who_signed_in(human, ecluse, rig, with_daemon):
    if with_daemon:
        ecluse.start()
    rig.knob("break", "no_id_token", "1", "authorization_code")
    rig.clear()
    login = human("alice")
    assert_completes(login, ecluse, Browser(rig).sign_in(login.url(), ALICE))
    assert rig.stats()["other_requests"]["/me"] == 1


def test_the_sasl_user_may_sign_in(human, ecluse, rig):
    """The client's user name is one that the provider does not know."""
    ecluse.set("account alice", address="old-name@example.test", user=ALICE)
    ecluse.start()
    login = human("alice")
    assert_completes(login, ecluse, Browser(rig).sign_in(login.url(), ALICE))


def test_a_shared_mailbox(human, ecluse, rig):
    """bob signs in, and the mailbox is alice's; a login as alice herself is not what is set."""
    ecluse.set("account alice", login_hint=BOB, user=ALICE)
    ecluse.start()
    login = human("alice")
    assert visit(Browser(rig).sign_in(login.url(), ALICE))[0] == 200
    status, _, err = login.end()
    assert status == 77 and f"signed in as {ALICE}, but the account is {BOB}" in err
    login = human("alice")
    assert_completes(login, ecluse, Browser(rig).sign_in(login.url(), BOB))


def test_login_hint_is_who_signs_in(human, ecluse, rig):
    ecluse.add_account("alice", login_hint=BOB)
    ecluse.start()
    login = human("alice")
    assert_completes(login, ecluse, Browser(rig).sign_in(login.url(), BOB))


# ---- the issuer's name in the answer (RFC 9207) ----

@pytest.mark.parametrize("iss, words", [
    ("https://other.example.test", "in the name of another issuer"),
    (None, "without the issuer's name"),  # which the real one's metadata says is always there
])
def test_an_answer_of_another_issuer_ends_it(waiting, ecluse, rig, iss, words):
    rig.clear()
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    assert visit(changed(final, iss=iss))[0] == 200
    status, _, err = waiting.end()
    assert status == 77 and words in err and err.count("\n") == 1
    assert rig.stats()["token_requests"] == {}
    assert ecluse.accounts()["alice"]["signed_in"] == "never"


# ---- an issuer that says odd things ----

def come_back(ecluse, **fields):
    """Exit code and words of a login to which the browser comes back with a code."""
    login = Login(ecluse, "alice", "--paste")
    try:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(login.url()).query))
        login.answer(changed(query["redirect_uri"] + "?code=c", state=query["state"], **fields))
        status, _, err = login.end()
        return status, err
    finally:
        login.kill()


@pytest.mark.parametrize("answer, status, words", [
    ({"sub": "1", "email": ALICE.upper()}, 0, ""),
    ({"sub": "1", "upn": ALICE, "email": "alias@example.test"}, 0, ""),
    ({"sub": "1", "preferred_username": "bob@elsewhere.test"}, 77,
     f"signed in as bob@elsewhere.test, but the account is {ALICE}"),
    ({"email": "\x1b[31mbob@elsewhere.test\r\n"}, 77, "[31mbob@elsewhere.test"),
])
def test_what_userinfo_says(ecluse, odd, answer, status, words):
    ecluse.start()
    odd.say("/me", answer)
    got, err = come_back(ecluse)
    assert got == status and words in err and err.count("\n") == (status != 0), (got, err)
    assert "\x1b" not in err and "\r" not in err
    assert odd.headers["/me"]["Authorization"] == "Bearer a-1"
    assert ecluse.accounts()["alice"]["signed_in"] == ("in" if status == 0 else "never")


def test_userinfo_about_somebody_else(ecluse, odd):
    """It is not about whom the id_token is about (OpenID Connect Core 5.3.2)."""
    ecluse.start()
    client = ecluse.sections["account alice"]["client_id"]
    odd.say("/token", {"access_token": "a-1", "token_type": "Bearer", "refresh_token": "r-1",
                       "id_token": id_token(sub="s-1", aud=client, iss=odd.url)})
    odd.say("/me", {"sub": "s-2", "email": ALICE})
    status, err = come_back(ecluse)
    assert status == 77 and "not about this sign-in" in err, err
    odd.say("/me", {"sub": "s-1", "email": ALICE})
    assert come_back(ecluse) == (0, "")


def test_an_issuer_that_cannot_be_asked_stops_nobody(ecluse, odd):
    """Its endpoints are in the configuration; that it has userinfo nobody knows."""
    ecluse.start()
    odd.give(ALICE)
    del odd.answers["/.well-known/oauth-authorization-server"]
    assert come_back(ecluse) == (0, "")
    ecluse.wait_log("cannot be asked for its endpoints")
    assert "/me" not in odd.paths()


@pytest.mark.parametrize("demanded, iss, status", [
    (None, None, 0), (False, None, 0), (True, None, 77), (True, "own", 0), (None, "own", 0),
    (None, "https://other.example.test", 77), (True, "own/", 77),
])
def test_the_issuer_in_the_answer(ecluse, odd, demanded, iss, status):
    ecluse.start()
    odd.say("/me", {"email": ALICE})
    if demanded is not None:
        odd.document["authorization_response_iss_parameter_supported"] = demanded
        odd.say("/.well-known/oauth-authorization-server", odd.document)
    fields = {} if iss is None else {"iss": iss.replace("own", odd.url)}
    got, err = come_back(ecluse, **fields)
    assert got == status, err
    assert ("/token" in odd.paths()) == (status == 0)


# ---- refusals, in words ----

@pytest.mark.parametrize("error, number, words", [
    ("invalid_client", 7000218, "refuses the code: the client has to prove itself (AADSTS7000218); "
                                "add client_secret, or allow public client flows"),
    ("invalid_grant", 54005, "refuses the code: the code was used before (AADSTS54005)\n"),
    ("invalid_grant", 1, "refuses the code: invalid_grant: AADSTS1: of the provider\n"),
])
def test_the_code_is_refused(ecluse, odd, error, number, words):
    ecluse.start()
    odd.say("/token", {"error": error, "error_description": f"AADSTS{number}: of the provider",
                       "error_codes": [number]}, 400)
    status, err = come_back(ecluse)
    assert status == 77 and words in err and err.count("\n") == 1, err


@pytest.mark.parametrize("error, description, words", [
    ("access_denied", "AADSTS65004: User declined to consent to access the app.",
     "the user did not consent to this program (AADSTS65004); sign in again and accept\n"),
    ("access_denied", None, "the sign-in was declined (access_denied)\n"),
    ("server_error", "of the provider", "server_error: of the provider\n"),
])
def test_the_redirect_says_no(ecluse, odd, error, description, words):
    ecluse.start()
    status, err = come_back(ecluse, code=None, error=error, error_description=description)
    assert status == 77 and f"the provider says no: {words}" in err and err.count("\n") == 1, err
    assert "/token" not in odd.paths()


# ---- nobody tells: the token has to open the mailbox ----

NOT_TOLD = "the provider does not tell who has signed in, and"


@pytest.mark.parametrize("answer", [(403, {}, b""), (200, {}, b"<html>"), (500, {}, b"{}")])
def test_userinfo_tells_nothing(ecluse, odd, answer):
    ecluse.start()
    odd.answers["/me"] = answer
    odd.give(CAROL)
    status, err = come_back(ecluse)
    assert status == 77 and NOT_TOLD in err, err
    odd.give(ALICE)
    assert come_back(ecluse) == (0, "")


@pytest.mark.parametrize("with_daemon", [True, False])
def test_the_owner_of_the_mailbox(human, ecluse, rig, with_daemon):
    """By the real server, which gives no id_token for this scope."""
    ecluse.set("provider local", scope="mail")
    if with_daemon:
        ecluse.start()
    rig.clear()
    login = human("alice")
    assert_completes(login, ecluse, Browser(rig).sign_in(login.url(), ALICE))
    assert rig.refreshes() == ({} if with_daemon else {"ok": 1})


@pytest.mark.parametrize("way", [[], ["--device"]])
def test_somebody_whom_nobody_names(human, ecluse, rig, way):
    ecluse.set("provider local", scope="mail")
    ecluse.ready("alice", "bob")
    rig.clear()
    login = human("alice", *way)
    if way:
        code = login.read_until(r"type this code: (\S+)")[1]
        Browser(rig).confirm_device(login.url(), code, BOB)
    else:
        assert visit(Browser(rig).sign_in(login.url(), BOB))[0] == 200
    assert_refused(login, ecluse, f"{NOT_TOLD} the token does not open the mailbox of alice (localhost")
    assert rig.stats()["other_requests"].get(REVOKE, 0) == 0  # it may be anybody's
    assert ecluse.try_login("bob").startswith("OK ")


def test_a_mailbox_of_somebody_else(human, ecluse, rig):
    """A user of the mailbox is named, and it is his token that opens it."""
    ecluse.set("provider local", scope="mail")
    ecluse.set("account alice", login_hint=BOB, user=BOB)
    ecluse.start()
    login = human("alice")
    assert_completes(login, ecluse, Browser(rig).sign_in(login.url(), BOB))


def test_servers_are_asked_in_turn(human, ecluse, rig):
    """Nobody answers for IMAP; SMTP will do, and if that says no, it is no."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ecluse.set("provider local", scope="mail", imap=f"tls://localhost:{closed.getsockname()[1]}")
        ecluse.start()
        login = human("alice")
        assert visit(Browser(rig).sign_in(login.url(), BOB))[0] == 200
        status, _, err = login.end()
        assert status == 77 and NOT_TOLD in err, err
        login = human("alice")
        assert_completes(login, ecluse, Browser(rig).sign_in(login.url(), ALICE))


@pytest.mark.parametrize("fault", ["nobody there", "another name", "no such name"])
def test_no_server_can_be_asked(human, ecluse, rig, fault):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = {"nobody there": f"localhost:{closed.getsockname()[1]}",
                 "another name": f"127.0.0.3:{rig.ports['imaps']}",
                 "no such name": "mail.invalid:993"}[fault]
        ecluse.sections["provider local"].pop("pop3")
        ecluse.sections["provider local"].pop("smtp")
        ecluse.set("provider local", scope="mail", imap=f"tls://{place}")
        ecluse.start()
        ecluse.sign_in("alice")
        login = human("alice")
        assert visit(Browser(rig).sign_in(login.url(), ALICE))[0] == 200
        status, _, err = login.end()
        assert status == 75 and "cannot be tried" in err and err.count("\n") == 1, err
        assert_signed_in(ecluse)  # as before


def test_a_server_that_is_silent_is_left(human, ecluse, rig, upstreams):
    """Ctrl-C ends the sign-in, and the process that tries the token."""
    server = upstreams(lambda connection: connection.until_gone())
    ecluse.sections["provider local"].pop("pop3")
    ecluse.sections["provider local"].pop("smtp")
    ecluse.set("provider local", scope="mail", imap=f"tls://localhost:{server.port}")
    ecluse.start()
    login = human("alice")
    assert visit(Browser(rig).sign_in(login.url(), ALICE))[0] == 200
    trial = wait_until(lambda: trials(ecluse), "the process of the trial")
    wait_until(lambda: filters(trial[0]) > filters(ecluse.daemon.pid), "its confinement")
    login.process.send_signal(signal.SIGINT)
    login.end()
    wait_until(lambda: not any(map(is_alive, trial)), "its end")


def filters(pid):
    """Of system calls, each of which comes on top of what a process inherits."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"Seccomp_filters:\s*(\d+)", file.read())[1])


def trials(ecluse):
    """Processes that try a token; nothing of it is in what everybody can see of them."""
    found = []
    for pid in children(ecluse.daemon.pid):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if file.read() == b"ecluse\0try\0":
                found.append(pid)
    return found


def test_try_is_of_no_use_by_hand(ecluse):
    for text in (b"", b"{", b"[]\n", b"{}\n{}\n"):
        one_line(ecluse.ecluse("try", stdin=text), 64, "try: ")
    assert ecluse.ecluse("try", stdin=b"{}\n").out.startswith("unknown ")
    assert not re.search(r"(?m)^\s*try\b", ecluse.ecluse("help").out)


# ---- later ----

def test_a_token_that_is_found_to_be_somebody_else_s(ecluse, rig):
    """Not by a login: the configuration says now that it is somebody else who should have signed
    in. Nobody gets it, its user is told, and nothing is lost when it was the configuration."""
    told = ecluse.folder / "told"
    ecluse.set("ecluse", notify_command=f"printenv ECLUSE_REASON > {told}")
    ecluse.ready("alice")
    ecluse.hang_up()
    ecluse.set("account alice", user=ALICE, login_hint=BOB)
    assert ecluse.ecluse("reload").status == 0
    reply = ecluse.try_login("alice")
    assert reply.startswith("NO [AUTHENTICATIONFAILED]") and "sign in: ecluse login alice" in reply
    assert f"that of {ALICE}" in ecluse.accounts()["alice"]["last_error"]
    wait_until(lambda: told.exists() and f"the token of account alice is that of {ALICE}" in
               told.read_text(), "the notice")
    rig.clear()
    ecluse.try_login("alice")
    assert rig.refreshes() == {}  # until something changes
    ecluse.set("account alice", login_hint=ALICE)
    assert ecluse.ecluse("reload").status == 0
    assert ecluse.try_login("alice").startswith("OK ")
