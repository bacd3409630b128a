"""A POP3 client's day: sessions through ecluse to a real Dovecot, with a real token."""

import base64
import os
import poplib

import pytest

from ecluse_support import ALICE, CAROL
from imap_support import plain
from scripted_pop3 import CAPABILITIES, SASL
from scripted_upstream import polite
from waiting import wait_until

DOTS = b"Subject: dots\n\n.\n..\n.a line\n...\nno dot\n.\n"


@pytest.fixture(params=["tls", "starttls"])
def mailbox(request, ecluse, rig):
    """alice's, at the port for TLS or at that for STARTTLS."""
    port = rig.ports["pop3s" if request.param == "tls" else "pop3"]
    ecluse.set("provider local", pop3=f"{request.param}://localhost:{port}")
    return ecluse.ready("alice")


@pytest.fixture
def user5(ecluse):
    """Somebody whose mailbox is the test's own."""
    ecluse.add_account("user5")
    ecluse.ready("user5")
    return ecluse.address_of("user5")


def on_the_wire(mail):
    """As RETR shows it: CRLF, and no line begins with a lone dot."""
    lines = mail.removesuffix(b"\n").split(b"\n")
    return [b"." + line if line.startswith(b".") else line for line in lines]


def test_poplib(mailbox, rig):
    client = mailbox.pop3()
    assert client.getwelcome() == b"+OK ecluse ready"
    assert client.user(ALICE).startswith(b"+OK")
    assert client.pass_(mailbox.passwords["alice"]) == b"+OK Logged in"
    assert client.stat()[0] == 3 and len(client.list()[1]) == 3
    shown = sorted(b"\n".join(client.retr(number)[1]) + b"\n" for number in (1, 2, 3))
    assert shown == sorted(rig.mails(ALICE))
    head = client.top(1, 0)[1]
    assert b"From: Bob <bob@example.test>" in head and b"Hello Alice," not in head
    assert client.noop().startswith(b"+OK")
    assert client.quit().startswith(b"+OK")


def test_the_mailbox_changes_when_the_client_says_quit(ecluse, rig, user5):
    for number in range(3):
        rig.put_mail(user5, b"Subject: number %d\n\ntext\n" % number)
    client = ecluse.pop3_session("user5")
    uids = [line.split()[1] for line in client.uidl()[1]]
    assert len(set(uids)) == 3 and client.uidl(2).split()[2] == uids[1]
    client.dele(1)
    client.dele(2)
    assert client.stat()[0] == 1
    client.rset()
    assert client.stat()[0] == 3
    client.dele(2)
    client.quit()
    client = ecluse.pop3_session("user5")
    assert [line.split()[1] for line in client.uidl()[1]] == [uids[0], uids[2]]
    client.dele(1)
    client.close()  # without QUIT nothing is deleted (RFC 1939 section 6)
    assert ecluse.pop3_session("user5").stat()[0] == 2


def test_a_mail_of_30_megabytes(ecluse, rig, user5):
    mail = b"Subject: large\n\n" + base64.encodebytes(os.urandom(23 * 1024 * 1024)) + DOTS
    assert len(mail) > 30_000_000
    rig.put_mail(user5, mail)
    client = ecluse.raw_session("user5", "pop3")
    assert client.command("RETR 1").startswith("+OK ")
    assert client.body() == on_the_wire(mail)
    assert client.command("QUIT").startswith("+OK ")


# ---- ways to log in ----

@pytest.mark.parametrize("initial", [False, True], ids=["challenged", "initial"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "plain"])
def test_auth(ecluse, mechanism, initial):
    ecluse.ready("alice")
    client = ecluse.raw(protocol="pop3")
    password = ecluse.passwords["alice"]
    messages = [plain(ALICE, password)] if mechanism.upper() == "PLAIN" else [
        base64.b64encode(ALICE.encode()), base64.b64encode(password.encode())]
    assert client.authenticate(mechanism, *messages, initial=initial) == "+OK Logged in"
    assert client.command("STAT").startswith("+OK 3 ")


def test_a_password_with_blanks_and_more(ecluse):
    """PASS has one argument: all that stands behind its blank (RFC 1939 section 7)."""
    ecluse.start()
    ecluse.sign_in("alice")
    password = " pässwörd with  blanks "
    made = ecluse.ecluse("grant", "alice", "--name", "phone", "--password-stdin",
                         stdin=password.encode() + b"\n")
    assert made.status == 0, made
    ecluse.secrets["the chosen password"] = password
    client = ecluse.raw(protocol="pop3")
    assert client.login(ALICE, password.strip()).startswith("-ERR [AUTH] ")
    assert client.login(ALICE, password) == "+OK Logged in"


def test_the_name_is_forgotten_behind_each_password(ecluse):
    ecluse.ready("alice")
    client = ecluse.raw(protocol="pop3")
    assert client.login(ALICE, "wrong").startswith("-ERR [AUTH] ")
    assert client.command(f"PASS {ecluse.passwords['alice']}") == "-ERR USER comes first"
    assert client.login(ALICE, ecluse.passwords["alice"]) == "+OK Logged in"


@pytest.mark.parametrize("cut", ["one segment", "single octets"])
def test_pipelined_commands_are_answered_in_order(ecluse, rig, cut):
    ecluse.ready("alice")
    client = ecluse.raw(protocol="pop3")
    text = (f"CAPA\r\nUSER {ALICE}\r\nPASS {ecluse.passwords['alice']}\r\nSTAT\r\nRETR 1\r\n"
            "APOP alice 0123\r\nRETR 2\r\nAUTH\r\nNOOP\r\nRETR 3\r\nRETR 4\r\nSTLS\r\nQUIT\r\n")
    for piece in [text] if cut == "one segment" else text:
        client.send(piece)
    assert client.line().startswith(b"+OK") and b"IMPLEMENTATION ecluse" in client.body()
    assert client.line() == b"+OK" and client.line() == b"+OK Logged in"
    assert client.line().startswith(b"+OK 3 ")
    shown = []
    for between in (["-ERR you are logged in already"],
                    ["-ERR you are logged in already", "+OK"], []):
        assert client.line().startswith(b"+OK ")
        shown.append(b"\n".join(client.body()) + b"\n")
        assert [client.line().decode() for _ in between] == between
    assert sorted(shown) == sorted(rig.mails(ALICE))
    assert client.line().startswith(b"-ERR ")
    assert client.line() == b"-ERR STLS is not available here"
    assert client.line().startswith(b"+OK ")
    assert client.rest() == b""


# ---- capabilities ----

def test_capabilities_before_the_login(ecluse):
    ecluse.ready("alice")
    client = ecluse.pop3()
    shown = client.capa()
    assert shown["SASL"] == ["PLAIN", "LOGIN"] and "USER" in shown
    assert {"RESP-CODES", "AUTH-RESP-CODE"} <= shown.keys()
    assert "STLS" not in shown and "SASL-IR" not in shown
    assert shown["IMPLEMENTATION"] == ["ecluse"]
    raw = ecluse.raw(protocol="pop3")
    assert raw.command("AUTH").startswith("+OK") and raw.body() == [b"PLAIN", b"LOGIN"]


def test_capabilities_are_the_servers_without_what_leads_around_us(mailbox, rig):
    direct = poplib.POP3_SSL("localhost", rig.ports["pop3s"], context=rig.context())
    client = mailbox.raw_session("alice", "pop3")
    assert client.command("CAPA").startswith("+OK")
    expected = [name.encode() for name in direct.capa() if name not in ("SASL", "USER", "STLS")]
    direct.close()
    assert [line.split()[0] for line in client.body()] == expected
    assert {b"TOP", b"UIDL", b"PIPELINING"} <= set(expected)


def test_no_capability_that_leads_around_us_is_shown(ecluse, upstreams):
    hidden = ["STLS", "SASL XOAUTH2 PLAIN", "stls", "USER", "APOP"]

    def script(connection):
        connection.handshake()
        connection.log_in()
        for _ in range(2):
            connection.tell_capabilities(offer=[*hidden, "TOP", *hidden, "LANG", "UTF8 USER"])
        connection.answer_commands()

    ecluse.serve_from(upstreams(script, "pop3"))
    client = ecluse.ready("carol").raw_session("carol", "pop3")
    for _ in range(2):
        assert client.command("CAPA") == "+OK these"
        assert client.body() == [b"TOP", b"LANG", b"UTF8 USER"]


def test_what_the_server_could_do_is_shown_the_next_time(ecluse, upstreams):
    """And neither its ways to log in nor what would be a command before the login."""
    def script(connection):
        connection.handshake()
        connection.log_in(offer=["EXPIRE 60 USER", "LOGIN-DELAY 10", "LANG", "UTF8", "STLS",
                                 *CAPABILITIES, SASL, "IMPLEMENTATION other"])
        connection.answer_commands()

    ecluse.serve_from(upstreams(script, "pop3"))
    ecluse.set("listen pop3", account="carol")
    ecluse.ready("carol").raw_session("carol", "pop3").command("QUIT")
    wait_until(lambda: "EXPIRE" in ecluse.pop3().capa(), "what the server can do")
    shown = ecluse.pop3().capa()
    assert shown["EXPIRE"] == ["60", "USER"] and shown["LOGIN-DELAY"] == ["10"]
    assert {"TOP", "UIDL", "PIPELINING", "USER"} <= shown.keys()
    assert shown["SASL"] == ["PLAIN", "LOGIN"] and shown["IMPLEMENTATION"] == ["ecluse"]
    assert not {"LANG", "UTF8", "STLS"} & shown.keys()


# ---- commands ----

def test_before_the_login(ecluse):
    ecluse.ready("alice")
    client = ecluse.raw(protocol="pop3")
    assert client.command("NOOP") == client.command("noop") == "+OK"
    assert client.command("STLS") == "-ERR STLS is not offered"
    assert client.command("STAT") == "-ERR log in first"
    assert client.command("QUIT") == "+OK Bye" and client.rest() == b""
    client = ecluse.raw(protocol="pop3")
    assert [client.command("RETR 1") for _ in range(3)] == ["-ERR log in first"] * 3
    assert client.rest() == b"-ERR too many bad commands\r\n"


def test_commands_are_relayed_as_they_are(ecluse, upstreams):
    """Less those that no RFC of today knows: nobody could say what an answer to them is like."""
    commands = ["STAT", "LIST 1", "UIDL 1", "DELE 1", "RSET", "NOOP", "LANG de", "UTF8", "retr 0",
                "TOP 1"]

    def script(connection):
        connection.handshake()
        connection.log_in()
        while (line := connection.line()) != b"QUIT":
            connection.commands.append(line.decode())
            connection.send("-ERR none\r\n")
        connection.send("+OK\r\n")

    upstream = upstreams(script, "pop3")
    ecluse.serve_from(upstream)
    client = ecluse.ready("carol").raw_session("carol", "pop3")
    assert [client.command(command) for command in commands] == ["-ERR none"] * len(commands)
    for command in ("XTND XMIT", "last"):
        assert client.command(command) == "-ERR a command is expected"
    assert client.command("QUIT") == "+OK"
    assert upstream.wait_over()[0].commands == commands


@pytest.mark.parametrize("offer, expected", [
    (["SASL XOAUTH2"], "XOAUTH2"), (["SASL PLAIN OAUTHBEARER"], "OAUTHBEARER"),
    (["SASL XOAUTH2 OAUTHBEARER"], "OAUTHBEARER"), (["sasl Plain xoauth2"], "XOAUTH2")])
def test_the_mechanism_is_what_the_server_offers(ecluse, upstreams, offer, expected):
    def script(connection):
        connection.handshake()
        connection.log_in(offer=offer)
        connection.answer_commands()

    upstream = upstreams(script, "pop3")
    ecluse.serve_from(upstream)
    ecluse.ready("carol").raw_session("carol", "pop3").command("QUIT")
    assert [c.mechanism for c in upstream.wait_over()] == [expected]


def test_a_server_without_capa(ecluse, upstreams):
    """A mechanism that the configuration names is tried."""
    def script(connection):
        connection.handshake()
        connection.hello()
        connection.expect("CAPA")
        connection.send("-ERR unknown command\r\n")
        connection.accept(connection.read_token())
        connection.answer_commands()

    upstream = upstreams(script, "pop3")
    ecluse.serve_from(upstream, mechanisms="XOAUTH2")
    ecluse.ready("carol").raw_session("carol", "pop3")
    assert upstream.connections[0].user == CAROL


def test_a_second_login_resumes_tls(ecluse, upstreams):
    upstream = upstreams(polite, "pop3")
    ecluse.serve_from(upstream)
    ecluse.ready("carol")
    for count in (1, 2):
        client = ecluse.raw_session("carol", "pop3")
        assert client.command("NOOP").startswith("+OK")
        client.command("QUIT")
        assert len(upstream.wait_over()) == count
    assert [c.resumed for c in upstream.connections] == [False, True]
