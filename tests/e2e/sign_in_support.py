"""Logins of a human at the real authorization server: what the tests of sign-ins share."""

import urllib.parse

import pytest

from browser_support import Login, visit

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
