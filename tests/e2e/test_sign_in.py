"""`ecluse login` as a human does it, at the real authorization server."""

import pytest

from browser_support import Browser, Login, visit
from ecluse_support import ALICE

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


def assert_signed_in(ecluse, name="alice"):
    assert ecluse.accounts()[name]["signed_in"] == "in"
    assert ecluse.access_token(name)


@pytest.mark.parametrize("with_daemon", [True, False])
def test_browser(human, ecluse, rig, with_daemon):
    if with_daemon:
        ecluse.start()
    login = human("alice")
    final = Browser(rig).sign_in(login.url(), ALICE)
    status, headers, page = visit(final)
    assert status == 200 and b"You may close this page" in page
    assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Connection"] == "close"
    assert login.end()[::2] == (0, "")
    assert_signed_in(ecluse)
