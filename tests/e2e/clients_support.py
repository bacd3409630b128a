"""What the tests of real mail clients share: who uses them, the mails that they send and read."""

import contextlib
import email
import os
import pwd
import re
import secrets
import shutil
import subprocess

import pytest

from ecluse_support import ALICE
from waiting import wait_until


def private(path, text):
    path.touch(0o600)
    path.write_text(text)
    return path


class Customer:
    """Somebody whose mail client knows nothing but a password and three plaintext ports."""

    def __init__(self, ecluse, name, home):
        self.ecluse = ecluse
        self.name = name
        self.user = ecluse.address_of(name)
        self.password = ecluse.passwords[name]
        self.ports = {"imap": ecluse.port, "pop3": ecluse.pop3_port, "smtp": ecluse.smtp_port}
        self.home = home
        home.mkdir(mode=0o700)
        self.password_file = self.file("password", self.password + "\n")
        # A program that clients deliver to, one file for each mail.
        self.delivered = home / "delivered"
        self.delivered.mkdir()
        self.deliver = self.file("deliver", "#!/bin/sh\n"
                                 f'exec cat >"$(mktemp "{self.delivered}/XXXXXX")"\n')
        self.deliver.chmod(0o700)

    def file(self, name, text):
        return private(self.home / name, text)

    def run(self, program, *arguments, stdin=b"", **environment):
        """A missing program fails the test: tests/deps installs them all."""
        assert shutil.which(program), f"{program} is not installed; run tests/deps test"
        done = subprocess.run([program, *map(str, arguments)], input=stdin, capture_output=True,
                              cwd=self.home, timeout=120,
                              env={"PATH": os.environ["PATH"], "HOME": str(self.home),
                                   "USER": pwd.getpwuid(os.geteuid()).pw_name,
                                   "TERM": "xterm", "LANG": "C.UTF-8", **environment})
        assert done.returncode == 0, (done, self.ecluse.log())
        return done.stdout

    def run_in_terminal(self, program, *arguments):
        assert shutil.which(program), f"{program} is not installed; run tests/deps test"
        command = " ".join(f"'{argument}'" for argument in (program, *arguments))
        return self.run("script", "-qec", command, "/dev/null")

    @contextlib.contextmanager
    def logging_in_by(self, mechanism):
        """All logins meanwhile are by this mechanism, whatever the client might prefer."""
        mark = self.ecluse.log_size()
        yield
        login = f'client-auth account={self.name} .* outcome=success .* detail="([^"]*)"'
        self.ecluse.wait_log(login, since=mark)
        assert set(re.findall(login, self.ecluse.log_since(mark))) == {mechanism}

    def deliveries(self):
        return [path.read_bytes() for path in self.delivered.iterdir()]


# ---- mails ----

def subjects_in(text):
    return re.findall(rb"^Subject: ([^\r\n]*)", text, re.M)


def mails_below(folder):
    return [path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.parent.name in ("new", "cur")]


def mails_in_mbox(path):
    """Each without its From_ line and the empty line that ends it."""
    return [mail.split(b"\n", 1)[1].removesuffix(b"\n")
            for mail in re.split(rb"^(?=From \S+ +\S\S\S \S\S\S)", path.read_bytes(), flags=re.M)
            if mail]


def without(mail, names):
    """With the line ends of files, and without the header's lines of these names."""
    head, body = mail.replace(b"\r\n", b"\n").split(b"\n\n", 1)
    kept = [line for line in head.split(b"\n") if line.split(b":")[0].decode() not in names]
    return b"\n".join(kept) + b"\n\n" + body


def assert_same(read, originals, own=()):
    """All are there, each once and octet for octet, but for the lines that are the client's own."""
    assert sorted(without(mail, own) for mail in read) == sorted(
        without(mail, own) for mail in originals)


class Letter:
    """A mail with a subject of its own, and a text that has been trouble for some client."""

    TEXT = (".\n"
            "..two dots, and one below\n"
            ".\n"
            "From here on a line starts like an mbox's\n"
            "a blank behind \n"
            "\n"
            "QUIT\n"
            "* BYE {12}\n" + "long " * 150 + "\n"
            "the end\n").encode()

    def __init__(self, sender, recipient):
        self.sender, self.recipient = sender, recipient
        self.name = secrets.token_hex(8)
        self.subject = f"letter {self.name}"

    def mail(self):
        """For a program that is handed whole mails; with the line ends of files."""
        return (f"From: {self.sender}\nTo: {self.recipient}\nSubject: {self.subject}\n"
                "Date: Fri, 13 Nov 2026 12:00:00 +0000\n"
                f"Message-ID: <{self.name}@example.test>\n\n").encode() + self.TEXT

    def arrived(self, rig):
        """As it lies in the recipient's mailbox, once it is there; it must be alone."""
        [mail] = wait_until(lambda: rig.mails(self.recipient), f"{self.subject} in the mailbox")
        assert subjects_in(mail) == [self.subject.encode()]
        return mail

    def assert_whole(self, mail):
        """That what servers put before it is all that is new."""
        trace, rest = mail[:-len(self.mail())], mail[-len(self.mail()):]
        assert rest == self.mail()
        assert {line.split(b":")[0] for line in trace.splitlines()
                if not line.startswith(b"\t")} == {b"Return-Path", b"Delivered-To", b"Received"}

    def assert_text(self, mail):
        """Decoded: the client may have chosen an encoding."""
        assert email.message_from_bytes(mail).get_payload(decode=True) == self.TEXT


# ---- what the tests start from ----

@pytest.fixture
def alice(ecluse, tmp_path):
    """She has three mails."""
    ecluse.ready("alice")
    return Customer(ecluse, "alice", tmp_path / "alice")


@pytest.fixture
def cautious_alice(ecluse, tmp_path):
    """The same; her client never sends her password."""
    ecluse.ready("alice")
    ecluse.passwords["alice"] = ecluse.grant("alice", "--challenge", client="old")
    return Customer(ecluse, "alice", tmp_path / "alice")


@pytest.fixture
def bob(ecluse, tmp_path):
    """He has none."""
    ecluse.ready("bob")
    return Customer(ecluse, "bob", tmp_path / "bob")


@pytest.fixture
def three_mails(rig):
    mails = rig.mails(ALICE)
    assert len(mails) == 3
    return mails
