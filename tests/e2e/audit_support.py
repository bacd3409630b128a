"""The audit journal of an ecluse as it stands on disk, what Dovecot heard by its own account, and
disks that fail beneath the journal.
"""

import json
import os
import pathlib
import re
import subprocess
import time

from cli_support import PATIENCE

TIMES = re.compile(rb"^\d+\.\d+ ", re.MULTILINE)
LITERAL = re.compile(rb"\{(\d+)(\+?)\}$")


def folder_of(ecluse):
    return ecluse.folder / "state" / "audit"


def segments(ecluse):
    return sorted(folder_of(ecluse).glob("*.jsonl"))


def field(record, path, default=None):
    """ "ecluse.command.verb" of a line."""
    for name in path.split("."):
        if not isinstance(record, dict) or name not in record:
            return default
        record = record[name]
    return record


def records(ecluse, action=None):
    """Of the journal as it is now; whole lines alone. It may be far larger than what is asked for."""
    mark = b"" if action is None else json.dumps(action).encode()
    found = []
    for segment in segments(ecluse):
        with open(segment, "rb") as lines:
            found += [json.loads(line) for line in lines if mark in line and line.endswith(b"\n")]
    return [record for record in found if action in (None, field(record, "event.action"))]


def wait_records(ecluse, action, count, **values):
    """At least so many of one action, with these values: "__" for the dots of their paths."""
    wanted = {path.replace("__", "."): value for path, value in values.items()}
    deadline = time.monotonic() + PATIENCE
    while True:
        found = [record for record in records(ecluse, action)
                 if all(field(record, path) == value for path, value in wanted.items())]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, (action, wanted, count, records(ecluse))
        time.sleep(0.02)


def action_of(record):
    return record["event"]["action"]


def actions(ecluse):
    return [action_of(record) for record in records(ecluse)]


def find(ecluse, action, **fields):
    """Those of that action whose "a__b" is the value given."""
    return [record for record in records(ecluse, action)
            if all(field(record, path.replace("__", ".")) == value
                   for path, value in fields.items())]


def assert_in_order(ecluse):
    """No number is there twice, and none is missing but what a gap tells of."""
    last = 0
    for record in records(ecluse):
        number = record["event"]["sequence"]
        if number != last + 1:
            told = record["ecluse"]["audit"]
            assert action_of(record) == "audit-gap", record
            assert told["first"] <= last + 1 and told["last"] == number - 1, (last, record)
        last = number


class Rawlog:
    """Dovecot writes down what it hears in sessions of `user` from now on."""

    def __init__(self, rig, user):
        maildir = pathlib.Path(rig.state["users"][user]["maildir"])
        self.folder = maildir.parent / "rawlog"
        self.folder.mkdir(exist_ok=True)
        owner = maildir.stat()
        os.chown(self.folder, owner.st_uid, owner.st_gid)

    def close(self):
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()

    def sessions(self):
        """What was heard in each. Dovecot puts the time before each line."""
        return [TIMES.sub(b"", path.read_bytes()) for path in self.folder.glob("*.in")]


def imap_verbs(heard):
    """Of the commands in what a server heard: literals are skipped, and DONE."""
    verbs, rest = [], heard
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        words = line.split(b" ")
        while literal := LITERAL.search(line):
            size = int(literal[1])
            line, _, rest = rest[size:].partition(b"\r\n")
        if len(words) > 1:
            verb = words[1].upper()
            if verb == b"UID":
                verb += b" " + words[2].upper()
            verbs.append(verb.decode())
    return verbs


def pop3_verbs(heard):
    return [line.split(b" ")[0].upper().decode() for line in heard.split(b"\r\n") if line]


def smtp_verbs(heard):
    """Without the lines of the messages."""
    verbs, rest = [], heard
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        verbs.append(line.split(b" ")[0].upper().decode())
        if verbs[-1] == "DATA":
            _, _, rest = (b"\r\n" + rest).partition(b"\r\n.\r\n")
    return verbs


class SmallDisk:
    """A file system of its own for the journal, which can be filled and made larger."""

    def __init__(self, folder, size="256k"):
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", folder],
                       check=True)

    def fill(self):
        with open(self.folder / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def make_room(self):
        (self.folder / "filler").unlink()

    def close(self, copy):
        """What is in it stays, in the folder beneath."""
        subprocess.run(["cp", "-a", f"{self.folder}/.", copy], check=True)
        subprocess.run(["umount", "-l", self.folder], check=True)
        subprocess.run(["cp", "-a", f"{copy}/.", self.folder], check=True)
