"""A mail client's day: sessions through ecluse to a real Dovecot, with a real token."""

import base64
import hashlib
import imaplib
import os
import threading
import time

import pytest

from ecluse_support import ALICE, CAROL, WRONG
from imap_support import plain, quoted
from waiting import wait_until



def test_login_select_fetch_logout(ecluse, rig):
    ecluse.ready("alice")
    client = ecluse.imap()
    assert client.welcome.startswith(b"* OK ") and b"ecluse ready" in client.welcome
    assert client.login(ALICE, ecluse.passwords["alice"])[0] == "OK"
    assert client.select("INBOX", readonly=True) == ("OK", [b"3"])
    fetched = client.fetch("1:3", "(BODY.PEEK[])")[1][::2]
    bodies = sorted(part[1].replace(b"\r\n", b"\n") for part in fetched)
    assert bodies == sorted(rig.mails(ALICE))
    assert client.logout()[0] == "BYE"


def test_a_message_of_50_megabytes_there_and_back(ecluse):
    ecluse.add_account("user1")
    client = ecluse.ready("user1").session("user1")
    lines = base64.encodebytes(os.urandom(37 * 1024 * 1024)).replace(b"\n", b"\r\n")
    message = b"Subject: large\r\n\r\n" + lines
    assert len(message) > 50_000_000
    assert client.append("INBOX", None, None, message)[0] == "OK"
    client.select()
    (_, fetched), _ = client.fetch("1", "(BODY[])")[1]
    assert hashlib.sha256(fetched).digest() == hashlib.sha256(message).digest()
    client.store("1", "+FLAGS", r"\Deleted")
    client.close()
    client.logout()


def test_idle_is_pushed_to(ecluse):
    ecluse.add_account("user2")
    ecluse.ready("user2")
    idle = ecluse.raw_session("user2")
    idle.command("SELECT INBOX")
    idle.send(b"i IDLE\r\n")
    assert idle.line().startswith(b"+ ")
    other = ecluse.session("user2")
    assert other.append("INBOX", None, None, b"Subject: news\r\n\r\nnews\r\n")[0] == "OK"
    assert b"* 1 EXISTS" in [idle.line(), idle.line()]
    idle.send(b"DONE\r\n")
    assert idle.until_tagged(b"i")[0].startswith("OK ")
    assert idle.command("LOGOUT")[0].startswith("OK ")


def test_a_token_that_was_killed_between_two_logins_goes_unnoticed(ecluse, rig):
    ecluse.ready("alice")
    ecluse.session("alice").logout()
    rig.clear()
    rig.knob("expire", ALICE)
    client = ecluse.session("alice")
    assert client.select("INBOX", readonly=True) == ("OK", [b"3"])
    assert rig.refreshes() == {"ok": 1} and rig.token_requests() == 1
    ecluse.session("alice").logout()
    assert rig.token_requests() == 1


# ---- ways to log in ----

@pytest.mark.parametrize("initial", [False, True], ids=["challenged", "initial"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "plain"])
def test_authenticate(ecluse, mechanism, initial):
    ecluse.ready("alice")
    client = ecluse.raw()
    password = ecluse.passwords["alice"]
    messages = [plain(ALICE, password)] if mechanism.upper() == "PLAIN" else [
        base64.b64encode(ALICE.encode()), base64.b64encode(password.encode())]
    reply = client.authenticate(mechanism, *messages, initial=initial)
    assert reply.startswith("OK [CAPABILITY "), reply
    assert client.command("NOOP")[0].startswith("OK ")


def test_imaplib_authenticates(ecluse):
    ecluse.ready("alice")
    client = ecluse.imap()
    assert {"AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR"} <= set(client.capabilities)
    message = f"\0{ALICE}\0{ecluse.passwords['alice']}".encode()
    assert client.authenticate("PLAIN", lambda _: message)[0] == "OK"
    assert client.select("INBOX", readonly=True) == ("OK", [b"3"])


@pytest.mark.parametrize("plus", ["", "+"], ids=["waiting", "non-synchronizing"])
def test_login_by_literals(ecluse, plus):
    ecluse.ready("alice")
    password = ecluse.passwords["alice"]
    client = ecluse.raw()
    pieces = [f"a LOGIN {{{len(ALICE)}{plus}}}\r\n", f"{ALICE} {{{len(password)}{plus}}}\r\n",
              f"{password}\r\n"]
    for piece in pieces[:-1]:
        client.send(piece)
        if not plus:
            assert client.line().startswith(b"+ ")
    client.send(pieces[-1])
    assert client.until_tagged(b"a")[0].startswith("OK ")


@pytest.mark.parametrize("cut", ["one segment", "single octets"])
def test_pipelined_commands_are_relayed_in_order(ecluse, cut):
    ecluse.ready("alice")
    client = ecluse.raw()
    text = (b"1 CAPABILITY\r\n2 LOGIN " + quoted(ALICE) + b" "
            + quoted(ecluse.passwords["alice"]) + b"\r\n3 EXAMINE INBOX\r\n"
            b"4 FETCH 1 (BODY.PEEK[HEADER.FIELDS (FROM)])\r\n5 LOGOUT\r\n")
    for piece in [text] if cut == "one segment" else [bytes([octet]) for octet in text]:
        client.send(piece)
    received = client.rest()
    replies = [line for line in received.split(b"\r\n") if line[:2] in
               (b"1 ", b"2 ", b"3 ", b"4 ", b"5 ")]
    assert [line[:4] for line in replies] == [b"1 OK", b"2 OK", b"3 OK", b"4 OK", b"5 OK"]
    assert b"* 3 EXISTS" in received and b"\r\nFrom: " in received


def test_large_literals_both_kinds(ecluse):
    ecluse.add_account("user3")
    client = ecluse.ready("user3").raw_session("user3")
    message = b"Subject: x\r\n\r\n" + b"0123456789abcdef" * 65536 + b"\r\n"
    for plus in (b"", b"+"):
        assert client.append("Drafts", message, plus).startswith("OK ")
    assert client.command("STATUS Drafts (MESSAGES)")[1] == [b"* STATUS Drafts (MESSAGES 2)"]


def test_capabilities_are_the_servers_without_what_leads_around_us(ecluse, rig):
    ecluse.ready("alice")
    client = ecluse.raw()
    before = client.command("CAPABILITY")[1]
    assert before == [b"* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN"]
    reply = client.login(ALICE, ecluse.passwords["alice"])
    shown = reply[len("OK [CAPABILITY "):reply.index("]")].split()
    direct = rig.capabilities(ALICE, ecluse.access_token("alice"))
    hidden = ("AUTH=", "COMPRESS=", "STARTTLS", "LOGINDISABLED", "LOGIN-REFERRALS", "SASL-IR")
    assert shown == [word for word in direct if not word.startswith(hidden)]
    assert {"IMAP4rev1", "IDLE"} <= set(shown)
    assert client.command("CAPABILITY")[1] == [f"* CAPABILITY {' '.join(shown)}".encode()]


def test_no_capability_that_leads_around_us_is_shown(ecluse, upstreams):
    hidden = ["SASL-IR", "AUTH=PLAIN", "auth=xoauth2", "COMPRESS=DEFLATE", "STARTTLS",
              "LOGINDISABLED", "LOGIN-REFERRALS", "MAILBOX-REFERRALS", "UNAUTHENTICATE", "XCLIENT"]
    shown = ["IMAP4rev1", "IDLE", "X-GM-EXT-1", "APPENDLIMIT=35651584"]

    def script(connection):
        connection.handshake()
        connection.greet()
        mixed = [word for pair in zip(hidden, shown * 3) for word in pair]
        words = " ".join(dict.fromkeys(mixed))
        connection.accept(connection.read_token(), words)
        tag = connection.line().split()[0].decode()
        connection.send(f"* CAPABILITY {words}\r\n{tag} OK done\r\n")
        connection.answer_commands()

    ecluse.serve_from(upstreams(script))
    client = ecluse.ready("carol").raw()
    expected = " ".join(shown)
    reply = client.login(CAROL, ecluse.passwords["carol"])
    assert reply == f"OK [CAPABILITY {expected}] Logged in"
    assert client.command("CAPABILITY") == ("OK done", [f"* CAPABILITY {expected}".encode()])


@pytest.mark.parametrize("password", ["pässwörd-für-älice", "пароль \"q\\\" ✉ и ещё"],
                         ids=["western", "cyrillic"])
def test_a_password_beyond_ascii(ecluse, password):
    ecluse.start()
    ecluse.sign_in("alice")
    made = ecluse.ecluse("grant", "alice", "--name", "phone", "--password-stdin",
                         stdin=password.encode() + b"\n")
    assert made.status == 0, made
    ecluse.secrets["the chosen password"] = password
    raw = password.encode()
    assert ecluse.raw().login(ALICE, raw).startswith("OK ")
    assert ecluse.raw().authenticate("PLAIN", plain(ALICE, raw)).startswith("OK ")
    literal = b"{%d+}\r\n%s" % (len(raw), raw)
    assert ecluse.raw().command("LOGIN", ALICE, literal)[0].startswith("OK ")
    assert ecluse.raw().login(ALICE, raw + b"x") == WRONG
    assert ecluse.raw().login(ALICE, password.encode("latin-1", "replace")) == WRONG


# ---- refusals ----

def test_a_wrong_password_costs_no_token_request(ecluse, rig):
    ecluse.ready("alice", "bob")
    rig.clear()
    rig.knob("expire", ALICE)
    client = ecluse.raw()
    assert client.login(ALICE, "wrong") == WRONG
    assert client.authenticate("PLAIN", plain(ALICE, ecluse.passwords["bob"])) == WRONG
    assert rig.token_requests() == 0 and not any(rig.stats()["introspections"].values())
    assert client.login(ALICE, ecluse.passwords["alice"]).startswith("OK ")
    assert rig.refreshes() == {"ok": 1}


def test_an_unknown_user_cannot_be_told_from_a_wrong_password(ecluse):
    ecluse.ready("alice")
    took = {}
    for user in (ALICE, "nobody@example.test", "nobody"):
        client = ecluse.raw()
        began = time.monotonic()
        assert client.login(user, "wrong") == WRONG
        took[user] = time.monotonic() - began
    print("refused after", took)
    assert min(took.values()) >= 0.45, took


def test_the_domain_may_be_typed_in_any_case_and_the_rest_not(ecluse):
    ecluse.ready("alice")
    password = ecluse.passwords["alice"]
    assert ecluse.raw().login("alice@EXAMPLE.Test", password).startswith("OK ")
    assert ecluse.raw().login("Alice@example.test", password) == WRONG


def test_four_failures_are_forgiven_the_fifth_closes(ecluse):
    ecluse.ready("alice")
    client = ecluse.raw()
    for number in range(4):
        assert client.login(f"nobody{number}@example.test", "wrong") == WRONG
    assert client.login(ALICE, ecluse.passwords["alice"]).startswith("OK ")
    client = ecluse.raw()
    for number in range(5):
        assert client.login(f"other{number}@example.test", "wrong") == WRONG
    assert client.rest() == b"* BYE [LIMIT] too many failed logins\r\n"


def test_a_grant_is_for_its_protocols(ecluse):
    ecluse.ready("alice")
    password = ecluse.grant("alice", "--protocols", "smtp,pop3", client="scanner")
    assert ecluse.try_login("alice", password).startswith("NO [NOPERM] ")


def test_a_listener_for_one_account(ecluse):
    ecluse.set("listen imap", account="alice")
    ecluse.ready("alice", "bob")
    assert ecluse.try_login("bob").startswith("NO [NOPERM] ")
    assert ecluse.try_login("alice").startswith("OK ")


# ---- mechanisms upstream ----

@pytest.mark.parametrize("offer, expected", [
    ("IMAP4rev1 AUTH=XOAUTH2", "XOAUTH2"),
    ("IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=OAUTHBEARER", "OAUTHBEARER"),
    ("IMAP4rev1 AUTH=XOAUTH2 AUTH=OAUTHBEARER", "OAUTHBEARER")])
def test_the_mechanism_is_what_the_server_offers(ecluse, upstreams, offer, expected):
    def script(connection):
        connection.handshake()
        connection.log_in(offer=offer)
        connection.answer_commands()

    upstream = upstreams(script)
    ecluse.serve_from(upstream)
    ecluse.ready("carol").raw_session("carol").command("LOGOUT")
    assert [c.mechanism for c in upstream.wait_over()] == [expected]


# ---- many ----

def test_many_sessions_at_once(ecluse):
    ecluse.set("listen imap", max_sessions=100, max_sessions_per_account=100)
    ecluse.ready("alice", "bob")
    results = []

    def one(name):
        try:
            client = imaplib.IMAP4("127.0.0.1", ecluse.port, timeout=60)
            client.login(ecluse.address_of(name), ecluse.passwords[name])
            results.append(client.select("INBOX", readonly=True)[0])
            client.logout()
        except Exception as error:  # shown by the assertion
            results.append(repr(error))

    threads = [threading.Thread(target=one, args=(("alice", "bob")[n % 2],)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["OK"] * 40
    wait_until(lambda: ecluse.status()["sessions"] == 0, "all sessions over")
