"""The rig (tests/rig) as the tests turn it: a real authorization server, Dovecot and Postfix."""

import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from cli_support import ROOT

sys.path.insert(0, str(ROOT / "tests" / "rig"))

from lib import client as rig_client, op  # noqa: E402 (the rig's own)

# Of these the first whose ports are free, so that several runs can go on side by side.
BASES = range(21000, 31000, 1000)
PROGRAM = ROOT / "tests" / "rig" / "rig"


def claim(base):
    """A lock that runs side by side look at before they look at ports; None: it is another's."""
    lock = open(os.path.join(tempfile.gettempdir(), f"ecluse-rig-{os.geteuid()}-{base}.lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


class Rig:
    def __init__(self, folder):
        self.folder = folder
        said = "every base is taken by another run"
        for base in BASES:
            self.lock = claim(base)
            if self.lock is None:
                continue
            said = self.run("start", "--base", str(base))
            if said == "":
                break
            self.lock.close()
            self.call("stop")
        assert said == "", said
        self.state = json.loads((folder / "rig.json").read_text())
        self.ports = self.state["ports"]
        # Without root there is no Postfix; Dovecot submits as well.
        self.submissions = self.ports.get("postfixs", self.ports["submissions"])
        self.dead = set()
        self.first_mails = {path.name.split(":")[0] for path in self.mail_files()}

    def run(self, command, *arguments):
        """What went wrong, or nothing."""
        done = subprocess.run([PROGRAM, command, *arguments, "--dir", str(self.folder)],
                              capture_output=True, text=True, timeout=300)
        return done.stderr if done.returncode else ""

    def call(self, command, *arguments):
        said = self.run(command, *arguments)
        assert said == "", said

    def stop(self):
        self.call("stop")

    def kill(self, part):
        self.dead.add(part)
        self.call("kill", part)

    def revive(self, part):
        self.call("revive", part)
        self.dead.discard(part)
        # Who asks it may go on for a while on connections to the one that died, and in vain.
        asking = {"op": "dovecot", "dovecot": "postfix"}.get(part)
        if asking and (asking != "postfix" or self.state["postfix"]):
            self.kill(asking)
            self.revive(asking)

    def reset(self):
        """As at the start, whatever the test before has done."""
        for part in sorted(self.dead):
            self.revive(part)
        self.knob("reset")
        self.clear()
        for path in self.mail_files():
            if path.name.split(":")[0] not in self.first_mails:
                self.remove_mail(path)

    def knob(self, name, *values):
        return rig_client.knob(self.state, name, *values)

    def clear(self):
        op.ask(self.state, "POST", "/clear")

    def stats(self):
        return rig_client.stats(self.state)

    def token_requests(self):
        return self.stats()["token_requests_total"]

    def refreshes(self):
        """Outcome → how many refreshes had it."""
        return self.stats()["token_requests"].get("refresh_token", {})

    def refresh_token(self, user, client="confidential"):
        return rig_client.grant(self.state, user, client)["refresh_token"]

    def access_token(self, user):
        return rig_client.grant(self.state, user)["access_token"]

    def capabilities(self, user, token):
        """Dovecot's own words after a login."""
        mail = rig_client.login(self.state, user, token)
        words = mail.capability()[1][0].decode().split()
        mail.logout()
        return words

    def every_token(self):
        """All that are known to the authorization server; once it was stopped or killed."""
        saved = json.loads((self.folder / "op" / "state.json").read_text())
        kinds = ("AccessToken", "RefreshToken", "ClientCredentials")
        keys = [key.split(":", 1) for key, _ in saved["items"]]
        return {name for kind, name in keys if kind in kinds}

    def put_mail(self, user, mail):
        """With the line ends of files."""
        maildir = pathlib.Path(self.state["users"][user]["maildir"])
        path = maildir / "new" / f"{time.time():.6f}.put.localhost"
        made = maildir / "tmp" / path.name
        made.write_bytes(mail)
        made.chmod(0o644)
        made.rename(path)

    def context(self):
        """Of a client that trusts the rig."""
        return rig_client.context(self.state)

    def mails(self, user):
        """The mails that lie in a mailbox, as they were delivered."""
        maildir = pathlib.Path(self.state["users"][user]["maildir"])
        return [path.read_bytes() for sub in ("new", "cur") for path in (maildir / sub).iterdir()]

    @staticmethod
    def remove_mail(path):
        """And what Dovecot remembers of the folder: within one second it might not look again."""
        path.unlink()
        for index in path.parent.parent.glob("dovecot.index*"):
            index.unlink(missing_ok=True)

    def mail_files(self):
        """Of all users and all their folders."""
        return [path for user in self.state["users"].values()
                for path in pathlib.Path(user["maildir"]).rglob("*")
                if path.parent.name in ("new", "cur")]
