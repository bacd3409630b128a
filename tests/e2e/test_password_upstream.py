"""Providers without OAuth: a password from the vault or from a command, to a real Dovecot that takes
passwords only (127.0.0.6 of the rig), and to servers that lie."""

import base64
import json
import poplib
import re
import smtplib

import pytest

from cli_support import PATIENCE, free_port, one_line
from ecluse_support import CAROL
from waiting import wait_until

MECHANISMS = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"]
WRONG = "not-the-password-at-all"


class Passwords:
    """What the provider knows of carol, and an ecluse with her account."""

    def __init__(self, ecluse, rig):
        self.ecluse = ecluse
        self.right = rig.state["users"][CAROL]["password"]
        self.file = ecluse.folder / "password-of-carol"
        self.host = rig.state["addresses"]["password"]
        self.place = f"{self.host}:{rig.ports['imaps']}"
        ecluse.secrets["carol's password at the provider"] = self.right

    def serve(self, place=None, provider=None, **account):
        self.ecluse.set("provider passwords", imap=f"tls://{place or self.place}",
                        **(provider or {}))
        self.ecluse.set("account carol", address=CAROL, provider="passwords", flow="none",
                        **account)
        self.ecluse.start()
        self.ecluse.grant("carol")
        return self

    def by_command(self, *lines):
        """A script, which keeps count of its runs."""
        script = self.ecluse.folder / "print-password"
        script.write_text("\n".join([f"echo run >>{self.ecluse.folder}/runs", *lines, ""]))
        return self.serve(password_command=f"sh {script}")

    def keep(self, password):
        self.file.write_text(password + "\n")

    def store(self, password):
        result = self.ecluse.ecluse("login", "carol", "--password-stdin", stdin=password.encode())
        assert result.status == 0 and result.err == "", result
        assert "the next login of a mail client tries it" in result.out, result

    def assert_reads(self):
        client = self.ecluse.session("carol")
        assert client.select("INBOX", readonly=True)[0] == "OK"
        client.logout()

    def runs(self):
        file = self.ecluse.folder / "runs"
        return file.read_text().count("run\n") if file.exists() else 0

    def row(self):
        return self.ecluse.accounts()["carol"]


@pytest.fixture
def passwords(ecluse, rig):
    return Passwords(ecluse, rig)


# ---- a real server ----

@pytest.mark.parametrize("mechanism", [None, *MECHANISMS])
def test_a_stored_password_opens_the_mailbox(passwords, mechanism):
    passwords.serve(provider={"mechanisms": mechanism} if mechanism else None)
    passwords.store(passwords.right)
    passwords.assert_reads()
    passwords.ecluse.wait_log(
        f'upstream-auth account=carol .*outcome=success .*detail="{mechanism or MECHANISMS[0]}"')


def test_without_a_password_its_user_is_asked_for_one(passwords):
    passwords.serve()
    assert passwords.row()["signed_in"] == "never"
    reply = passwords.ecluse.try_login("carol")
    assert reply.startswith("NO ") and "ecluse login carol --password-stdin" in reply, reply
    passwords.store(passwords.right)
    assert passwords.row()["signed_in"] == "in"
    passwords.assert_reads()


def test_it_outlives_the_daemon(passwords):
    passwords.serve()
    passwords.store(passwords.right)
    assert passwords.ecluse.stop() == 0
    passwords.ecluse.start()
    passwords.assert_reads()


def test_a_wrong_password_is_tried_once_and_can_be_mended(passwords):
    passwords.serve()
    passwords.store(WRONG)
    reply = passwords.ecluse.try_login("carol")
    assert reply.startswith("NO "), reply
    assert "the provider refused the password of account carol" in reply, reply
    assert "ecluse login carol --password-stdin" in reply, reply
    passwords.ecluse.wait_log("session-close")
    assert len(re.findall("upstream-auth account=carol", passwords.ecluse.log())) == 1
    passwords.store(passwords.right)
    passwords.assert_reads()


def test_a_command_prints_it(passwords):
    passwords.keep(passwords.right)
    passwords.by_command(f"cat {passwords.file}")
    row = passwords.row()
    assert (row["flow"], row["signed_in"], row["expires"]) == ("none", "by command", None)
    for _ in range(3):
        passwords.assert_reads()
    assert passwords.runs() == 1
    assert passwords.row()["expires"] is None


def test_a_password_that_has_changed_is_fetched_anew(passwords):
    """The provider refuses the old one; the client notices nothing."""
    passwords.keep(passwords.right)
    once = passwords.ecluse.folder / "once"
    passwords.by_command(f"if test -e {once}; then cat {passwords.file}; else echo {WRONG}; fi",
                         f"touch {once}")
    passwords.assert_reads()
    assert passwords.runs() == 2


def test_a_command_with_a_wrong_password(passwords):
    passwords.keep(WRONG)
    passwords.by_command(f"cat {passwords.file}")
    reply = passwords.ecluse.try_login("carol")
    assert reply.startswith("NO ") and "password_command" in reply, reply
    assert passwords.runs() == 2  # once more after the refusal, and no third time
    passwords.keep(passwords.right)
    # The pause before the next try is of a second.
    wait_until(lambda: passwords.ecluse.try_login("carol").startswith("OK "), "the new password")
    assert passwords.runs() == 3


@pytest.mark.parametrize("command, words", [
    ("echo {secret}; exit 3", "ended with status 3"),
    ("echo {secret}; echo more", "printed more than one line"),
    ("echo {secret} >&2; false", "ended with status 1"),
    ("true", "printed nothing"),
    ("/no/such/program", "ended with status 127"),
])
def test_a_command_that_fails(passwords, command, words):
    passwords.keep("canary-of-the-failing-command")
    passwords.ecluse.secrets["what it printed"] = "canary-of-the-failing-command"
    passwords.by_command(command.format(secret=f"$(cat {passwords.file})"))
    reply = passwords.ecluse.try_login("carol")
    assert reply.startswith("NO [UNAVAILABLE] "), reply
    assert f"its password_command {words}" in reply and "canary" not in reply, reply
    passwords.ecluse.wait_log(words)


def test_tokens_and_passwords_side_by_side(passwords):
    passwords.keep(passwords.right)
    passwords.by_command(f"cat {passwords.file}")
    passwords.ecluse.ready("alice")
    passwords.assert_reads()
    passwords.ecluse.session("alice").logout()
    passwords.assert_reads()


def listen(passwords, protocol, port_name, mechanism):
    """A port of ecluse for that protocol, at the real server."""
    port = free_port()
    passwords.ecluse.set(f"listen {protocol}", protocol=protocol, address=f"127.0.0.1:{port}")
    place = f"tls://{passwords.host}:{passwords.ecluse.rig.ports[port_name]}"
    passwords.serve(provider={protocol: place, "mechanisms": mechanism})
    passwords.store(passwords.right)
    return port


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_pop3(passwords, mechanism):
    port = listen(passwords, "pop3", "pop3s", mechanism)
    client = poplib.POP3("127.0.0.1", port, timeout=PATIENCE)
    client.user(CAROL)
    client.pass_(passwords.ecluse.passwords["carol"])
    assert client.stat()[0] == len(passwords.ecluse.rig.mails(CAROL))
    client.quit()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_smtp(passwords, mechanism):
    port = listen(passwords, "smtp", "submissions", mechanism)
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
        client.login(CAROL, passwords.ecluse.passwords["carol"])
        assert client.mail(CAROL)[0] == 250
        assert client.rcpt(CAROL)[0] == 250
        assert client.rset()[0] == 250


# ---- servers that lie ----

NO_OAUTH = "IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256"


def client_final(connection, iterations=4096):
    """Up to the client's proof; the tag. `said` is what the client has sent."""
    connection.handshake()
    connection.greet(NO_OAUTH)
    tag, verb, mechanism, first = connection.line().decode().split(" ")
    assert (verb, mechanism) == ("AUTHENTICATE", "SCRAM-SHA-256")
    nonce = base64.b64decode(first).decode().split(",r=")[1]
    salt = base64.b64encode(b"salt").decode()
    challenge = f"r={nonce}server,s={salt},i={iterations}"
    connection.send(f"+ {base64.b64encode(challenge.encode()).decode()}\r\n")
    connection.said = connection.line()
    return tag


def without_proof(connection):
    connection.accept(client_final(connection))
    connection.until_gone()


def with_a_false_proof(connection):
    tag = client_final(connection)
    proof = "v=" + base64.b64encode(b"\0" * 32).decode()
    connection.send(f"+ {base64.b64encode(proof.encode()).decode()}\r\n")
    connection.said = connection.line()
    connection.accept(tag)
    connection.until_gone()


@pytest.mark.parametrize("script", [without_proof, with_a_false_proof])
def test_a_server_that_does_not_know_the_password(passwords, upstreams, script):
    upstream = upstreams(script)
    passwords.serve(f"localhost:{upstream.port}")
    passwords.store(passwords.right)
    reply = passwords.ecluse.try_login("carol")
    assert reply.startswith("NO "), reply
    assert "did not prove that it knows the password" in reply, reply
    for connection in upstream.wait_over():
        assert passwords.right.encode() not in connection.plain
        if script is with_a_false_proof:
            assert connection.said == b"*"


def endless_work(connection):
    tag = client_final(connection, iterations=4_000_000_000)
    assert connection.said == b"*"
    connection.send(f"{tag} BAD cancelled\r\n")
    connection.until_gone()


def test_a_server_that_asks_for_endless_work(passwords, upstreams):
    upstream = upstreams(endless_work)
    passwords.serve(f"localhost:{upstream.port}")
    passwords.store(passwords.right)
    assert passwords.ecluse.try_login("carol").startswith("NO ")
    upstream.wait_over()


def wants_a_token(connection):
    connection.handshake()
    connection.greet("IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=CRAM-MD5")
    connection.until_gone()


def test_a_password_is_never_sent_for_a_token(passwords, upstreams):
    upstream = upstreams(wants_a_token)
    passwords.serve(f"localhost:{upstream.port}")
    passwords.store(passwords.right)
    reply = passwords.ecluse.try_login("carol")
    assert "offers no mechanism that takes a password" in reply, reply
    for connection in upstream.wait_over():
        assert b"AUTHENTICATE" not in connection.plain and b"LOGIN" not in connection.plain


# ---- the command line ----

@pytest.fixture
def carol(passwords):
    """Nothing runs; ecluse works on the vault by itself."""
    passwords.ecluse.set("provider passwords", imap=f"tls://{passwords.place}")
    passwords.ecluse.set("account carol", address=CAROL, provider="passwords", flow="none")
    return passwords


def test_login_takes_what_the_flow_has(carol):
    call = carol.ecluse.ecluse
    one_line(call("login", "alice", "--password-stdin", stdin=b"secret"), 64,
             "alice: flow = code takes a refresh token; use --refresh-token-stdin")
    one_line(call("login", "carol", "--refresh-token-stdin", stdin=b"token"), 64,
             "carol: flow = none takes a password; use --password-stdin")
    one_line(call("login", "carol"), 64, "--password-stdin")
    one_line(call("login", "carol", "--password-stdin", "--refresh-token-stdin", stdin=b"x"), 64,
             "exclude each other")
    assert carol.row()["signed_in"] == "never"
    carol.ecluse.set("account carol", password_command="true")
    one_line(call("login", "carol", "--password-stdin", stdin=b"secret"), 64,
             "carol: its password comes from password_command")


@pytest.mark.parametrize("password, words", [
    (b"", "empty"),
    (b"\n", "empty"),
    (b"two\nlines\n", "more than one line"),
    (b"a\0b", "control characters"),
    (b"a\rb", "control characters"),
    (b"x" * 1025, "longer than 1024 octets"),
])
def test_a_password_that_is_none_is_not_stored(carol, password, words):
    one_line(carol.ecluse.ecluse("login", "carol", "--password-stdin", stdin=password), 65, words)
    assert carol.row()["signed_in"] == "never"


def test_the_longest_password_is_stored(carol):
    carol.store("p" * 1024)
    row = carol.row()
    assert (row["flow"], row["signed_in"], row["expires"]) == ("none", "in", None)


def test_a_password_is_not_shown(carol):
    carol.store(carol.right)
    result = carol.ecluse.ecluse("token", "carol")
    one_line(result, 64, "carol: flow = none has a password, which is not given out")
    shown = carol.ecluse.ecluse("accounts").out + json.dumps(carol.ecluse.accounts())
    assert carol.right not in shown


def test_a_password_stays_with_its_provider(carol):
    carol.store(carol.right)
    carol.ecluse.set("provider others", imap=f"tls://{carol.place}")
    carol.ecluse.set("account carol", provider="others")
    assert carol.row()["signed_in"] == "out"
