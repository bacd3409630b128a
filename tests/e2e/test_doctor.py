"""`ecluse doctor` before the real servers: all is well, and each fault that they can be made to
have."""

import os
import pty
import re
import select
import subprocess

import pytest

from cli_support import BINARY, PATIENCE, one_line
from doctor_support import STEPS, Walk
from waiting import wait_until

WELL = {name: "ok" for name in STEPS}


@pytest.mark.parametrize("has_daemon", [True, False])
def test_all_is_well(ecluse, rig, has_daemon):
    if has_daemon:
        ecluse.ready("alice")
    else:
        ecluse.sign_in("alice")
    before = sorted(rig.mails("alice@example.test"))
    walk = Walk(ecluse, "alice")
    assert walk.status == 0, walk.steps
    assert walk.outcomes("alice", None) == {"configuration": "ok", "endpoint": "ok", "token": "ok"}
    for protocol in ("imap", "pop3", "smtp"):
        assert walk.outcomes("alice", protocol) == WELL
        assert re.search(r"TLSv1\.[23] .*valid until 20\d\d-\d\d-\d\d",
                         walk.find("tls", protocol)["detail"])
        assert "XOAUTH2" in walk.find("capabilities", protocol)["detail"]
        assert "alice@example.test" in walk.find("login", protocol)["detail"]
    assert sorted(rig.mails("alice@example.test")) == before
    assert all(step["advice"] is None for step in walk.steps)


def test_what_a_person_sees(ecluse):
    ecluse.sign_in("alice")
    result = ecluse.ecluse("doctor", "alice")
    assert result.status == 0 and result.err == "", result
    lines = result.out.splitlines()
    assert len(lines) == 3 + 3 * len(STEPS) + 1 and lines[-1] == "all is well"
    assert all(" ... ok" in line for line in lines[:-1])
    assert "\033" not in result.out
    assert f"alice imap: connecting to localhost:{ecluse.rig.ports['imaps']} ... ok" in lines


@pytest.mark.parametrize("more", [{"TERM": "xterm"}, {"TERM": "xterm", "NO_COLOR": "1"},
                                  {"TERM": "dumb"}])
def test_on_a_terminal(ecluse, more):
    """The step is announced before it is over, and in colour; and how long that may take."""
    ecluse.sign_in("alice")
    master, slave = pty.openpty()
    with subprocess.Popen([BINARY, "doctor", "alice", "-c", ecluse.file], stdin=subprocess.DEVNULL,
                          stdout=slave, stderr=slave, env=ecluse.environment(**more)) as doctor:
        os.close(slave)
        said = b""
        try:
            while select.select([master], [], [], PATIENCE)[0] and (data := os.read(master, 4096)):
                said += data
        except OSError:
            pass  # the other end is closed
        os.close(master)
        assert doctor.wait(PATIENCE) == 0, said
    text = said.decode()
    assert ("\033[32mok\033[0m" in text) == (more == {"TERM": "xterm"}), text
    assert text.startswith("Each step has 10 seconds, "), text
    assert "all is well" in text


def test_every_account_and_one_that_nobody_has_signed_in_to(ecluse):
    ecluse.ready("alice")
    walk = Walk(ecluse)
    assert walk.status == 77
    assert walk.failures() == [(None, "token")]
    token = walk.find("token", account="bob")
    assert token["advice"] == "ecluse login bob"
    assert walk.outcomes("alice", "imap") == WELL
    assert walk.outcomes("bob", "imap") == WELL | {"login": "skipped"}


def test_a_sign_in_that_the_provider_has_ended(ecluse, rig):
    ecluse.sign_in("alice")
    rig.knob("revoke", "alice@example.test")
    walk = Walk(ecluse, "alice")
    assert walk.status == 77 and walk.failures() == [(None, "token")]
    assert "signed in again" in walk.find("token")["detail"]
    assert walk.find("token")["advice"] == "ecluse login alice"


def test_a_token_endpoint_that_is_down(ecluse, rig):
    ecluse.sign_in("alice")
    rig.kill("op")
    walk = Walk(ecluse, "alice")
    assert walk.failures() == [(None, "endpoint"), (None, "token")]
    assert walk.status == 69
    assert "cannot be reached" in walk.find("endpoint")["detail"]
    assert walk.outcomes("alice", "smtp") == WELL | {"login": "skipped"}


def test_a_token_endpoint_that_has_trouble(ecluse, rig):
    ecluse.sign_in("alice")
    rig.knob("break", "503", "1", "refresh_token")
    walk = Walk(ecluse, "alice")
    assert walk.status == 75 and walk.failures() == [(None, "token")]


@pytest.mark.parametrize("kind, status, words", [
    ("wrong_name", 78, "for another name"), ("expired", 69, "has expired"),
    ("unknown_ca", 78, "nobody whom ecluse trusts"), ("cn_only", 78, "for another name")])
def test_a_bad_certificate_of_the_token_endpoint(ecluse, rig, kind, status, words):
    endpoint = f"https://localhost:{rig.ports['op_' + kind]}/token"
    ecluse.set("provider local", token_endpoint=endpoint)
    walk = Walk(ecluse, "alice")
    assert words in walk.find("endpoint")["detail"], walk.find("endpoint")
    # Nobody has signed in, either.
    assert walk.failures() == [(None, "endpoint"), (None, "token")]
    assert walk.status == max(status, 77, key=(69, 77, 78).index)


@pytest.mark.parametrize("kind, place, status, words, said", [
    ("wrong_name", "{wrong_name}:{imaps}", 78, "for another name", "other.example.test"),
    ("expired", "{expired}:{imaps}", 69, "has expired", "until 2020-02-01"),
    ("unknown_ca", "{unknown_ca}:{imaps}", 78, "nobody whom ecluse trusts", ""),
    ("cn_only", "localhost:{imaps_cn_only}", 78, "for another name", "for no name")])
def test_a_bad_certificate_of_the_mail_server(ecluse, rig, kind, place, status, words, said):
    ecluse.add_provider("bad", place.format(**rig.state["addresses"], **rig.ports))
    ecluse.set("account alice", provider="bad")
    ecluse.sign_in("alice")
    walk = Walk(ecluse, "alice")
    walk.assert_fails("imap", "tls", status, words, said=said)
    assert "it is 20" in walk.find("tls", "imap")["detail"]  # our own time, to be compared


@pytest.mark.parametrize("protocol, name", [("imap", "imap"), ("pop3", "pop3"),
                                            ("smtp", "submission")])
def test_a_plaintext_port_given_as_tls(ecluse, rig, protocol, name):
    ecluse.add_provider("bad", **{protocol: f"tls://localhost:{rig.ports[name]}"})
    ecluse.set("account alice", provider="bad")
    ecluse.sign_in("alice")
    place = f"{protocol} = starttls://localhost:{rig.ports[name]}"
    Walk(ecluse, "alice").assert_fails(protocol, "tls", 78, "begins in plaintext", place)


def test_a_tls_port_given_as_starttls(ecluse, rig):
    ecluse.add_provider("bad", imap=f"starttls://localhost:{rig.ports['imaps']}")
    ecluse.set("account alice", provider="bad")
    ecluse.sign_in("alice")
    place = f"imap = tls://localhost:{rig.ports['imaps']}"
    Walk(ecluse, "alice").assert_fails("imap", "tls", 78, "TLS from its first octet", place)


@pytest.mark.parametrize("protocol, name", [("imap", "imap"), ("pop3", "pop3"),
                                            ("smtp", "submission")])
def test_starttls_that_is_right(ecluse, rig, protocol, name):
    ecluse.add_provider("good", **{protocol: f"starttls://localhost:{rig.ports[name]}"})
    ecluse.set("account alice", provider="good")
    ecluse.sign_in("alice")
    walk = Walk(ecluse, "alice")
    assert walk.status == 0 and walk.outcomes("alice", protocol) == WELL
    assert walk.find("tls", protocol)["detail"].startswith("STARTTLS, TLSv1.")


def test_a_port_where_nobody_listens(ecluse):
    ecluse.add_provider("bad", "localhost:1")
    ecluse.set("account alice", provider="bad")
    ecluse.sign_in("alice")
    Walk(ecluse, "alice").assert_fails("imap", "tcp", 69, "port 1 of localhost", "check the port",
                                       "connection refused")


def test_a_name_that_nobody_has(ecluse):
    ecluse.add_provider("bad", "nowhere.invalid:993")
    ecluse.set("account alice", provider="bad")
    ecluse.sign_in("alice")
    walk = Walk(ecluse, "alice")
    # Without a resolver it may be up again later; with one there is no such name.
    assert walk.status in (75, 78) and walk.failures() == [("imap", "dns")]


def test_a_port_of_another_protocol(ecluse, rig):
    ecluse.add_provider("bad", f"localhost:{rig.ports['op']}")
    ecluse.set("account alice", provider="bad")
    ecluse.sign_in("alice")
    walk = Walk(ecluse, "alice")
    assert walk.status in (69, 78), walk.steps
    assert walk.failures() in ([("imap", "tls")], [("imap", "capabilities")]), walk.steps


def test_a_server_without_a_login_by_token(ecluse, rig):
    ecluse.add_provider("bad", f"{rig.state['addresses']['password']}:{rig.ports['imaps']}")
    ecluse.set("account alice", provider="bad")
    ecluse.sign_in("alice")
    Walk(ecluse, "alice").assert_fails("imap", "capabilities", 78, "no login with a token",
                                       "flow = none", "PLAIN LOGIN")


def test_a_token_that_the_server_does_not_take(ecluse, rig):
    """Bob's, for Alice's mailbox; her mail is said to be his to read."""
    ecluse.set("account alice", login_hint="bob@example.test")
    ecluse.sign_in("alice", user="bob@example.test")
    walk = Walk(ecluse, "alice")
    assert walk.status == 77, walk.steps
    assert walk.failures() == [("imap", "login"), ("pop3", "login"), ("smtp", "login")]
    for protocol in ("imap", "pop3", "smtp"):
        login = walk.find("login", protocol)
        assert "does not take the token for alice@example.test" in login["detail"]
        assert "ecluse login alice" in login["advice"]


def test_a_token_that_died_early_is_replaced_as_for_a_session(ecluse, rig):
    ecluse.ready("alice")
    ecluse.access_token("alice")
    rig.knob("expire", "alice@example.test")
    before = rig.token_requests()
    walk = Walk(ecluse, "alice")
    assert walk.status == 0, walk.steps
    assert walk.outcomes("alice", "imap") == WELL
    assert "new token" in walk.find("login", "imap")["detail"]
    assert rig.token_requests() == before + 1


@pytest.fixture
def password(ecluse, rig):
    """Alice's at a provider without OAuth; not stored yet."""
    host = rig.state["addresses"]["password"]
    secret = rig.state["users"]["alice@example.test"]["password"]
    ecluse.secrets["the provider's password"] = secret
    ecluse.add_provider("passwords", f"{host}:{rig.ports['imaps']}",
                        pop3=f"tls://{host}:{rig.ports['pop3s']}",
                        smtp=f"tls://{host}:{rig.ports['submissions']}")
    ecluse.set("account alice", provider="passwords", flow="none")
    return secret


def store(ecluse, password):
    result = ecluse.ecluse("login", "alice", "--password-stdin", stdin=password.encode())
    assert result.status == 0, result


@pytest.mark.parametrize("has_daemon", [False, True])
def test_a_password_of_the_provider(ecluse, password, has_daemon):
    """A keeper of our own gives it; a daemon keeps it, and logs in itself."""
    store(ecluse, password)
    if has_daemon:
        ecluse.start()
    walk = Walk(ecluse, "alice")
    assert walk.status == 0, walk.steps
    assert walk.outcomes("alice", None) == {"configuration": "ok", "token": "ok"}
    for protocol in ("imap", "pop3", "smtp"):
        assert walk.outcomes("alice", protocol) == WELL
        assert walk.find("login", protocol)["detail"] == "as alice@example.test by SCRAM-SHA-256"


@pytest.mark.parametrize("has_daemon", [False, True])
def test_a_wrong_password_of_the_provider(ecluse, password, has_daemon):
    store(ecluse, "not-the-password-at-all")
    if has_daemon:
        ecluse.start()
    walk = Walk(ecluse, "alice")
    assert walk.status == 77, walk.steps
    assert walk.failures() == [("imap", "login"), ("pop3", "login"), ("smtp", "login")]
    for protocol in ("imap", "pop3", "smtp"):
        failed = walk.find("login", protocol)
        assert failed["detail"].startswith("the provider does not take the password of "
                                           "alice@example.test: "), failed
        assert "ecluse login alice --password-stdin" in failed["advice"], failed


@pytest.mark.parametrize("has_daemon", [False, True])
def test_a_password_that_nobody_has_stored(ecluse, password, has_daemon):
    if has_daemon:
        ecluse.start()
    walk = Walk(ecluse, "alice")
    assert walk.status == 77 and walk.failures() == [(None, "token")], walk.steps
    assert "ecluse login alice --password-stdin" in walk.find("token")["detail"]
    assert walk.outcomes("alice", "imap") == WELL | {"login": "skipped"}


def test_a_password_that_a_command_prints(ecluse, password):
    """The daemon runs it; what it prints goes nowhere else."""
    place = ecluse.folder / "password"
    place.write_text(password + "\n")
    ecluse.set("account alice", password_command=f"cat {place}")
    ecluse.start()
    assert Walk(ecluse, "alice").status == 0
    place.write_bytes(b"p\xe4ss\n")
    assert ecluse.stop() == 0
    ecluse.start()
    walk = Walk(ecluse, "alice")
    assert walk.status == 78
    assert walk.failures() == [("imap", "login"), ("pop3", "login"), ("smtp", "login")]
    assert "cannot be tried from here" in walk.find("login", "imap")["detail"]


def test_what_cannot_be_asked_for(ecluse):
    one_line(ecluse.ecluse("doctor", "nobody"), 65, "no such account")
    ecluse.set("account alice", flow="nonsense")
    result = ecluse.ecluse("doctor")
    assert result.status == 78 and result.out == "", result


def test_it_holds_up_nobody(ecluse, rig):
    """Sessions come and go meanwhile."""
    ecluse.ready("alice")
    session = ecluse.raw_session("alice")
    with subprocess.Popen([BINARY, "doctor", "alice", "-c", ecluse.file], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, env=ecluse.environment()) as doctor:
        assert session.command("NOOP")[0].startswith("OK ")
        assert ecluse.try_login("alice").startswith("OK ")
        assert doctor.wait(PATIENCE) == 0
    wait_until(lambda: ecluse.status()["sessions"] == 1, "the sessions' end")
