"""A client that logs in once more in a POP3 or SMTP session is answered here, and so is what it
sends for an exchange without waiting to be asked: its password is not for the mail server. IMAP's is
in test_second_login.
"""

import base64

import pytest

from audit_support import field, pop3_verbs, segments, smtp_verbs, wait_records
from ecluse_support import ALICE
from imap_support import plain
from waiting import wait_until

USER = ALICE.encode()
NAME = base64.b64encode(USER)

ANSWERS = {"pop3": {"login": b"-ERR you are logged in already", "line": b"-ERR a command is expected",
                    "NOOP": b"+OK", "QUIT": b"+OK "},
           "smtp": {"login": b"503 5.5.1 you are logged in already",
                    "line": b"500 5.5.2 unknown command", "NOOP": b"250 ", "QUIT": b"221 "}}
VERBS = {"pop3": pop3_verbs, "smtp": smtp_verbs}

# What is said, and how each of its lines is answered.
FORMS = {
    "initial response": lambda word: [(b"AUTH PLAIN " + plain(USER, word), "login")],
    "exchange": lambda word: [(b"auth plain", "login")],
    "exchange at once": lambda word: [(b"AUTH PLAIN", "login"), (plain(USER, word), "line")],
    "name and password": lambda word: [(b"AUTH LOGIN", "login"), (NAME, "line"),
                                       (base64.b64encode(word), "line")],
    "password": lambda word: [(b"AUTH LOGIN " + NAME, "login"), (base64.b64encode(word), "line")],
    "with a blank behind": lambda word: [(b"AUTH LOGIN", "login"), (NAME + b" ", "line"),
                                         (base64.b64encode(word) + b" ", "line")],
    "as they are": lambda word: [(b"AUTH LOGIN", "login"), (USER, "line"), (word, "line")],
    "of IMAP": lambda word: [(b"LOGIN " + USER + b" " + word, "line"),
                             (b"x LOGIN " + USER + b" " + word, "line")],
}
POP3_FORMS = {
    "USER and PASS": lambda word: [(b"USER " + USER, "login"), (b"pass " + word, "login")],
    "PASS in two lines": lambda word: [(b"PASS", "login"), (word, "line")],
    "APOP": lambda word: [(b"APOP " + USER + b" " + word, "login")],
}
SMTP_FORMS = {
    "USER and PASS": lambda word: [(b"USER " + USER, "line"), (b"PASS " + word, "line")],
    "X-EXPS": lambda word: [(b"X-EXPS LOGIN", "login"), (NAME, "line"),
                            (base64.b64encode(word), "line")],
}
ALL_FORMS = [pytest.param(protocol, form, id=f"{protocol}-{name}")
             for protocol, more in (("pop3", POP3_FORMS), ("smtp", SMTP_FORMS))
             for name, form in {**FORMS, **more}.items()]


@pytest.fixture
def server(ecluse, rig, rawlog):
    """Dovecot, for submission too: Postfix does not write down what it hears."""
    ecluse.set("provider local", smtp=f"tls://localhost:{rig.ports['submissions']}")
    ecluse.ready("alice")
    return rawlog


def assert_unheard(rawlog, protocol, password, verbs):
    """The whole session, which is over, and nothing of the login."""
    def heard():
        return [session for session in rawlog.sessions() if session]

    wait_until(lambda: [VERBS[protocol](session) for session in heard()] == [verbs],
               "what Dovecot heard")
    session, = heard()
    word = password.encode()
    for secret in (word, base64.b64encode(word), plain(USER, word), USER, NAME, b"AUTH", b"LOGIN"):
        assert secret not in session


def say(client, octets, cut):
    if cut == "octet by octet":
        for octet in octets:
            client.send(bytes([octet]))
    else:
        client.send(octets)


@pytest.mark.parametrize("cut", ["in one piece", "octet by octet"])
@pytest.mark.parametrize("protocol, form", ALL_FORMS)
def test_it_stays_here(ecluse, server, protocol, form, cut):
    """Twice: behind a command that is answered, and among some that are not."""
    client = ecluse.raw_session("alice", protocol)
    password = ecluse.passwords["alice"]
    answers = ANSWERS[protocol]
    lines = [(b"NOOP", "NOOP"), *form(password.encode())]
    assert client.command("NOOP").encode().startswith(answers["NOOP"])
    lines = [*lines[1:], *lines, (b"NOOP", "NOOP"), *lines[1:], (b"QUIT", "QUIT")]
    say(client, b"".join(line + b"\r\n" for line, _ in lines), cut)
    said = client.rest().splitlines()
    assert len(said) == len(lines)
    for answer, (_, kind) in zip(said, lines):
        assert answer.startswith(answers[kind])
    assert_unheard(server, protocol, password, ["NOOP", "NOOP", "NOOP", "QUIT"])


@pytest.mark.parametrize("protocol", ["pop3", "smtp"])
def test_it_stays_here_with_bare_newlines(ecluse, server, protocol):
    client = ecluse.raw_session("alice", protocol)
    password = ecluse.passwords["alice"]
    client.send(b"AUTH LOGIN\n" + NAME + b"\n" + base64.b64encode(password.encode()) + b"\nQUIT\n")
    answers = ANSWERS[protocol]
    said = client.rest().splitlines()
    assert said[:3] == [answers["login"], answers["line"], answers["line"]] and len(said) == 4
    assert_unheard(server, protocol, password, ["QUIT"])


@pytest.mark.parametrize("protocol", ["pop3", "smtp"])
def test_what_was_pushed_before_the_login_was_over(ecluse, server, protocol):
    """The exchange is said twice, at once, and the first is the login."""
    password = ecluse.passwords["alice"].encode()
    client = ecluse.raw(protocol=protocol)
    exchange = b"AUTH LOGIN\r\n" + NAME + b"\r\n" + base64.b64encode(password) + b"\r\n"
    say(client, (b"EHLO x\r\n" if protocol == "smtp" else b"") + 2 * exchange + b"QUIT\r\n", "whole")
    said = client.rest().splitlines()
    answers = ANSWERS[protocol]
    assert said[-4:-1] == [answers["login"], answers["line"], answers["line"]]
    assert_unheard(server, protocol, password.decode(), ["QUIT"])


def test_a_narrow_password_is_not_told_of_either(ecluse, server):
    """What a read-only grant denies is in the journal with its verb; such a line has none."""
    ecluse.passwords["alice"] = ecluse.grant("alice", "--read-only", client="reader")
    client = ecluse.raw_session("alice", "pop3")
    password = ecluse.passwords["alice"].encode()
    client.send(b"DELE 1\r\nAUTH PLAIN\r\n" + plain(USER, password) + b"\r\nQUIT\r\n")
    assert client.rest().splitlines()[:3] == [
        b"-ERR [SYS/PERM] this password is read-only", *(ANSWERS["pop3"][kind] for kind in ("login", "line"))]
    assert_unheard(server, "pop3", password.decode(), ["QUIT"])
    denied = wait_records(ecluse, "policy", 1)
    assert [field(record, "ecluse.command.verb") for record in denied] == ["DELE"]
    wait_records(ecluse, "session-close", 1)
    written = b"".join(segment.read_bytes() for segment in segments(ecluse))
    assert plain(USER, password) not in written and password not in written
