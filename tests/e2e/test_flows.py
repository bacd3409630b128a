"""Flows that need nobody: the account's own client, a service account, the user's password, or a
command brings the token."""

import base64
import shutil
import subprocess
import time

import pytest

from cli_support import one_line
from ecluse_support import ALICE, BOB, WRONG
from waiting import wait_until

ACCOUNT = "account service"


class Flow:
    """An ecluse with one account, alice's mailbox, which nobody signs in to."""

    def __init__(self, ecluse, rig):
        self.ecluse, self.rig = ecluse, rig
        self.ecluse.sections.pop("account alice")
        self.client = rig.state["clients"]["service"]

    def serve(self, flow, **options):
        self.ecluse.set(ACCOUNT, address=ALICE, provider="local", flow=flow, **options)
        self.ecluse.start()
        self.ecluse.grant("service")
        self.rig.clear()
        return self

    def as_client(self, flow="client_credentials", **options):
        return self.serve(flow, **{"client_id": self.client["client_id"], **options})

    def with_key(self, flow="client_credentials", **options):
        """As the client whose assertions the server verifies."""
        known = self.rig.state["clients"]["assertion"]
        return self.as_client(flow, **{"client_id": known["client_id"],
                                       "jwt_key_file": known["key"], **options})

    def as_service_account(self, **options):
        known = self.rig.state["service_account"]
        return self.serve("service_account", **{"jwt_key_file": known["file"], "scope": "mail",
                                                **options})

    def as_owner(self, **options):
        known = self.rig.state["clients"]["owner"]
        self.right = self.rig.state["users"][ALICE]["password"]
        self.ecluse.secrets["alice's password at the provider"] = self.right
        return self.serve("password", client_id=known["client_id"], client_auth="basic",
                          client_secret=known["client_secret"], **options)

    def store(self, password):
        result = self.ecluse.ecluse("login", "service", "--password-stdin", stdin=password.encode())
        assert result.status == 0, result

    def line_of(self, text):
        """Where it stands in the configuration."""
        return self.ecluse.file.read_text().splitlines().index(text) + 1

    def encrypted(self, key, passphrase):
        """A copy of the key under a passphrase."""
        copy = self.ecluse.folder / "encrypted.key"
        subprocess.run(["openssl", "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", key, "-out", copy,
                        "-passout", "stdin"], input=passphrase, text=True, check=True)
        copy.chmod(0o600)
        return copy

    def assert_reads(self):
        client = self.ecluse.session("service")
        assert client.select("INBOX", readonly=True)[0] == "OK"
        client.logout()

    def script(self, name, *lines):
        """A command that keeps count of its runs."""
        script = self.ecluse.folder / name
        script.write_text("\n".join([f"echo run >>{script}.runs", *lines, ""]))
        return f"sh {script}"

    def keep(self, name, text):
        """A file that a command prints."""
        file = self.ecluse.folder / name
        file.write_text(f"{text}\n")
        self.ecluse.secrets[f"what {name} holds ({len(self.ecluse.secrets)})"] = text
        return file

    def runs(self, name):
        file = self.ecluse.folder / f"{name}.runs"
        return file.read_text().count("run\n") if file.exists() else 0

    def requests(self, grant):
        return self.rig.stats()["token_requests"].get(grant, {})

    def last(self):
        return self.rig.stats()["last"][-1]

    def row(self):
        return self.ecluse.accounts()["service"]


@pytest.fixture
def flow(ecluse, rig):
    return Flow(ecluse, rig)


# ---- client credentials ----

def test_client_credentials(flow):
    flow.as_client(client_secret=flow.client["client_secret"])
    assert flow.row()["signed_in"] == "not needed"
    for _ in range(3):
        flow.assert_reads()
    assert flow.requests("client_credentials") == {"ok": 1} and flow.rig.token_requests() == 1
    assert flow.last()["auth"] == "post"
    assert flow.row()["last_error"] is None and flow.row()["expires"]


def test_client_credentials_are_asked_for_again_after_a_refusal(flow):
    flow.as_client(client_secret=flow.client["client_secret"])
    flow.assert_reads()
    flow.rig.knob("expire", "all")
    flow.assert_reads()
    assert flow.requests("client_credentials") == {"ok": 2}


def test_a_wrong_client_secret_is_said_and_can_be_mended(flow):
    secret = flow.keep("secret", "not-the-secret")
    flow.as_client(client_secret_command=f"cat {secret}")
    reply = flow.ecluse.try_login("service")
    assert reply.startswith("NO [UNAVAILABLE] ") and "invalid_client" in reply, reply
    secret.write_text(flow.client["client_secret"] + "\n")
    wait_until(lambda: flow.ecluse.try_login("service").startswith("OK "), "the right secret")


def test_a_command_prints_the_client_secret(flow):
    secret = flow.keep("secret", flow.client["client_secret"])
    flow.as_client(client_secret_command=flow.script("print-secret", f"cat {secret}"))
    for _ in range(3):
        flow.assert_reads()
    assert flow.runs("print-secret") == 1 and flow.requests("client_credentials") == {"ok": 1}


def test_a_command_that_prints_no_client_secret(flow):
    flow.as_client(client_secret_command="echo canary; echo canary")
    reply = flow.ecluse.try_login("service")
    assert "its client_secret_command printed more than one line" in reply, reply
    assert "canary" not in reply and flow.rig.token_requests() == 0


# ---- token_command ----

def test_a_command_prints_the_token(flow):
    token = flow.keep("token", flow.rig.access_token(ALICE))
    flow.serve("command", token_command=flow.script("print-token", f"cat {token}"))
    assert (flow.row()["signed_in"], flow.row()["flow"]) == ("by command", "command")
    for _ in range(3):
        flow.assert_reads()
    assert flow.runs("print-token") == 1 and flow.rig.token_requests() == 0
    assert flow.row()["expires"] is None


def test_a_token_that_is_refused_is_asked_for_again(flow):
    token = flow.keep("token", flow.rig.access_token(ALICE))
    once = flow.ecluse.folder / "once"
    flow.serve("command", token_command=flow.script(
        "print-token", f"if test -e {once}; then cat {token}; else echo expired; fi",
        f"touch {once}"))
    flow.assert_reads()
    assert flow.runs("print-token") == 2


def test_a_token_that_stays_refused_is_not_tried_again(flow):
    flow.serve("command", token_command=flow.script("print-token", "echo expired"))
    reply = flow.ecluse.try_login("service")
    assert "the provider refused the token of account service" in reply, reply
    assert "token_command" in reply and flow.runs("print-token") == 2


def test_a_command_that_prints_no_token(flow):
    flow.serve("command", token_command="echo 'not a token: canary'")
    reply = flow.ecluse.try_login("service")
    assert "its token_command printed what cannot stand in a token" in reply, reply
    assert "canary" not in reply


def test_a_long_token(flow):
    """Longer than any password may be."""
    flow.rig.knob("token_size", 4096)
    token = flow.keep("token", flow.rig.access_token(ALICE))
    flow.serve("command", token_command=f"cat {token}")
    flow.assert_reads()


# ---- private_key_jwt ----

def fingerprint(certificate):
    """As openssl prints it, in the way of a JWT."""
    said = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-fingerprint",
                           "-sha256"], capture_output=True, text=True, check=True).stdout
    digest = bytes.fromhex(said.split("=")[1].strip().replace(":", ""))
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_a_client_signs(flow):
    flow.with_key()
    flow.assert_reads()
    last = flow.last()
    assert (last["outcome"], last["auth"]) == ("ok", "jwt")
    assert last["assertion"]["header"] == {"alg": "RS256", "typ": "JWT"}
    claims = last["assertion"]["claims"]
    assert claims["iss"] == claims["sub"] == "rig-assertion"
    assert claims["aud"] == flow.rig.state["endpoints"]["token"]
    assert claims["exp"] - claims["iat"] == 300 and abs(claims["iat"] - time.time()) < 60
    flow.rig.knob("expire", "all")
    flow.assert_reads()  # the server takes no assertion twice
    assert flow.requests("client_credentials") == {"ok": 2}
    assert flow.last()["assertion"]["claims"]["jti"] != claims["jti"]


def test_a_client_signs_and_names_its_certificate(flow):
    known = flow.rig.state["clients"]["assertion"]
    flow.with_key(jwt_cert_file=known["cert"])
    flow.assert_reads()
    assert flow.last()["outcome"] == "ok"
    assert flow.last()["assertion"]["header"] == {
        "alg": "PS256", "typ": "JWT", "x5t#S256": fingerprint(known["cert"])}


def test_a_key_under_a_passphrase(flow):
    passphrase = flow.keep("passphrase", "correct horse battery staple")
    key = flow.encrypted(flow.rig.state["clients"]["assertion"]["key"],
                         passphrase.read_text().strip())
    flow.with_key(jwt_key_file=key, jwt_passphrase_command=f"cat {passphrase}")
    flow.assert_reads()
    assert flow.requests("client_credentials") == {"ok": 1}


def test_a_refresh_is_signed_too(flow):
    """flow = code of a client that has a key."""
    flow.with_key("code")
    token = flow.rig.refresh_token(ALICE, client="assertion")
    flow.ecluse.secrets["a refresh token"] = token
    result = flow.ecluse.ecluse("login", "service", "--refresh-token-stdin", stdin=token.encode())
    assert result.status == 0, result
    flow.assert_reads()
    assert (flow.last()["grant"], flow.last()["auth"]) == ("refresh_token", "jwt")


@pytest.mark.parametrize("fault", ["another key", "a loose file", "no key", "another certificate",
                                   "no passphrase", "a wrong passphrase"])
def test_a_key_that_does_not_do(flow, fault):
    known, other = flow.rig.state["clients"]["assertion"], flow.rig.state["service_account"]
    loose = flow.ecluse.folder / "loose.key"
    shutil.copy(known["key"], loose)
    loose.chmod(0o644)
    encrypted = flow.encrypted(known["key"], "right")
    options, words, requests = {
        "another key": ({"jwt_key_file": other["key"]}, "invalid_client", 1),
        "a loose file": ({"jwt_key_file": loose}, f"chmod 600 {loose}", 0),
        "no key": ({"jwt_key_file": "/dev/null"}, "/dev/null is not a regular file", 0),
        "another certificate": ({"jwt_cert_file": other["cert"]},
                                "the certificate is not that of the key", 0),
        "no passphrase": ({"jwt_key_file": encrypted}, "see jwt_passphrase_command: the key is "
                          "encrypted and there is no passphrase", 0),
        "a wrong passphrase": ({"jwt_key_file": encrypted, "jwt_passphrase_command": "echo canary"},
                               "the passphrase of the key is wrong", 0),
    }[fault]
    flow.with_key(**options)
    reply = flow.ecluse.try_login("service")
    assert reply.startswith("NO [UNAVAILABLE] ") and words in reply, reply
    assert "canary" not in reply and flow.rig.token_requests() == requests
    result = flow.ecluse.ecluse("check")
    if fault in ("another key", "a wrong passphrase"):  # only the provider, or the command, tells
        assert result.status == 0, result
    else:
        line = flow.line_of(f"[{ACCOUNT}]")
        assert result.status == 78 and result.err.count("\n") == 1, result
        assert result.err.startswith(f"{flow.ecluse.file}:{line}: account service: "), result
        assert words in result.err, result


def test_check_looks_at_keys(flow):
    known, other = flow.rig.state["clients"]["assertion"], flow.rig.state["service_account"]
    nowhere = flow.ecluse.folder / "nowhere"
    encrypted = flow.encrypted(known["key"], "right")

    def says(status, words, **options):
        flow.ecluse.set(ACCOUNT, **options)
        result = flow.ecluse.ecluse("check")
        assert result.status == status and words in result.err, result
        return result

    flow.with_key(jwt_cert_file=known["cert"])
    assert says(0, "").err == ""
    says(78, str(nowhere), jwt_cert_file=nowhere)
    says(78, "there is no certificate in it", jwt_cert_file=known["key"])
    says(78, str(nowhere), jwt_key_file=nowhere, jwt_cert_file=known["cert"])
    locked = says(0, "is encrypted; jwt_passphrase_command was not run", jwt_key_file=encrypted,
                  jwt_passphrase_command=f"touch {nowhere}; echo right")
    assert "note: " in locked.err and not nowhere.exists()
    says(78, str(nowhere), jwt_cert_file=nowhere)
    for option in ("jwt_cert_file", "jwt_passphrase_command", "client_id"):
        del flow.ecluse.sections[ACCOUNT][option]
    assert says(0, "", flow="service_account", jwt_key_file=other["file"]).err == ""
    says(78, "does not name its service account", jwt_key_file=known["key"])


# ---- service accounts ----

def test_a_service_account(flow):
    flow.as_service_account()
    for _ in range(2):
        flow.assert_reads()
    last = flow.last()
    assert flow.rig.token_requests() == 1 and last["outcome"] == "ok"
    assert last["assertion"]["header"] == {"alg": "RS256", "typ": "JWT", "kid": "rig-key-1"}
    claims = last["assertion"]["claims"]
    assert claims["iss"] == flow.rig.state["service_account"]["email"]
    assert (claims["sub"], claims["scope"]) == (ALICE, "mail")
    assert "client" not in last  # the assertion says who asks


def test_a_service_account_with_a_bare_key(flow):
    known = flow.rig.state["service_account"]
    flow.as_service_account(jwt_key_file=known["key"], client_id=known["email"])
    flow.assert_reads()


def test_a_service_account_for_another_mailbox(flow):
    flow.as_service_account(user=BOB)
    flow.assert_reads()
    assert flow.last()["assertion"]["claims"]["sub"] == BOB


def test_a_service_account_that_may_not(flow):
    flow.as_service_account(user="nobody@example.test")
    reply = flow.ecluse.try_login("service")
    assert reply.startswith("NO [UNAVAILABLE] ") and "unauthorized_client" in reply, reply


# ---- the user's password ----

def test_a_stored_password_brings_a_token(flow):
    flow.as_owner()
    assert flow.row()["signed_in"] == "never"
    reply = flow.ecluse.try_login("service")
    assert "ecluse login service --password-stdin" in reply and flow.rig.token_requests() == 0
    flow.store(flow.right)
    for _ in range(2):
        flow.assert_reads()
    assert flow.requests("password") == {"ok": 1} and flow.rig.token_requests() == 1
    assert flow.last()["auth"] == "basic"
    assert flow.row()["signed_in"] == "in" and flow.row()["last_refresh"]
    flow.rig.knob("expire", ALICE)
    flow.assert_reads()  # the refresh token that came with the first is not used
    assert flow.requests("password") == {"ok": 2} and flow.rig.refreshes() == {}


def test_a_wrong_password_is_sent_once(flow):
    flow.as_owner()
    flow.store("not-the-password")
    for _ in range(2):
        reply = flow.ecluse.try_login("service")
        assert "the provider refused the password of account service" in reply, reply
        assert "ecluse login service --password-stdin" in reply
    assert flow.rig.token_requests() == 1
    flow.store(flow.right)
    flow.assert_reads()


def test_a_command_prints_the_password(flow):
    flow.as_owner(password_command=flow.script("print-password", f"cat {flow.ecluse.folder}/word"))
    flow.keep("word", "not-the-password")
    assert flow.row()["signed_in"] == "by command"
    reply = flow.ecluse.try_login("service")
    assert "have its password_command print the right one" in reply, reply
    one_line(flow.ecluse.ecluse("login", "service", "--password-stdin", stdin=b"x"), 64,
             "its password comes from password_command")
    flow.keep("word", flow.right)
    wait_until(lambda: flow.ecluse.try_login("service").startswith("OK "), "the right password")
    assert len(flow.requests("password")) == 2 and flow.rig.token_requests() == 2


# ---- a grant is needed all the same ----

FLOWS = {
    "client_credentials": lambda flow: flow.as_client(
        client_secret_command=flow.script("ask", f"echo {flow.client['client_secret']}")),
    "private_key_jwt": lambda flow: flow.with_key(
        jwt_passphrase_command=flow.script("ask", "echo x")),
    "service_account": lambda flow: flow.as_service_account(
        jwt_passphrase_command=flow.script("ask", "echo x")),
    "password": lambda flow: flow.as_owner(password_command=flow.script("ask", "echo x")),
    "command": lambda flow: flow.serve("command", token_command=flow.script("ask", "echo token")),
}


@pytest.mark.parametrize("kind", FLOWS)
def test_without_the_local_password_nothing_is_asked_for(flow, kind):
    FLOWS[kind](flow)
    for password in ("", "wrong", flow.client["client_secret"]):
        assert flow.ecluse.try_login("service", password or "x") == WRONG
    assert flow.runs("ask") == 0 and flow.rig.token_requests() == 0


# ---- users who are needed ----

def test_notify_command_runs_once_until_the_account_is_well(ecluse, rig):
    notices = ecluse.folder / "notices"
    script = ecluse.folder / "tell"
    script.write_text(f'echo "$ECLUSE_ACCOUNT: $ECLUSE_REASON" >>{notices}\nenv >>{notices}.env\n')
    ecluse.set("ecluse", notify_command=f"sh {script}")
    ecluse.ready("alice")
    said = "alice: account alice must be signed in again; sign in: ecluse login alice\n"
    for count in (1, 2):
        rig.knob("withdraw", ALICE)
        for _ in range(3):
            assert ecluse.try_login("alice").startswith("NO [AUTHENTICATIONFAILED] ")
        wait_until(notices.exists, "the notice")
        wait_until(lambda: notices.read_text() == said * count, "the notice again")
        ecluse.sign_in("alice")
        assert ecluse.try_login("alice").startswith("OK ")
    environment = (ecluse.folder / "notices.env").read_text()
    assert not [secret for secret in ecluse.secrets.values() if secret in environment]
    assert notices.read_text() == said * 2


def test_a_reason_is_told_to_client_log_and_accounts(flow):
    flow.as_service_account(user="nobody@example.test")
    reply = flow.ecluse.try_login("service")
    for text in (reply, flow.row()["last_error"], flow.ecluse.log()):
        assert "has not delegated this scope to the service account" in text, text
        assert "domain-wide delegation" in text
