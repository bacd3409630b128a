"""An audit journal as the manual page ecluse-audit(5) describes it, written without ecluse's code."""

import hashlib
import hmac
import json
import secrets
import subprocess
import time

ZERO = bytes(32)


def expand(key, purpose, size=32):
    """HKDF with SHA-256 and no salt (RFC 5869), one block."""
    secret = hmac.digest(ZERO, key, "sha256")
    return hmac.digest(secret, purpose + b"\x01", "sha256")[:size]


def stamp(seconds):
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{round(seconds % 1 * 1e6):06}Z"


class Journal:
    """`folder` is made; what is written stands in `lines` until `save`."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(parents=True)
        self.folder.parent.chmod(0o700)
        self.folder.chmod(0o700)
        self.seed = self.key = secrets.token_bytes(32)
        self.seed_epoch = self.epoch = 0
        self.next = self.epoch_first = 1
        self.head = self.digest = ZERO
        self.segments = []  # (number, [line, …])
        self.now = time.time()
        self.private = folder.parent / "sign.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.private],
                       check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", self.private, "-pubout", "-out",
                        folder / "public.pem"], check=True, capture_output=True)
        raw = subprocess.run(["openssl", "pkey", "-in", self.private, "-pubout", "-outform", "DER"],
                             check=True, capture_output=True).stdout
        self.public = raw[-32:].hex()

    def sign(self, message):
        path = self.folder.parent / "message"
        path.write_bytes(message)
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.private,
                               "-in", path], check=True, capture_output=True).stdout.hex()

    def write(self, action, outcome="success", event=None, audit=None, at=None, **members):
        """One record; members are objects of the line, "ecluse" among them."""
        ecluse = members.pop("ecluse", {})
        ecluse["audit"] = {**(audit or {}), "level": "standard", "epoch": self.epoch}
        line = {"@timestamp": stamp(at or self.now), "ecs": {"version": "9.0.0"},
                "service": {"name": "ecluse", "version": "0"}, **members, "ecluse": ecluse,
                "event": {"kind": "event", "dataset": "ecluse.audit", "category": ["network"],
                          "type": ["info"], "action": action, "outcome": outcome, **(event or {}),
                          "sequence": self.next}}
        body = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()[:-2]
        digest = hashlib.sha256(body).digest()
        self.head = hmac.digest(self.key, self.head + self.next.to_bytes(8, "big") + digest, "sha256")
        self.digest = hashlib.sha256(self.digest + digest + self.head).digest()
        text = body.decode() + f',"hash":"{self.head.hex()}"'
        if action == "audit-checkpoint":
            text += f',"signature":"{self.sign(b"ecluse audit checkpoint" + self.digest)}"'
        self.segments[-1][1].append(text + "}}\n")
        self.next += 1

    def standing(self):
        return {"head": self.head.hex(), "digest": self.digest.hex(),
                "seed": expand(self.seed, b"ecluse audit fingerprint").hex()[:16],
                "seed_epoch": self.seed_epoch, "key": self.public}

    def segment(self):
        name = f"{self.next:020}.jsonl"
        self.segments.append((self.next, []))
        self.write("audit-open", audit={"file": name, **self.standing()})

    def checkpoint(self):
        self.write("audit-checkpoint", audit={
            "first": self.epoch_first, "last": self.next - 1, "count": self.next - self.epoch_first,
            "file": f"{self.segments[-1][0]:020}.jsonl", **self.standing()})
        self.key = expand(self.key, b"ecluse audit next")
        self.epoch += 1
        self.epoch_first = self.next

    def save(self):
        for old in self.folder.glob("*.jsonl"):
            old.unlink()
        for number, lines in self.segments:
            path = self.folder / f"{number:020}.jsonl"
            path.write_text("".join(lines))
            path.chmod(0o600)
        return self

    def checkpoints(self):
        return [line for _, lines in self.segments for line in lines if '"audit-checkpoint"' in line]


def command(journal, verb, account="work", session="1.1", protocol="imap", status="OK", **more):
    journal.write("command", trace={"id": session}, network={"protocol": protocol},
                  client={"bytes": 20}, user={"name": account},
                  ecluse={"command": {"verb": verb, "status": status}}, **more)
