"""`ecluse add` where the provider is in the configuration, and what it prints."""

import configparser
import json
import re
import subprocess

from browser_support import Browser, visit
from cli_support import BINARY, PATIENCE
from ecluse_support import Ecluse

SCOPE = "openid email mail"


class Settings:
    """What it prints at its end."""

    def __init__(self, text):
        self.text = text
        self.ports = {protocol.lower(): int(port) for protocol, port in
                      re.findall(r"^(IMAP|POP3|SMTP) +127\.0\.0\.1 port (\d+), no encryption$",
                                 text, re.M)}
        self.user = re.search(r"^user +(\S+)$", text, re.M)[1]
        self.password = re.search(r"^password +([a-z0-9]{26})$", text, re.M)[1]

    def section(self, program):
        """What stands below its line, as somebody pastes it."""
        return re.search(rf"^# {program}.*\n((?:.|\n)*?)(?=\n\n# |\Z)", self.text, re.M)[1]


class Adding(Ecluse):
    """Has a provider for example.test, and no account."""

    def __init__(self, folder, rig):
        super().__init__(folder, rig, people=())
        self.set("provider local", domains="example.test", scope=SCOPE,
                 issuer=rig.state["issuer"])
        self.adds = []

    def begin(self, address, *arguments, secret=None):
        """`ecluse add` with the rig's client, up to where it waits for the browser: its URL."""
        known = self.rig.state["clients"]["confidential"]
        process = subprocess.Popen(
            [BINARY, "add", address, "--client-id", known["client_id"], "--client-secret-stdin",
             *arguments, "-c", str(self.file)], env=self.environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.adds.append(process)
        process.stdin.write((secret or known["client_secret"]).encode())
        process.stdin.close()
        process.stdin = None
        said = b""
        while b"\n  https://" not in said:
            line = process.stderr.readline()
            assert line, (said, process.communicate())
            said += line
        return process, re.search(rb"^  (https://\S+)$", said, re.M)[1].decode()

    def add(self, address, *arguments):
        """Through to the end: what it has printed."""
        process, url = self.begin(address, *arguments)
        assert visit(Browser(self.rig).sign_in(url, address))[0] == 200
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, (out, err)
        self.learn(out.decode())
        return out.decode(), err.decode()

    def learn(self, out):
        """What was appended and printed is known here as if it had been set."""
        parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",))
        parser.read(self.file)
        self.sections = {name: dict(parser[name]) for name in parser.sections()}
        known = json.loads(out) if out.startswith("{") else vars(Settings(out))
        name = next(name.split()[1] for name, rows in self.sections.items()
                    if rows.get("address") == known["user"])
        self.passwords[name] = known["password"]
        self.secrets[f"a password of {name}"] = known["password"]

    def finish(self):
        for process in self.adds:
            if process.poll() is None:
                process.kill()
                process.communicate()
        super().finish()
