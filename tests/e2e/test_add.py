"""`ecluse add` without a terminal, and what can go wrong; newcomers are in test_add_newcomer.py."""

import concurrent.futures
import contextlib
import json
import os
import re
import signal

import pytest

from add_support import Adding, Settings
from browser_support import Browser, Login, by_chromium, visit
from cli_support import BINARY, PATIENCE, one_line, place  # noqa: F401 (fixture)
from ecluse_support import ALICE, BOB, CAROL
from terminal import Terminal


@pytest.fixture
def ecluse(rig, tmp_path):
    one = Adding(tmp_path, rig)
    yield one
    one.finish()


def add(place, *arguments, **options):
    return place.ecluse("add", *arguments, **options)


@contextlib.contextmanager
def at_terminal(ecluse, *arguments):
    """Alice adds herself."""
    terminal = Terminal([BINARY, "add", ALICE, *arguments, "-c", ecluse.file],
                        ecluse.environment(), ecluse.folder)
    try:
        yield terminal
    finally:
        terminal.close()


# ---- to the end ----

@pytest.mark.parametrize("with_daemon", [True, False])
def test_settings(ecluse, with_daemon):
    if with_daemon:
        ecluse.start()
    out, err = ecluse.add(ALICE)
    settings = Settings(out)
    assert settings.user == ALICE and settings.ports == {
        "imap": ecluse.port, "pop3": ecluse.pop3_port, "smtp": ecluse.smtp_port}
    assert ("start it: ecluse run" in err) != with_daemon
    assert ecluse.sections["account alice"].keys() == {"address", "client_id", "client_secret"}
    if not with_daemon:
        ecluse.start()
    assert ecluse.session("alice").select("INBOX")[0] == "OK"
    assert ecluse.pop3_session("alice").stat()[0] == 3
    ecluse.smtp_session("alice")


def test_settings_as_json(ecluse):
    ecluse.start()
    out, _ = ecluse.add(ALICE, "--json", "--name", "work", "--grant-name", "script")
    known = json.loads(out)
    assert known["account"] == "work" and known["user"] == ALICE and known["servers"] == {
        protocol: {"host": "127.0.0.1", "port": ecluse.port_of(protocol), "tls": "off"}
        for protocol in ("imap", "pop3", "smtp")}
    assert ecluse.session("work").select("INBOX")[0] == "OK"
    grants = json.loads(ecluse.ecluse("grants", "--json").out)
    assert [row["name"] for row in grants] == ["script"]


def test_tenant(ecluse, rig):
    base, path = rig.state["endpoints"]["authorization"].rsplit("/", 1)
    token_base, token_path = rig.state["endpoints"]["token"].rsplit("/", 1)
    assert path != token_path
    ecluse.set("provider local", tenant="nowhere", issuer="",
               authorization_endpoint=f"{base}/{{tenant}}")
    ecluse.start()
    ecluse.add(ALICE, "--tenant", path)
    assert f"\ntenant = {path}\n" in ecluse.file.read_text()
    assert ecluse.session("alice").select("INBOX")[0] == "OK"


def test_tenant_of_the_provider(ecluse, rig):
    """Is asked for, and is the default."""
    base, path = rig.state["endpoints"]["token"].rsplit("/", 1)
    ecluse.set("provider local", tenant=path, issuer="", token_endpoint=f"{base}/{{tenant}}")
    known = rig.state["clients"]["confidential"]
    with at_terminal(ecluse, "--client-id", known["client_id"]) as terminal:
        terminal.answer(r"client_secret \(empty: it has none\): $", known["client_secret"])
        terminal.answer(rf"Tenant: .* \[{path}\]: $", "a/b")
        terminal.await_text("part of a URL")
        terminal.answer(rf"Tenant: .* \[{path}\]: $", "")
        url = terminal.await_text(r"\n  (https://\S+)\n")[1]
        terminal.answer("The address at the end:", Browser(rig).sign_in(url, ALICE))
        assert terminal.end() == 0, terminal.shown
        ecluse.learn(terminal.shown)
    assert "tenant" not in ecluse.sections["account alice"]


def test_chromium(ecluse, rig):
    ecluse.start()
    process, url = ecluse.begin(ALICE)
    assert by_chromium(rig, url, ALICE)["heading"] == "Back to the terminal"
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    ecluse.learn(out.decode())
    assert ecluse.session("alice").select("INBOX")[0] == "OK"


def test_a_second_account(ecluse):
    ecluse.start()
    first, second = ecluse.add(ALICE)[0], ecluse.add(BOB)[0]
    assert Settings(first).password != Settings(second).password
    for name in ("alice", "bob"):
        assert ecluse.session(name).select("INBOX")[0] == "OK"
    assert not ecluse.try_login("alice", ecluse.passwords["bob"]).startswith("OK ")


def test_many_at_once(ecluse, rig):
    """Each adds to what the one before has written."""
    host = rig.state["addresses"]["password"]
    ecluse.add_provider("passwords", f"{host}:{rig.ports['imaps']}", flow="none",
                        domains="passwords.test")
    names = [f"user{i}" for i in range(8)]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        results = list(pool.map(lambda name: add(ecluse, f"{name}@passwords.test",
                                                 "--password-stdin", stdin=b"secret"), names))
    written = ecluse.file.read_text()
    assert [name for name in names if f"[account {name}]" not in written] == [], results
    assert ecluse.ecluse("check").status == 0


def test_label_is_not_taken_twice(ecluse):
    ecluse.set("account alice", address="alice@example.net", provider="local", client_id="x")
    ecluse.set("account alice-2", address="alice@example.org", provider="local", client_id="x")
    process, _ = ecluse.begin(ALICE)
    assert f"[account alice-3]\naddress = {ALICE}\n" in ecluse.file.read_text()
    process.kill()


def test_listeners_that_can_be_used(ecluse):
    """One for another account and one without a login are no places for a mail program."""
    ecluse.set("account bob", address=BOB, provider="local", client_id="x")
    ecluse.set("listen a", protocol="imap", address="127.0.0.1:1", account="bob")
    ecluse.set("listen b", protocol="imap", address=f"unix:{ecluse.folder}/imap")
    ecluse.sections = {**{name: rows for name, rows in sorted(ecluse.sections.items())}}
    ecluse.set("listen imap", address=f"[::1]:{ecluse.port} 0.0.0.0:{ecluse.port}",
               remote="plaintext", allow="127.0.0.1")
    out, _ = ecluse.add(ALICE)
    assert Settings(out).ports["imap"] == ecluse.port


@pytest.mark.parametrize("tls, words", [("on", "SSL/TLS"), ("starttls", "STARTTLS")])
def test_listeners_with_tls(ecluse, tls, words):
    assert ecluse.ecluse("cert").status == 0
    for protocol in ("imap", "pop3", "smtp"):
        ecluse.set(f"listen {protocol}", tls=tls)
    process, url = ecluse.begin(ALICE)
    assert visit(Browser(ecluse.rig).sign_in(url, ALICE))[0] == 200
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert f"IMAP      127.0.0.1 port {ecluse.port}, {words}\n" in out.decode()
    assert "Normal password" in out.decode() and "# mutt" not in out.decode()


# ---- what is missing ----

@pytest.mark.parametrize("arguments, status, words", [
    ([ALICE], 64, ["client_id", "--client-id"]),
    (["alice@icloud.com"], 64, ["the provider's password is missing", "--password-stdin"]),
    ([ALICE, "--flow", "password"], 65, ["--flow: code"]),
    ([ALICE, "--provider", "nobody"], 65, ["there is no provider nobody"]),
    ([ALICE, "--device", "--paste"], 64, ["exclude each other"]),
    ([ALICE, "--device", "--flow", "code"], 64, ["exclude each other"]),
    ([ALICE, "--client-secret-stdin", "--password-stdin"], 64, ["exclude each other"]),
    ([ALICE, "--client-id", "x", "--tenant", "a/b"], 65, ["--tenant: it becomes part of a URL"]),
    ([ALICE, "--name", "Not A Label"], 64, ["--name"]),
    ([ALICE, "--name", "bob"], 73, ["there is an account bob already"]),
    ([ALICE, "--client-id", "\u00e9"], 65, ["printable ASCII"]),
    ([ALICE, "--client-id", "x" * 1025], 65, ["printable ASCII"]),
    ([ALICE, "--client-id", ""], 64, ["the provider's password is missing"]),
    ([ALICE, "--client-id", "a ; b"], 65, ["comment mark"]),
    ([ALICE, "--flow", "device", "--provider", "yahoo", "--client-id", "x"], 65, ["no device flow"]),
    (["alice"], 65, ["no address"]),
    (["@example.test"], 65, ["no address"]),
    (["alice@"], 65, ["no address"]),
    (["al ice@example.test"], 65, ["no address"]),
    ([f"{'a' * 320}@example.test"], 65, ["no address"]),
    (["alice\n[account x]@example.test"], 64, ["not UTF-8 text"]),
    (["alice\x1b[2J@example.test"], 64, ["not UTF-8 text"]),
    ([], 64, ["ADDRESS is missing"]),
    (["bob@example.test"], 73, ["bob@example.test is there already, as account bob",
                                "ecluse login bob"]),
    (["bob@EXAMPLE.TEST"], 73, ["is there already"]),
    (["alice@b\u00fccher.example"], 69, ["xn--"]),
])
def test_refused_with_one_line(ecluse, arguments, status, words):
    ecluse.add_account("bob")
    ecluse.set("provider local", issuer="")
    before = ecluse.file.read_bytes()
    one_line(add(ecluse, *arguments), status, "add: ", *words)
    assert ecluse.file.read_bytes() == before and not (ecluse.folder / "state").exists()


@pytest.mark.parametrize("secret, words", [
    (b"", "is empty"), (b"a\nb\n", "more than one line"), (b"a\x1b", "control characters"),
    (b"\xff", "UTF-8"), (b"x" * 5000, "longer than"),
], ids=["empty", "two-lines", "control", "octets", "long"])
def test_secrets_that_are_none(ecluse, secret, words):
    before = ecluse.file.read_bytes()
    one_line(add(ecluse, ALICE, "--client-id", "x", "--client-secret-stdin", stdin=secret), 65,
             words)
    one_line(add(ecluse, "a@icloud.com", "--password-stdin", stdin=secret), 65, words)
    assert ecluse.file.read_bytes() == before


def test_a_configuration_with_problems(ecluse):
    ecluse.set("listen imap", nonsense="1")
    before = ecluse.file.read_bytes()
    result = add(ecluse, ALICE)
    assert result.status == 78 and "nonsense" in result.err and result.out == ""
    assert ecluse.file.read_bytes() == before
    del ecluse.sections["listen imap"]["nonsense"]


def test_a_row_that_does_not_fit(ecluse):
    """What the configuration as a whole does not take is not written."""
    ecluse.set("provider local", mechanisms="XOAUTH2")
    before = ecluse.file.read_bytes()
    result = add(ecluse, ALICE, "--flow", "none", "--password-stdin", stdin=b"secret-of-alice")
    assert result.status == 78 and "XOAUTH2 takes a token" in result.err, result
    assert ecluse.file.read_bytes() == before and "secret-of" not in result.err


@pytest.mark.parametrize("file, status, words", [
    ("missing/missing/missing/ecluse.ini", 73, "cannot be written"),
    ("file/ecluse.ini", 73, "its folder cannot be written"),
])
def test_the_file_cannot_be_written(place, file, status, words):
    (place.folder / "file").write_text("")
    result = place.call("add", "alice@icloud.com", "--password-stdin", "-c",
                        str(place.folder / file), stdin=b"secret-of-alice")
    assert result.status == status and words in result.err, result
    assert "secret-of" not in result.err and not (place.folder / "missing").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_the_configuration_of_somebody_else(place):
    """Said before anything is asked for."""
    for folder in (place.folder, *place.folder.parents[:3]):
        folder.chmod(0o755)
    place.file.chmod(0o644)
    result = place.ecluse("add", "alice@gmail.com", preexec_fn=lambda: os.setuid(65534))
    one_line(result, 73, "its folder cannot be written: Permission denied", "-c FILE")


def test_no_password_but_the_flow_of_the_row(ecluse):
    """An app password at a provider that has OAuth2 as well."""
    result = add(ecluse, CAROL, "--flow", "none", "--password-stdin", stdin=b"secret-of-carol")
    assert result.status == 0, result
    assert "flow = none\n" in ecluse.file.read_text()
    assert "secret-of" not in result.out + result.err + ecluse.file.read_text()
    ecluse.learn(result.out)


# ---- a failure in the middle ----

def test_the_user_declines(ecluse, rig):
    ecluse.start()
    process, url = ecluse.begin(ALICE)
    assert visit(Browser(rig).sign_in(url, ALICE, "cancel"))[0] == 200
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 77 and out == b"" and b"access_denied" in err
    assert b"ecluse login alice, then ecluse grant alice --name mail" in err
    assert ecluse.accounts()["alice"]["signed_in"] == "never"
    one_line(add(ecluse, ALICE), 73, "ecluse login alice")
    login = Login(ecluse, "alice")
    assert visit(Browser(rig).sign_in(login.url(), ALICE))[0] == 200
    assert login.end()[0] == 0
    ecluse.add_account("alice")  # as it stands there already
    ecluse.grant("alice")
    assert ecluse.session("alice").select("INBOX")[0] == "OK"


def test_ctrl_c_while_the_browser_is_waited_for(ecluse):
    process, _ = ecluse.begin(ALICE)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert ecluse.accounts()["alice"]["signed_in"] == "never"


def test_a_grant_of_that_name_is_there(ecluse, rig):
    """Of an account that had the label before."""
    ecluse.add_account("alice")
    ecluse.sign_in("alice")
    ecluse.grant("alice", client="mail")
    account = ecluse.sections.pop("account alice")
    ecluse.set("ecluse")
    process, url = ecluse.begin(ALICE)
    assert visit(Browser(rig).sign_in(url, ALICE))[0] == 200
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0 and out == b"", err
    assert b"what is left to do: ecluse grant alice --name" in err
    ecluse.set("account alice", **account)


@pytest.mark.parametrize("arguments", [[ALICE], [ALICE, "--json"]])
def test_nobody_reads_the_settings(ecluse, rig, arguments):
    process, url = ecluse.begin(*arguments)
    process.stdout.close()
    assert visit(Browser(rig).sign_in(url, ALICE))[0] == 200
    err = process.stderr.read().decode()
    assert process.wait(PATIENCE) == 73 and "ecluse revoke alice 1" in err, err
    process.stdout = None


# ---- at a terminal ----

def test_without_a_display_by_a_code(ecluse, rig):
    """Where the provider has that; elsewhere an address is pasted, see below."""
    known = rig.state["clients"]["confidential"]
    ecluse.set("provider local",
               device_authorization_endpoint=rig.state["endpoints"]["device_authorization"])
    with at_terminal(ecluse, "--client-id", known["client_id"], "--json") as terminal:
        terminal.answer(r"client_secret \(empty: it has none\): $", known["client_secret"])
        url = terminal.await_text(r"\n  (https://\S+)\n")[1]
        code = terminal.await_text(r"type this code: (\S+)")[1]
        Browser(rig).confirm_device(url, code, ALICE)
        assert terminal.end() == 0, terminal.shown
        ecluse.learn(re.search(r"^{$(?:.|\n)*^}$", terminal.shown, re.M)[0])


def test_terminal_of_a_known_provider(ecluse, rig):
    ecluse.set("provider local", hint="ask at the counter")
    with at_terminal(ecluse) as terminal:
        known = rig.state["clients"]["confidential"]
        terminal.await_text("The provider is local.\nWhat local wants first: ask at the counter.")
        terminal.answer(r"client_id \(empty: sign in with a password instead\): $",
                        "\x1b[A" + known["client_id"])
        terminal.await_text("control characters")
        terminal.answer(r"client_id .*: $", "  " + known["client_id"] + " ")
        terminal.answer(r"client_secret \(empty: it has none\): $", known["client_secret"])
        url = terminal.await_text(r"\n  (https://\S+)\n")[1]
        terminal.answer("The address at the end:", Browser(rig).sign_in(url, ALICE))
        assert terminal.end() == 0, terminal.shown
        assert known["client_secret"] not in terminal.shown
        ecluse.learn(terminal.shown)

