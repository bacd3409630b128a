"""Real mail clients, with nothing but a password and a plaintext port, read alice's three mails."""

import os
import re
import shutil
import subprocess

import pytest

from ecluse_support import ALICE


@pytest.fixture
def mailbox(ecluse, rig, tmp_path):
    """ecluse ready, and a home for the client."""
    ecluse.ready("alice")
    ecluse.subjects = sorted(subjects_in(b"\n".join(rig.mails(ALICE))))
    assert len(ecluse.subjects) == 3
    ecluse.home = tmp_path / "home"
    ecluse.home.mkdir(mode=0o700)
    ecluse.password_file = ecluse.home / "password"
    private(ecluse.password_file, ecluse.passwords["alice"] + "\n")
    return ecluse


def log_in_by(mailbox, mechanism):
    """The password for it: a mechanism that does not send it needs a grant that keeps it."""
    if mechanism.upper() not in ("LOGIN", "PLAIN"):
        mailbox.passwords["alice"] = mailbox.grant("alice", "--challenge", client="old")
        private(mailbox.password_file, mailbox.passwords["alice"] + "\n")


def login_by(mechanism):
    """The line in the log about what the client really did."""
    return f'client-auth account=alice .* outcome=success .* detail="{mechanism.upper()}"'


def subjects_in(text):
    return re.findall(rb"^Subject: ([^\r\n]*)", text, re.M)


def private(path, text):
    path.touch(0o600)
    path.write_text(text)
    return path


def run(mailbox, program, *arguments, stdin=b""):
    """A missing program fails the test: tests/deps installs them all."""
    assert shutil.which(program), f"{program} is not installed; run tests/deps test"
    done = subprocess.run([program, *map(str, arguments)], input=stdin, capture_output=True,
                          cwd=mailbox.home, timeout=60,
                          env={"PATH": os.environ["PATH"], "HOME": str(mailbox.home),
                               "TERM": "xterm", "LANG": "C.UTF-8", "USER": "tester"})
    assert done.returncode == 0, (done, mailbox.log())
    return done.stdout


def mails_below(folder):
    return [path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.parent.name in ("new", "cur")]


# ---- curl ----

CURL = {"default": [], "plain": ["--login-options", "AUTH=PLAIN"],
        "initial": ["--login-options", "AUTH=PLAIN", "--sasl-ir"],
        "CRAM-MD5": ["--login-options", "AUTH=CRAM-MD5"],
        "DIGEST-MD5": ["--login-options", "AUTH=DIGEST-MD5"]}


def curl(mailbox, place, *options):
    secret = f'user = "{ALICE}:{mailbox.passwords["alice"]}"\n'
    return run(mailbox, "curl", "-sS", "-K", "-", *options,
               f"imap://127.0.0.1:{mailbox.port}/{place}", stdin=secret.encode())


@pytest.mark.parametrize("way", CURL)
def test_curl(mailbox, way):
    if way.isupper():
        log_in_by(mailbox, way)
    listed = curl(mailbox, "", *CURL[way])
    assert b"INBOX" in listed and b"Sent" in listed
    read = b"".join(curl(mailbox, f"INBOX;MAILINDEX={n}", *CURL[way]) for n in (1, 2, 3))
    assert sorted(subjects_in(read)) == mailbox.subjects
    assert not way.isupper() or mailbox.wait_log(login_by(way))


def test_curl_appends(mailbox, tmp_path):
    mail = tmp_path / "mail"
    mail.write_bytes(b"Subject: from curl\r\n\r\n" + b"a line\r\n" * 10000)
    curl(mailbox, "Drafts", "-T", mail)
    assert curl(mailbox, "Drafts;MAILINDEX=1") == mail.read_bytes()


# ---- synchronizers ----

@pytest.mark.parametrize("mechanism", ["LOGIN", "PLAIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1",
                                       "SCRAM-SHA-256"])
def test_mbsync(mailbox, mechanism):
    log_in_by(mailbox, mechanism)
    settings = private(mailbox.home / "mbsyncrc", f"""\
IMAPAccount there
Host 127.0.0.1
Port {mailbox.port}
User {ALICE}
PassCmd "cat {mailbox.password_file}"
SSLType None
AuthMechs {mechanism}

IMAPStore far
Account there

MaildirStore near
Path {mailbox.home}/mail/
Inbox {mailbox.home}/mail/INBOX

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync Pull
SyncState *
""")
    (mailbox.home / "mail").mkdir()
    run(mailbox, "mbsync", "-c", settings, "-a")
    assert mechanism == "LOGIN" or mailbox.wait_log(login_by(mechanism))
    mails = mails_below(mailbox.home / "mail")
    assert sorted(subjects_in(b"\n".join(mails))) == mailbox.subjects


@pytest.mark.parametrize("mechanism", ["LOGIN", "PLAIN", "CRAM-MD5"])
def test_offlineimap(mailbox, mechanism):
    log_in_by(mailbox, mechanism)
    settings = private(mailbox.home / "offlineimaprc", f"""\
[general]
accounts = one
metadata = {mailbox.home}/state
[Account one]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {mailbox.home}/mail
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {mailbox.port}
remoteuser = {ALICE}
remotepassfile = {mailbox.password_file}
ssl = no
starttls = no
auth_mechanisms = {mechanism}
readonly = true
folderfilter = lambda name: name == 'INBOX'
""")
    run(mailbox, "offlineimap", "-o", "-u", "basic", "-c", settings)
    assert mechanism == "LOGIN" or mailbox.wait_log(login_by(mechanism))
    mails = mails_below(mailbox.home / "mail")
    assert sorted(subjects_in(b"\n".join(mails))) == mailbox.subjects


def test_fetchmail(mailbox):
    settings = private(mailbox.home / "fetchmailrc", f"""\
poll 127.0.0.1 service {mailbox.port} protocol IMAP
  username "{ALICE}" password "{mailbox.passwords["alice"]}"
  sslproto "" keep fetchall no rewrite
  mda "cat >>{mailbox.home}/mails"
""")
    run(mailbox, "fetchmail", "-f", settings, "--nodetach", "--nosyslog", "--pidfile",
        mailbox.home / "pid")
    # fetchmail marks mails as seen, nothing else
    found = subjects_in((mailbox.home / "mails").read_bytes())
    assert sorted(found) == mailbox.subjects


# ---- a reader ----

@pytest.mark.parametrize("mechanism", ["login", "plain", "cram-md5", "digest-md5", "scram-sha-256"])
def test_mutt(mailbox, mechanism):
    log_in_by(mailbox, mechanism)
    copy = mailbox.home / "copy"
    (mailbox.home / "Mail").mkdir()
    settings = private(mailbox.home / "muttrc", f"""\
set folder = "imap://127.0.0.1:{mailbox.port}/"
set spoolfile = "imap://127.0.0.1:{mailbox.port}/INBOX"
set imap_user = "{ALICE}"
set imap_pass = "{mailbox.passwords["alice"]}"
set imap_authenticators = "{mechanism}"
set ssl_starttls = no
set ssl_force_tls = no
set confirmcreate = no
set confirmappend = no
set mbox_type = mbox
set move = no
set quit = yes
set wait_key = no
""")
    keys = f"<tag-pattern>~A<enter><tag-prefix><copy-message>{copy}<enter><quit>"
    command = f"mutt -n -F {settings} -e 'push \"{keys}\"'"
    assert shutil.which("mutt"), "mutt is not installed; run tests/deps test"
    run(mailbox, "script", "-qec", command, "/dev/null")
    assert mechanism == "login" or mailbox.wait_log(login_by(mechanism))
    assert sorted(subjects_in(copy.read_bytes())) == mailbox.subjects
