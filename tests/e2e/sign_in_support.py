"""Logins of a human at the real authorization server: what the tests of sign-ins share."""

import urllib.parse

import pytest

from browser_support import Login, visit
from scripted_issuer import ScriptedIssuer

SCOPE = "openid email mail"


@pytest.fixture
def human(ecluse, rig):
    """Starts a login, with the daemon or without; whatever is still waiting is ended."""
    logins = []
    ecluse.add_provider("local", scope=SCOPE, issuer=rig.state["issuer"],
                        device_authorization_endpoint=rig.state["endpoints"]["device_authorization"])

    def login(*arguments):
        logins.append(Login(ecluse, *arguments))
        return logins[-1]

    yield login
    for one in logins:
        one.kill()


@pytest.fixture
def odd(ecluse, rig):
    """One that gives tokens without an id_token, and whose accounts sign in there."""
    server = ScriptedIssuer(rig)
    server.document = {"issuer": server.url, "userinfo_endpoint": f"{server.url}/me"}
    server.say("/.well-known/oauth-authorization-server", server.document)
    server.say("/token", {"access_token": "a-1", "token_type": "Bearer", "refresh_token": "r-1"})

    def give(user):
        """An access token that is good for that user's mail."""
        server.say("/token", {"access_token": rig.access_token(user), "token_type": "Bearer",
                              "refresh_token": "r-1"})
    server.give = give
    ecluse.set("provider local", issuer=server.url, scope="mail",
               authorization_endpoint=f"{server.url}/auth", token_endpoint=f"{server.url}/token")
    yield server
    server.close()


@pytest.fixture
def waiting(human, ecluse):
    """A login by the browser, at a running daemon, before anybody has come back."""
    ecluse.start()
    login = human("alice")
    login.url()
    return login


def changed(url, **fields):
    """The URL with other values in its query; None takes a field out."""
    place = urllib.parse.urlsplit(url)
    query = {**dict(urllib.parse.parse_qsl(place.query)), **fields}
    query = {name: value for name, value in query.items() if value is not None}
    return place._replace(query=urllib.parse.urlencode(query)).geturl()


def assert_signed_in(ecluse, name="alice"):
    assert ecluse.accounts()[name]["signed_in"] == "in"
    assert ecluse.access_token(name)


def assert_completes(login, ecluse, final):
    assert visit(final)[0] == 200
    assert login.end()[::2] == (0, "")
    assert_signed_in(ecluse)
