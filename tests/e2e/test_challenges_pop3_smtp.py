"""POP3 and SMTP clients that never send their password, and those that cannot log in at all."""

import os
import poplib
import shutil
import smtplib
import subprocess

import pytest

from cli_support import free_port
from ecluse_support import ALICE, PATIENCE
from waiting import wait_until

OTHER = "user9@example.test"
MAIL = f"From: {ALICE}\r\nTo: {OTHER}\r\nSubject: %s\r\n\r\na line\r\n"
CAUTIOUS = {"8bitmime": "", "enhancedstatuscodes": "", "pipelining": "", "size": ""}


@pytest.fixture
def mail(ecluse, rig, tmp_path):
    """ecluse with a port for each protocol, and a password of alice's that is kept."""
    ecluse.pop3_port, ecluse.smtp_port, ecluse.open_port = free_port(), free_port(), free_port()
    ecluse.set("provider local", pop3=f"tls://localhost:{rig.ports['pop3s']}",
               smtp=f"tls://localhost:{rig.ports['submissions']}")
    ecluse.set("listen pop3", protocol="pop3", address=f"127.0.0.1:{ecluse.pop3_port}")
    ecluse.set("listen smtp", protocol="smtp", address=f"127.0.0.1:{ecluse.smtp_port}")
    ecluse.set("listen open", protocol="smtp", address=f"127.0.0.1:{ecluse.open_port}",
               account="alice", auth="none")
    ecluse.ready("alice")
    ecluse.kept = ecluse.grant("alice", "--challenge", "--apop", client="old")
    ecluse.home = tmp_path / "home"
    ecluse.home.mkdir(mode=0o700)
    return ecluse


def pop3(mail):
    return poplib.POP3("127.0.0.1", mail.pop3_port, timeout=PATIENCE)


def smtp(mail, port=None):
    return smtplib.SMTP("127.0.0.1", port or mail.smtp_port, timeout=PATIENCE)


def logged_in(mail, mechanism):
    return mail.wait_log(f'client-auth account=alice .* outcome=success .* detail="{mechanism}"')


def run(mail, program, *arguments, stdin=""):
    """Its exit code; a missing program fails the test."""
    assert shutil.which(program), f"{program} is not installed; run tests/deps test"
    done = subprocess.run([program, *map(str, arguments)], input=stdin.encode(), cwd=mail.home,
                          capture_output=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "HOME": str(mail.home)})
    print(done)
    return done.returncode


def write(mail, name, text):
    file = mail.home / name
    file.touch(0o600)
    file.write_text(text)
    return file


# ---- POP3 ----

def test_apop(mail):
    client = pop3(mail)
    assert client.getwelcome().startswith(b"+OK ") and b"@localhost>" in client.getwelcome()
    assert client.apop(ALICE, mail.kept).startswith(b"+OK")
    assert client.stat()[0] == 3
    client.quit()
    logged_in(mail, "APOP")


def test_wrong_apop(mail):
    client = pop3(mail)
    for user, password in ((ALICE, "wrong"), (ALICE, mail.passwords["alice"]),
                           ("nobody@example.test", mail.kept)):
        with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\]"):
            client.apop(user, password)
    assert client.apop(ALICE, mail.kept).startswith(b"+OK")


def test_apop_needs_a_grant_for_it(mail):
    assert mail.ecluse("revoke", "alice", "old").status == 0
    mail.grant("alice", "--challenge", client="new")
    wait_until(lambda: b"@localhost>" not in pop3(mail).getwelcome(), "a greeting without timestamp")
    with pytest.raises(poplib.error_proto):
        pop3(mail).apop(ALICE, mail.kept)


@pytest.mark.parametrize("mechanism", ["apop", "cram-md5", "digest-md5", "scram-sha-1",
                                       "scram-sha-256"])
@pytest.mark.parametrize("password", ["right", "wrong"])
def test_mpop(mail, mechanism, password):
    secret = write(mail, "password", mail.kept if password == "right" else "wrong")
    settings = write(mail, "mpoprc", f"""\
account default
host 127.0.0.1
port {mail.pop3_port}
user {ALICE}
passwordeval cat {secret}
auth {mechanism}
tls off
keep on
delivery mbox {mail.home}/mails
""")
    assert (run(mail, "mpop", "-C", settings) == 0) == (password == "right")
    if password == "right":
        assert (mail.home / "mails").read_text().count("\nSubject: ") == 3
        logged_in(mail, mechanism.upper())


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "DIGEST-MD5", "+APOP"])
def test_curl_by_pop3(mail, mechanism):
    settings = f'user = "{ALICE}:{mail.kept}"\nurl = "pop3://127.0.0.1:{mail.pop3_port}/1"\n' \
               f'login-options = "AUTH={mechanism}"\n'
    assert run(mail, "curl", "-sS", "-K", "-", stdin=settings) == 0
    logged_in(mail, mechanism.removeprefix("+"))


# ---- SMTP ----

def test_smtplib(mail, rig):
    client = smtp(mail)
    client.ehlo()
    assert "CRAM-MD5" in client.esmtp_features["auth"]
    client.user, client.password = ALICE, mail.kept
    assert client.auth("CRAM-MD5", client.auth_cram_md5)[0] == 235
    assert client.sendmail(ALICE, [OTHER], MAIL % "by smtplib") == {}
    client.quit()
    wait_until(lambda: any(b"by smtplib" in text for text in rig.mails(OTHER)), "the mail")


def test_wrong_password_by_smtp(mail):
    client = smtp(mail)
    client.ehlo()
    client.user, client.password = ALICE, "wrong"
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        client.auth("CRAM-MD5", client.auth_cram_md5)
    assert refused.value.smtp_code == 535 and refused.value.smtp_error.startswith(b"5.7.8 ")


@pytest.mark.parametrize("mechanism", ["cram-md5", "digest-md5", "scram-sha-1", "scram-sha-256"])
@pytest.mark.parametrize("password", ["right", "wrong"])
def test_msmtp(mail, rig, mechanism, password):
    secret = write(mail, "password", mail.kept if password == "right" else "wrong")
    settings = write(mail, "msmtprc", f"""\
account default
host 127.0.0.1
port {mail.smtp_port}
from {ALICE}
user {ALICE}
passwordeval cat {secret}
auth {mechanism}
tls off
""")
    subject = f"by msmtp, {mechanism}"
    done = run(mail, "msmtp", "-C", settings, OTHER, stdin=MAIL % subject)
    assert (done == 0) == (password == "right")
    if password == "right":
        logged_in(mail, mechanism.upper())
        wait_until(lambda: any(subject.encode() in text for text in rig.mails(OTHER)), "the mail")


# ---- nobody has to log in ----

def test_a_client_that_cannot_log_in(mail, rig):
    client = smtp(mail, mail.open_port)
    client.ehlo()
    assert "auth" not in client.esmtp_features
    assert client.sendmail(ALICE, [OTHER], MAIL % "without a login") == {}
    client.quit()
    logged_in(mail, "EXTERNAL")
    wait_until(lambda: any(b"without a login" in text for text in rig.mails(OTHER)), "the mail")


def test_no_login_is_taken_there(mail):
    client = smtp(mail, mail.open_port)
    client.ehlo()
    client.user, client.password = ALICE, mail.kept
    with pytest.raises(smtplib.SMTPException):
        client.auth("CRAM-MD5", client.auth_cram_md5)


def test_sessions_without_login_are_counted(mail):
    mail.set("listen open", max_sessions_per_account=1)
    assert mail.ecluse("reload").status == 0
    first = wait_until(lambda: begin(mail), "a session")
    second = smtp(mail, mail.open_port)
    second.ehlo()
    code, text = second.mail(ALICE)
    assert (code, text[:6]) == (421, b"4.7.0 "), (code, text)
    first.quit()


def begin(mail):
    """A session that has reached the mail server, or None while the old gate still answers."""
    client = smtp(mail, mail.open_port)
    client.ehlo()
    if client.mail(ALICE)[0] == 250:
        return client
    client.close()
    return None


# ---- what the mail server can do ----

def features(mail):
    client = smtp(mail)
    client.ehlo()
    shown = {name: value for name, value in client.esmtp_features.items() if name != "auth"}
    client.quit()
    return shown


def test_the_next_client_is_offered_what_the_server_has(mail, rig):
    if not rig.state["postfix"]:
        pytest.skip("before its login Dovecot offers what is offered cautiously; Postfix needs root")
    mail.sections.pop("account bob")
    mail.set("provider local", smtp=f"tls://localhost:{rig.submissions}")
    assert mail.ecluse("reload").status == 0
    wait_until(lambda: len(mail.gates()) == 1, "the new gate alone")
    assert features(mail) == CAUTIOUS
    client = smtp(mail)
    client.login(ALICE, mail.passwords["alice"])
    wait_until(lambda: features(mail) != CAUTIOUS, "another offer")
    learned = features(mail)
    assert {"8bitmime", "dsn", "smtputf8"} <= learned.keys() and int(learned["size"]) > 0
    assert not {"starttls", "chunking"} & learned.keys()
    client.quit()
    assert mail.stop() == 0
    mail.start()
    assert features(mail) == learned
