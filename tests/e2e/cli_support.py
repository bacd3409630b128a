"""What the tests of the subcommands share: the binary, a configuration, a daemon."""

import base64
import fcntl
import http.server
import itertools
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("ECLUSE", ROOT / "build" / "release" / "ecluse")).resolve()
PATIENCE = 30  # seconds after which a step counts as hung

CONFIGURATION = """\
[ecluse]
state_dir = {folder}/state
runtime_dir = {folder}/run
web = off
drain = 0

[listen imap]
protocol = imap
address = 127.0.0.1:{port}

[account work]
address = alice@example.test
provider = local
client_id = test-client

[account other]
address = bob@example.test
provider = local
client_id = test-client

[provider local]
imap = tls://imap.example.test:993
smtp = tls://smtp.example.test:465
authorization_endpoint = https://127.0.0.1:1/auth
token_endpoint = https://127.0.0.1:1/token
"""


# Below what the kernel hands out by itself and what the rig takes. Nothing is bound before a program
# is started, so a run has blocks of ports to itself: as long as it lives, it holds a lock on each.
PORTS_A_BLOCK = 100
BLOCKS = [range(first, first + PORTS_A_BLOCK) for first in range(10000, 21000, PORTS_A_BLOCK)]
LEASES = []


def lease():
    """A block that no other run holds."""
    folder = pathlib.Path(tempfile.gettempdir()) / "ecluse-test-ports"
    folder.mkdir(exist_ok=True)
    for block in BLOCKS:
        held = open(folder / str(block.start), "w", encoding="ascii")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            continue
        LEASES.append(held)
        return block
    raise AssertionError("every block of ports is held by another run")


def leased_ports():
    """Three blocks, again and again: a port comes back when its program has long ended."""
    yield from itertools.cycle(itertools.chain(lease(), lease(), lease()))


PORTS = leased_ports()


def free_port():
    for port in itertools.islice(PORTS, 3 * PORTS_A_BLOCK):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    def __repr__(self):
        return f"exit {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Place:
    """A folder with a configuration, and the command run on it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.chmod(0o700)
        self.port = free_port()
        self.file = self.folder / "ecluse.ini"
        self.write(CONFIGURATION.format(folder=self.folder, port=self.port))
        self.daemons = []

    def write(self, text, mode=0o600):
        self.file.write_text(text)
        self.file.chmod(mode)

    def environment(self, **more):
        # Nothing of the machine's own configuration takes part.
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), **more}

    def call(self, *arguments, stdin=b"", env=None, **options):
        options.setdefault("stdout", subprocess.PIPE)
        done = subprocess.run([BINARY, *arguments], input=stdin, stderr=subprocess.PIPE,
                              env=env or self.environment(), timeout=PATIENCE * 2, **options)
        if done.stdout is None:
            done.stdout = b""
        return Result(done)

    def ecluse(self, *arguments, **options):
        """With this place's configuration."""
        return self.call(*arguments, "-c", str(self.file), **options)

    def start(self):
        """A daemon that answers `ecluse status`."""
        log = open(self.folder / "daemon.log", "ab")
        daemon = subprocess.Popen([BINARY, "run", "-c", str(self.file)], stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=log, env=self.environment())
        log.close()
        self.daemons.append(daemon)
        deadline = time.monotonic() + PATIENCE
        while self.ecluse("status").status != 0:
            assert daemon.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        return daemon

    def log(self):
        return (self.folder / "daemon.log").read_text(errors="replace")

    def close(self):
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()


def one_line(result, status, *parts):
    """The failure contract: that exit code, nothing on stdout, one line with these words."""
    assert result.status == status, result
    assert result.out == "", result
    assert result.err.startswith("ecluse: ") and result.err.count("\n") == 1, result
    for part in parts:
        assert part in result.err, result


class TokenEndpoint:
    """An https token endpoint on loopback that answers what `self.answer` says.

    It is no authorization server: it stands in for the few answers that the exit codes hang on.
    """

    def __init__(self, folder):
        self.certificate = pathlib.Path(folder) / "endpoint.pem"
        key = pathlib.Path(folder) / "endpoint.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=endpoint",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
                        self.certificate], check=True, capture_output=True)
        self.requests = []  # the parameters of each, in order
        self.answer = lambda parameters: (503, {})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def handler(self):
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                parameters = dict(urllib.parse.parse_qsl(body))
                endpoint.requests.append(parameters)
                said = endpoint.answer(parameters)
                if said is None:  # the connection is cut
                    self.close_connection = True
                    return
                status, answer = said
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments):
                pass

        return Handler

    def serve(self, place):
        """Makes this the token endpoint of the place."""
        place.write(place.file.read_text().replace(
            "https://127.0.0.1:1/", f"https://127.0.0.1:{self.server.server_port}/").replace(
            "[provider local]", f"[provider local]\nca_file = {self.certificate}"))

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


# ---- what the tests start from, and do again and again ----

@pytest.fixture
def place(tmp_path):
    here = Place(tmp_path)
    yield here
    here.close()


@pytest.fixture
def endpoint(place):
    server = TokenEndpoint(place.folder)
    server.serve(place)
    yield server
    server.close()


PASSWORD = re.compile(r"[a-z0-9]{26,}\n")


def grant(place, *more, account="work", name="phone", **options):
    return place.ecluse("grant", account, "--name", name, *more, **options)


def grants(place, *arguments):
    result = place.ecluse("grants", "--json", *arguments)
    assert result.status == 0, result
    return json.loads(result.out)


def accounts(place):
    result = place.ecluse("accounts", "--json")
    assert result.status == 0, result
    return {row["name"]: row for row in json.loads(result.out)}


def login(place, token, account="work"):
    return place.ecluse("login", account, "--refresh-token-stdin", stdin=token)


def id_token(**claims):
    """Without a signature, which nobody looks at: it comes from the token endpoint itself."""
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return f"{part({})}.{part(claims)}.c2ln"


def rotating(parameters):
    """Answers refresh token r1 with access token a1 and r2, and so on; all others are dead. They
    are alice's."""
    number = int(parameters["refresh_token"][1:])
    return 200, {"access_token": f"a{number}", "token_type": "Bearer", "expires_in": 3600,
                 "refresh_token": f"r{number + 1}",
                 "id_token": id_token(aud="test-client", email="alice@example.test")}
