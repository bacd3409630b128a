"""`ecluse audit` on journals that stand there as files: what it shows, and what it finds."""

import json
import re
import subprocess
import time

import pytest

from cli_support import BINARY, PATIENCE, one_line, place
from journal_support import Journal, command
from waiting import wait_until

assert place


@pytest.fixture
def journal(place):
    """1 open 2-4 commands 5 checkpoint, 6 open 7 a message 8 checkpoint, 9 a failure 10 the end"""
    made = Journal(place.folder / "state" / "audit")
    made.segment()
    command(made, "SELECT")
    command(made, "FETCH", account="other", session="1.2", at=made.now - 3 * 86400)
    command(made, "STAT", protocol="pop3", session="1.3")
    made.checkpoint()
    made.segment()
    made.write("message-send", trace={"id": "1.4"}, network={"protocol": "smtp"},
               user={"name": "work"},
               ecluse={"smtp": {"mail_from": "alice@example.test",
                                "rcpt": ["bob@example.test", "zoë@example.test"], "size": 2048}})
    made.checkpoint()
    made.write("client-auth", "failure", event={"code": "auth-rejected", "reason": "wrong password"},
               network={"protocol": "imap"},
               ecluse={"auth": {"mechanism": "PLAIN", "login": "mallory"}})
    made.write("session-close", event={"code": "client-gone", "duration": 1500000000},
               trace={"id": "1.4"}, client={"bytes": 100}, server={"bytes": 1948},
               user={"name": "work"})
    return made.save()


def verify(place, *more, **options):
    return place.ecluse("audit", "verify", *more, **options)


def tampered(place, number, kinds, *more, **options):
    result = verify(place, *more, **options)
    assert result.status == 1, result
    assert re.match(f"tampered: record {number}: ({kinds})\n", result.out), result


# ---- verify ----

def test_a_journal_that_nobody_touched(place, journal):
    result = verify(place, "--seed-stdin", stdin=journal.seed.hex().encode())
    assert result.status == 0, result
    assert result.out.startswith("intact\n10 records, 1 to 10, in 2 segments\n"), result
    assert "signed up to record 8\n" in result.out
    assert "seals of 10 of 10 records checked" in result.out
    assert "without an anchor" in result.out
    report = json.loads(verify(place, "--json").out)
    assert report["result"] == "intact" and report["last"] == 10 and report["findings"] == []


def test_every_tenth_octet(place, journal):
    """The record is named by the seed. (The unit tests go through every octet.)"""
    number = 0
    for first, lines in journal.segments:
        path = journal.folder / f"{first:020}.jsonl"
        for line in lines:
            number += 1
            start = path.read_bytes().index(line.encode())
            for at in range(number % 10, len(line) - 1, 97):
                whole = path.read_bytes()
                changed = bytes([whole[start + at] ^ 1])
                path.write_bytes(whole[:start + at] + changed + whole[start + at + 1:])
                tampered(place, number, "modified|bad signature", "--seed-stdin",
                         stdin=journal.seed.hex().encode())
                path.write_bytes(whole)


def test_what_structure_tells(place, journal):
    lines = journal.segments[0][1]
    taken = lines.pop(2)
    journal.save()
    tampered(place, 3, "missing")
    lines.insert(3, taken)
    journal.save()
    tampered(place, 3, "reordered")
    lines.insert(2, taken)
    lines.pop(4)
    lines.insert(3, lines[1])
    journal.save()
    tampered(place, 2, "duplicated")
    del journal.segments[0]
    journal.save()
    tampered(place, 1, "missing")


def test_a_torn_tail(place, journal):
    path = journal.folder / f"{6:020}.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    result = verify(place)
    assert result.status == 2 and result.out.startswith("torn tail: record 10: torn tail\n"), result


def test_an_anchor_knows_of_more(place, journal):
    anchor = place.folder / "anchor"
    anchor.write_text("noise\n" + "".join(f"Nov 26 21:00:00 host ecluse[1]: {line}"
                                          for line in journal.checkpoints()))
    result = verify(place, "--anchor", str(anchor))
    assert result.status == 0 and "the anchor agrees up to record 8 (2 checkpoints)" in result.out
    del journal.segments[1][1][1:]
    journal.save()
    assert verify(place).status == 0
    tampered(place, 7, "truncated", "--anchor", str(anchor))
    anchor.write_text("nothing of the kind\n")
    one_line(verify(place, "--anchor", str(anchor)), 65, "no checkpoint")
    one_line(verify(place, "--anchor", str(place.folder / "none")), 65, "No such file")


def test_a_key_of_somebody_else(place, journal, tmp_path):
    other = Journal(tmp_path / "other" / "audit")
    tampered(place, 5, "bad signature", "--key", str(other.folder / "public.pem"))
    one_line(verify(place, "--key", str(place.file)), 65, "no public key")
    one_line(verify(place, "--key", str(place.folder / "none")), 65, "does not exist")


def test_seeds(place, journal):
    tampered(place, 1, "not sealed by this seed", "--seed-stdin", stdin=b"00" * 32)
    one_line(verify(place, "--seed-stdin", stdin=b"0123"), 65, "64 hexadecimal digits")
    one_line(verify(place, "--seed-stdin", stdin=b""), 65, "empty")


def test_a_copy_elsewhere(place, journal, tmp_path):
    """Without a configuration, and without a daemon."""
    copy = tmp_path / "copy"
    journal.folder.rename(copy)
    result = place.call("audit", "verify", "--folder", str(copy))
    assert result.status == 0 and "10 records" in result.out, result
    result = place.call("audit", "show", "--folder", str(copy))
    assert result.status == 0 and result.out.count("\n") == 10, result


def test_what_cannot_be_read(place, tmp_path):
    one_line(verify(place), 3, "there is no journal")
    one_line(place.ecluse("audit", "show"), 69, "there is no journal")
    (tmp_path / "empty").mkdir()
    one_line(verify(place, "--folder", str(tmp_path / "empty")), 3, "no segment")
    (tmp_path / "empty" / f"{1:020}.jsonl").mkdir()
    one_line(verify(place, "--folder", str(tmp_path / "empty")), 3, "no regular file")


# ---- show ----

def shown(place, *more):
    result = place.ecluse("audit", "show", *more)
    assert result.status == 0 and result.err == "", result
    return result.out.splitlines()


def test_show(place, journal):
    lines = shown(place)
    assert len(lines) == 10
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  work        imap  command          ok "
                        r"SELECT OK sent 20 session 1\.1", lines[1]), lines[1]
    assert lines[6].endswith("ok from alice@example.test to bob@example.test zoë@example.test "
                             "size 2.0 KiB session 1.4")
    assert "FAILED (auth-rejected) by PLAIN as mallory wrong password" in lines[8]
    assert lines[9].endswith("ok (client-gone) sent 100 got 1.9 KiB took 1.5 s session 1.4")
    assert not any("\x1b" in line for line in lines)


def test_filters(place, journal):
    assert len(shown(place, "--account", "other")) == 1
    assert len(shown(place, "--account", "mallory")) == 1
    assert len(shown(place, "--protocol", "pop3")) == 1
    assert len(shown(place, "--session", "1.4")) == 2
    assert len(shown(place, "--action", "command,message-send")) == 4
    assert len(shown(place, "--failed")) == 1
    assert len(shown(place, "--since", "2d")) == 9
    assert len(shown(place, "--until", "2d")) == 1
    day = time.strftime("%Y-%m-%d", time.localtime(journal.now - 3 * 86400))
    assert len(shown(place, "--since", day, "--until", f"{day} 23:59:59")) == 1
    assert shown(place, "--since", "today", "--account", "other") == []


def test_raw(place, journal):
    raw = shown(place, "--json")
    assert [line + "\n" for line in raw] == [line for _, lines in journal.segments for line in lines]


def test_nothing_drives_the_terminal(place, journal):
    """What a peer or somebody with an editor put in."""
    command(journal, "X\u001b[2J\u009b31m\u202e")
    journal.segments[1][1].append('{"@timestamp":"\x1b[2J"}\n')
    journal.segments[1][1].append(journal.segments[1][1][1].replace('"name":"work"',
                                                                    '"name":"wo\u009brk"'))
    journal.save()
    for more, left_out in (([], 1), (["--json"], 3)):
        result = place.ecluse("audit", "show", *more)
        assert result.status == 0 and f"{left_out} lines are no record" in result.err, result
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", result.out), result


def test_export(place, journal):
    result = place.ecluse("audit", "export", "--account", "work")
    assert result.status == 0
    assert [json.loads(line)["event"]["sequence"] for line in result.out.splitlines()] == \
        [2, 4, 7, 10]


def test_stats(place, journal):
    rows = json.loads(place.ecluse("audit", "stats", "--json", "--account", "work").out)
    assert rows == [{"day": time.strftime("%Y-%m-%d"), "account": "work", "sessions": 1,
                     "messages": 1, "bytes": 2048, "failures": 0}]
    table = place.ecluse("audit", "stats").out.splitlines()
    assert table[0].split() == ["DAY", "ACCOUNT", "SESSIONS", "MESSAGES", "BYTES", "FAILURES"]
    assert len(table) == 4 and "█" not in "".join(table)


def test_follow(place, journal):
    """What is there already is not shown; what comes is, into the next segment."""
    following = subprocess.Popen([BINARY, "audit", "follow", "-c", str(place.file)],
                                 stdout=subprocess.PIPE, env=place.environment())
    try:
        watching = f"/proc/{following.pid}/fdinfo"
        wait_until(lambda: subprocess.run(f"grep -qs ^inotify {watching}/* && grep -qs 'pos:.*[1-9]' "
                                          f"{watching}/*", shell=True).returncode == 0, "a watch")
        with open(journal.folder / f"{6:020}.jsonl", "a", encoding="utf-8") as file:
            command(journal, "NOOP")
            line = journal.segments[1][1][-1]
            file.write(line[:50])
            file.flush()
            file.write(line[50:])
        assert b"NOOP" in following.stdout.readline()
        journal.checkpoint()
        journal.segment()
        command(journal, "IDLE")
        for number, lines in journal.segments[1:]:
            with open(journal.folder / f"{number:020}.jsonl", "ab") as file:
                file.write("".join(lines).encode()[file.tell():])
        assert b"audit-checkpoint" in following.stdout.readline()
        assert b"audit-open" in following.stdout.readline()
        assert b"IDLE" in following.stdout.readline()
    finally:
        following.kill()
        following.wait(PATIENCE)
        following.stdout.close()


# ---- the command line ----

def test_words_and_options_that_there_are_not(place):
    one_line(place.ecluse("audit", "burn"), 64, "it does no burn")
    one_line(place.ecluse("audit", "show", "--anchor", "x"), 64, "show takes no --anchor")
    one_line(place.ecluse("audit", "verify", "--account", "work"), 64, "verify takes no --account")
    one_line(place.ecluse("audit", "export"), 64, "export needs --account")
    one_line(place.ecluse("audit", "erase"), 64, "erase needs --account")
    one_line(place.ecluse("audit", "show", "--since", "soon"), 64, "is no time")
    one_line(place.ecluse("audit", "show", "--action", "commands"), 64, "commands is no action")
    one_line(place.ecluse("audit", "show", "--protocol", "nntp"), 64, "imap, pop3 or smtp")
    one_line(place.ecluse("audit"), 64, "is missing")
