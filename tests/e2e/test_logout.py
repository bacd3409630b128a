"""`ecluse logout`: the token is revoked at the provider and wiped here, whatever the provider does."""

import concurrent.futures
import urllib.parse

import pytest

from cli_support import one_line
from ecluse_support import ALICE
from scripted_issuer import ScriptedIssuer
from test_discovery import RFC_8414, know_by_issuer
from waiting import wait_until

SIGN_IN = "NO [AUTHENTICATIONFAILED] account alice must be signed in again; " \
          "sign in: ecluse login alice"
REVOKED = "alice is signed out; its token is wiped here and revoked at the provider\n"
WIPED = "alice is signed out; its token is wiped here\n"


@pytest.fixture
def issuer(rig):
    server = ScriptedIssuer(rig)
    yield server
    server.close()


def adopt(ecluse, token):
    return ecluse.ecluse("login", "alice", "--refresh-token-stdin", stdin=token.encode())


def assert_signed_out(ecluse):
    row = ecluse.accounts()["alice"]
    assert row["signed_in"] == "out" and row["expires"] is None
    assert row["last_error"] == "signed out by ecluse logout"
    one_line(ecluse.ecluse("token", "alice"), 77, "sign in: ecluse login alice")


def assert_revoked(ecluse, token):
    """The provider does not take the token any more."""
    one_line(adopt(ecluse, token), 77, "the token was refused")


def logout(ecluse):
    """What is told on stdout and stderr."""
    result = ecluse.ecluse("logout", "alice")
    assert result.status == 0, result
    return result.out, result.err


@pytest.mark.parametrize("known_by", ["endpoints", "issuer"])
@pytest.mark.parametrize("daemon", [True, False], ids=["daemon", "no daemon"])
def test_the_token_is_revoked_and_wiped(ecluse, rig, known_by, daemon):
    if known_by == "issuer":
        know_by_issuer(ecluse, rig.state["issuer"])
    else:
        ecluse.set("provider local", revocation_endpoint=rig.state["endpoints"]["revocation"])
    ecluse.ready("alice")
    token = ecluse.sign_in("alice")
    if not daemon:
        assert ecluse.stop() == 0
    rig.clear()
    assert logout(ecluse) == (REVOKED, "")
    path = urllib.parse.urlsplit(rig.state["endpoints"]["revocation"]).path
    assert rig.stats()["other_requests"][path] == 1
    assert_signed_out(ecluse)
    rig.clear()
    if not daemon:
        ecluse.start()
    assert ecluse.try_login("alice") == SIGN_IN
    assert rig.token_requests() == 0
    assert_revoked(ecluse, token)


def test_sessions_go_on_and_a_sign_in_heals(ecluse, rig):
    ecluse.set("provider local", revocation_endpoint=rig.state["endpoints"]["revocation"])
    ecluse.ready("alice", "bob")
    session = ecluse.session("alice")
    logout(ecluse)
    assert session.select("INBOX")[0] == "OK"
    assert ecluse.try_login("bob").startswith("OK ")
    assert ecluse.try_login("alice") == SIGN_IN
    ecluse.sign_in("alice")
    assert ecluse.try_login("alice").startswith("OK ")


def test_a_client_with_a_secret_says_who_it_is(ecluse, issuer):
    """And the token goes to the endpoint that is configured, and nowhere else."""
    issuer.say("/revoke", {})
    ecluse.set("provider local", revocation_endpoint=f"{issuer.url}/revoke")
    ecluse.start()
    token = ecluse.sign_in("alice")
    assert logout(ecluse) == (REVOKED, "")
    (method, path, body), = issuer.requests
    account = ecluse.sections["account alice"]
    assert (method, path) == ("POST", "/revoke")
    assert urllib.parse.parse_qs(body) == {
        "token": [token], "token_type_hint": ["refresh_token"],
        "client_id": [account["client_id"]], "client_secret": [account["client_secret"]]}


# ---- the provider does not help ----

def assert_wiped_alone(ecluse, *said):
    out, err = logout(ecluse)
    assert out == WIPED
    assert err.count("\n") == 1, err
    for part in ("could not be revoked at the provider", *said):
        assert part in err, err
    assert_signed_out(ecluse)


def test_a_provider_without_revocation(ecluse):
    ecluse.ready("alice")
    assert_wiped_alone(ecluse, "provider local has no revocation_endpoint")


def test_an_issuer_without_revocation(ecluse, rig, issuer):
    issuer.say(RFC_8414, {"issuer": issuer.url, "token_endpoint": rig.state["endpoints"]["token"]})
    know_by_issuer(ecluse, issuer.url)
    ecluse.ready("alice")
    assert_wiped_alone(ecluse, "it offers no revocation")


def test_the_provider_is_down(ecluse, rig):
    ecluse.set("provider local", revocation_endpoint=rig.state["endpoints"]["revocation"])
    ecluse.ready("alice")
    rig.kill("op")
    assert_wiped_alone(ecluse)


ANSWERS = {
    "503": (503, {}, b"", "HTTP 503"),
    "redirect": (302, {"Location": "/elsewhere"}, b"", "HTTP 302"),
    "invalid_client": (401, {}, b'{"error": "invalid_client"}', "HTTP 401 invalid_client"),
    "unknown error": (400, {}, b'{"error": "\\u001b]0;pwned\\u0007"}', "HTTP 400"),
    "1 MiB": (400, {}, b"x" * 1024 * 1024, "the answer is too long"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_the_provider_refuses(ecluse, issuer, what):
    *answer, said = ANSWERS[what]
    issuer.answers["/revoke"] = tuple(answer)
    ecluse.set("provider local", revocation_endpoint=f"{issuer.url}/revoke")
    ecluse.ready("alice")
    assert_wiped_alone(ecluse, said)
    assert issuer.paths() == ["/revoke"]


@pytest.mark.parametrize("where", ["/revoke", RFC_8414])
def test_the_provider_hangs(ecluse, rig, issuer, where):
    """It has ten seconds, and the token is wiped before they begin."""
    issuer.answers[where] = issuer.hang
    endpoints = {"token_endpoint": rig.state["endpoints"]["token"]}
    if where == "/revoke":
        ecluse.set("provider local", revocation_endpoint=f"{issuer.url}/revoke")
    else:
        ecluse.set("provider local", issuer=issuer.url, **endpoints)
    ecluse.ready("alice")
    asked = issuer.paths()  # a sign-in asks whose the token is
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ecluse.ecluse, "logout", "alice")
        wait_until(lambda: issuer.paths() == [*asked, where], "the request")
        assert ecluse.try_login("alice") == SIGN_IN
        result = waiting.result()
    assert result.status == 0 and result.out == WIPED
    assert "could not be revoked" in result.err


def test_a_stop_does_not_wait_for_it(ecluse, issuer):
    issuer.answers["/revoke"] = issuer.hang
    ecluse.set("provider local", revocation_endpoint=f"{issuer.url}/revoke")
    ecluse.ready("alice")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ecluse.ecluse, "logout", "alice")
        wait_until(issuer.paths, "the request")
        assert ecluse.stop() == 0
        assert waiting.result().status != 0
    assert_signed_out(ecluse)


# ---- nothing to sign out of ----

def test_an_account_that_never_signed_in(ecluse):
    ecluse.start()
    out, err = logout(ecluse)
    assert out == "alice is signed out; there was no token that could be revoked\n" and err == ""
    assert ecluse.accounts()["alice"]["signed_in"] == "never"


def test_twice(ecluse, rig):
    ecluse.set("provider local", revocation_endpoint=rig.state["endpoints"]["revocation"])
    ecluse.ready("alice")
    logout(ecluse)
    out, err = logout(ecluse)
    assert out == "alice is signed out; there was no token that could be revoked\n" and err == ""
    assert_signed_out(ecluse)


def test_a_password_is_wiped(ecluse, rig):
    ecluse.set("account alice", flow="none")
    for option in ("client_id", "client_secret"):
        del ecluse.sections["account alice"][option]
    ecluse.set("account alice")
    ecluse.start()
    password = rig.state["users"][ALICE]["password"]
    assert ecluse.ecluse("login", "alice", "--password-stdin",
                         stdin=password.encode()).status == 0
    assert logout(ecluse) == ("alice is signed out; its password is wiped\n", "")
    assert ecluse.accounts()["alice"]["signed_in"] == "out"


def test_an_account_without_anything(ecluse):
    ecluse.set("account alice", flow="none", password_command="echo x")
    for option in ("client_id", "client_secret"):
        del ecluse.sections["account alice"][option]
    ecluse.set("account alice")
    one_line(ecluse.ecluse("logout", "alice"), 64, "nobody signs in to it")
    one_line(ecluse.ecluse("logout", "nobody"), 65, "no such account")
    ecluse.start()
