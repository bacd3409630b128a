"""TLS towards the mail program: from the first byte and by STARTTLS, old devices, attacks."""

import hashlib
import imaplib
import poplib
import re
import smtplib
import socket
import ssl
import subprocess

import pytest

from attack_support import settled_gates
from cli_support import PATIENCE, free_port
from ecluse_support import ALICE, WRONG
from imap_support import RawImap, plain, quoted
from waiting import wait_until

OLD = {"-tls1": "TLS 1.0", "-tls1_1": "TLS 1.1"}


@pytest.fixture
def secured(ecluse):
    """Starts one whose listeners have TLS, with a certificate of its own making."""
    def start(mode, **more):
        ecluse.set("listen imap", tls=mode, **more)
        result = ecluse.ecluse("cert")
        assert result.status == 0, result
        return ecluse.ready("alice")

    return start


@pytest.fixture
def others(ecluse, secured):
    """The same with POP3 and SMTP: ports by their names."""
    def start(mode):
        ports = {"pop3": free_port(), "smtp": free_port()}
        for protocol, port in ports.items():
            ecluse.set(f"listen {protocol}", protocol=protocol, address=f"127.0.0.1:{port}",
                       tls=mode)
        ecluse.set("provider local", pop3=f"tls://localhost:{ecluse.rig.ports['pop3s']}",
                   smtp=f"tls://localhost:{ecluse.rig.ports['submissions']}")
        secured(mode)
        return ports

    return start


def file_of(ecluse):
    return ecluse.folder / "state" / "tls.crt"


def trusting(ecluse, alpn=None):
    context = ssl.create_default_context(cafile=file_of(ecluse))
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def session(ecluse, mode, alpn=None):
    """An imaplib session that trusts our certificate, not logged in."""
    context = trusting(ecluse, alpn)
    if mode == "on":
        client = imaplib.IMAP4_SSL("localhost", ecluse.port, ssl_context=context, timeout=PATIENCE)
    else:
        client = imaplib.IMAP4("localhost", ecluse.port, timeout=PATIENCE)
        client.starttls(context)
    ecluse.clients.append(client)
    return client


def capabilities(client):
    return client.capability()[1][0].decode().split()


def logs_in(ecluse, client):
    assert client.login(ALICE, ecluse.passwords["alice"])[0] == "OK"
    assert client.select("INBOX")[0] == "OK"


def fingerprint_now(ecluse):
    """Of what the listener shows, trusted or not."""
    text = ssl.get_server_certificate(("127.0.0.1", ecluse.port), timeout=PATIENCE)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()


def fingerprint_of_file(ecluse):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file_of(ecluse).read_text())).hexdigest()


class TlsImap(RawImap):
    """RawImap inside TLS."""

    def __init__(self, port, context, **more):
        self.context = context
        super().__init__(port, greet=False)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost", **more)
        self.file = self.socket.makefile("rb")
        self.greeting = self.line()


# ---- what works ----

@pytest.mark.parametrize("mode", ["on", "starttls"])
def test_mail(secured, mode):
    ecluse = secured(mode)
    client = session(ecluse, mode, ["imap"])
    assert client.sock.version() == "TLSv1.3"
    assert client.sock.selected_alpn_protocol() == "imap"
    words = capabilities(client)
    assert "AUTH=PLAIN" in words and "STARTTLS" not in words and "LOGINDISABLED" not in words
    logs_in(ecluse, client)
    letter = b"Subject: over TLS\r\n\r\n" + b"x" * 70 + b"\r\n"
    letter += b"".join(b"line %d\r\n" % number for number in range(50000))
    assert client.append("INBOX", None, None, letter)[0] == "OK"
    number = client.search(None, 'SUBJECT "over TLS"')[1][0].split()[-1]
    assert client.fetch(number, "(BODY.PEEK[])")[1][0][1] == letter
    assert client.store(number, "+FLAGS", "\\Deleted")[0] == "OK"
    assert client.expunge()[0] == "OK"
    words = capabilities(client)
    assert "IDLE" in words and "STARTTLS" not in words
    client.logout()


def test_nothing_but_starttls_before_tls(secured):
    ecluse = secured("starttls")
    client = ecluse.raw()
    assert b" STARTTLS LOGINDISABLED]" in client.greeting and b"AUTH=" not in client.greeting
    requests = ecluse.rig.token_requests()
    mark = ecluse.log_size()
    refusal = "NO [PRIVACYREQUIRED] STARTTLS comes first"
    assert client.login(ALICE, ecluse.passwords["alice"]) == refusal
    message = plain(ALICE, ecluse.passwords["alice"])
    assert client.authenticate("PLAIN", message, initial=True) == refusal
    # The password was not even looked at.
    assert "client-auth" not in ecluse.log_since(mark)
    assert ecluse.rig.token_requests() == requests
    assert client.command("STARTTLS")[0] == "OK Begin TLS now"
    tls = trusting(ecluse).wrap_socket(client.socket, server_hostname="localhost")
    client.socket, client.file = tls, tls.makefile("rb")
    assert client.login(ALICE, ecluse.passwords["alice"]).startswith("OK ")


def test_wrong_password_inside(secured):
    ecluse = secured("on")
    client = TlsImap(ecluse.port, trusting(ecluse))
    assert client.login(ALICE, "wrong") == WRONG
    assert client.login(ALICE, ecluse.passwords["alice"]).startswith("OK ")
    client.close()


@pytest.mark.parametrize("mode", ["on", "starttls"])
def test_curl(secured, mode):
    ecluse = secured(mode)
    netrc = ecluse.folder / "netrc"
    netrc.write_text(f"machine localhost login {ALICE} password {ecluse.passwords['alice']}\n")
    netrc.chmod(0o600)
    where = f"{'imaps' if mode == 'on' else 'imap'}://localhost:{ecluse.port}/"
    said = subprocess.run(["curl", "-sS", "--ssl-reqd", "--cacert", file_of(ecluse), "--netrc-file",
                           netrc, where, "-X", "STATUS INBOX (MESSAGES)"], capture_output=True,
                          text=True, timeout=PATIENCE)
    assert said.stdout.startswith("* STATUS INBOX (MESSAGES "), said


# ---- POP3 and SMTP ----

def pop3_session(ecluse, port, mode, context):
    if mode == "on":
        return poplib.POP3_SSL("localhost", port, context=context, timeout=PATIENCE)
    client = poplib.POP3("localhost", port, timeout=PATIENCE)
    words = client.capa()
    assert "STLS" in words and "USER" not in words and "SASL" not in words
    with pytest.raises(poplib.error_proto):
        client.user(ALICE)
    client.stls(context)
    return client


@pytest.mark.parametrize("mode", ["on", "starttls"])
def test_pop3(ecluse, others, mode):
    port = others(mode)["pop3"]
    client = pop3_session(ecluse, port, mode, trusting(ecluse, ["pop3"]))
    assert client.sock.selected_alpn_protocol() == "pop3"
    words = client.capa()
    assert "USER" in words and "STLS" not in words
    client.user(ALICE)
    assert client.pass_(ecluse.passwords["alice"]).startswith(b"+OK")
    assert client.stat()[0] >= 0
    assert "STLS" not in client.capa()
    assert client.quit().startswith(b"+OK")


def smtp_session(ecluse, port, mode, context):
    if mode == "on":
        client = smtplib.SMTP_SSL("localhost", port, context=context, timeout=PATIENCE)
    else:
        client = smtplib.SMTP("localhost", port, timeout=PATIENCE)
        client.ehlo()
        assert client.has_extn("starttls") and not client.has_extn("auth")
        message = plain(ALICE, ecluse.passwords["alice"]).decode()
        assert client.docmd("AUTH", "PLAIN " + message)[0] == 530
        assert client.docmd("MAIL", "FROM:<>")[0] == 530
        assert client.starttls(context=context)[0] == 220
    client.ehlo()
    return client


@pytest.mark.parametrize("mode", ["on", "starttls"])
def test_smtp(ecluse, others, mode):
    port = others(mode)["smtp"]
    client = smtp_session(ecluse, port, mode, trusting(ecluse))
    assert client.sock.version() == "TLSv1.3"
    assert client.has_extn("auth") and not client.has_extn("starttls")
    assert client.login(ALICE, ecluse.passwords["alice"])[0] == 235
    client.ehlo()
    assert client.has_extn("8bitmime") and not client.has_extn("starttls")
    assert client.mail(ALICE)[0] == 250
    assert client.rset()[0] == 250
    assert client.quit()[0] == 221


INJECTIONS = {
    "pop3": (b"", b"STLS\r\n", b"+OK ", "USER alice@example.test\r\nPASS {password}\r\nSTAT\r\n"),
    "smtp": (b"EHLO x\r\n", b"STARTTLS\r\n", b"220 ",
             "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\n"),
}


@pytest.mark.parametrize("protocol", INJECTIONS)
@pytest.mark.parametrize("in_one_piece", [True, False])
def test_commands_behind_stls_and_starttls(ecluse, others, protocol, in_one_piece):
    hello, command, agreed, more = INJECTIONS[protocol]
    more = more.format(password=ecluse.passwords.get("alice", "secret-word")).encode()
    port = others("starttls")[protocol]
    mark = ecluse.log_size()
    client = RawImap(port)  # any protocol of lines
    if hello:
        client.send(hello)
        while client.line()[3:4] == b"-":
            pass
    if in_one_piece:
        client.send(command + more)
        said = client.rest()
        assert said == b"" or (said.startswith(agreed) and said.count(b"\r\n") == 1), said
        nothing_happened(ecluse, mark, "octets behind STARTTLS")
    else:
        client.send(command)
        assert client.line().startswith(agreed)
        client.send(more)
        assert client.rest() == b""
        nothing_happened(ecluse, mark, "a plaintext client on a TLS port")
    client.close()


def test_a_browser_on_the_smtp_port(ecluse, others):
    """SMTP has no name of its own in ALPN: whoever offers one is none of its clients."""
    port = others("on")["smtp"]
    for offer in (["http/1.1"], ["smtp"], ["imap", "pop3"]):
        mark = ecluse.log_size()
        with pytest.raises(ssl.SSLError, match="alert no application protocol"):
            smtplib.SMTP_SSL("localhost", port, context=trusting(ecluse, offer), timeout=PATIENCE)
        ecluse.wait_log(f"cross-protocol .*the client wants to speak {', '.join(offer)}, which",
                        since=mark)


@pytest.mark.parametrize("program", ["msmtp", "mpop"])
def test_programs_trust_it_as_we_say(ecluse, others, program):
    port = others("on")["smtp" if program == "msmtp" else "pop3"]
    said = ecluse.ecluse("cert").out  # a new certificate, which a reload shows
    assert ecluse.ecluse("reload").status == 0
    ways = re.search(r"msmtp, mpop +tls_trust_file (\S+)\n +or tls_fingerprint (\S+)\n", said)
    settled_gates(ecluse)

    def knock(*trust):
        return subprocess.run([program, "--host=localhost", f"--port={port}", "--tls=on",
                               "--tls-starttls=off", *trust, "--serverinfo"], capture_output=True,
                              env=ecluse.environment(), text=True, timeout=PATIENCE)

    for trust in (f"--tls-trust-file={ways[1]}", f"--tls-fingerprint={ways[2]}"):
        done = knock(trust)
        assert done.returncode == 0 and "TLS certificate" in done.stdout, done
    assert knock().returncode != 0


# ---- old devices ----

def s_client(ecluse, *arguments):
    """OpenSSL's client with everything that it knows, however weak."""
    return subprocess.Popen(
        ["openssl", "s_client", "-quiet", "-crlf", "-connect", f"127.0.0.1:{ecluse.port}",
         "-cipher", "DEFAULT@SECLEVEL=0", "-CAfile", file_of(ecluse), "-verify_return_error",
         *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end_of(process):
    """What it printed and complained of; a session that stands is ended."""
    try:
        return process.communicate(b"a9 LOGOUT\n", timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("mode", ["on", "starttls"])
def test_old_devices(secured, mode, version):
    ecluse = secured(mode, tls_min="1.0")
    upgrade = ["-starttls", "imap"] if mode == "starttls" else []
    device = s_client(ecluse, version, *upgrade)
    try:
        if mode == "on":
            assert device.stdout.readline().startswith(b"* OK ")
        device.stdin.write(f"a1 LOGIN {ALICE} {ecluse.passwords['alice']}\n".encode())
        device.stdin.flush()
        lines = iter(device.stdout.readline, b"")
        assert next(line for line in lines if line.startswith(b"a1 ")).startswith(b"a1 OK ")
        device.stdin.write(b"a2 LOGOUT\n")
        device.stdin.flush()
        assert any(line.startswith(b"a2 OK ") for line in lines)
    finally:
        end_of(device)
    # A newer client still gets the best that there is.
    assert session(ecluse, mode).sock.version() == "TLSv1.3"


@pytest.mark.parametrize("version", OLD)
def test_old_devices_are_refused_by_default(secured, version):
    ecluse = secured("on")
    mark = ecluse.log_size()
    said, problems = end_of(s_client(ecluse, version))
    assert said == b"" and b"alert protocol version" in problems, problems
    ecluse.wait_log(f"cross-protocol .*the client speaks nothing newer than {OLD[version]}",
                    since=mark)


def test_each_listener_has_its_own_minimum(secured):
    ecluse = secured("on", tls_min="1.3")
    other = ecluse.port
    ecluse.port = free_port()
    ecluse.set("listen scanner", protocol="imap", address=f"127.0.0.1:{ecluse.port}", tls="on",
               tls_min="1.0")
    assert ecluse.ecluse("reload").status == 0
    settled_gates(ecluse)
    assert end_of(s_client(ecluse, "-tls1"))[0].startswith(b"* OK ")
    ecluse.port = other
    for version in ("-tls1", "-tls1_1", "-tls1_2"):
        assert end_of(s_client(ecluse, version))[0] == b""
    assert end_of(s_client(ecluse, "-tls1_3"))[0].startswith(b"* OK ")


# ---- certificates ----

def test_a_reload_shows_the_new_certificate(secured):
    ecluse = secured("on")
    before = fingerprint_of_file(ecluse)
    assert fingerprint_now(ecluse) == before
    old = session(ecluse, "on")
    logs_in(ecluse, old)
    assert ecluse.ecluse("cert", "--new-key").status == 0
    assert fingerprint_now(ecluse) == before
    assert ecluse.ecluse("reload").status == 0
    after = fingerprint_of_file(ecluse)
    assert after != before
    wait_until(lambda: fingerprint_now(ecluse) == after, "the new certificate")
    # Who is there stays, on the old one; when the last has gone, there is the new one alone.
    assert old.noop()[0] == "OK"
    assert hashlib.sha256(old.sock.getpeercert(True)).hexdigest() == before
    old.logout()
    settled_gates(ecluse)
    logs_in(ecluse, session(ecluse, "on"))


def test_a_broken_certificate_is_no_reload(secured):
    ecluse = secured("on")
    before = fingerprint_of_file(ecluse)
    key = ecluse.folder / "state" / "tls.key"
    good = key.read_text()
    key.write_text("no key\n")
    result = ecluse.ecluse("reload")
    assert result.status != 0 and "no private key in it" in result.err, result
    assert fingerprint_now(ecluse) == before
    key.write_text(good)
    key.chmod(0o640)
    result = ecluse.ecluse("reload")
    assert result.status != 0 and "chmod 600" in result.err, result
    assert fingerprint_now(ecluse) == before
    key.chmod(0o600)
    assert ecluse.ecluse("reload").status == 0
    logs_in(ecluse, session(ecluse, "on"))


def test_files_that_are_named(secured):
    ecluse = secured("on")
    folder = ecluse.folder / "named"
    folder.mkdir()
    for name in ("tls.crt", "tls.key"):
        (ecluse.folder / "state" / name).rename(folder / name)
    (folder / "tls.crt").chmod(0o644)
    ecluse.set("listen imap", tls_cert=folder / "tls.crt", tls_key=folder / "tls.key")
    assert ecluse.ecluse("check").status == 0
    assert ecluse.ecluse("reload").status == 0
    settled_gates(ecluse)
    context = ssl.create_default_context(cafile=folder / "tls.crt")
    client = imaplib.IMAP4_SSL("localhost", ecluse.port, ssl_context=context, timeout=PATIENCE)
    logs_in(ecluse, client)
    client.shutdown()


def test_a_client_without_trust(secured):
    ecluse = secured("on")
    mark = ecluse.log_size()
    with pytest.raises(ssl.SSLCertVerificationError):
        imaplib.IMAP4_SSL("localhost", ecluse.port, ssl_context=ssl.create_default_context(),
                          timeout=PATIENCE)
    ecluse.wait_log("cross-protocol .*the client does not trust the certificate", since=mark)


# ---- who is no client of TLS, or not ours ----

@pytest.mark.parametrize("said", ["a1 LOGIN alice@example.test secret-word\r\n", "QUIT\r\n",
                                  "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                  "POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\nsecret-word\r\n"])
def test_plaintext_on_a_tls_port(secured, said):
    ecluse = secured("on")
    mark = ecluse.log_size()
    client = ecluse.raw(greet=False)
    client.send(said)
    assert client.rest() == b""
    line = ecluse.wait_log("cross-protocol .*", since=mark)[0]
    assert "a plaintext client on a TLS port" in line
    ecluse.wait_log("session-close", since=mark)
    assert "secret-word" not in ecluse.log() and "client-auth" not in ecluse.log_since(mark)


@pytest.mark.parametrize("mode", ["off", "starttls"])
def test_tls_on_a_plaintext_port(ecluse, mode):
    ecluse.set("listen imap", tls=mode)
    assert ecluse.ecluse("cert").status == 0
    ecluse.start()
    mark = ecluse.log_size()
    with pytest.raises(ssl.SSLError):
        imaplib.IMAP4_SSL("localhost", ecluse.port, timeout=PATIENCE)
    ecluse.wait_log("cross-protocol .*(a TLS client on a plaintext port|you spoke before)",
                    since=mark)


@pytest.mark.parametrize("offer", [["http/1.1"], ["h2", "http/1.1"], ["pop3"]])
@pytest.mark.parametrize("mode", ["on", "starttls"])
def test_a_browser_ends_in_the_handshake(secured, mode, offer):
    ecluse = secured(mode)
    mark = ecluse.log_size()
    with pytest.raises(ssl.SSLError, match="alert no application protocol"):
        session(ecluse, mode, offer)
    line = ecluse.wait_log("cross-protocol .*", since=mark)[0]
    assert f"the client wants to speak {', '.join(offer)}, not imap" in line


# ---- STARTTLS and what comes behind it ----

def nothing_happened(ecluse, mark, reason):
    line = ecluse.wait_log("session-close .*", since=mark)[0]
    assert reason in line or re.search(f"cross-protocol .*{reason}", ecluse.log_since(mark)), line
    assert "client-auth" not in ecluse.log_since(mark)
    assert "upstream-connect" not in ecluse.log_since(mark)


def test_commands_in_one_piece_with_starttls(secured):
    ecluse = secured("starttls")
    password = ecluse.passwords["alice"]
    mark = ecluse.log_size()
    client = ecluse.raw()
    client.send(b"a1 STARTTLS\r\na2 LOGIN " + quoted(ALICE) + b" " + quoted(password)
                + b"\r\na3 LOGOUT\r\n")
    # The reply to STARTTLS at most; never one to what stands behind it.
    assert client.rest() in (b"", b"a1 OK Begin TLS now\r\n")
    nothing_happened(ecluse, mark, "octets behind STARTTLS")


def test_a_hello_in_one_piece_with_starttls(secured):
    """Even an honest hello: who does not wait for the reply cannot be told from an attacker."""
    ecluse = secured("starttls")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = trusting(ecluse).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    mark = ecluse.log_size()
    client = ecluse.raw()
    client.send(b"a1 STARTTLS\r\n" + outgoing.read())
    assert client.rest() in (b"", b"a1 OK Begin TLS now\r\n")
    nothing_happened(ecluse, mark, "octets behind STARTTLS")


def test_commands_after_the_reply(secured):
    ecluse = secured("starttls")
    password = ecluse.passwords["alice"]
    mark = ecluse.log_size()
    client = ecluse.raw()
    assert client.command("STARTTLS")[0] == "OK Begin TLS now"
    client.send(b"a2 LOGIN " + quoted(ALICE) + b" " + quoted(password) + b"\r\na3 LOGOUT\r\n")
    assert client.rest() == b""
    nothing_happened(ecluse, mark, "a plaintext client on a TLS port")


def test_starttls_is_taken_once(secured):
    ecluse = secured("starttls")
    client = ecluse.raw()
    assert client.command("STARTTLS")[0] == "OK Begin TLS now"
    tls = trusting(ecluse).wrap_socket(client.socket, server_hostname="localhost")
    client.socket, client.file = tls, tls.makefile("rb")
    assert client.command("STARTTLS")[0] == "BAD STARTTLS is not offered"
    assert client.login(ALICE, ecluse.passwords["alice"]).startswith("OK ")


@pytest.mark.parametrize("mode", ["on", "starttls"])
def test_a_handshake_that_never_ends_has_no_login(secured, mode):
    """It is closed with the others at a stop, and holds nobody up."""
    ecluse = secured(mode)
    client = ecluse.raw(greet=mode == "starttls")
    if mode == "starttls":
        assert client.command("STARTTLS")[0] == "OK Begin TLS now"
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # the first of a hello's octets
    logs_in(ecluse, session(ecluse, mode))
    mark = ecluse.log_size()
    ecluse.clients.remove(client)
    assert ecluse.stop() == 0
    assert client.rest() == b""
    assert "session-close" in ecluse.log_since(mark)
    client.close()


def test_garbage_in_the_handshake(secured):
    ecluse = secured("on")
    for said in (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x16\x03\x01\xff\xff\x01\x00\x00",
                 b"\x15\x03\x01\x00\x02\x02\x28", b"\x17\x03\x03\x00\x05hello", b"\x00" * 100,
                 b"\xff" * 100, b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"x" * 40):
        mark = ecluse.log_size()
        client = ecluse.raw(greet=False)
        client.send(said)
        assert client.rest()[:1] in (b"", b"\x15")  # nothing, or an alert
        ecluse.wait_log("session-close", since=mark)
    logs_in(ecluse, session(ecluse, "on"))


def test_a_client_that_just_closes(secured):
    """Without close_notify, as many do: mail that it sent before is there."""
    ecluse = secured("on")
    client = TlsImap(ecluse.port, trusting(ecluse))
    assert client.login(ALICE, ecluse.passwords["alice"]).startswith("OK ")
    mark = ecluse.log_size()
    socket.socket(fileno=client.socket.detach()).close()
    client.file.close()
    line = ecluse.wait_log("session-close .*", since=mark)[0]
    assert "client-gone" in line
