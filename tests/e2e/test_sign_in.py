"""`ecluse login` as a human does it, at the real authorization server."""

import concurrent.futures
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.parse

import pytest

from browser_support import Browser, by_chromium, visit
from cli_support import BINARY, PATIENCE, free_port, place  # noqa: F401 (fixtures)
from ecluse_support import ALICE, BOB
from sign_in_support import (SCOPE, assert_completes, assert_signed_in, changed,  # noqa: F401
                             human, waiting)
from waiting import wait_until

# ---- by the browser ----

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


def test_url_has_what_it_must(waiting, ecluse):
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(waiting.url()).query))
    assert query["response_type"] == "code" and query["code_challenge_method"] == "S256"
    assert query["scope"] == SCOPE and query["login_hint"] == ALICE
    assert len(query["state"]) == 43 and len(query["code_challenge"]) == 43
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[0-9a-f]{32}", query["redirect_uri"])


def test_port_is_gone_afterwards(waiting, ecluse, rig):
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    assert_completes(waiting, ecluse, final)
    with pytest.raises(OSError):
        visit(final)


def test_both_loopback_addresses(waiting, ecluse, rig):
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    place = urllib.parse.urlsplit(final)
    assert_completes(waiting, ecluse, place._replace(netloc=f"[::1]:{place.port}").geturl())


def test_a_port_of_ones_own(human, ecluse, rig):
    port = free_port()
    ecluse.set("provider local", redirect_port=port)
    ecluse.start()
    for _ in range(2):
        login = human("alice")
        assert login.redirect_uri() == f"http://127.0.0.1:{port}/"
        assert_completes(login, ecluse, Browser(rig).sign_in(login.url(), ALICE))


@pytest.mark.parametrize("way", [[], ["--paste"]])
@pytest.mark.parametrize("host, path", [("localhost", "/"), ("[::1]", "/[0-9a-f]{32}")])
def test_a_host_of_ones_own(human, ecluse, rig, host, path, way):
    ecluse.set("provider local", redirect_host=host)
    ecluse.start()
    login = human("alice", *way)
    port = "" if way else r":\d+"
    assert re.fullmatch(f"http://{re.escape(host)}{port}{path}", login.redirect_uri())
    final = Browser(rig).sign_in(login.url(), ALICE)
    assert final.startswith(f"{login.redirect_uri()}?")
    if way:
        login.answer(final)
        assert login.end()[::2] == (0, "")
        assert_signed_in(ecluse)
    else:
        assert_completes(login, ecluse, final)


def test_a_port_that_is_taken(human, ecluse):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ecluse.set("provider local", redirect_port=port)
        ecluse.start()
        status, _, err = human("alice").end()
    assert status == 69 and f"redirect_port {port} is taken by another program" in err


def test_the_user_declines(waiting, ecluse, rig):
    final = Browser(rig).sign_in(waiting.url(), ALICE, "cancel")
    assert visit(final)[0] == 200
    status, _, err = waiting.end()
    assert status == 77 and "access_denied: the user said no" in err
    assert ecluse.accounts()["alice"]["signed_in"] == "never"


def test_its_access_token_is_used(waiting, ecluse, rig):
    """The mail client's first login costs no request: the token of the sign-in is there."""
    ecluse.grant("alice")
    rig.clear()
    assert_completes(waiting, ecluse, Browser(rig).sign_in(waiting.url(), ALICE))
    assert ecluse.session("alice").select("INBOX")[0] == "OK"
    assert rig.stats()["token_requests"] == {"authorization_code": {"ok": 1}}


def test_device_access_token_is_used(human, ecluse, rig):
    ecluse.start()
    rig.clear()
    login = human("alice", "--device")
    code = login.read_until(r"type this code: (\S+)")[1]
    Browser(rig).confirm_device(login.url(), code, ALICE)
    assert login.end()[::2] == (0, "")
    assert_signed_in(ecluse)
    assert list(rig.stats()["token_requests"]) == ["urn:ietf:params:oauth:grant-type:device_code"]


def test_a_scope_that_is_not_refreshed(human, ecluse, rig):
    ecluse.set("provider local", scope=SCOPE + " offline_access")  # not granted without consent
    ecluse.start()
    login = human("alice")
    assert visit(Browser(rig).sign_in(login.url(), ALICE))[0] == 200
    status, _, err = login.end()
    assert status == 70 and "the sign-in worked, but the token from it did not" in err
    assert "invalid_scope" in err


def test_offline_access_by_consent(human, ecluse, rig):
    ecluse.set("provider local", scope=SCOPE + " offline_access", authorize_params="prompt=consent")
    ecluse.start()
    login = human("alice")
    assert_completes(login, ecluse, Browser(rig).sign_in(login.url(), ALICE))


def test_no_refresh_token(waiting, ecluse, rig):
    rig.knob("break", "no_refresh_token", "1", "authorization_code")
    assert visit(Browser(rig).sign_in(waiting.url(), ALICE))[0] == 200
    status, _, err = waiting.end()
    assert status == 77 and "no refresh token" in err
    assert ecluse.accounts()["alice"]["signed_in"] == "never"


@pytest.mark.parametrize("kind, exit_code", [("503", 75), ("reset", 75), ("badjson", 75),
                                             ("invalid_grant", 77), ("invalid_client", 77)])
def test_token_endpoint_fails(waiting, ecluse, rig, kind, exit_code):
    rig.knob("break", kind, "1", "authorization_code")
    assert visit(Browser(rig).sign_in(waiting.url(), ALICE))[0] == 200
    status, _, err = waiting.end()
    assert status == exit_code and err.count("\n") == 1
    assert ecluse.accounts()["alice"]["signed_in"] == "never"


@pytest.mark.parametrize("with_daemon", [True, False])
def test_client_secret_by_command(human, ecluse, rig, with_daemon):
    account = ecluse.sections["account alice"]
    secret = ecluse.folder / "client-secret"
    secret.write_text(account.pop("client_secret") + "\n")
    ecluse.set("account alice", client_secret_command=f"cat {secret}")
    if with_daemon:
        ecluse.start()
    login = human("alice")
    assert_completes(login, ecluse, Browser(rig).sign_in(login.url(), ALICE))


def test_client_secret_command_fails(human, ecluse):
    del ecluse.sections["account alice"]["client_secret"]
    ecluse.set("account alice", client_secret_command="exit 3")
    status, out, err = human("alice").end()
    assert (status, out) == (75, "") and "client_secret_command" in err and "status 3" in err


def complete(human, ecluse, rig, way):
    """alice's, by the browser or by a code."""
    login = human("alice", *way)
    if way:
        code = login.read_until(r"type this code: (\S+)")[1]
        Browser(rig).confirm_device(login.url(), code, ALICE)
        assert login.end()[::2] == (0, "")
        assert_signed_in(ecluse)
    else:
        assert_completes(login, ecluse, Browser(rig).sign_in(login.url(), ALICE))


def proof_of(kind, rig):
    """What an account has by which its client proves itself."""
    known = rig.state["clients"]["assertion" if kind == "jwt" else
                                 "public" if kind is None else "confidential"]
    return {"basic": {"client_auth": "basic", "client_secret": known.get("client_secret")},
            "jwt": {"jwt_key_file": known.get("key")},
            None: {"client_auth": "none", "client_secret": "canary-not-to-be-sent"},
            }[kind] | {"client_id": known["client_id"]}


@pytest.mark.parametrize("way", [[], ["--device"]])
@pytest.mark.parametrize("kind", ["basic", "jwt", None])
def test_the_client_proves_itself(human, ecluse, rig, kind, way):
    """Or does not, where it was told not to, whatever secret it has."""
    del ecluse.sections["account alice"]["client_secret"]
    ecluse.set("account alice", **proof_of(kind, rig))
    ecluse.start()
    rig.clear()
    complete(human, ecluse, rig, way)
    ecluse.grant("alice")
    rig.knob("expire", "all")
    assert ecluse.try_login("alice").startswith("OK ")
    asked = rig.stats()["last"]
    assert asked[-1]["grant"] == "refresh_token" and len(asked) > 1, asked
    assert {request.get("auth") for request in asked} == {kind}, asked


@pytest.mark.parametrize("way", [[], ["--device"]])
def test_endpoints_of_the_issuer(human, ecluse, rig, way):
    ecluse.sections["provider local"] = {
        key: value for key, value in ecluse.sections["provider local"].items()
        if not key.endswith("_endpoint")}
    ecluse.set("provider local", issuer=rig.state["issuer"])
    ecluse.start()
    complete(human, ecluse, rig, way)


def test_ctrl_c_ends_it(waiting):
    redirect = waiting.redirect_uri()
    waiting.process.send_signal(signal.SIGINT)
    waiting.end()

    def is_closed():
        try:
            visit(redirect, target="/")
        except OSError:
            return True
        return False
    wait_until(is_closed, "the port is closed")


def test_begun_again(waiting, human, ecluse, rig):
    waiting.read_until("Waiting")
    old = Browser(rig).sign_in(waiting.url(), ALICE)
    again = human("alice")
    again.url()
    status, _, err = waiting.end()
    assert status == 75 and "another sign-in of this account was begun" in err
    place = urllib.parse.urlsplit(again.redirect_uri())
    mixed = urllib.parse.urlsplit(old)._replace(netloc=place.netloc, path=place.path).geturl()
    assert visit(mixed)[0] == 400
    assert_completes(again, ecluse, Browser(rig).sign_in(again.url(), ALICE))


def test_a_browser_is_opened(human, ecluse, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "xdg-open").write_text(f"#!/bin/sh\nprintf '%s' \"$1\" >{tools}/part\n"
                                    f"mv {tools}/part {tools}/url\n")
    (tools / "xdg-open").chmod(0o755)
    ecluse.start()
    environment = ecluse.environment
    ecluse.environment = lambda **more: environment(**more) | {
        "DISPLAY": ":99", "PATH": f"{tools}:{os.environ['PATH']}"}
    login = human("alice")
    assert login.read_until("The browser shows")
    wait_until((tools / "url").exists, "the browser")
    assert (tools / "url").read_text() == login.url()


def test_chromium(waiting, ecluse, rig):
    page = by_chromium(rig, waiting.url(), ALICE)
    assert page["heading"] == "Back to the terminal" and page["complaints"] == []
    assert page["url"].startswith(waiting.redirect_uri())
    assert waiting.end()[::2] == (0, "")
    assert_signed_in(ecluse)


def test_chromium_with_a_code(human, ecluse, rig):
    ecluse.start()
    login = human("alice", "--device")
    code = login.read_until(r"type this code: (\S+)")[1]
    assert by_chromium(rig, login.url(), ALICE, code)["heading"] == "Signed in"
    assert login.end()[::2] == (0, "")
    assert_signed_in(ecluse)


HINT = "ask for a client_id at the counter"


@pytest.mark.parametrize("way", [[], ["--paste"], ["--device"]])
def test_the_hint_of_the_provider(human, ecluse, way):
    ecluse.set("provider local", hint=HINT)
    login = human("alice", *way)
    login.url()
    login.process.kill()
    assert login.end()[2].startswith(f"At provider local, once: {HINT}.\n")


def test_the_hint_before_a_password(human, ecluse):
    """Told to whoever is asked for it, and not to a pipe."""
    ecluse.set("provider local", hint=HINT)
    ecluse.set("account alice", flow="none")
    ours, theirs = pty.openpty()
    said = ecluse.ecluse("login", "alice", "--password-stdin", stdin=b"canary-of-hints\n")
    assert (said.status, said.err) == (0, "")
    ecluse.secrets["password"] = "canary-of-hints"
    asking = subprocess.Popen([BINARY, "login", "alice", "--password-stdin", "-c", ecluse.file],
                              stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=ecluse.environment())
    os.close(theirs)
    assert asking.stderr.readline().decode() == f"At provider local, once: {HINT}.\n"
    assert asking.stderr.read(len("the password: ")) == b"the password: "
    os.write(ours, b"canary-of-hints\n")
    assert asking.wait(PATIENCE) == 0
    asking.communicate()
    os.close(ours)


# ---- what others send to the port ----

@pytest.mark.parametrize("fields", [
    {"state": "A" * 43}, {"state": None}, {"state": ""}, {"state": "x", "iss": "https://o.test"},
    {"code": None}, {"code": ""}, {"error": "access_denied"}, {"code": "a\nb"},
])
def test_a_wrong_answer_is_refused(waiting, ecluse, rig, fields):
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    assert visit(changed(final, **fields))[0] == 400
    assert_completes(waiting, ecluse, final)


def test_an_error_of_a_stranger_is_refused(waiting, ecluse, rig):
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    page = visit(changed(final, code=None, state="x", error="access_denied",
                         error_description="<script>alert(1)</script>"))
    assert page[0] == 400 and b"script" not in page[2]
    assert_completes(waiting, ecluse, final)


def test_nothing_is_reflected(waiting, rig):
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    status, _, page = visit(changed(final, code=None, error="<b>x",
                                    error_description="\x1b[31m<script>alert(1)</script>"))
    assert status == 200 and b"script" not in page and b"<b>" not in page
    status, _, err = waiting.end()
    assert status == 77 and "\x1b" not in err and err.count("\n") == 1


def test_a_replayed_answer_is_refused(waiting, ecluse, rig):
    rig.knob("delay", "1000")
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    assert visit(final)[0] == 200
    assert visit(final)[0] == 400
    assert waiting.end()[::2] == (0, "")
    assert rig.stats()["token_requests"]["authorization_code"] == {"ok": 1}


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS", "DELETE"])
def test_other_methods_are_refused(waiting, ecluse, rig, method):
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    body = b"x" * 5000 if method in ("POST", "PUT") else None
    assert visit(final, method, body=body)[0] == 405
    assert_completes(waiting, ecluse, final)


@pytest.mark.parametrize("headers, status", [
    ({"Host": "evil.example.test"}, 400), ({"Host": "127.0.0.1"}, 400),
    ({"Host": "127.0.0.1:1"}, 400), ({"Origin": "https://evil.example.test"}, 403),
    ({"Origin": "http://127.0.0.1:1"}, 403),
])
def test_other_heads_are_refused(waiting, ecluse, rig, headers, status):
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    assert visit(final, headers=headers)[0] == status
    assert_completes(waiting, ecluse, final)


@pytest.mark.parametrize("origin, status", [("https://evil.example.test", 403), ("null", 405)])
def test_a_form_of_another_site_is_refused(waiting, ecluse, rig, origin, status):
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    query = urllib.parse.urlsplit(final).query.encode()
    heads = {"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}
    assert visit(final, "POST", heads, query)[0] == status
    assert visit(final.split("?")[0], "POST", heads, query)[0] == status
    assert_completes(waiting, ecluse, final)


def raw(url, head):
    """What comes back for these bytes, until the end."""
    place = urllib.parse.urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=30) as one:
        try:
            one.sendall(head)
        except OSError:
            pass  # it may have been closed in the middle
        answer = b""
        try:
            while piece := one.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def test_odd_requests(waiting, ecluse, rig):
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    place = urllib.parse.urlsplit(final)
    target = f"{place.path}?{place.query}"
    host = f"Host: {place.netloc}\r\n"
    for head in (f"GET {target} HTTP/1.1\r\n\r\n", f"GET {target} HTTP/1.1\r\n{host}{host}\r\n",
                 f"GET {target} HTTP/1.1\r\n{host}Host: evil\r\n\r\n",
                 f"GET {target} HTTP/1.0\r\n\r\n", f"GET {place.path}x HTTP/1.1\r\n{host}\r\n",
                 f"GET / HTTP/1.1\r\n{host}\r\n", "\x16\x03\x01\r\n\r\n"):
        answer = raw(final, head.encode())
        assert re.match(rb"HTTP/1\.[01] 40[04] |$", answer), (head, answer)
    for long in (f"{target}&x={'a' * 2**20}", f"{target}&x={'a' * 17000}"):
        answer = raw(final, f"GET {long} HTTP/1.1\r\n{host}\r\n".encode())
        assert re.match(rb"HTTP/1\.1 4\d\d |$", answer), answer
    answer = raw(final, f"GET {target} HTTP/1.1\r\n{host}X: {'b' * 2**20}\r\n\r\n".encode())
    assert re.match(rb"HTTP/1\.1 4\d\d |$", answer), answer
    assert_completes(waiting, ecluse, final)


def test_a_hundred_at_once(waiting, ecluse, rig):
    final = Browser(rig).sign_in(waiting.url(), ALICE)

    def knock(number):
        try:
            return visit(changed(final, state=f"{number:043}"))[0]
        except OSError:
            return 400  # more than are let in at once
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        assert set(pool.map(knock, range(100))) == {400}
    assert_completes(waiting, ecluse, final)


def test_the_silent_are_shut_out(waiting, ecluse, rig):
    """As many as are let in say nothing, or a byte now and then; then there is room again."""
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    place = urllib.parse.urlsplit(final)
    silent = [socket.create_connection((place.hostname, place.port)) for _ in range(64)]
    for one in silent:
        one.sendall(b"GET /")
        one.settimeout(30)
    for one in silent:
        try:
            while one.recv(4096):
                pass
        except ConnectionResetError:
            pass
        one.close()
    assert_completes(waiting, ecluse, final)


STRANGER = """
import socket, sys
host, port, request = sys.argv[1:]
with socket.create_connection((host, int(port)), 30) as one:
    answer = b""
    try:
        one.sendall(request.encode())
        while piece := one.recv(65536):
            answer += piece
    except ConnectionError:
        pass
    print(len(answer))
"""


def as_stranger(url):
    """What another user of this machine gets for the right address: octets of an answer."""
    place = urllib.parse.urlsplit(url)
    request = f"GET {place.path}?{place.query} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, place.hostname, str(place.port), request],
        capture_output=True, text=True, timeout=2 * PATIENCE, cwd="/", user=65534, group=65534,
        extra_groups=[])
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_another_user_is_shut_out(waiting, ecluse, rig, host):
    """Nobody but who may connect as a mail client brings an answer, be it the right one."""
    final = Browser(rig).sign_in(waiting.url(), ALICE)
    place = urllib.parse.urlsplit(final)
    mark = ecluse.log_size()
    assert as_stranger(place._replace(netloc=f"{host}:{place.port}").geturl()) == 0
    ecluse.wait_log("redirect of a sign-in: .* belongs to user id 65534", since=mark)
    assert_completes(waiting, ecluse, final)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_another_user_where_all_may(human, ecluse, rig):
    ecluse.set("ecluse", peer="any")
    ecluse.start()
    login = human("alice")
    assert as_stranger(Browser(rig).sign_in(login.url(), ALICE)) > 0
    assert login.end()[::2] == (0, "")
    assert_signed_in(ecluse)


def test_state_of_another_account(human, ecluse, rig):
    ecluse.start()
    alice, bob = human("alice"), human("bob")
    for_bob = urllib.parse.urlsplit(Browser(rig).sign_in(bob.url(), BOB))
    final = Browser(rig).sign_in(alice.url(), ALICE)
    place = urllib.parse.urlsplit(final)
    assert visit(for_bob._replace(netloc=place.netloc, path=place.path).geturl())[0] == 400
    assert_completes(alice, ecluse, final)
    assert visit(for_bob.geturl())[0] == 200
    assert bob.end()[::2] == (0, "")
    assert_signed_in(ecluse, "bob")


# ---- pasted ----

@pytest.mark.parametrize("with_daemon", [True, False])
def test_paste(human, ecluse, rig, with_daemon):
    if with_daemon:
        ecluse.start()
    login = human("alice", "--paste")
    final = Browser(rig).sign_in(login.url(), ALICE)
    assert re.match(r"http://127\.0\.0\.1/[0-9a-f]{32}\?", final)
    login.answer(final)
    assert login.end()[::2] == (0, "")
    assert_signed_in(ecluse)


def test_paste_of_something_else(human, ecluse, rig):
    ecluse.start()
    login = human("alice", "--paste")
    final = Browser(rig).sign_in(login.url(), ALICE)
    for line in ("", "nonsense", "\xe9\x01", changed(final, state="x"), "x" * 40000):
        login.answer(line)
    login.answer(final)
    status, _, err = login.end()
    assert status == 0 and err.count("that is not the address") >= 5
    assert_signed_in(ecluse)


def test_paste_of_nothing(human, ecluse):
    login = human("alice", "--paste")
    login.url()
    assert login.end()[0] == 65
