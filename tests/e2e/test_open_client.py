"""The profile of an open public client: nothing is known of a provider but its issuer, and nobody
has registered ecluse there."""

import urllib.parse

import pytest

from browser_support import Browser, Login, visit
from cli_support import one_line
from ecluse_support import ALICE, BOB
from test_discovery import know_by_issuer

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
