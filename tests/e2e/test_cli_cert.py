"""ecluse cert: the pair it makes, what others make of it, and how it is renewed."""

import datetime
import json
import os
import re
import socket
import ssl
import stat
import subprocess
import threading

import pytest

from cli_support import PATIENCE, one_line, place  # noqa: F401 (a fixture)


def made(place, *more):
    result = place.ecluse("cert", "--json", *more)
    assert result.status == 0, result
    return json.loads(result.out)


def openssl(*arguments, status=0):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == status, done
    return done.stdout


def belong_together(pair):
    return (openssl("pkey", "-in", pair["key"], "-pubout")
            == openssl("x509", "-in", pair["certificate"], "-pubkey", "-noout"))


def mode_of(path):
    about = os.lstat(path)
    assert stat.S_ISREG(about.st_mode)
    return stat.S_IMODE(about.st_mode)


def test_what_is_made(place):
    pair = made(place)
    assert pair["certificate"] == str(place.folder / "state" / "tls.crt")
    assert pair["key"] == str(place.folder / "state" / "tls.key")
    assert pair["new_key"] is True
    assert (mode_of(pair["certificate"]), mode_of(pair["key"])) == (0o600, 0o600)
    assert stat.S_IMODE(os.lstat(place.folder / "state").st_mode) == 0o700
    assert sorted(os.listdir(place.folder / "state")) == ["tls.crt", "tls.key"]
    text = openssl("x509", "-in", pair["certificate"], "-noout", "-text")
    words = re.sub(r"\s+", " ", text)
    for part in ("Version: 3", "NIST CURVE: P-256", "ecdsa-with-SHA256",
                 "X509v3 Basic Constraints: critical CA:FALSE ",
                 "X509v3 Key Usage: critical Digital Signature ",
                 "X509v3 Extended Key Usage: TLS Web Server Authentication ",
                 "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1 "):
        assert part in words, text
    assert openssl("x509", "-in", pair["certificate"], "-noout", "-fingerprint",
                   "-sha256").strip().split("=")[1] == pair["fingerprint"]
    now = datetime.datetime.now(datetime.timezone.utc).timestamp()
    assert 3600 <= now - pair["not_before"] < 3600 + PATIENCE
    assert pair["not_after"] - pair["not_before"] == 2 * 365 * 24 * 3600
    assert belong_together(pair)


def test_it_is_trusted_by_itself_and_for_itself_alone(place):
    pair = made(place)
    openssl("verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost",
            "-CAfile", pair["certificate"], pair["certificate"])
    # What its key signs is trusted by nobody.
    request, other = place.folder / "request.pem", place.folder / "other.pem"
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", place.folder / "other.key", "-subj", "/CN=bank.example", "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", pair["certificate"], "-CAkey", pair["key"],
            "-CAcreateserial", "-out", other)
    openssl("verify", "-CAfile", pair["certificate"], other, status=2)


class Server:
    """Says hello to each that comes by TLS with these files."""

    def __init__(self, pair):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair["certificate"], pair["key"])
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.context = context
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(peer, server_side=True) as tls:
                    tls.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
                    tls.unwrap()
            except OSError:
                peer.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


@pytest.fixture
def server(place):
    serving = Server(made(place))
    yield serving
    serving.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_clients_trust_it(place, server, host):
    file = place.folder / "state" / "tls.crt"
    context = ssl.create_default_context(cafile=file)
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as plain:
        with context.wrap_socket(plain, server_hostname=host) as tls:
            assert tls.recv(100).endswith(b"hello")
    said = subprocess.run(["curl", "-sS", "--cacert", file, f"https://{host}:{server.port}/"],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert said.stdout == "hello", said
    # Without it, or under another name, nobody does.
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as plain:
        with pytest.raises(ssl.SSLCertVerificationError, match="self-signed certificate"):
            ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as plain:
        with pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'example.org'"):
            context.wrap_socket(plain, server_hostname="example.org")


def test_renewal(place):
    first = made(place)
    key = open(first["key"], "rb").read()
    again = made(place)
    assert again["new_key"] is False
    assert open(first["key"], "rb").read() == key
    assert again["fingerprint"] != first["fingerprint"]
    assert again["not_after"] >= first["not_after"]
    other = made(place, "--new-key")
    assert other["new_key"] is True
    assert open(first["key"], "rb").read() != key
    assert belong_together(other)
    assert mode_of(other["key"]) == 0o600


def test_what_is_said(place):
    said = place.ecluse("cert")
    assert said.status == 0 and said.err == "", said
    file = place.folder / "state" / "tls.crt"
    fingerprint = openssl("x509", "-in", file, "-noout", "-fingerprint", "-sha256").strip()[-95:]
    for part in (f"certificate  {file}\n", ", made anew\n", f"SHA-256      {fingerprint}\n",
                 "  tls = on   ; or starttls\n", f"  tls_cert = {file}\n",
                 f"sudo cp {file} /usr/local/share/ca-certificates/ecluse.crt", "Thunderbird",
                 f"--cacert {file}\n", f"tls_trust_file {file}\n",
                 f"tls_fingerprint {fingerprint}\n", f'set certificate_file = "{file}"\n'):
        assert part in said.out, said
    assert "PRIVATE" not in said.out
    renewed = place.ecluse("cert")
    assert "the same as before, the certificate is renewed" in renewed.out


def test_the_lines_it_prints_work(place):
    said = place.ecluse("cert")
    lines = re.findall(r"^  (tls\w* = .*)$", said.out, re.M)
    assert len(lines) == 3, said
    place.write(place.file.read_text().replace(
        "protocol = imap\n", "protocol = imap\n" + "\n".join(lines) + "\n"))
    result = place.ecluse("check")
    assert result.status == 0 and result.err == "", result


def test_a_key_that_others_can_read_is_not_used(place):
    pair = made(place)
    os.chmod(pair["key"], 0o640)
    one_line(place.ecluse("cert"), 78, "cert: ", "mode 0640", f"chmod 600 {pair['key']}")
    os.chmod(pair["key"], 0o600)
    open(pair["key"], "w").close()
    one_line(place.ecluse("cert"), 65, "no private key in it", "--new-key makes another")
    assert made(place, "--new-key")["new_key"] is True


def test_beside_a_daemon(place):
    place.start()
    assert made(place)["new_key"] is True
    assert made(place)["new_key"] is False


# ---- ecluse check ----

def with_tls(place, lines):
    place.write(place.file.read_text().replace("protocol = imap\n", f"protocol = imap\n{lines}"))


def complaint(place, *parts):
    line = place.file.read_text().splitlines().index("[listen imap]") + 1
    result = place.ecluse("check")
    assert result.status == 78 and result.out == "", result
    assert result.err.startswith(f"{place.file}:{line}: listen imap: "), result
    assert result.err.count("\n") == 1, result
    for part in parts:
        assert part in result.err, result


def test_check_finds_what_is_wrong_with_certificates(place):
    with_tls(place, "tls = on\n")
    complaint(place, "tls.crt does not exist; run ecluse cert, or set tls_cert and tls_key")
    one_line(place.ecluse("run"), 78, "tls.crt does not exist; run ecluse cert")
    pair = made(place)
    assert place.ecluse("check").status == 0
    os.chmod(pair["key"], 0o604)
    complaint(place, "mode 0604", f"chmod 600 {pair['key']}")
    one_line(place.ecluse("run"), 78, f"chmod 600 {pair['key']}")
    os.chmod(pair["key"], 0o600)
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", pair["key"])
    complaint(place, "the private key is not that of the certificate; run ecluse cert")
    one_line(place.ecluse("run"), 78, "the private key is not that of the certificate")
    made(place)
    assert place.ecluse("check").status == 0


def test_check_warns_of_an_expired_certificate(place):
    pair = made(place)
    openssl("x509", "-new", "-key", pair["key"], "-subj", "/CN=localhost", "-days", "-1", "-out",
            pair["certificate"])
    with_tls(place, "tls = starttls\n")
    result = place.ecluse("check")
    assert result.status == 0, result
    assert "warning: listen imap: the certificate has expired on " in result.err, result
    assert "run ecluse cert" in result.err, result
