"""One ecluse with its own configuration, folders and ports; started, used and looked over."""

import imaplib
import json
import os
import poplib
import re
import select
import signal
import smtplib
import socket
import subprocess

import canaries
from cli_support import BINARY, PATIENCE, Place, free_port
from processes import children, is_alive
from protocols import PROTOCOLS
from waiting import wait_until

ALICE = "alice@example.test"
BOB = "bob@example.test"
CAROL = "carol@example.test"
WRONG = "NO [AUTHENTICATIONFAILED] wrong user name or password"
IS_SANITIZED = b"__asan_init" in BINARY.read_bytes() if BINARY.exists() else False
SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")  # what they may be told
SLOWNESS = 5 if IS_SANITIZED else 1
ALARMS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error|broken invariant|"
                    r"SUMMARY: \w+Sanitizer")
# Before the first, `run` says what `check` would warn of.
LOG_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (error|warn |info |debug)|"
                      r"\S+:\d+: warning:) [ -~]+")


class Ecluse(Place):
    everyone = []  # the folders of all, for the last look

    def __init__(self, folder, rig, people=("alice", "bob")):
        self.rig = rig
        self.clients = []
        self.secrets = {}  # what it is → the secret
        self.passwords = {}  # account → local password
        self.daemon = None
        self.sections = {
            "ecluse": {"log": "debug", "state_dir": f"{folder}/state", "runtime_dir": f"{folder}/run",
                       "web": "off", "drain": 1, "ca_file": rig.state["ca"]},
        }
        super().__init__(folder)
        Ecluse.everyone.append(self.folder)
        self.listen("imap", self.port)
        self.pop3_port = self.listen("pop3", free_port())
        self.smtp_port = self.listen("smtp", free_port())
        self.add_provider("local", f"localhost:{rig.ports['imaps']}",
                          pop3=f"tls://localhost:{rig.ports['pop3s']}",
                          smtp=f"tls://localhost:{rig.submissions}")
        for name in people:
            self.add_account(name)

    # ---- configuration ----

    def set(self, section, **options):
        self.sections.setdefault(section, {}).update(options)
        self.write("\n".join(
            f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items())
            for name, rows in self.sections.items()))

    def listen(self, protocol, port, **more):
        """The port."""
        self.set(f"listen {protocol}", protocol=protocol, address=f"127.0.0.1:{port}", **more)
        return port

    def add_provider(self, name, place=None, **more):
        """`place` is that of its IMAP server."""
        if place is not None:
            more["imap"] = f"tls://{place}"
        self.set(f"provider {name}",
                 authorization_endpoint=self.rig.state["endpoints"]["authorization"],
                 **{"token_endpoint": self.rig.state["endpoints"]["token"], **more})

    def add_account(self, name, provider="local", address=None, **more):
        known = self.rig.state["clients"]["confidential"]
        self.set(f"account {name}", address=address or f"{name}@example.test", provider=provider,
                 client_id=known["client_id"], client_secret=known["client_secret"], **more)

    def address_of(self, name):
        return self.sections[f"account {name}"]["address"]

    def serve_from(self, upstream, name="carol", scheme="tls", **more):
        """An account whose mail is at a scripted server."""
        place = f"{scheme}://localhost:{upstream.port}"
        self.add_provider(f"of-{name}", **{upstream.protocol: place}, **more)
        self.add_account(name, provider=f"of-{name}")

    def environment(self, **more):
        sanitizers = {name: os.environ[name] for name in SANITIZERS if name in os.environ}
        return super().environment(**sanitizers, **more)

    # ---- the daemon ----

    def start(self):
        """Returns when it has said READY=1."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            path = self.folder / "notify"
            path.unlink(missing_ok=True)
            notify.bind(str(path))
            with open(self.folder / "daemon.log", "ab") as log:
                self.daemon = subprocess.Popen(
                    [BINARY, "run", "-c", str(self.file)], stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, env=self.environment(NOTIFY_SOCKET=str(path)))
            self.daemons.append(self.daemon)
            ended = os.pidfd_open(self.daemon.pid)
            try:
                said = b""
                while b"READY=1" not in said.split(b"\n"):
                    ready = select.select([notify, ended], [], [], PATIENCE)[0]
                    assert notify in ready, f"not ready; the log:\n{self.log()}"
                    said = notify.recv(4096)
            finally:
                os.close(ended)
        return self.daemon

    def status(self):
        result = self.ecluse("status", "--json")
        assert result.status == 0, result
        return json.loads(result.out)

    def gates(self):
        return self.status()["gates"]

    def accounts(self):
        result = self.ecluse("accounts", "--json")
        assert result.status == 0, result
        return {row["name"]: row for row in json.loads(result.out)}

    def hang_up(self):
        for client in self.clients:
            try:
                (client.shutdown if isinstance(client, imaplib.IMAP4) else client.close)()
            except OSError:
                pass
        self.clients.clear()

    def stop(self):
        """Its exit code."""
        self.hang_up()
        self.daemon.send_signal(signal.SIGTERM)
        return self.daemon.wait(PATIENCE)

    def kill(self):
        """The keeper, by SIGKILL. Its gates follow by themselves; until then the port is theirs."""
        gates = children(self.daemon.pid)
        self.daemon.kill()
        self.daemon.wait()
        wait_until(lambda: not any(map(is_alive, gates)), "the gates' end")

    def log_since(self, mark):
        with open(self.folder / "daemon.log", "rb") as log:
            log.seek(mark)
            return log.read().decode(errors="replace")

    def wait_log(self, pattern, since=0):
        """The match in what was logged after `since` (see log_size)."""
        return wait_until(lambda: re.search(pattern, self.log_since(since)),
                          f"{pattern!r} in the log")

    def log_size(self):
        return os.path.getsize(self.folder / "daemon.log")

    # ---- accounts ----

    def sign_in(self, name, user=None):
        token = self.rig.refresh_token(user or self.address_of(name))
        self.secrets[f"a refresh token of {name} ({len(self.secrets)})"] = token
        result = self.ecluse("login", name, "--refresh-token-stdin", stdin=token.encode())
        assert result.status == 0, result
        return token

    def grant(self, name, *more, client="phone"):
        result = self.ecluse("grant", name, "--name", client, *more)
        assert result.status == 0, result
        password = result.out.rstrip("\n")
        self.secrets[f"a password of {name} ({len(self.secrets)})"] = password
        self.passwords.setdefault(name, password)
        return password

    def access_token(self, name, *more):
        result = self.ecluse("token", name, *more)
        assert result.status == 0, result
        token = result.out.rstrip("\n")
        self.secrets[f"an access token of {name} ({len(self.secrets)})"] = token
        return token

    def ready(self, *names):
        """Started if it was not, and these accounts (all) can log in."""
        if self.daemon is None:
            self.start()
        known = [section.split()[1] for section in self.sections if section.startswith("account ")]
        for name in names or known:
            self.sign_in(name)
            self.grant(name)
        return self

    # ---- clients ----

    def imap(self):
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=PATIENCE)
        self.clients.append(client)
        return client

    def session(self, name):
        """An imaplib session that is logged in."""
        client = self.imap()
        client.login(self.address_of(name), self.passwords[name])
        return client

    def pop3(self):
        client = poplib.POP3("127.0.0.1", self.pop3_port, PATIENCE)
        self.clients.append(client)
        return client

    def pop3_session(self, name):
        client = self.pop3()
        client.user(self.address_of(name))
        client.pass_(self.passwords[name])
        return client

    def smtp(self):
        client = smtplib.SMTP("127.0.0.1", self.smtp_port, "client.example", PATIENCE)
        self.clients.append(client)
        return client

    def smtp_session(self, name):
        client = self.smtp()
        client.login(self.address_of(name), self.passwords[name])
        client.ehlo()
        return client

    def port_of(self, protocol):
        return {"imap": self.port, "pop3": self.pop3_port, "smtp": self.smtp_port}[protocol]

    def raw(self, greet=True, protocol="imap"):
        client = PROTOCOLS[protocol].client(self.port_of(protocol), greet=greet)
        self.clients.append(client)
        return client

    def try_login(self, name, password=None, protocol="imap"):
        """The reply on a connection of its own, which is closed again."""
        client = PROTOCOLS[protocol].client(self.port_of(protocol))
        try:
            return client.login(self.address_of(name), password or self.passwords[name])
        finally:
            client.close()

    def raw_session(self, name, protocol="imap"):
        client = self.raw(protocol=protocol)
        reply = client.login(self.address_of(name), self.passwords[name])
        assert reply.startswith(PROTOCOLS[protocol].logged_in), reply
        return client

    # ---- the last look ----

    def is_running(self):
        return self.daemon is not None and self.daemon.poll() is None

    def note_processes(self):
        """What everybody can see of the processes; the environment of ours is shut even to us
        unless we are root."""
        seen = b""
        for pid in [self.daemon.pid, *children(self.daemon.pid)]:
            for name in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{pid}/{name}", "rb") as file:
                        seen += file.read() + b"\n"
                except (PermissionError, ProcessLookupError, FileNotFoundError):
                    pass
        (self.folder / "proc").write_bytes(seen)

    def learn_access_tokens(self):
        """Those that are in use, without asking the provider."""
        for name, row in self.accounts().items():
            is_domain = row["address"].startswith("*@")
            if row["expires"]:
                self.access_token(name, *(["--user", ALICE] if is_domain else []))

    def finish(self):
        try:
            if self.is_running():
                self.hang_up()
                self.set("ecluse")  # a file that was broken on purpose
                self.note_processes()
                self.learn_access_tokens()
                assert self.stop() == 0, self.log()
                self.assert_intact()
        finally:
            self.close()
        self.assert_clean()

    def assert_intact(self):
        """Whatever a test has done, it has not changed the journal, and that can be shown."""
        if any((self.folder / "state" / "audit").glob("*.jsonl")):
            result = self.ecluse("audit", "verify")
            assert result.status == 0, result

    def assert_clean(self):
        log = self.log() if (self.folder / "daemon.log").exists() else ""
        assert not ALARMS.search(log), log
        if not IS_SANITIZED:
            odd = [line for line in log.splitlines() if not LOG_LINE.fullmatch(line)]
            assert not odd, odd
        files = [path for path in self.folder.rglob("*")
                 if path.is_file() and path.relative_to(self.folder).parts[0]
                 in ("state", "run", "daemon.log", "proc")]
        canaries.assert_absent(self.secrets, {path.name: path.read_bytes() for path in files})
