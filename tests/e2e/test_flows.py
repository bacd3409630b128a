"""Flows that need nobody: the account's own client, or a command, brings the token."""

import pytest

from ecluse_support import ALICE, WRONG
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
        return self.serve(flow, client_id=self.client["client_id"], **options)

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


# ---- a grant is needed all the same ----

FLOWS = {
    "client_credentials": lambda flow: flow.as_client(
        client_secret_command=flow.script("ask", f"echo {flow.client['client_secret']}")),
    "command": lambda flow: flow.serve("command", token_command=flow.script("ask", "echo token")),
}


@pytest.mark.parametrize("kind", FLOWS)
def test_without_the_local_password_nothing_is_asked_for(flow, kind):
    FLOWS[kind](flow)
    for password in ("", "wrong", flow.client["client_secret"]):
        assert flow.ecluse.try_login("service", password or "x") == WRONG
    assert flow.runs("ask") == 0 and flow.rig.token_requests() == 0
