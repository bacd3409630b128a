"""A provider of which only the issuer is known, real and scripted."""

import concurrent.futures

import pytest

from cli_support import one_line
from ecluse_support import ALICE
from scripted_issuer import ScriptedIssuer

RFC_8414 = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"


def know_by_issuer(ecluse, issuer, **more):
    """The provider's endpoints are not in the configuration any more."""
    provider = ecluse.sections["provider local"]
    del provider["authorization_endpoint"], provider["token_endpoint"]
    ecluse.set("provider local", issuer=issuer, **more)


@pytest.fixture
def issuer(rig):
    server = ScriptedIssuer(rig)
    yield server
    server.close()


def login(ecluse, token="canary-of-discovery"):
    ecluse.secrets["token"] = token
    return ecluse.ecluse("login", "alice", "--refresh-token-stdin", stdin=token.encode())


# ---- the real one ----

def test_mail_is_read_with_the_issuer_alone(ecluse, rig):
    know_by_issuer(ecluse, rig.state["issuer"])
    ecluse.ready("alice", "bob")
    rig.knob("expire", "all")
    rig.clear()
    for name in ("alice", "bob"):
        assert ecluse.session(name).select("INBOX")[0] == "OK"
    assert rig.refreshes() == {"ok": 2}
    asked = {path: count for path, count in rig.stats()["other_requests"].items()
             if "well-known" in path}
    assert asked == {}, "it was known from the sign-ins"


def test_the_issuer_is_asked_once_for_all_who_wait(ecluse, rig):
    know_by_issuer(ecluse, rig.state["issuer"])
    ecluse.set("listen imap", max_sessions=100, max_sessions_per_account=100)
    ecluse.ready("alice", "bob")
    assert ecluse.stop() == 0
    ecluse.start()
    rig.clear()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda n: ecluse.try_login(["alice", "bob"][n % 2]), range(20)))
    assert all(reply.startswith("OK ") for reply in replies), replies
    assert rig.refreshes() == {"ok": 2}
    asked = {path: count for path, count in rig.stats()["other_requests"].items()
             if "well-known" in path}
    assert sum(asked.values()) == 1, asked


def test_without_a_daemon(ecluse, rig):
    know_by_issuer(ecluse, rig.state["issuer"])
    token = rig.refresh_token(ALICE)
    assert login(ecluse, token).status == 0
    assert ecluse.ecluse("token", "alice").status == 0
    assert rig.refreshes() == {"ok": 2}
    ecluse.start()


# ---- documents ----

def test_the_document_of_openid_connect_will_do(ecluse, rig, issuer):
    issuer.say(OPENID, {"issuer": issuer.url, "token_endpoint": rig.state["endpoints"]["token"]})
    know_by_issuer(ecluse, issuer.url)
    ecluse.start()
    ecluse.sign_in("alice")
    assert issuer.paths() == [RFC_8414, OPENID]


def test_an_issuer_with_a_path(ecluse, rig, issuer):
    document = {"issuer": f"{issuer.url}/tenant/7",
                "token_endpoint": rig.state["endpoints"]["token"]}
    issuer.say(f"{RFC_8414}/tenant/7", document)
    know_by_issuer(ecluse, f"{issuer.url}/tenant/7")
    ecluse.start()
    ecluse.sign_in("alice")
    assert issuer.paths() == [f"{RFC_8414}/tenant/7"]


def test_what_is_configured_wins(ecluse, rig, issuer):
    issuer.say(RFC_8414, {"issuer": issuer.url, "token_endpoint": f"{issuer.url}/token"})
    know_by_issuer(ecluse, issuer.url, token_endpoint=rig.state["endpoints"]["token"])
    ecluse.start()
    ecluse.sign_in("alice")
    assert "/token" not in issuer.paths()


def fine(server, **more):
    return {"issuer": server.url, "token_endpoint": f"{server.url}/token", **more}


# what → (the answer, the exit code, what is said of it)
DOCUMENTS = {
    "another issuer": (lambda i: fine(i, issuer="https://evil.example"), 70,
                       "its issuer is https://evil.example"),
    "a slash more": (lambda i: fine(i, issuer=i.url + "/"), 70, "its issuer is https://localhost"),
    "an issuer of escapes": (lambda i: fine(i, issuer="\x1b]0;pwned\x07"), 70,
                             "its issuer holds what a URL must not hold"),
    "no TLS": (lambda i: fine(i, token_endpoint="http://localhost/token"), 70,
               "its token_endpoint is no https URL"),
    "no TLS elsewhere": (lambda i: fine(i, revocation_endpoint="http://localhost/r"), 70,
                         "its revocation_endpoint is no https URL"),
    "user info": (lambda i: fine(i, token_endpoint="https://a:b@localhost/token"), 70,
                  "its token_endpoint is no https URL"),
    "a number": (lambda i: fine(i, token_endpoint=7), 70, "its token_endpoint is no text"),
    "no token endpoint": (lambda i: {"issuer": i.url}, 70, "no token_endpoint; add it"),
    "no issuer": (lambda i: {"token_endpoint": f"{i.url}/token"}, 75, "HTTP 404"),
    "a list": (lambda i: [fine(i)], 75, "HTTP 404"),
}


@pytest.mark.parametrize("what", DOCUMENTS)
def test_a_document_that_is_not_used(ecluse, issuer, what):
    document, status, said = DOCUMENTS[what]
    issuer.say(RFC_8414, document(issuer))
    know_by_issuer(ecluse, issuer.url)
    ecluse.start()
    one_line(login(ecluse), status, "the token is stored, but could not be tried", said)
    assert "/token" not in issuer.paths(), "nothing secret has left"
    row = ecluse.accounts()["alice"]
    assert row["signed_in"] == "in"


TWICE = b'{"issuer": "x", "issuer": "x"}'
ANSWERS = {
    "duplicate keys": (200, {}, TWICE, "it cannot be read as JSON", 70),
    "a redirect": (302, {"Location": "/elsewhere"}, b"", "HTTP 302", 75),
    "1 MiB": (200, {}, b" " * 1024 * 1024, "the answer is too long", 75),
    "500": (500, {}, b"", "HTTP 500", 75),
    "HTML": (200, {"Content-Type": "text/html"}, b"<html>", "it cannot be read as JSON", 70),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_is_no_document(ecluse, issuer, what):
    *answer, said, status = ANSWERS[what]
    issuer.answers = {RFC_8414: tuple(answer), OPENID: tuple(answer)}
    know_by_issuer(ecluse, issuer.url)
    ecluse.start()
    one_line(login(ecluse), status, "the token is stored, but could not be tried", said)
    assert "/elsewhere" not in issuer.paths() and "/token" not in issuer.paths()


def test_an_issuer_that_hangs(ecluse, rig, issuer):
    """It has ten seconds; meanwhile others are served, and afterwards it is asked again."""
    issuer.answers = {RFC_8414: issuer.hang}
    ecluse.add_provider("other", f"localhost:{rig.ports['imaps']}")
    ecluse.set("account bob", provider="other")
    know_by_issuer(ecluse, issuer.url)
    ecluse.start()
    ecluse.ready("bob")
    token = rig.refresh_token(ALICE)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(login, ecluse, token)
        assert ecluse.try_login("bob").startswith("OK ")
        one_line(waiting.result(), 75, "could not be tried", "cannot be asked for its endpoints")
    issuer.say(RFC_8414, fine(issuer, token_endpoint=rig.state["endpoints"]["token"]))
    assert login(ecluse, token).status == 0


def test_an_issuer_where_nobody_listens(ecluse):
    know_by_issuer(ecluse, "https://localhost:9")
    ecluse.start()
    one_line(login(ecluse), 75, "cannot be asked for its endpoints")
