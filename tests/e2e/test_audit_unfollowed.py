"""What the tap cannot follow: a line behind IDLE, which ends it or is a command as the server likes."""

from audit_support import field, records, wait_records
from ecluse_support import ALICE

IDLE_AND_MORE = b"i IDLE\r\nn NOOP\r\n"


def log_in(ecluse):
    client = ecluse.raw()
    client.login(ALICE, ecluse.passwords["alice"])
    client.command("NOOP")
    return client


def verbs(ecluse):
    return [field(record, "ecluse.command.verb") for record in records(ecluse, "command")]


def test_the_bytes_go_on(ecluse):
    client = log_in(ecluse.ready("alice"))
    client.send(IDLE_AND_MORE)
    assert client.command("NOOP")[0].startswith("OK")
    off, = wait_records(ecluse, "tap-off", 1)
    assert field(off, "event.reason") == "a command within IDLE"
    assert field(off, "event.outcome") == "failure"
    assert verbs(ecluse) == ["NOOP", "IDLE"]


def test_or_the_session_ends(ecluse):
    ecluse.set("ecluse", audit_strict="yes")
    client = log_in(ecluse.ready("alice"))
    client.send(IDLE_AND_MORE)
    assert b"* BYE what is said cannot be followed" in client.rest()
    close, = wait_records(ecluse, "session-close", 1)
    assert field(close, "event.code") == "policy"
    assert len(records(ecluse, "tap-off")) == 1 and verbs(ecluse) == ["NOOP", "IDLE"]
