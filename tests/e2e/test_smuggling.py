"""Messages through ecluse: one that is sent is one that arrives, and it arrives as it was sent.

Alice's mail goes to Dovecot's submission, carol's to Postfix, which takes a bare LF for a line's
end as Debian has it: what is smuggled to it arrives as a second message.
"""

import base64
import hashlib
import re
import secrets
import smtplib
import socket
import ssl
import subprocess

import pytest

from attack_support import watched
from cli_support import PATIENCE, free_port
from ecluse_support import ALICE, Ecluse
from waiting import wait_until

BOB = "bob@example.test"
SENDERS = {"dovecot": "alice", "postfix": "carol"}


@pytest.fixture(scope="module")
def post(running_rig, tmp_path_factory):
    running_rig.reset()
    one = Ecluse(tmp_path_factory.mktemp("post"), running_rig, ["alice"])
    one.smtp_port, one.strict_port = free_port(), free_port()
    for name, port, more in (("smtp", one.smtp_port, {}),
                             ("strict", one.strict_port, {"bare_newline": "reject"})):
        one.set(f"listen {name}", protocol="smtp", address=f"127.0.0.1:{port}", **more)
    ports = running_rig.ports
    one.set("provider local", smtp=f"tls://localhost:{ports['submissions']}")
    if "postfixs" in ports:
        one.add_provider("queued", f"localhost:{ports['imaps']}",
                         smtp=f"tls://localhost:{ports['postfixs']}")
        one.add_account("carol", provider="queued")
    one.ready()
    yield one
    one.finish()


@pytest.fixture
def unharmed(rig, post):
    yield from watched(post)


@pytest.fixture(params=SENDERS)
def name(request, unharmed):
    if SENDERS[request.param] not in unharmed.passwords:
        pytest.skip("Postfix needs root")
    return SENDERS[request.param]


class Letter:
    """With a mark that tells it from all others."""

    def __init__(self, text):
        self.mark = secrets.token_hex(8).encode()
        self.text = text.replace(b"MARK", self.mark)
        self.content = (b"From: alice@example.test\r\nTo: bob@example.test\r\n"
                        b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
                        b"Message-Id: <" + self.mark + b"@example.test>\r\n"
                        b"Subject: " + self.mark + b"\r\n\r\n" + self.text)

    def arrived(self, rig):
        """The mails that bear the mark."""
        return [mail for mail in rig.mails(BOB) if self.mark in mail]


def logged_in(one, name, port=None):
    smtp = smtplib.SMTP("127.0.0.1", port or one.smtp_port, "client.example.test", PATIENCE)
    one.clients.append(Closing(smtp))
    assert smtp.login(one.address_of(name), one.passwords[name])[0] == 235
    return smtp


class Closing:
    """What ecluse's last look hangs up."""

    def __init__(self, smtp):
        self.shutdown = self.close = smtp.close


def begin(smtp, sender, *options):
    assert smtp.mail(sender, options)[0] == 250
    assert smtp.rcpt(BOB)[0] == 250
    assert smtp.docmd("DATA")[0] == 354


def submit(smtp, sender, wire):
    """The reply to it, when it was the only one."""
    begin(smtp, sender, "BODY=8BITMIME")
    smtp.send(wire)
    reply = smtp.getreply()
    assert smtp.docmd("QUIT")[0] == 221
    assert smtp.file.read() == b""
    return reply


def only(letter, rig, after):
    """The one mail of this letter, once one that was sent behind it has come."""
    wait_until(lambda: after.arrived(rig), "the letter behind it")
    mails = wait_until(lambda: letter.arrived(rig), "the letter")
    assert len(mails) == 1, mails
    return mails[0].replace(b"\r\n", b"\n")


def text_of(mail):
    return mail.split(b"\n\n", 1)[1]


def with_line_feeds(text):
    return re.sub(rb"\r\n|\r|\n", b"\n", text)


def send(one, rig, name, letter, wire):
    """What arrives of it."""
    sender = one.address_of(name)
    code, words = submit(logged_in(one, name), sender, wire)
    assert code == 250, words
    after = Letter(b"behind it\r\n")
    assert submit(logged_in(one, name), sender, after.content + b".\r\n")[0] == 250
    return text_of(only(letter, rig, after))


# ---- smuggling ----

ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r", b"\r.\r\n", b"\r.\n", b"\n.\r",
        b"\n\n.\n\n", b"\r\r.\r\r", b"\n\r.\n\r", b"\r\n.\r\r\n", b"\r\n.\n\r\n", b"\r\n\r.\r\n",
        b"\r\n\n.\r\n"]
BEHIND = (b"MAIL FROM:<evil@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
          b"Subject: smuggled MARK\r\n\r\nsmuggled MARK")


@pytest.mark.parametrize("end", ENDS, ids=lambda end: ascii(end)[2:-1])
def test_46_47_smuggled(unharmed, rig, name, end):
    letter = Letter(b"before" + end + BEHIND + b"\r\n")
    text = send(unharmed, rig, name, letter, letter.content + b".\r\n")
    assert text == with_line_feeds(letter.text)


def test_postfix_alone_takes_two(rig):
    """What the tests above see would be seen."""
    if "postfixs" not in rig.ports:
        pytest.skip("Postfix needs root")
    context = ssl.create_default_context(cafile=rig.state["ca"])
    token = rig.access_token(ALICE)
    smtp = smtplib.SMTP_SSL("localhost", rig.ports["postfixs"], "client.example.test",
                            timeout=PATIENCE, context=context)
    with smtp:
        smtp.ehlo()
        smtp.auth("XOAUTH2", lambda: f"user={ALICE}\x01auth=Bearer {token}\x01\x01")
        assert smtp.docmd(" NOOP")[0] == 250
        letter = Letter(b"before\n.\n" + BEHIND + b"\r\n")
        begin(smtp, ALICE)
        smtp.send(letter.content + b".\r\n")
        assert [smtp.getreply()[0] for _ in range(5)] == [250, 250, 250, 354, 250]
    wait_until(lambda: len(letter.arrived(rig)) == 2, "both messages")


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n"],
                         ids=lambda end: ascii(end)[2:-1])
def test_refused_for_a_bare_newline(unharmed, rig, name, end):
    letter, after = Letter(b"before" + end + BEHIND + b"\r\n"), Letter(b"behind it\r\n")
    smtp = logged_in(unharmed, name, unharmed.strict_port)
    begin(smtp, unharmed.address_of(name))
    smtp.send(letter.content + b".\r\n")
    code, words = smtp.getreply()
    assert (code, words.split()[0]) == (550, b"5.6.11")
    assert smtp.file.read() == b""
    smtp = logged_in(unharmed, name, unharmed.strict_port)
    assert submit(smtp, unharmed.address_of(name), after.content + b".\r\n")[0] == 250
    wait_until(lambda: after.arrived(rig), "the letter behind it")
    assert letter.arrived(rig) == []


# ---- commands that would not be followed ----

def test_bdat_is_not_offered(unharmed, rig, name):
    letter = Letter(b"a chunk\r\n")
    smtp = logged_in(unharmed, name)
    smtp.ehlo()
    assert not smtp.has_extn("chunking") and smtp.has_extn("8bitmime")
    assert smtp.mail(unharmed.address_of(name))[0] == 250
    assert smtp.rcpt(BOB)[0] == 250
    smtp.send(b"BDAT %d LAST\r\n" % len(letter.content) + letter.content)
    assert smtp.getreply()[0] == 502
    assert smtp.file.read() == b""
    after = Letter(b"behind it\r\n")
    assert submit(logged_in(unharmed, name), unharmed.address_of(name),
                  after.content + b".\r\n")[0] == 250
    wait_until(lambda: after.arrived(rig), "the letter behind it")
    assert letter.arrived(rig) == []


@pytest.mark.parametrize("verb", [" DATA", "  BDAT 5 LAST", "\tDATA", "DATA\r", "DATA\0"])
def test_verbs_that_are_not_where_they_belong(unharmed, name, verb):
    smtp = logged_in(unharmed, name)
    assert smtp.mail(unharmed.address_of(name))[0] == 250
    assert smtp.rcpt(BOB)[0] == 250
    smtp.send(verb.encode() + b"\r\n")
    assert smtp.getreply()[0] in (500, 501)
    assert smtp.docmd("RSET")[0] == 250
    assert smtp.docmd("QUIT")[0] == 221


def test_too_large_is_said_at_once(unharmed, name):
    smtp = logged_in(unharmed, name)
    smtp.ehlo()
    limit = int(smtp.esmtp_features["size"])
    code, words = smtp.mail(unharmed.address_of(name), [f"SIZE={limit + 1}"])
    assert (code, words.split()[0]) == (552, b"5.3.4")
    assert smtp.mail(unharmed.address_of(name), [f"SIZE={limit}"])[0] == 250


# ---- what arrives ----

def test_eight_bits(unharmed, rig, name):
    octets = bytes(octet for octet in range(1, 256) if octet not in b"\r\n")
    letter = Letter(b"\r\n".join([octets] * 3) + b"\r\n")
    assert send(unharmed, rig, name, letter, letter.content + b".\r\n") == \
        with_line_feeds(letter.text)


def stuffed(content):
    return re.sub(rb"(?m)^\.", b"..", content)


def test_dots_everywhere(unharmed, rig, name):
    lines = [b"." * n + text for n in range(5) for text in (b"", b" ", b"x", b" ." * 40)]
    letter = Letter(b"\r\n".join(lines) + b"\r\n")
    assert send(unharmed, rig, name, letter, stuffed(letter.content) + b".\r\n") == \
        with_line_feeds(letter.text)


def test_bare_line_feeds_alone(unharmed, rig, name):
    """A careless client: the dots that it did not stuff are kept."""
    letter = Letter(b"one\n.\n..\n.two\n\n" + b"line\n" * 20000 + b"\r\n")
    wire = letter.content + b".\r\n"
    assert send(unharmed, rig, name, letter, wire) == with_line_feeds(letter.text)


def test_message_without_text(unharmed, rig, name):
    letter = Letter(b"")
    assert send(unharmed, rig, name, letter, letter.content + b".\r\n") == b""


LARGE = {"alice": 20_000_000, "carol": 10_000_000}  # Postfix takes 10,240,000


def test_large_message(unharmed, rig, name):
    lines = [secrets.token_hex(38).encode() for _ in range(1000)]
    text = b"\r\n".join(lines) + b"\r\n"
    letter = Letter(text * (LARGE[name] // len(text)))
    arrived = send(unharmed, rig, name, letter, letter.content + b".\r\n")
    assert hashlib.sha256(arrived).digest() == \
        hashlib.sha256(with_line_feeds(letter.text)).digest()


def test_long_lines(unharmed, rig):
    """Of 100 KB; Postfix would break them."""
    letter = Letter((b"." + b"x" * 100_000 + b"\r\n") * 20 + b"y" * 100_000 + b"\r\n")
    assert send(unharmed, rig, "alice", letter, stuffed(letter.content) + b".\r\n") == \
        with_line_feeds(letter.text)


def test_in_small_pieces(unharmed, rig, name):
    letter = Letter(b"a\n.\nb\r\n..c\r\n.\n")
    sender = unharmed.address_of(name)
    smtp = logged_in(unharmed, name)
    smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    begin(smtp, sender)
    for octet in letter.content + b"\r\n.\r\n":
        smtp.send(bytes([octet]))
    assert smtp.getreply()[0] == 250
    assert smtp.docmd("QUIT")[0] == 221
    after = Letter(b"behind it\r\n")
    assert submit(logged_in(unharmed, name), sender, after.content + b".\r\n")[0] == 250
    assert text_of(only(letter, rig, after)) == b"a\n.\nb\n.c\n.\n\n"


@pytest.mark.parametrize("behind", ["greeting", "login"])
def test_all_at_once(unharmed, rig, name, behind):
    """Nothing is waited for: the content is held until the server wants it."""
    letter, after = Letter(b"a line of text\r\n" * 150_000), Letter(b"behind it\r\n")
    sender = unharmed.address_of(name)
    smtp = smtplib.SMTP("127.0.0.1", unharmed.smtp_port, "client.example.test", PATIENCE)
    unharmed.clients.append(Closing(smtp))
    plain = base64.b64encode(f"\0{sender}\0{unharmed.passwords[name]}".encode()).decode()
    login = f"EHLO x\r\nAUTH PLAIN {plain}\r\n".encode()
    if behind == "login":
        smtp.send(login)
        assert [smtp.getreply()[0] for _ in range(2)] == [250, 235]
    whole = f"MAIL FROM:<{sender}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n".encode() + \
        letter.content + b".\r\nQUIT\r\n"
    smtp.send(whole if behind == "login" else login + whole)
    if behind == "greeting":
        assert [smtp.getreply()[0] for _ in range(2)] == [250, 235]
    assert [smtp.getreply()[0] for _ in range(5)] == [250, 250, 354, 250, 221]
    assert smtp.file.read() == b""
    assert submit(logged_in(unharmed, name), sender, after.content + b".\r\n")[0] == 250
    assert text_of(only(letter, rig, after)) == with_line_feeds(letter.text)


def test_curl_ends_what_has_no_end(unharmed, rig, name, tmp_path):
    letter, after = Letter(b"no newline behind this"), Letter(b"behind it\r\n")
    (tmp_path / "mail").write_bytes(letter.content)
    sender = unharmed.address_of(name)
    done = subprocess.run(
        ["curl", "-sS", "-K", "-", "-T", tmp_path / "mail", "--mail-from", sender, "--mail-rcpt",
         BOB, f"smtp://127.0.0.1:{unharmed.smtp_port}/client.example.test"],
        input=f'user = "{sender}:{unharmed.passwords[name]}"\n'.encode(), capture_output=True,
        timeout=PATIENCE)
    assert done.returncode == 0, done
    assert submit(logged_in(unharmed, name), sender, after.content + b".\r\n")[0] == 250
    assert text_of(only(letter, rig, after)) == letter.text + b"\n"
