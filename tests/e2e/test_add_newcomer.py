"""`ecluse add` from nothing, at a terminal, to a mail that is read: whatever is known of the
provider."""

import http.server
import os
import socket
import ssl
import subprocess
import threading

import pytest

from add_support import SCOPE, Settings
from browser_support import Browser, visit
from ecluse_support import ALICE
from newcomer import NameServer, Newcomer, usual_ports

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode != 0,
    reason="needs a mount namespace and port 53")


@pytest.fixture
def names():
    server = NameServer()
    yield server
    server.close()


@pytest.fixture
def newcomer(rig, tmp_path, names):
    with usual_ports():
        one = Newcomer(tmp_path, rig, names)
        yield one
        one.close()


@pytest.fixture
def autoconfig(rig, tmp_path, names):
    """Serves https://autoconfig.example.test/ and https://example.test/ with the rig's authority."""
    server = Autoconfig(rig, tmp_path, names)
    yield server
    server.close()


class Autoconfig:
    def __init__(self, rig, folder, names):
        self.answers = {}  # path → (status, headers, text)
        self.requests = []
        hosts = ("autoconfig.example.test", "example.test")
        names.hosts.update({host: names.address for host in hosts})
        key, request, certificate = (folder / f"autoconfig.{end}" for end in ("key", "csr", "pem"))
        extensions = folder / "autoconfig.ext"
        extensions.write_text("subjectAltName = " + ", ".join(f"DNS:{host}" for host in hosts))
        authority = rig.state["ca"]
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=autoconfig", "-keyout",
                        key, "-out", request], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", request, "-days", "1", "-extfile",
                        extensions, "-CA", authority, "-CAkey", authority.replace(".pem", ".key"),
                        "-set_serial", "4711", "-out", certificate], check=True,
                       capture_output=True)
        self.server = http.server.ThreadingHTTPServer((names.address, 443), self.handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def handler(self):
        autoconfig = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                place = f"https://{self.headers['Host']}{self.path}"
                autoconfig.requests.append(place)
                status, headers, text = autoconfig.answers.get(place, (404, {}, "not here"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments):
                pass

        return Handler

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


OF_HOST = "https://autoconfig.example.test/mail/config-v1.1.xml?emailaddress=alice%40example.test"
WELL_KNOWN = "https://example.test/.well-known/autoconfig/mail/config-v1.1.xml"


def server(element, kind, host, port, *ways, tls="SSL"):
    return (f'<{element} type="{kind}"><hostname>{host}</hostname><port>{port}</port>'
            f"<socketType>{tls}</socketType><username>%EMAILADDRESS%</username>"
            + "".join(f"<authentication>{way}</authentication>" for way in ways) + f"</{element}>")


def document(rig, *ways, host="localhost", oauth=""):
    return ('<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="example.test">'
            + server("incomingServer", "imap", host, rig.ports["imaps"], *ways)
            + server("incomingServer", "pop3", host, rig.ports["pop3s"], *ways)
            + server("outgoingServer", "smtp", host, rig.submissions, *ways)
            + f"</emailProvider>{oauth}</clientConfig>")


def read_mail(newcomer, settings):
    """By curl, with nothing but what was printed."""
    secret = f'user = "{settings.user}:{settings.password}"\n'
    done = subprocess.run(
        ["curl", "-sS", "-K", "-",
         f"imap://127.0.0.1:{settings.ports['imap']}/INBOX;MAILINDEX=1"],
        input=secret.encode(), capture_output=True, timeout=60)
    assert done.returncode == 0, (done, newcomer.log())
    assert done.stdout in [mail.replace(b"\n", b"\r\n") for mail in newcomer.rig.mails(ALICE)]


def finish(newcomer, terminal):
    """The end of a good run, and a mail."""
    assert terminal.end() == 0, terminal.shown
    assert "ecluse does not run yet; start it: ecluse run" in terminal.shown
    settings = Settings(terminal.shown)
    assert settings.user == ALICE
    assert newcomer.file.stat().st_mode & 0o777 == 0o600
    assert newcomer.call("check").status == 0
    newcomer.start()
    read_mail(newcomer, settings)
    assert settings.password not in newcomer.log()
    return settings


def give_servers(rig, terminal):
    terminal.answer(r"IMAP server \(empty: none\): $", f"tls://localhost:{rig.ports['imaps']}")
    terminal.answer(r"POP3 server \(empty: none\): $", f"tls://localhost:{rig.ports['pop3s']}")
    terminal.answer(r"SMTP server \(empty: none\): $", f"tls://localhost:{rig.submissions}")


def come_back(rig, url):
    assert visit(Browser(rig).sign_in(url, ALICE))[0] == 200


# ---- what the user types ----

def test_nothing_is_known_and_the_issuer_registers(newcomer, rig, names):
    newcomer.give_browser()
    terminal = newcomer.at_terminal("add", "alice@EXAMPLE.test")
    terminal.await_text("No mail server of example.test is known")
    give_servers(rig, terminal)
    terminal.answer(r"or a password \(none\): $", "code")
    terminal.answer(r"Issuer, .*: $", rig.state["issuer"])
    terminal.await_text("The issuer knows these scopes: .*openid")
    terminal.answer(r"Scope .*: $", SCOPE)
    terminal.await_text("no client_id is needed")
    terminal.await_text("The browser shows the provider's page")
    come_back(rig, newcomer.opened_url())
    finish(newcomer, terminal)
    text = newcomer.file.read_text()
    assert "client_id" not in text and "[provider example.test]\ndomains = example.test\n" in text
    assert ("_imaps._tcp.example.test", 33) in names.questions


def test_endpoints_one_by_one_and_a_client(newcomer, rig):
    known = rig.state["clients"]["confidential"]
    terminal = newcomer.at_terminal("add", ALICE, "--name", "work", "--grant-name", "old laptop")
    give_servers(rig, terminal)
    terminal.answer(r"or a password \(none\): $", "code")
    terminal.answer(r"Issuer, .*: $", "")
    terminal.answer(r"Authorization endpoint .*: $", rig.state["endpoints"]["authorization"])
    terminal.answer(r"Token endpoint .*: $", rig.state["endpoints"]["token"])
    terminal.answer(r"Scope .*: $", SCOPE)
    terminal.answer(r"client_id: $", known["client_id"])
    terminal.await_text(r"client_secret \(empty: it has none\): $")
    assert not terminal.has_echo()
    terminal.type(known["client_secret"] + "\n")
    # No display and no device flow: the address at the end is pasted.
    url = terminal.await_text(r"\n  (https://\S+)\n")[1]
    terminal.answer("The address at the end:", Browser(rig).sign_in(url, ALICE))
    finish(newcomer, terminal)
    assert known["client_secret"] not in terminal.shown and terminal.has_echo()
    assert "[account work]" in newcomer.file.read_text()
    result = newcomer.call("grants")
    assert "old laptop" in result.out, result


# ---- what the domain publishes ----

def oauth_element(rig):
    return (f"<oAuth2><issuer>{rig.state['issuer']}</issuer><scope>{SCOPE}</scope>"
            f"<authURL>{rig.state['endpoints']['authorization']}</authURL>"
            f"<tokenURL>{rig.state['endpoints']['token']}</tokenURL></oAuth2>")


@pytest.mark.parametrize("place", [OF_HOST, WELL_KNOWN])
def test_autoconfig(newcomer, rig, autoconfig, place):
    autoconfig.answers[place] = (200, {}, document(rig, "OAuth2", "password-cleartext",
                                                   oauth=oauth_element(rig)))
    newcomer.give_browser()
    terminal = newcomer.at_terminal("add", ALICE)
    terminal.await_text(f"{place.split('?')[0]}:\n")
    terminal.await_text(rf"  IMAP  tls://localhost:{rig.ports['imaps']}\n")
    terminal.answer(r"Is that right\? \(y/n\): $", "y")
    come_back(rig, newcomer.opened_url())
    settings = finish(newcomer, terminal)
    assert set(settings.ports) == {"imap", "pop3", "smtp"}
    assert autoconfig.requests[0] == OF_HOST and autoconfig.requests[-1] == place


def test_autoconfig_with_a_password(newcomer, rig, autoconfig):
    autoconfig.answers[OF_HOST] = (
        200, {}, document(rig, "password-cleartext", host=rig.state["addresses"]["password"]))
    terminal = newcomer.at_terminal("add", ALICE)
    terminal.answer(r"Is that right\? \(y/n\): $", "yes")
    terminal.await_text(r"the password of alice@example.test at the provider: $")
    assert not terminal.has_echo()
    password = rig.state["users"][ALICE]["password"]
    terminal.type(password + "\n")
    finish(newcomer, terminal)
    assert password not in terminal.shown + newcomer.file.read_text() + newcomer.log()


@pytest.mark.parametrize("flow, kept, dropped", [
    ("none", "smtp", "imap"), ("device", "imap", "smtp")])
def test_servers_that_do_not_take_the_flow_are_left_out(newcomer, rig, autoconfig, flow, kept,
                                                        dropped):
    autoconfig.answers[OF_HOST] = (200, {}, (
        "<clientConfig><emailProvider>"
        + server("incomingServer", "imap", "localhost", 993, "OAuth2")
        + server("outgoingServer", "smtp", "localhost", 465, "password-cleartext")
        + f"</emailProvider>{oauth_element(rig)}</clientConfig>"))
    more = ["--password-stdin"] if flow == "none" else ["--client-id", "x"]
    newcomer.call("add", ALICE, "--yes", "--flow", flow, *more, stdin=b"secret-of-alice")
    text = newcomer.file.read_text()
    assert f"\n{kept} = tls://localhost:" in text and f"\n{dropped} = " not in text


def test_autoconfig_of_a_known_provider(newcomer, autoconfig):
    autoconfig.answers[WELL_KNOWN] = (200, {}, (
        "<clientConfig><emailProvider>"
        + server("incomingServer", "imap", "imap.gmail.com", 993, "OAuth2", "password-cleartext")
        + "</emailProvider></clientConfig>"))
    result = newcomer.call("add", ALICE, "--yes")
    assert result.status == 64 and "the client_id (in the Google Cloud console" in result.err
    assert result.err.count("\n") == 1 and not newcomer.file.exists()


def test_srv_records_and_a_code(newcomer, rig, names):
    names.services = {
        "_imaps._tcp.example.test": [(10, 0, 1, "other.example.test"),
                                     (5, 0, rig.ports["imaps"], "localhost")],
        "_submissions._tcp.example.test": [(0, 0, rig.submissions, "localhost")],
        "_pop3s._tcp.example.test": [(0, 0, 0, "")],
    }
    terminal = newcomer.at_terminal("add", ALICE)
    terminal.await_text("SRV records of example.test:\n")
    terminal.await_text("Nobody vouches for that: .* look closely.\n")
    terminal.answer(r"Is that right\? \(y/n\): $", "y")
    terminal.answer(r"or a password \(none\): $", "device")
    terminal.answer(r"Issuer, .*: $", rig.state["issuer"])
    terminal.answer(r"Scope .*: $", SCOPE)
    # A client that registers itself has no device flow.
    known = rig.state["clients"]["confidential"]
    terminal.answer("client_id: $", known["client_id"])
    terminal.answer(r"client_secret \(empty: it has none\): $", known["client_secret"])
    url = terminal.await_text(r"\n  (https://\S+)\n")[1]
    code = terminal.await_text(r"type this code: (\S+)")[1]
    Browser(rig).confirm_device(url, code, ALICE)
    settings = finish(newcomer, terminal)
    assert set(settings.ports) == {"imap", "smtp"}


EXCHANGERS = {"aspmx.l.google.com": "google", "example-test.mail.protection.outlook.com": "microsoft",
              "in1-smtp.messagingengine.com": "fastmail"}


@pytest.mark.parametrize("exchanger", EXCHANGERS)
def test_a_domain_at_a_known_provider(newcomer, names, exchanger):
    """All that tells of it is who takes its mail."""
    names.exchangers["example.test"] = [(20, "mx.example.net"), (10, exchanger)]
    row = EXCHANGERS[exchanger]
    result = newcomer.call("add", ALICE)
    assert result.status == 64 and result.err.count("\n") == 1, result
    assert f"{exchanger} takes the mail of example.test (its MX record): that is {row}" in result.err
    assert newcomer.call("add", ALICE, "--yes").status == 64  # the client_id is missing
    result = newcomer.call("add", ALICE, "--yes", "--flow", "none", "--password-stdin",
                           stdin=b"secret-of-alice")
    assert result.status == 0, result
    assert f"provider = {row}\nflow = none\n" in newcomer.file.read_text()


def test_a_domain_whose_mail_somebody_else_takes(newcomer, names):
    names.exchangers["example.test"] = [(10, "mx.example.net")]
    terminal = newcomer.at_terminal("add", ALICE)
    terminal.await_text(r"IMAP server \(empty: none\): $")
    names.exchangers["example.test"] = [(10, "smtp.google.com")]
    terminal = newcomer.at_terminal("add", ALICE)
    terminal.answer(r"that is google.\nIs that right\? \(y/n\): $", "n")
    terminal.await_text(r"IMAP server \(empty: none\): $")


ENTITIES = ('<!DOCTYPE clientConfig [<!ENTITY a "aaaaaaaaaa">'
            + "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">'
                      for before, name in zip("abcdefgh", "bcdefghi"))
            + "]><clientConfig>&i;</clientConfig>")


@pytest.mark.parametrize("answer, why", [
    ((302, {"Location": WELL_KNOWN + "?other"}, ""), "HTTP 302"),
    ((302, {"Location": "http://example.test/"}, ""), "HTTP 302"),
    ((500, {}, ""), "HTTP 500"),
    ((200, {}, "<html></html>"), "it is another document"),
    ((200, {}, ENTITIES), "it has a document type"),
    ((200, {}, "<clientConfig>" + " " * 70000 + "</clientConfig>"), "the answer is too long"),
    ((200, {}, "<clientConfig><emailProvider>" + server(
        "incomingServer", "imap", "imap.example.test", 143, "OAuth2", tls="plain")
      + "</emailProvider></clientConfig>"), "no server with TLS"),
    ((200, {}, "<clientConfig><emailProvider>" + server(
        "incomingServer", "imap", "imap.example.test&#10;[account x]", 993, "OAuth2")
      + "</emailProvider></clientConfig>"), "no server with TLS"),
])
def test_what_is_published_cannot_be_used(newcomer, autoconfig, answer, why):
    autoconfig.answers[OF_HOST] = autoconfig.answers[WELL_KNOWN] = answer
    result = newcomer.call("add", ALICE, "--yes")
    assert result.status == 69 and result.out == "" and result.err.count("\n") == 1, result
    assert result.err.count(why) == 2 and "no mail server of example.test is known" in result.err
    assert autoconfig.requests == [OF_HOST, WELL_KNOWN] and not newcomer.file.exists()


def test_a_certificate_of_somebody_else(newcomer, rig, autoconfig, names):
    """A domain whose autoconfig host shows a certificate with another name."""
    names.hosts["autoconfig.example.net"] = names.hosts["example.net"] = names.address
    result = newcomer.call("add", "alice@example.net", "--yes")
    assert result.status == 69 and result.err.count("SSL") == 2, result
    assert autoconfig.requests == []


def test_what_is_published_is_declined(newcomer, rig, autoconfig):
    autoconfig.answers[OF_HOST] = (200, {}, document(rig, "OAuth2"))
    terminal = newcomer.at_terminal("add", ALICE)
    terminal.answer(r"Is that right\? \(y/n\): $", "maybe")
    terminal.answer(r"Is that right\? \(y/n\): $", "n")
    assert terminal.end() == 65 and "nothing was changed" in terminal.shown
    assert not newcomer.file.exists()


def test_nobody_can_be_asked_whether_it_is_right(newcomer, rig, autoconfig):
    autoconfig.answers[OF_HOST] = (200, {}, document(rig, "OAuth2"))
    result = newcomer.call("add", ALICE)
    assert result.status == 64 and "give --yes" in result.err and result.err.count("\n") == 1
    assert f"tls://localhost:{rig.ports['imaps']}" in result.err and not newcomer.file.exists()


def test_nothing_is_published(newcomer, names):
    result = newcomer.call("add", ALICE)
    assert result.status == 69 and result.err.count("\n") == 1, result
    assert "give --provider" in result.err and not newcomer.file.exists()
    assert {name for name, kind in names.questions if kind == 33} == {
        f"_{service}._tcp.example.test" for service in
        ("imaps", "imap", "pop3s", "pop3", "submissions", "submission")}
    assert ("example.test", 15) in names.questions


# ---- answers that cannot be used ----

def test_answers_are_asked_for_again(newcomer, rig):
    terminal = newcomer.at_terminal("add", ALICE)
    for refused, why in [("imap.example.test", "never without TLS"),
                         ("plain://imap.example.test", "never without TLS"),
                         ("tls://imap.example.test:99999", "the port must be"),
                         ("tls://a b", "neither a name nor an address"),
                         ("tls://imap\x16\x1b[2J", "control characters"),
                         ("tls://" + "a" * 3000, "too long"),
                         ("tls://imap.example.test/x", "neither a name nor")]:
        terminal.answer(r"IMAP server \(empty: none\): $", refused)
        terminal.await_text(why)
    terminal.answer(r"IMAP server \(empty: none\): $", f"tls://localhost:{rig.ports['imaps']}")
    terminal.answer(r"POP3 server \(empty: none\): $", "")
    terminal.answer(r"SMTP server \(empty: none\): $", "")
    terminal.answer(r"or a password \(none\): $", "password")
    terminal.await_text("accounts of other flows")
    terminal.answer(r"or a password \(none\): $", "code")
    for refused, why in [("http://localhost:1", "in the clear"), ("localhost", "https://"),
                         ("https://localhost:1", "cannot be asked for its endpoints"),
                         (rig.state["issuer"] + "/x", "cannot be asked")]:
        terminal.answer(r"Issuer, .*: $", refused)
        terminal.await_text(why)
    terminal.await_text(r"Issuer, .*: $")
    terminal.type("\x04")
    assert terminal.end() == 65 and "nothing was changed" in terminal.shown
    assert "\x1b" not in terminal.shown.replace("^[", "") and not newcomer.file.exists()


@pytest.mark.parametrize("with_secret", [True, False])
def test_ctrl_c_at_a_question(newcomer, with_secret):
    terminal = newcomer.at_terminal("add", "alice@icloud.com" if with_secret else ALICE)
    terminal.await_text("at the provider: $" if with_secret else r"IMAP server .*: $")
    assert terminal.has_echo() != with_secret
    terminal.type("\x03")
    assert terminal.end() == -2  # as the shell has it: 130
    assert terminal.has_echo() and not newcomer.file.exists()


def test_ports_that_are_taken(newcomer):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 1143))
        taken.listen()
        result = newcomer.call("add", "alice@icloud.com", "--password-stdin", stdin=b"secret-1")
    assert result.status == 0 and "Port 1143 is taken" in result.err, result
    ports = Settings(result.out).ports
    assert ports["imap"] in range(2143, 12143, 1000) and "secret-1" not in result.out + result.err
