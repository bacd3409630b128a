"""The profile of an open public client: nothing is known of a provider but its issuer, and nobody
has registered ecluse there."""

import json
import urllib.parse

import pytest

from browser_support import Browser, Login, visit
from cli_support import one_line
from ecluse_support import ALICE, BOB
from sign_in_support import odd  # noqa: F401
from test_discovery import RFC_8414, know_by_issuer
from test_sign_in_identity import come_back

REGISTER = "/reg"


@pytest.fixture
def strangers(ecluse, rig):
    """Accounts without a client_id."""
    know_by_issuer(ecluse, rig.state["issuer"], scope="openid email mail")
    for name in ("alice", "bob"):
        for option in ("client_id", "client_secret"):
            del ecluse.sections[f"account {name}"][option]
    ecluse.set("ecluse")
    return ecluse


def sign_in(ecluse, rig, name, user):
    login = Login(ecluse, name)
    try:
        url = login.url()
        assert visit(Browser(rig).sign_in(url, user))[0] == 200
        assert login.end()[::2] == (0, "")
    finally:
        login.kill()
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


@pytest.mark.parametrize("with_daemon", [True, False])
def test_mail_is_read(strangers, rig, with_daemon):
    if with_daemon:
        strangers.start()
    rig.clear()
    first = sign_in(strangers, rig, "alice", ALICE)
    second = sign_in(strangers, rig, "bob", BOB)
    assert first["client_id"] == second["client_id"] and first["code_challenge_method"] == "S256"
    assert rig.stats()["other_requests"][REGISTER] == 1
    if not with_daemon:
        strangers.start()
    for name in ("alice", "bob"):
        strangers.grant(name)
        assert strangers.session(name).select("INBOX")[0] == "OK"
    rig.knob("expire", "all")
    rig.clear()
    assert strangers.try_login("alice").startswith("OK ")
    assert rig.refreshes() == {"ok": 1}
    result = strangers.ecluse("logout", "alice")
    assert result.status == 0 and "revoked at the provider" in result.out, result


MAIL = "urn:ietf:params:oauth:scope:mail"


@pytest.mark.parametrize("with_daemon", [True, False])
def test_mail_by_the_issuer_alone(strangers, rig, with_daemon):
    """Nobody has said which scope: it is the one of the profile."""
    del strangers.sections["provider local"]["scope"]
    strangers.set("ecluse")
    if with_daemon:
        strangers.start()
    assert sign_in(strangers, rig, "alice", ALICE)["scope"] == f"{MAIL} offline_access"
    if not with_daemon:
        strangers.start()
    strangers.grant("alice")
    rig.knob("expire", "all")
    assert strangers.session("alice").select("INBOX")[0] == "OK"
    assert rig.stats()["last"][-1]["grant"] == "refresh_token"


@pytest.mark.parametrize("offered, scope", [
    (["openid", MAIL], MAIL), (["offline_access", "urn:ietf:params:oauth:scope:contacts"], None),
    (None, None),
])
def test_what_is_asked_for_is_what_is_offered(strangers, odd, offered, scope):
    del strangers.sections["provider local"]["scope"]
    for kind in ("authorization", "token"):
        del strangers.sections["provider local"][f"{kind}_endpoint"]
        odd.document[f"{kind}_endpoint"] = f"{odd.url}/{kind}"
    strangers.set("ecluse")
    odd.document["registration_endpoint"] = f"{odd.url}{REGISTER}"
    if offered is not None:
        odd.document["scopes_supported"] = offered
    odd.say(RFC_8414, odd.document)
    odd.say(REGISTER, {"client_id": "c-1"}, 201)
    login = Login(strangers, "alice")
    try:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(login.url()).query)
    finally:
        login.kill()
    assert query.get("scope", [None]) == [scope]
    asked = {path: body for _, path, body in odd.requests}
    assert json.loads(asked[REGISTER]).get("scope") == scope


@pytest.mark.parametrize("offered, configured, proof", [
    (["client_secret_basic"], None, "basic"), (None, None, "basic"),  # RFC 8414's default
    (["client_secret_basic", "client_secret_post"], None, "post"),
    (["client_secret_basic"], "post", "post"), (["client_secret_post"], "basic", "basic"),
])
def test_how_a_secret_is_sent(ecluse, odd, offered, configured, proof):
    """By a sign-in as by a refresh of somebody who has only the issuer."""
    del ecluse.sections["provider local"]["token_endpoint"]
    ecluse.set("provider local", userinfo_endpoint=f"{odd.url}/me")
    odd.document["token_endpoint"] = f"{odd.url}/token"
    if offered is not None:
        odd.document["token_endpoint_auth_methods_supported"] = offered
    odd.say(RFC_8414, odd.document)
    odd.say("/me", {"email": ALICE})
    if configured is not None:
        ecluse.set("account alice", client_auth=configured)
    assert come_back(ecluse) == (0, "")
    ecluse.start()
    assert ecluse.access_token("alice") == "a-1"
    bodies = [urllib.parse.parse_qs(body) for _, path, body in odd.requests if path == "/token"]
    assert [body["grant_type"] for body in bodies] == [["authorization_code"], ["refresh_token"]]
    assert ["client_secret" in body for body in bodies] == [proof == "post"] * 2
    assert ("Authorization" in odd.headers["/token"]) == (proof == "basic")


def test_a_code_for_a_stranger(strangers, rig):
    """The grant of devices is one that the client has to be registered for."""
    strangers.start()
    login = Login(strangers, "alice", "--device")
    try:
        code = login.read_until(r"type this code: (\S+)")[1]
        Browser(rig).confirm_device(login.url(), code, ALICE)
        assert login.end()[::2] == (0, "")
    finally:
        login.kill()
    strangers.grant("alice")
    assert strangers.session("alice").select("INBOX")[0] == "OK"


def test_a_token_without_its_client(strangers, rig):
    """It is good for the client alone that it was given to, which nobody has named."""
    token = rig.refresh_token(ALICE)
    strangers.secrets["a refresh token of alice"] = token
    rig.clear()
    strangers.start()
    result = strangers.ecluse("login", "alice", "--refresh-token-stdin", stdin=token.encode())
    one_line(result, 78, "client_id")
    assert strangers.accounts()["alice"]["signed_in"] == "never"
    assert rig.token_requests() == 0
