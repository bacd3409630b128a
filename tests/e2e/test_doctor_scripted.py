"""`ecluse doctor` before servers that say what providers say, or do what nobody should."""

import base64
import json
import ssl

import pytest

import rig_support  # noqa: F401 (where the rig's own modules are)
from doctor_support import Walk, jwt
from lib import certs
from scripted_issuer import ScriptedIssuer
from scripted_upstream import polite, server_context


def refusing(words, challenge=None):
    """The login is refused, perhaps after a word inside of SASL, in exactly these words."""
    def script(connection):
        connection.handshake()
        connection.greet()
        tag = connection.read_token()
        if challenge is not None:
            sign = "334 " if connection.protocol == "smtp" else "+ "
            connection.send(sign + base64.b64encode(challenge.encode()).decode() + "\r\n")
            connection.line()
        connection.send(words.replace("TAG", tag or "") + "\r\n")
        connection.until_gone()

    return script


@pytest.fixture
def serve(ecluse, upstreams):
    """Puts carol's mail behind a script, and signs her in."""
    def start(script, protocol="imap", scheme="tls", **more):
        upstream = upstreams(script, protocol)
        ecluse.serve_from(upstream, scheme=scheme, **more)
        ecluse.sign_in("carol")
        return upstream

    return start


@pytest.mark.parametrize("protocol, said", [
    ("imap", [b'v1 LIST "" ""', b"v2 LOGOUT"]), ("pop3", [b"NOOP", b"QUIT"]),
    ("smtp", [b"NOOP", b"QUIT"])])
def test_what_is_said_after_the_login(ecluse, serve, protocol, said):
    """Nothing that reads mail or changes anything."""
    upstream = serve(polite, protocol)
    walk = Walk(ecluse, "carol")
    assert walk.status == 0, walk.steps
    connection, = upstream.wait_over()
    assert connection.commands == said
    assert connection.user == "carol@example.test"


GMAIL = '{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}'
PROVIDERS = [
    # (protocol, its words, inside of SASL, exit code, the sentence, the advice)
    ("smtp", "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for "
     "the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. "
     "[MN2PR05CA0004.namprd05.prod.outlook.com]", None, 77, "SMTP AUTH is disabled for the tenant",
     "Set-CASMailbox"),
    ("smtp", "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for "
     "the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information.", None, 77,
     "SMTP AUTH is disabled", "carol@example.test"),
    ("smtp", "535 5.7.3 Authentication unsuccessful [BN3PR03CA0067.namprd03.prod.outlook.com]",
     None, 77, "does not take the token", "primary address"),
    ("smtp", "432 4.3.2 Concurrent connections limit exceeded.", None, 75, "too many connections",
     ""),
    ("smtp", "535-5.7.8 Username and Password not accepted.\r\n535 5.7.8  https://support.google.com"
     "/mail/?p=BadCredentials a1 - gsmtp", GMAIL, 77, "does not take the token", "scope"),
    ("imap", "TAG NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail "
     "settings page and enable your account for IMAP access. (Failure)", None, 77,
     "IMAP is switched off", "Gmail's settings"),
    ("imap", "TAG NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", GMAIL, 77,
     "does not take the token", "scope"),
    ("imap", "TAG NO AUTHENTICATE failed.", None, 77, "does not take the token", "IMAP is enabled"),
    ("imap", "TAG NO [ALERT] Too many simultaneous connections. (Failure)", None, 75,
     "too many connections", ""),
    ("pop3", "-ERR [SYS/PERM] Your account is not enabled for POP access. Please visit your Gmail "
     "settings page and enable your account for POP access.", None, 77, "POP is switched off",
     "Gmail's settings"),
    ("pop3", "-ERR Authentication failure: unknown user name or bad password.", None, 77,
     "does not take the token", "POP is enabled"),
]


@pytest.mark.parametrize("protocol, words, challenge, status, sentence, advice", PROVIDERS)
def test_what_providers_say(ecluse, serve, protocol, words, challenge, status, sentence, advice):
    serve(refusing(words, challenge), protocol)
    walk = Walk(ecluse, "carol")
    said = words.replace("TAG NO ", "").replace("-ERR ", "").split("\r\n")[0][4:60]
    walk.assert_fails(protocol, "login", status, sentence, advice, said=said)
    if challenge is not None:
        assert "status 400, scope https://mail.google.com/" in walk.find("login", protocol)["detail"]


def test_microsoft_says_yes_and_opens_no_mailbox(ecluse, serve):
    def script(connection):
        connection.handshake()
        connection.greet(offer="IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS")
        connection.send(f"{connection.read_token()} OK AUTHENTICATE completed.\r\n")
        connection.tell_capabilities()
        tag = connection.line().split()[0].decode()
        connection.send(f"{tag} BAD User is authenticated but not connected.\r\n"
                        "* BYE Connection closed. 14\r\n")
        connection.until_gone()

    serve(script)
    Walk(ecluse, "carol").assert_fails("imap", "login", 77, "opens no mailbox", "Full Access",
                                       "User is authenticated but not connected")


# ---- TLS and what comes before the login ----

@pytest.mark.parametrize("protocol, answer", [
    ("imap", "TAG BAD command unknown"), ("imap", "TAG NO not here"),
    ("pop3", "-ERR unknown command"), ("smtp", "502 5.5.1 not implemented")])
def test_no_starttls(ecluse, serve, protocol, answer):
    def script(connection):
        connection.hello()
        tag = connection.read_starttls()
        connection.send(answer.replace("TAG", tag or "") + "\r\n")
        connection.until_gone()

    upstream = serve(script, protocol, scheme="starttls")
    walk = Walk(ecluse, "carol")
    walk.assert_fails(protocol, "tls", 78, "does not offer STARTTLS", "tls://")
    # What an unsafe server says is not brought before anybody.
    assert answer.split()[-1] not in walk.find("tls", protocol)["detail"]
    for connection in upstream.wait_over():
        assert b"AUTH" not in connection.raw


def test_words_behind_the_reply_to_starttls(ecluse, serve):
    def script(connection):
        connection.hello()
        connection.agree(connection.read_starttls(), behind="* OK [CAPABILITY AUTH=XOAUTH2]\r\n")
        connection.until_gone()

    serve(script, scheme="starttls")
    walk = Walk(ecluse, "carol")
    assert walk.failures() == [("imap", "tls")], walk.steps


def test_no_mechanism_for_a_token(ecluse, serve):
    def script(connection):
        connection.handshake()
        connection.hello(offer="IMAP4rev1 AUTH=PLAIN AUTH=CRAM-MD5")
        connection.until_gone()

    serve(script)
    Walk(ecluse, "carol").assert_fails("imap", "capabilities", 78, "no login with a token",
                                       "flow = none", "PLAIN CRAM-MD5")


def test_a_mechanism_that_is_not_said(ecluse, serve):
    """As at Yandex, once: mechanisms in the configuration."""
    def script(connection):
        connection.handshake()
        connection.log_in(offer="IMAP4rev1 SASL-IR")
        connection.answer_commands()

    serve(script, mechanisms="XOAUTH2")
    walk = Walk(ecluse, "carol")
    assert walk.status == 0, walk.steps
    assert walk.find("capabilities", "imap")["detail"] == "offers no mechanism by name"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls(ecluse, serve):
    upstream = serve(polite)
    upstream.context.set_ciphers("ALL:@SECLEVEL=0")
    upstream.context.minimum_version = ssl.TLSVersion.TLSv1
    upstream.context.maximum_version = ssl.TLSVersion.TLSv1_1
    Walk(ecluse, "carol").assert_fails("imap", "tls", 69, "no TLS that is still safe")



@pytest.fixture
def future(rig, tmp_path):
    """A certificate of the rig's authority that begins in 2099."""
    folder, work = rig.folder / "certs", tmp_path / "work"
    work.mkdir()
    (work / "index-ca").touch()
    conf, csr, pair = work / "openssl.cnf", work / "request.csr", {
        "cert": tmp_path / "future.pem", "key": tmp_path / "future.key"}
    conf.write_text(certs.CONFIG.format(work=work, issuer="ca",
                                        san="subjectAltName = DNS:localhost"))
    certs.openssl("req", "-new", "-config", conf, "-subj", "/CN=localhost", "-newkey", "ec",
                  "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", pair["key"],
                  "-out", csr)
    certs.openssl("ca", "-batch", "-notext", "-config", conf, "-extensions", "leaf", "-startdate",
                  "20990101000000Z", "-enddate", "21000101000000Z", "-cert", folder / "ca.pem",
                  "-keyfile", folder / "ca.key", "-in", csr, "-out", pair["cert"])
    return pair


def test_a_certificate_that_is_not_valid_yet(ecluse, serve, future):
    serve(polite).context = server_context(future)
    Walk(ecluse, "carol").assert_fails("imap", "tls", 69, "not valid yet", "clock",
                                       "from 2099-01-01 00:00 until 2100-01-01")


@pytest.mark.parametrize("greeting, status, words", [
    ("* BYE too many connections from you", 75, "does not want to talk"),
    ("* PREAUTH welcome", 69, "logged in already"),
    ("HTTP/1.1 400 Bad Request", 78, "no imap server"),
    ("220 mail.example.test ESMTP", 78, "no imap server"),
    ("* OK \033]0;title\007\033[2J", 75, "")])
def test_greetings(ecluse, serve, greeting, status, words):
    def script(connection):
        connection.handshake()
        connection.send(greeting + "\r\n")
        connection.line()

    serve(script)
    walk = Walk(ecluse, "carol")
    walk.assert_fails("imap", "capabilities", status, words)


# ---- servers that do what nobody should ----

def ends_after(count):
    """Closes when it has done so many things."""
    def script(connection):
        deeds = [connection.handshake, connection.greet, connection.read_token,
                 lambda: connection.accept("e1"), connection.line]
        for deed in deeds[:count]:
            deed()

    return script


@pytest.mark.parametrize("count", range(6))
def test_a_server_that_hangs_up(ecluse, serve, count):
    serve(ends_after(count))
    walk = Walk(ecluse, "carol")
    step = ("tls", "capabilities", "login", "login", "login", "login")[count]
    assert walk.failures() == [("imap", step)], walk.steps
    assert walk.status in (69, 75)


@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
def test_a_server_that_does_not_stop_talking(ecluse, serve, protocol):
    """After the login: lines without end, and a line without end."""
    def script(connection):
        connection.handshake()
        connection.log_in()
        connection.line()
        piece = {"imap": b"* LIST () NIL x\r\n", "pop3": b"x", "smtp": b"250-x\r\n"}[protocol]
        while True:
            connection.send(piece * 1000)

    serve(script, protocol)
    walk = Walk(ecluse, "carol")
    assert walk.failures() == [(protocol, "login")], walk.steps
    assert "says too much" in walk.find("login", protocol)["detail"]


def test_hostile_words(ecluse, serve):
    """They are shown, and drive no terminal."""
    words = "\033]0;owned\007\033[2J\033[31m" + "x" * 5000
    serve(refusing(f"TAG NO {words}", challenge='{"status":"\\u001b[2J","scope":"\\r\\nok"}'))
    result = ecluse.ecluse("doctor", "carol")
    assert result.status == 77, result
    assert "\033" not in result.out and "\007" not in result.out
    assert max(map(len, result.out.splitlines())) < 1500
    walk = Walk(ecluse, "carol")
    assert "\\x1b[2J" in walk.find("login", "imap")["detail"]


def test_a_server_that_says_nothing(ecluse, serve):
    """The other protocols are tried all the same."""
    def script(connection):
        connection.handshake()
        connection.until_gone()

    serve(script)
    ecluse.set("provider of-carol", smtp=f"tls://localhost:{ecluse.rig.submissions}")
    walk = Walk(ecluse, "carol")
    walk.assert_fails("imap", "capabilities", 75, "says nothing", said="within 10 s")
    assert walk.outcomes("carol", "smtp")["login"] == "ok"


# ---- tokens and clocks ----

@pytest.fixture
def issuer(rig):
    one = ScriptedIssuer(rig)
    yield one
    one.close()


@pytest.fixture
def answer(ecluse, upstreams, issuer):
    """Has the token endpoint answer so, for carol, and puts her behind a script."""
    def start(script, more, **provider):
        client = ecluse.rig.state["clients"]["confidential"]["client_id"]
        issuer.say("/token", {"token_type": "Bearer", "expires_in": 3600,
                              "id_token": jwt(aud=client, email="carol@example.test")} | more)
        ecluse.serve_from(upstreams(script), token_endpoint=f"{issuer.url}/token", **provider)
        login = ecluse.ecluse("login", "carol", "--refresh-token-stdin", stdin=b"refresh-canary")
        assert login.status == 0, login
        ecluse.secrets |= {"the access token": more["access_token"], "the other": "refresh-canary"}

    return start


GRAPH = {"access_token": jwt(aud="https://graph.microsoft.com", scp="IMAP.AccessAsUser.All")}
OTHERS = {"access_token": jwt(aud="https://outlook.office.com", upn="dave@example.test")}
LACKING = {"access_token": "opaque", "scope": "openid smtp"}


@pytest.mark.parametrize("token, words, said, status", [
    (GRAPH, "for another resource", "https://graph.microsoft.com", 78),
    (OTHERS, "of another user than carol@example.test", "dave@example.test", 77),
    (LACKING, "scope that imap needs", "https://mail.example.test/imap", 77)])
def test_a_token_that_shows_what_is_wrong(ecluse, answer, token, words, said, status):
    """A warning with the token, and the reason when the server does not take it."""
    answer(refusing("TAG NO AUTHENTICATE failed."), token,
           scope_imap="https://mail.example.test/imap" if token is LACKING else "")
    walk = Walk(ecluse, "carol")
    warned = walk.find("token")
    assert warned["outcome"] == "warning" and said in warned["detail"], warned
    assert walk.failures() == [("imap", "login")] and walk.status == status
    for step in (warned, walk.find("login", "imap")):
        assert words in step["detail"], step
        assert "ecluse login carol" in step["advice"], step


def test_a_token_that_looks_wrong_and_is_taken(ecluse, answer):
    """A shared mailbox: it is no failure."""
    answer(polite, OTHERS)
    walk = Walk(ecluse, "carol")
    assert walk.status == 0, walk.steps
    assert walk.find("token")["outcome"] == "warning"
    assert "but for the warnings" in ecluse.ecluse("doctor", "carol").out


@pytest.mark.parametrize("year, words", [(2001, "ahead of"), (2199, "behind")])
def test_a_clock_that_is_off(ecluse, rig, upstreams, issuer, answer, year, words):
    answer(polite, {"access_token": "opaque"})
    issuer.server.RequestHandlerClass.date_time_string = (
        lambda self, timestamp=None: f"Mon, 01 Jan {year} 00:00:00 GMT")
    walk = Walk(ecluse, "carol")
    endpoint = walk.find("endpoint")
    assert endpoint["outcome"] == "warning" and walk.status == 0, walk.steps
    assert "clock of this machine is off" in endpoint["detail"] and words in endpoint["detail"]
    # It is the reason when a certificate seems to be of another time.
    ecluse.set("provider of-carol",
               imap=f"tls://{rig.state['addresses']['expired']}:{rig.ports['imaps']}")
    Walk(ecluse, "carol").assert_fails("imap", "tls", 78, "clock of this machine is off",
                                       "set the clock", "certificate has expired")


ECHOES = {
    "as it is": lambda token, message: f"NO no such token: {token}",
    "in base64": lambda token, message: f"NO what is {base64.b64encode(message).decode()}?",
    "inside of SASL": lambda token, message: json.dumps({"status": "400", "scope": token}),
}


@pytest.mark.parametrize("kind", ECHOES)
def test_a_server_that_repeats_the_token(ecluse, answer, kind):
    token = "canary-of-the-doctor-0123456789"

    def script(connection):
        connection.handshake()
        connection.greet()
        tag = connection.read_token()
        message = f"user=carol@example.test\1auth=Bearer {token}\1\1".encode()
        words = ECHOES[kind](token, message)
        if words.startswith("{"):
            connection.send("+ " + base64.b64encode(words.encode()).decode() + "\r\n")
            connection.line()
            words = "NO not with that"
        connection.send(f"{tag} {words}\r\n")
        connection.until_gone()

    answer(script, {"access_token": token})
    for arguments in (("carol",), ("--json", "carol")):
        result = ecluse.ecluse("doctor", *arguments)
        assert result.status == 77 and "FAILED" in result.out or "failed" in result.out, result
        said = result.out + result.err
        assert "canary" not in said and base64.b64encode(b"canary-of-the")[:16].decode() not in said
        assert base64.b64encode(b"nary-of-the-d")[:12].decode() not in said
        assert base64.b64encode(b"anary-of-the-")[:12].decode() not in said


def test_discovery_that_fails(ecluse, upstreams, issuer):
    """Where only the issuer knows the token endpoint, the issuer is looked at."""
    def script(connection):
        connection.handshake()
        connection.greet()
        connection.until_gone()

    ecluse.serve_from(upstreams(script), issuer=issuer.url)
    for name in ("authorization_endpoint", "token_endpoint"):
        del ecluse.sections["provider of-carol"][name]
    ecluse.set("provider of-carol")
    walk = Walk(ecluse, "carol")
    assert walk.find("endpoint")["outcome"] == "ok"
    assert walk.status in (75, 77, 78) and walk.failures() == [(None, "token")], walk.steps
    assert json.dumps(walk.steps).count("skipped") == 1


def test_the_walk_goes_on_when_one_server_is_gone(ecluse, serve):
    serve(polite)
    ecluse.set("provider of-carol", imap="tls://localhost:1", smtp=f"tls://localhost:{ecluse.rig.submissions}")
    walk = Walk(ecluse, "carol")
    assert walk.failures() == [("imap", "tcp")] and walk.status == 69
    assert walk.outcomes("carol", "smtp")["login"] == "ok"
