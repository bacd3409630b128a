"""The audit journal of a daemon that runs, by `ecluse audit`."""

import json
import re
import shutil
import smtplib
import subprocess
import time

import pytest

from cli_support import BINARY, PATIENCE, one_line
from ecluse_support import WRONG
from waiting import wait_until


def audit(ecluse, *words, status=0, **options):
    result = ecluse.ecluse("audit", *words, **options)
    assert result.status == status, result
    return result.out


def records(ecluse, *more):
    return [json.loads(line) for line in audit(ecluse, "show", "--json", *more).splitlines()]


def new_seed(ecluse):
    seed = audit(ecluse, "init").strip()
    assert re.fullmatch("[0-9a-f]{64}", seed)
    ecluse.secrets["the seed of the journal"] = seed
    return seed


def verify(ecluse, seed, *more, status=0):
    return audit(ecluse, "verify", "--seed-stdin", *more, stdin=seed.encode(), status=status)


def send(ecluse, name="alice", to="bob@example.test"):
    with smtplib.SMTP("127.0.0.1", ecluse.smtp_port, timeout=PATIENCE) as client:
        client.login(ecluse.address_of(name), ecluse.passwords[name])
        client.sendmail(ecluse.address_of(name), [to], b"Subject: x\r\n\r\nhello\r\n")


def test_a_seed_proves_what_it_sealed(ecluse):
    """Over a session, a refused password, a kill -9 and a restart."""
    ecluse.ready("alice")
    seed = new_seed(ecluse)
    send(ecluse)
    assert ecluse.try_login("alice", "wrong") == WRONG
    ecluse.kill()
    ecluse.start()
    assert ecluse.try_login("alice").startswith("OK ")
    out = verify(ecluse, seed)
    sealed, all_of_them = map(int, re.search(r"seals of (\d+) of (\d+) records", out).groups())
    first = records(ecluse, "--action", "audit-open")[1]["event"]["sequence"]
    assert sealed == all_of_them - first + 1, out
    shown = audit(ecluse, "show", "--action", "message-send,client-auth")
    assert re.search(r"alice +smtp +message-send +ok .*from alice@example\.test to bob@example\.test",
                     shown), shown
    assert re.search(r"alice +imap +client-auth +FAILED \(auth-rejected\)", shown), shown
    second = new_seed(ecluse)
    assert f"seals of {sealed}" not in verify(ecluse, f"{seed} {second}")
    assert verify(ecluse, "11" * 32, status=1).startswith("tampered: record 1: not sealed by this")


def test_who_edits_the_files_is_found(ecluse):
    ecluse.ready("alice")
    seed = new_seed(ecluse)
    send(ecluse)
    wait_until(lambda: records(ecluse, "--action", "session-close"), "the end of the session")
    sent, = records(ecluse, "--action", "message-send")
    number = sent["event"]["sequence"]
    path = sorted((ecluse.folder / "state" / "audit").glob("*.jsonl"))[-1]
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"rcpt":"bob@', b'"rcpt":"eve@'))
    assert verify(ecluse, seed, status=1).startswith(f"tampered: record {number}: modified\n")
    path.write_bytes(b"".join(line for line in whole.splitlines(True)
                              if b'"message-send"' not in line))
    assert verify(ecluse, seed, status=1).startswith(f"tampered: record {number}: missing\n")
    # The daemon knows what it has written.
    lines = whole.splitlines(True)
    path.write_bytes(b"".join(lines[:-3]))
    out = audit(ecluse, "verify", status=1)
    last = json.loads(lines[-4])["event"]["sequence"]
    assert out.startswith(f"tampered: record {last + 1}: truncated\n"), out
    path.write_bytes(whole)
    verify(ecluse, seed)


def test_pseudonyms_that_are_erased(ecluse):
    ecluse.set("ecluse", audit="minimal")
    ecluse.ready("alice")
    seed = new_seed(ecluse)
    send(ecluse)
    send(ecluse)
    audit(ecluse, "erase", "--account", "alice")
    send(ecluse)
    names = [record["ecluse"]["smtp"]["rcpt"]
             for record in records(ecluse, "--action", "message-send")]
    assert all(re.fullmatch(r"h:[0-9a-f]{24}@example\.test", name) for name in names), names
    assert names[0] == names[1] != names[2]
    everything = b"".join(path.read_bytes()
                          for path in (ecluse.folder / "state" / "audit").glob("*.jsonl"))
    assert b"bob@" not in everything and b"alice@" not in everything
    verify(ecluse, seed)
    one_line(ecluse.ecluse("audit", "erase", "--account", "nobody"), 65, "nobody")


def test_follow_and_stats(ecluse):
    """What comes is shown when it is on disk; how long that took is printed."""
    ecluse.ready("alice")
    following = subprocess.Popen([BINARY, "audit", "follow", "--json", "--action", "message-send",
                                  "--since", "1h", "-c", str(ecluse.file)],
                                 stdout=subprocess.PIPE, env=ecluse.environment())
    try:
        send(ecluse)
        assert json.loads(following.stdout.readline())["event"]["outcome"] == "success"
        send(ecluse)
        record = json.loads(following.stdout.readline())
        at = time.time()
        began = time.strptime(record["@timestamp"][:19], "%Y-%m-%dT%H:%M:%S")
        print(f"shown at {at:.3f}, written {record['@timestamp']} ({time.strftime('%X', began)})")
    finally:
        following.kill()
        following.wait(PATIENCE)
        following.stdout.close()

    def closed():
        return [row for row in json.loads(audit(ecluse, "stats", "--json"))
                if row["account"] == "alice" and row["sessions"] == 2]

    row, = wait_until(closed, "the ends of both sessions")
    assert row["messages"] == 2 and row["failures"] == 0 and row["bytes"] > 200
    assert len(records(ecluse, "--account", "alice")) == \
        len(audit(ecluse, "export", "--account", "alice").splitlines())


@pytest.mark.parametrize("is_running", [True, False])
def test_no_journal(ecluse, is_running):
    ecluse.set("ecluse", audit="off")
    if is_running:
        ecluse.start()
    one_line(ecluse.ecluse("audit", "show"), 69, "there is no journal")
    one_line(ecluse.ecluse("audit", "verify"), 3, "there is no journal")
    assert ecluse.ecluse("audit", "init").status == 69


def test_a_state_that_is_taken_away(ecluse):
    """A new chain begins; that the one before is beside it is said, and it can be checked."""
    ecluse.ready("alice")
    seed = new_seed(ecluse)
    send(ecluse)
    assert ecluse.stop() == 0
    folder = ecluse.folder / "state" / "audit"
    for path in folder.glob("state*"):
        path.unlink()
    with open(max(folder.glob("*.jsonl")), "a", encoding="ascii") as file:
        file.write("torn")
    segments = len(list(folder.glob("*.jsonl")))
    ecluse.start()
    wait_until(lambda: any(path.stat().st_size for path in folder.glob("*.jsonl")),
               "the first lines of the new chain")
    out = audit(ecluse, "verify")
    assert re.match(r"intact\n.*\n1: recovered: the state of the chain is lost;", out), out
    assert f"put aside: {segments}, in folders (aside-*, which --folder checks): 1" in out
    assert "torn tails" not in out
    assert json.loads(audit(ecluse, "verify", "--json"))["aside"] == \
        {"folders": 1, "segments": segments, "tails": 0}
    assert "not sealed by this seed" in verify(ecluse, seed, status=1)
    aside, = folder.glob("aside-*")
    beside = ("--folder", str(aside), "--key", str(folder / "public.pem"))
    assert verify(ecluse, seed, *beside, status=2).startswith("torn tail")
    ecluse.kill()
    with open(max(folder.glob("*.jsonl")), "a", encoding="ascii") as file:
        file.write("torn")
    (folder / "aside-note").write_text("no folder")
    ecluse.start()
    out = audit(ecluse, "verify")
    assert "checks): 1" in out and "torn tails (*.torn): 1" in out, out


def test_an_older_copy_of_everything(ecluse):
    """Keys and all, put back while nobody looked: the journal alone cannot know, the anchor does."""
    anchor = ecluse.folder / "elsewhere" / "anchor"
    anchor.parent.mkdir(mode=0o700)
    ecluse.set("ecluse", audit_anchor=str(anchor))
    ecluse.ready("alice")
    seed = new_seed(ecluse)
    assert ecluse.stop() == 0
    state, copy = ecluse.folder / "state", ecluse.folder / "copy"
    shutil.copytree(state, copy)
    for round_, to in enumerate(("bob@example.test", "carol@example.test")):
        if round_ == 1:
            assert "the anchor agrees" in verify(ecluse, seed, "--anchor", str(anchor))
            shutil.rmtree(state)
            copy.rename(state)
            assert verify(ecluse, seed).startswith("intact\n")
            assert "truncated" in verify(ecluse, seed, "--anchor", str(anchor), status=1)
        ecluse.start()
        send(ecluse, to=to)
        assert ecluse.stop() == 0
    assert verify(ecluse, seed).startswith("intact\n")
    assert re.match(r"tampered: record \d+: rolled back\n",
                    verify(ecluse, seed, "--anchor", str(anchor), status=1))
