"""A mail program that submits: sessions through ecluse to a real Postfix and a real Dovecot."""

import base64
import os
import smtplib

import pytest

from ecluse_support import ALICE, BOB, CAROL
from imap_support import plain
from scripted_smtp import AUTH
from scripted_upstream import polite
from waiting import wait_until

# What Postfix adds where it is missing.
HEAD = (b"From: alice@example.test\r\nDate: Fri, 13 Nov 2026 12:00:00 +0000\r\n"
        b"Message-ID: <letter@example.test>\r\nSubject: a letter\r\n\r\n")
# What smuggling would need, and what careless programs lose.
TRICKY = HEAD + b".\r\n..\r\n.dot\r\n...\r\n\r\nMAIL FROM:<x@y>\r\nDATA\r\n.end\r\n"
HIDDEN = ("AUTH", "STARTTLS", "CHUNKING", "BINARYMIME", "XCLIENT", "XFORWARD", "BURL")


def servers(rig):
    return {"postfix": ("tls", rig.submissions),
            "postfix-starttls": ("starttls", rig.ports.get("postfix", rig.ports["submission"])),
            "dovecot": ("tls", rig.ports["submissions"]),
            "dovecot-starttls": ("starttls", rig.ports["submission"])}


@pytest.fixture(params=["postfix", "postfix-starttls", "dovecot", "dovecot-starttls"])
def submission(request, ecluse, rig):
    """alice sends by each of them; bob's mailbox is empty. Without root there is no Postfix, and
    Dovecot stands in."""
    scheme, port = servers(rig)[request.param]
    ecluse.set("provider local", smtp=f"{scheme}://localhost:{port}")
    return ecluse.ready("alice")


@pytest.fixture
def scripted(ecluse, upstreams):
    """carol's mail goes to a server that takes everything; `raw_session` reaches it."""
    ecluse.upstream = upstreams(polite, "smtp")
    ecluse.serve_from(ecluse.upstream)
    return ecluse.ready("carol")


def arrived(rig, count=1):
    """bob's mails, below what the servers put before them, with the line ends of files."""
    mails = wait_until(lambda: len(mails := rig.mails(BOB)) == count and mails, f"{count} mails")
    return sorted(mail[mail.index(b"From: "):] for mail in mails)


def as_file(mail):
    return mail.replace(b"\r\n", b"\n")


def stuffed(mail):
    """With its end, as it goes over the line."""
    lines = mail.split(b"\r\n")
    return b"\r\n".join(b"." + line if line[:1] == b"." else line for line in lines) + b".\r\n"


def test_smtplib(submission, rig):
    client = submission.smtp()
    assert client.ehlo()[0] == 250 and client.esmtp_features["auth"] == " PLAIN LOGIN"
    assert client.login(ALICE, submission.passwords["alice"]) == (235, b"2.7.0 Logged in")
    assert client.sendmail(ALICE, [BOB], TRICKY) == {}
    assert client.noop()[0] == 250
    assert client.quit()[0] == 221
    assert arrived(rig) == [as_file(TRICKY)]


def test_two_mails_and_a_change_of_mind(submission, rig):
    client = submission.smtp_session("alice")
    assert client.mail(ALICE)[0] == 250 and client.rcpt(BOB)[0] == 250
    assert client.rset()[0] == 250
    assert client.rcpt(BOB)[0] == 503  # the server has forgotten the sender
    for number in (1, 2):
        client.sendmail(ALICE, [BOB], HEAD + b"number %d\r\n" % number)
    client.quit()
    assert arrived(rig, 2) == [as_file(HEAD) + b"number %d\n" % number for number in (1, 2)]


def test_eight_bits(submission, rig):
    mail = HEAD + bytes(range(128, 256)) * 3 + "äöü ✉\r\n".encode()
    client = submission.smtp_session("alice")
    client.sendmail(ALICE, [BOB], mail, mail_options=["BODY=8BITMIME"])
    assert arrived(rig) == [as_file(mail)]


def test_the_list_is_the_servers_without_what_leads_around_us(submission, rig):
    client = submission.smtp()
    client.login(ALICE, submission.passwords["alice"])
    shown = client.ehlo()[1].split(b"\n")[1:]
    scheme, port = submission.sections["provider local"]["smtp"].split("://localhost:")
    direct = smtplib.SMTP_SSL("localhost", int(port), context=rig.context()) if scheme == "tls" \
        else smtplib.SMTP("localhost", int(port))
    if scheme == "starttls":
        direct.starttls(context=rig.context())
    token = submission.access_token("alice")
    message = base64.b64encode(f"user={ALICE}\1auth=Bearer {token}\1\1".encode()).decode()
    direct.ehlo()
    assert direct.docmd("AUTH XOAUTH2")[0] == 334 and direct.docmd(message)[0] == 235
    lines = direct.ehlo()[1].split(b"\n")[1:]
    direct.quit()
    expected = [line for line in lines
                if line.replace(b"=", b" ").split()[0].decode() not in HIDDEN]
    assert shown == expected and b"8BITMIME" in shown
    assert client.helo()[0] == 250


def test_a_mail_of_30_megabytes(ecluse, rig):
    """Dovecot's submission takes it, and Postfix 10 MB."""
    ecluse.set("provider local", smtp=f"tls://localhost:{rig.ports['submissions']}")
    mail = HEAD + base64.encodebytes(os.urandom(23 << 20)).replace(
        b"\n", b"\r\n") + TRICKY
    assert len(mail) > 30_000_000
    client = ecluse.ready("alice").raw_session("alice", "smtp")
    assert client.submit(ALICE, BOB, stuffed(mail)).startswith("250 ")
    [received] = wait_until(lambda: rig.mails(BOB), "the mail")
    assert received.endswith(as_file(mail))


def test_a_mail_arrives_octet_for_octet(scripted):
    mail = HEAD + bytes(set(range(256)) - {10, 13}) + b"\r\n" + TRICKY
    wire = stuffed(mail)
    client = scripted.raw_session("carol", "smtp")
    assert client.submit(CAROL, BOB, wire) == "250 2.0.0 queued as 1"
    assert client.submit(CAROL, BOB, b".\r\n") == "250 2.0.0 queued as 2"
    assert scripted.upstream.connections[0].messages == [wire.removesuffix(b"\r\n.\r\n"), b""]


# ---- ways to log in ----

@pytest.mark.parametrize("initial", [False, True], ids=["challenged", "initial"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "plain"])
def test_auth(ecluse, mechanism, initial):
    ecluse.ready("alice")
    client = ecluse.raw(protocol="smtp")
    password = ecluse.passwords["alice"]
    messages = [plain(ALICE, password)] if mechanism.upper() == "PLAIN" else [
        base64.b64encode(ALICE.encode()), base64.b64encode(password.encode())]
    # Without EHLO, too: it is the mail server that must be introduced to, and was.
    assert client.authenticate(mechanism, *messages, initial=initial) == "235 2.7.0 Logged in"
    assert client.command(f"MAIL FROM:<{ALICE}>").startswith("250 ")


@pytest.mark.parametrize("cut", ["one segment", "single octets"])
def test_a_whole_session_in_one_piece(submission, rig, cut):
    """EHLO, AUTH and the mail, pipelined; the second list is the server's."""
    login = plain(ALICE, submission.passwords["alice"]).decode()
    text = (f"EHLO me\r\nAUTH PLAIN {login}\r\nEHLO me\r\nMAIL FROM:<{ALICE}>\r\n"
            f"RCPT TO:<{BOB}>\r\nAUTH LOGIN\r\nSTARTTLS\r\nDATA\r\n").encode() + \
        stuffed(TRICKY) + b"QUIT\r\n"
    client = submission.raw(protocol="smtp")
    for piece in [text] if cut == "one segment" else [bytes([octet]) for octet in text]:
        client.send(piece)
    replies = [client.reply() for _ in range(10)]
    assert [reply[-1][:3] for reply in replies] == \
        ["250", "235", "250", "250", "250", "503", "502", "354", "250", "221"]
    assert "250-PIPELINING" in replies[2] or "250 PIPELINING" in replies[2]
    assert client.rest() == b""
    assert arrived(rig) == [as_file(TRICKY)]


@pytest.mark.parametrize("offer, expected", [
    (["AUTH XOAUTH2"], "XOAUTH2"), (["AUTH=PLAIN OAUTHBEARER"], "OAUTHBEARER"),
    (["AUTH LOGIN PLAIN", "AUTH=XOAUTH2 LOGIN"], "XOAUTH2"),
    (["auth xoauth2 oauthbearer"], "OAUTHBEARER")])
def test_the_mechanism_is_what_the_server_offers(ecluse, upstreams, offer, expected):
    def script(connection):
        connection.handshake()
        connection.log_in(offer=offer)
        connection.answer_commands()

    upstream = upstreams(script, "smtp")
    ecluse.serve_from(upstream)
    ecluse.ready("carol").raw_session("carol", "smtp").command("QUIT")
    assert [c.mechanism for c in upstream.wait_over()] == [expected]


# ---- before the login ----

def test_commands_before_the_login(ecluse):
    ecluse.ready("alice")
    client = ecluse.raw(protocol="smtp")
    assert client.greeting == b"220 localhost ESMTP ecluse"
    for command, reply in (("NOOP", "250 2.0.0 OK"), ("noop x", "250 2.0.0 OK"),
                           ("RSET", "250 2.0.0 OK"), ("VRFY bob", "252 2.0.0 "),
                           ("HELP", "214 2.0.0 "), ("HELO me", "250 localhost"),
                           ("EHLO", "501 5.5.4 "), ("STARTTLS", "502 5.5.1 "),
                           ("AUTH XOAUTH2", "504 5.5.4 "), ("LHLO me", "500 5.5.2 ")):
        assert client.command(command).startswith(reply), command
    client = ecluse.raw(protocol="smtp")
    for command in (f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{BOB}>", "DATA") * 3:
        assert client.command(command) == "530 5.7.0 Authentication required"
    assert client.command("QUIT").startswith("221 2.0.0 ") and client.rest() == b""


def test_a_chunk_before_the_login(ecluse):
    """What follows is no command, and nobody reads it as one."""
    ecluse.ready("alice")
    client = ecluse.raw(protocol="smtp")
    client.send(b"BDAT 17 LAST\r\nEHLO me\r\nNOOP\r\n\r\n")
    assert client.rest() == b"421 4.7.0 BDAT is not offered\r\n"


def test_five_bad_commands_close(ecluse):
    ecluse.ready("alice")
    client = ecluse.raw(protocol="smtp")
    assert [client.command("WHAT")[:3] for _ in range(5)] == ["500"] * 5
    assert client.rest() == b"421 4.7.0 too many bad commands\r\n"


def test_what_the_server_could_do_is_shown_the_next_time(ecluse, upstreams):
    learned = ["SIZE 12345678", "SMTPUTF8", "DSN", "8BITMIME", "X-OF-ITS-OWN 1 2"]
    hidden = [AUTH, AUTH.replace("AUTH ", "AUTH="), "STARTTLS", "CHUNKING", "BINARYMIME",
              "XCLIENT NAME"]

    def script(connection):
        connection.handshake()
        connection.log_in(offer=[*hidden, *learned])
        connection.answer_commands()

    ecluse.serve_from(upstreams(script, "smtp"))
    ecluse.set("listen smtp", account="carol")
    ecluse.ready("carol")
    before = ecluse.raw(protocol="smtp").extensions()
    assert sorted(before) == ["8BITMIME", "AUTH PLAIN LOGIN", "ENHANCEDSTATUSCODES", "PIPELINING",
                              "SIZE"]
    ecluse.raw_session("carol", "smtp").command("QUIT")
    wait_until(lambda: sorted(ecluse.raw(protocol="smtp").extensions()) != sorted(before),
               "another offer")
    expected = sorted([*learned, "AUTH PLAIN LOGIN"])
    assert sorted(ecluse.raw(protocol="smtp").extensions()) == expected
    assert ecluse.stop() == 0
    ecluse.start()  # the vault remembers
    assert sorted(ecluse.raw(protocol="smtp").extensions()) == expected


# ---- behind the login ----

def test_size_is_refused_early(scripted):
    """By the number that the server told; it hears nothing of it."""
    client = scripted.raw_session("carol", "smtp")
    too_large = "552 5.3.4 the message is larger than the mail server takes"
    assert client.command(f"MAIL FROM:<{CAROL}> SIZE=1000001") == too_large
    assert client.command(f"mail from:<{CAROL}> BODY=8BITMIME size=99999999999999") == too_large
    assert client.command(f"MAIL FROM:<{CAROL}> SIZE=1000000").startswith("250 ")
    assert client.command("QUIT").startswith("221 ")
    assert scripted.upstream.wait_over()[0].commands == [
        f"MAIL FROM:<{CAROL}> SIZE=1000000".encode(), b"QUIT"]


def test_size_at_real_servers(submission):
    client = submission.smtp_session("alice")
    code, text = client.docmd(f"MAIL FROM:<{ALICE}> SIZE=999999999999")
    assert code == 552 and text == b"5.3.4 the message is larger than the mail server takes"
    assert client.mail(ALICE, ["SIZE=1000"])[0] == 250


def test_parameters_are_relayed_as_they_are(scripted):
    """DSN (RFC 3461), SMTPUTF8 (RFC 6531) and what else the server might know. Commands that no RFC
    knows are not."""
    commands = [f"MAIL FROM:<{CAROL}> RET=HDRS ENVID=QQ+2B314159 BODY=8BITMIME SMTPUTF8",
                f"RCPT TO:<{BOB}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob+2B@example.test",
                "RSET", "MAIL FROM:<pröbe@exämple.test> SMTPUTF8", "VRFY bob", "EXPN list",
                "HELP", "NOOP with words", "ETRN example.test", "rset"]
    client = scripted.raw_session("carol", "smtp")
    for command in commands:
        assert client.command(command) == f"250 2.0.0 {command} for {CAROL}"
    for command in ("X-UNKNOWN", f"SOML FROM:<{CAROL}>"):
        assert client.command(command) == "500 5.5.2 unknown command"
    client.command("QUIT")
    connection, = scripted.upstream.wait_over()
    assert [line.decode() for line in connection.commands] == [*commands, "QUIT"]


def test_dsn_and_smtputf8(ecluse, rig):
    """With Postfix; without root there is a server that offers neither."""
    sender = "user6@example.test"
    ecluse.add_account("user6")
    ecluse.ready("user6")
    client = ecluse.smtp_session("user6")
    if "postfixs" not in rig.ports:
        assert not {"dsn", "smtputf8"} & client.esmtp_features.keys()
        return
    assert {"dsn", "smtputf8"} <= client.esmtp_features.keys()
    client.mail(sender, ["RET=HDRS", "ENVID=QQ314159"])
    assert client.rcpt(BOB, ["NOTIFY=SUCCESS", f"ORCPT=rfc822;{BOB}"])[0] == 250
    assert client.data(HEAD + b"tell me\r\n")[0] == 250
    [report] = wait_until(lambda: rig.mails(sender), "the report")
    assert b"Original-Envelope-Id: QQ314159" in report and b"Action: relayed" in report
    raw = ecluse.raw_session("user6", "smtp")
    assert raw.command("MAIL FROM:<pröbe@exämple.test> SMTPUTF8").startswith("250 ")


def test_our_name_is_nobodys(scripted):
    """The client's own name, which is often that of the machine, stays here."""
    client = scripted.raw_session("carol", "smtp")
    assert client.command("EHLO laptop-of-carol.local").startswith("250 ")
    assert client.command("HELO laptop-of-carol.local").startswith("250 ")
    client.command("QUIT")
    connection, = scripted.upstream.wait_over()
    assert connection.commands == [b"EHLO [127.0.0.1]", b"HELO [127.0.0.1]", b"QUIT"]
    assert b"laptop" not in connection.plain


def test_no_extension_that_leads_around_us_is_shown(ecluse, upstreams):
    lists = [["AUTH PLAIN", "SIZE 5", "AUTH=PLAIN", "STARTTLS"], ["STARTTLS"],
             ["8BITMIME", "XFORWARD NAME", "BINARYMIME", "chunking", "X-EXPS GSSAPI"]]

    def script(connection):
        connection.handshake()
        connection.log_in()
        for offer in lists:
            connection.tell_capabilities(offer=offer)
        connection.answer_commands()

    ecluse.serve_from(upstreams(script, "smtp"))
    client = ecluse.ready("carol").raw_session("carol", "smtp")
    assert [client.extensions() for _ in lists] == [["SIZE 5"], [], ["8BITMIME"]]


def test_a_second_login_and_tls_are_answered_here(scripted):
    client = scripted.raw_session("carol", "smtp")
    assert client.command("AUTH PLAIN AGEAYg==") == "503 5.5.1 you are logged in already"
    for verb in ("STARTTLS", "LHLO me", "XCLIENT NAME=x", "XFORWARD NAME=x"):
        assert client.command(verb) == "502 5.5.1 not available here"
    client.send(b"BDAT 11 LAST\r\nRSET\r\nRSET\r\n")
    assert client.rest() == b"502 5.5.1 BDAT is not offered\r\n"
    assert scripted.upstream.wait_over()[0].commands == []


def test_a_recipient_that_is_refused(submission):
    """What is pipelined behind a DATA that the server refuses are commands again."""
    client = submission.raw_session("alice", "smtp")
    client.send(f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<nobody@elsewhere.test>\r\nDATA\r\nRSET\r\n"
                f"NOOP\r\nQUIT\r\n")
    codes = [client.reply()[-1][:3] for _ in range(6)]
    assert codes[0] == "250" and codes[1][0] in "45" and codes[2][0] == "5", codes
    assert codes[3:] == ["250", "250", "221"]


def test_a_second_login_resumes_tls(scripted):
    for count in (1, 2):
        client = scripted.raw_session("carol", "smtp")
        assert client.command("NOOP").startswith("250 ")
        client.command("QUIT")
        assert len(scripted.upstream.wait_over()) == count
    assert [c.resumed for c in scripted.upstream.connections] == [False, True]


def test_bare_newlines_at_the_listeners_choice(ecluse, upstreams):
    upstream = upstreams(polite, "smtp")
    ecluse.serve_from(upstream)
    ecluse.set("listen smtp", bare_newline="reject")
    ecluse.ready("carol")
    client = ecluse.raw_session("carol", "smtp")
    assert client.submit(CAROL, BOB, b"good\r\n.\r\n") == "250 2.0.0 queued as 1"
    reply = client.submit(CAROL, BOB, b"bad\nline\r\n.\r\n")
    assert reply == "550 5.6.11 a bare CR or LF stands in the message"
    assert client.rest() == b""
    assert [c.messages for c in upstream.wait_over()] == [[b"good"]]
