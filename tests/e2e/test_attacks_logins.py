"""What hostile clients have done to the logins of POP3 and SMTP servers; the numbers are those of
the attack catalogue (IMAP's are in test_attacks_imap). After each attack the same processes must
still serve their users.
"""

import base64

import pytest

from attack_support import SIZES, side_by_side
from ecluse_support import ALICE, CAROL
from imap_support import plain
from processes import resident
from protocols import PROTOCOLS
from waiting import wait_until

each_protocol = pytest.mark.parametrize("protocol", ["pop3", "smtp"])
WRONG = "wrong user name or password"
TOO_LONG = {"pop3": b"-ERR line too long\r\n", "smtp": b"421 4.7.0 line too long\r\n"}
CHALLENGE = {"pop3": b"+ ", "smtp": b"334 "}
REFUSED = ("-ERR ", "501 ", "535 ")


def challenged(one, protocol, mechanism="PLAIN"):
    """A client whose next line is the answer to a challenge."""
    client = one.raw(protocol=protocol)
    client.send(f"AUTH {mechanism}\r\n")
    assert client.line().startswith(CHALLENGE[protocol])
    return client


# ---- memory and time ----

@SIZES
@each_protocol
@pytest.mark.parametrize("text", [b"NOOP " + b"(" * 8000, b"AUTH PLAIN " + b"QUJD" * 3000,
                                  b"\0" * 8000], ids=["command", "sasl", "zeros"])
def test_25_a_thousand_unfinished_commands(unharmed, protocol, text):
    gate, = unharmed.gates()
    clients = []
    for _ in range(1000):
        client = PROTOCOLS[protocol].client(unharmed.port_of(protocol), greet=False)
        clients.append(client)
        assert client.file.readline().startswith(PROTOCOLS[protocol].greeting)
        client.send(text)
    assert unharmed.try_login("alice", protocol=protocol).startswith(PROTOCOLS[protocol].logged_in)
    assert resident(gate) < 64 * 1024
    for client in clients:
        client.close()


@each_protocol
@pytest.mark.parametrize("text", [b"NOOP " + b"(" * 64, b"x" * 64, b"\x80\xff" * 32, b"\0" * 64,
                                  b"AUTH PLAIN " + b"QUJD" * 16])
def test_28_endless_line(unharmed, protocol, text):
    client = unharmed.raw(protocol=protocol)
    sent = 0
    try:
        while sent < 1 << 30:
            sent += client.socket.send(text * 1000)
    except ConnectionError:
        pass
    assert sent < 64 << 20
    assert client.rest() in (TOO_LONG[protocol], b"")  # a reset may have overtaken it


@each_protocol
@pytest.mark.parametrize("verb, most", [("NOOP ", 8192), ("AUTH PLAIN ", 12288 + 64)])
def test_28_the_longest_line(unharmed, protocol, verb, most):
    """To the octet."""
    client = unharmed.raw(protocol=protocol)
    line = verb + "A" * (most - len(verb) - 2)
    assert client.command(line)[:4] in ("250 ", "+OK", "-ERR", "501 ", "535 ")
    client = unharmed.raw(protocol=protocol)
    client.send(line + "A\r\n")
    assert client.rest() == TOO_LONG[protocol]


@each_protocol
def test_28_endless_line_after_the_login(unharmed, protocol):
    """The mail server gets nothing of it."""
    client = unharmed.raw_session("alice", protocol)
    mark = unharmed.log_size()
    sent = 0
    try:
        while sent < 1 << 30:
            sent += client.socket.send(b"x" * 65536)
    except ConnectionError:
        pass
    assert sent < 64 << 20
    unharmed.wait_log("session-close account=alice .*a command is too long", since=mark)


@SIZES
@each_protocol
def test_34_aborted_exchanges_leave_nothing(unharmed, protocol):
    def abort(rounds):
        for number in range(rounds):
            client = PROTOCOLS[protocol].client(unharmed.port_of(protocol))
            client.send(b"AUTH PLAIN\r\n")
            assert client.line() == CHALLENGE[protocol]
            if number % 2:
                client.send(b"*\r\n")
                assert client.line().decode() == \
                    PROTOCOLS[protocol].bad + "authentication cancelled"
            client.close()

    def sizes():
        return sum(resident(pid) for pid in unharmed.processes)

    abort(300)
    before = sizes()
    abort(500)
    assert sizes() - before < 512


@each_protocol
def test_44_slow_loris(unharmed, protocol):
    """More connections than there are places, none of which says a whole line: a user gets in."""
    trickle = []
    for _ in range(100):
        client = unharmed.raw(protocol=protocol)
        trickle.append(client)
        try:
            client.send(b"A")
        except ConnectionError:
            pass  # it had to make room
    said = PROTOCOLS[protocol]
    for _ in range(3):
        assert unharmed.try_login("alice", protocol=protocol).startswith(said.logged_in)
    assert trickle[0].rest() == said.too_many + b"too many connections wait for their login\r\n"


# ---- SASL ----

@each_protocol
@pytest.mark.parametrize("message", [b"!!!!", b"AGFs=", b"A", b"AGFsaWNl\0", b"=", b"=AAA",
                                     b"QUJD QUJD", b"QUJD\t", b"QQ==QQ=="])
def test_33_bad_base64_is_the_senders_problem(unharmed, protocol, message):
    said = PROTOCOLS[protocol]
    attacker, user = challenged(unharmed, protocol), challenged(unharmed, protocol)
    attacker.send(message + b"\r\n")
    assert attacker.line().decode().startswith(said.bad)
    user.send(plain(ALICE, unharmed.passwords["alice"]) + b"\r\n")
    assert user.line().decode().startswith(said.logged_in)
    assert attacker.login(ALICE, unharmed.passwords["alice"]).startswith(said.logged_in)


LEAVING = {
    "pop3": [[], [b"AU"], [b"USER alice\r\n", b"PASS"], [b"AUTH PLAIN\r\n"],
             [b"AUTH PLAIN\r\n", b"AGFs"], [b"AUTH LOGIN\r\n", b"YWxpY2U=\r\n"],
             [b"USER nobody\r\nPASS wrong\r\n"], [b"USER nobody\r\nPASS wrong\r\nNOOP\r\n" * 9],
             [b"AUTH PLAIN !\r\n" * 9]],
    "smtp": [[], [b"EH"], [b"EHLO me\r\n", b"AUTH"], [b"AUTH PLAIN\r\n"],
             [b"AUTH PLAIN\r\n", b"AGFs"], [b"AUTH LOGIN\r\n", b"YWxpY2U=\r\n"],
             [b"AUTH PLAIN AGEAYg==\r\n"], [b"AUTH PLAIN AGEAYg==\r\nMAIL FROM:<>\r\n" * 9],
             [b"BDAT 5\r\nabc"]],
}


@each_protocol
@pytest.mark.parametrize("how", ["close", "reset"])
def test_35_leaving_in_the_midst_of_it(unharmed, protocol, how):
    for said in LEAVING[protocol]:
        for _ in range(5):
            client = PROTOCOLS[protocol].client(unharmed.port_of(protocol))
            for piece in said:
                client.send(piece)
            getattr(client, how)()
    wait_until(lambda: unharmed.status()["sessions"] == 0, "no session left")


@each_protocol
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("stage", ["connected", "greeted", "asked", "challenged", "tried",
                                   "relayed"])
def test_35_leaving_while_we_log_in_upstream(serve, unharmed, protocol, stage, how):
    def script(connection):
        if stage == "connected":
            connection.until_gone()
        connection.handshake()
        connection.hello()
        if stage == "greeted":
            connection.until_gone()
        connection.tell_capabilities()
        if stage == "asked":
            connection.line()
            connection.until_gone()
        connection.read_token()
        if stage == "challenged":
            connection.send(CHALLENGE[protocol] + b"eyJzdGF0dXMiOiI0MDEifQ==\r\n")
        elif stage == "relayed":
            connection.accept()
            connection.line()
            connection.send(b"+OK\r\n" + b"x" * 500_000)
        connection.until_gone()

    upstream = serve(script, protocol)
    for count in range(1, 4):
        client = PROTOCOLS[protocol].client(unharmed.port_of(protocol))
        client.send(b"AUTH PLAIN " + plain(CAROL, unharmed.passwords["carol"]) + b"\r\n")
        connection = upstream.wait_for(count)[-1]
        marks = {"connected": lambda: connection.raw, "greeted": lambda: connection.plain,
                 "asked": lambda: b"AUTH" in connection.plain}
        wait_until(marks.get(stage, lambda: connection.token), stage)
        if stage == "relayed":
            client.line()
            client.send(b"RETR 1\r\n")
        getattr(client, how)()
        upstream.wait_over()
    wait_until(lambda: unharmed.status()["sessions"] == 0, "no session left")


@each_protocol
def test_38_failures_leave_no_credentials_behind(fresh, protocol):
    said = PROTOCOLS[protocol]
    good = fresh.passwords["alice"]
    user, word = (base64.b64encode(text.encode()) for text in (ALICE, good))
    for last in ("PLAIN", "LOGIN"):
        client = challenged(fresh, protocol, "LOGIN")
        client.send(user + b"\r\n")
        client.line()
        client.send(b"*\r\n")
        assert client.line().decode() == said.bad + "authentication cancelled"
        # The user of the exchange before must not be used again, nor its password.
        assert client.authenticate("LOGIN", b"", word).startswith(REFUSED)
        assert client.authenticate("PLAIN", plain("nobody", good)) == said.auth + WRONG
        if last == "PLAIN":
            reply = client.authenticate("PLAIN", plain(ALICE, good), initial=True)
        else:
            reply = client.authenticate("LOGIN", user, word)
        assert reply.startswith(said.logged_in), (last, reply)


def plain_messages(password):
    user, word = ALICE.encode(), password.encode()
    return {
        "empty": b"", "one NUL": b"\0", "two NULs": b"\0\0", "no NUL": user + word,
        "one NUL between": user + b"\0" + word, "three NULs": b"\0" + user + b"\0" + word + b"\0",
        "junk behind": b"\0" + user + b"\0" + word + b"\0junk", "no user": b"\0\0" + word,
        "no password": b"\0" + user + b"\0", "other identity": b"bob\0" + user + b"\0" + word,
        "longest user": b"\0" + b"u" * 8000 + b"\0" + word,
        "longest password": b"\0" + user + b"\0" + b"p" * 9000,
        "cap": b"\0" + user + b"\0" + b"p" * (9216 - len(user) - 2),
        # 45, 50, 51: what would be a second line, or a second field, upstream.
        "two lines": b"\0" + user + b"\r\nDELE 1\0" + word,
        "a line feed": b"\0" + user + b"\n\0" + word,
        "a command behind the domain": b"\0alice@example.test\r\nRCPT TO:<evil@x>\0" + word,
        "a field": b"\0" + user + b"\1auth=Bearer EVIL\1\1\0" + word,
        "a control character": b"\0\x7f" + user + b"\0" + word,
        "a tabulator": b"\0" + user + b"\t\0" + word,
        "bad UTF-8": b"\0\xff\xfe" + user + b"\0" + word,
        "formats": b"\0%n%s%x%p%100000d\0%n%s%n",
    }


@each_protocol
def test_39_45_50_51_plain_messages_of_all_shapes(fresh, protocol):
    def attempt(shape):
        (name, message), initial = shape
        client = PROTOCOLS[protocol].client(fresh.port_of(protocol))
        # An initial response of nothing is "=" (RFC 4954).
        coded = base64.b64encode(message) or (b"=" if initial else b"")
        reply = client.authenticate("PLAIN", coded, initial=initial)
        assert client.command("NOOP").startswith(("+OK", "250 "))
        client.close()
        return name, reply

    messages = plain_messages(fresh.passwords["alice"]).items()
    shapes = [(item, initial) for item in messages for initial in (False, True)]
    for name, reply in side_by_side(attempt, shapes):
        assert reply.startswith((PROTOCOLS[protocol].auth, PROTOCOLS[protocol].bad)), (name, reply)


@each_protocol
def test_39_the_identity_may_be_said_twice(unharmed, protocol):
    good = plain(ALICE, unharmed.passwords["alice"], authorization=ALICE)
    reply = unharmed.raw(protocol=protocol).authenticate("PLAIN", good)
    assert reply.startswith(PROTOCOLS[protocol].logged_in)


@each_protocol
def test_39_a_message_beyond_the_cap(unharmed, protocol):
    client = challenged(unharmed, protocol)
    client.send(b"QUJD" * 4000 + b"\r\n")
    assert client.rest() == TOO_LONG[protocol]


@each_protocol
def test_42_messages_of_nothing(fresh, protocol):
    client = fresh.raw(protocol=protocol)
    assert client.authenticate("PLAIN", b"=", initial=True).startswith(REFUSED)
    assert client.authenticate("PLAIN", b"").startswith(REFUSED)
    assert client.authenticate("LOGIN", b"", b"").startswith(REFUSED)
    client = fresh.raw(protocol=protocol)
    assert client.authenticate("LOGIN", b"=", b"", b"", initial=True).startswith(REFUSED)
    assert client.login(ALICE, fresh.passwords["alice"]).startswith(PROTOCOLS[protocol].logged_in)


@each_protocol
@pytest.mark.parametrize("line", [b"NOOP\0", b"NO\0OP", b"\0NOOP", b"NOOP\r", b"NOOP \x1b[2J",
                                  b"NOOP\x7f", b"USER alice\r", b"AUTH PLAIN\t", b"AUTH\0PLAIN"])
def test_45_control_characters_in_a_command(unharmed, protocol, line):
    client = unharmed.raw(protocol=protocol)
    reply = client.command(line)
    assert reply.startswith({"pop3": "-ERR control characters", "smtp": "501 5.5.2 control"}
                            [protocol]), reply
    assert client.command("NOOP").startswith(("+OK", "250 "))


@each_protocol
def test_53_nobody_writes_lines_into_the_log(unharmed, protocol):
    """The look at each line of the log follows the test: printable, and with its date."""
    names = (b'x\n{"event":{"action":"client-auth"}}', b"\x1b[2J\x1b[31mred",
             b"2026-01-01T00:00:00Z info  keeper: forged", b"\xc2\x9b31m\xe2\x80\xae", b"%s%n\\")

    def attempt(name):
        client = PROTOCOLS[protocol].client(unharmed.port_of(protocol))
        reply = client.authenticate("PLAIN", plain(name, b"x"), initial=True)
        client.send(name + b" " + name + b"\r\nGET /" + name + b" HTTP/1.1\r\n")
        client.rest()
        client.close()
        return reply

    for reply in side_by_side(attempt, names):
        assert reply.startswith(REFUSED), reply
    log = unharmed.log()
    assert "\x1b" not in log and "\n{" not in log and "\n2026-01-01" not in log


@each_protocol
def test_58_who_we_are_told_to_be(serve, unharmed, protocol):
    """Commands with which proxies speak of their clients."""
    client = unharmed.raw(protocol=protocol)
    for line in ("XCLIENT ADDR=127.0.0.1 NAME=admin", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2"):
        assert client.command(line).startswith(("-ERR ", "500 5.5.2 ", "502 5.5.1 "))
    assert client.login(ALICE, unharmed.passwords["alice"]).startswith(
        PROTOCOLS[protocol].logged_in)


@each_protocol
def test_59_format_strings_are_words(unharmed, protocol):
    words = "%n%s%x%p%100000d"
    client = unharmed.raw(protocol=protocol)
    assert client.login(words, words) == PROTOCOLS[protocol].auth + WRONG
    assert client.command(words).startswith(("-ERR ", "500 "))
