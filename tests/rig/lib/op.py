"""The authorization server (Node, op/main.js)."""
import fcntl
import hashlib
import http.client
import json
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from . import certs
from .common import HOST, RigError, alive, spawn, write_private

HERE = Path(__file__).resolve().parent.parent
LOCK_FILE = HERE / "package-lock.json"
PATHS = {
    "discovery": "/.well-known/openid-configuration",
    "authorization": "/auth",
    "token": "/token",
    "device_authorization": "/device/auth",
    "introspection": "/token/introspection",
    "revocation": "/token/revocation",
    "registration": "/reg",
    "userinfo": "/me",
    "jwks": "/jwks",
}


def modules(folder):
    """Where node_modules are, installed if need be.

    build/rig beside the sources (RIG_MODULES overrides), or the rig's own
    folder when that cannot be written.
    """
    stamp = hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()
    home = Path(os.environ.get("RIG_MODULES") or HERE.parent.parent / "build" / "rig")

    def complete(where):
        mark = where / "node_modules" / ".rig-stamp"
        return mark.exists() and mark.read_text() == stamp

    if complete(home):
        return home / "node_modules"
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = open(home / ".lock", "w")
    except OSError:
        home = Path(folder) / "node"
        home.mkdir(exist_ok=True)
        lock = open(home / ".lock", "w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two rigs may start at once
        if not complete(home):
            shutil.copy(HERE / "package.json", home)
            shutil.copy(LOCK_FILE, home)
            try:
                done = subprocess.run(
                    ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev",
                     "--prefer-offline", "--no-progress", "--loglevel=error"],
                    cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
            except FileNotFoundError as e:
                raise RigError("npm is not installed; run tests/deps demo") from e
            if done.returncode:
                raise RigError("npm ci failed:\n" + done.stderr[-2000:])
            (home / "node_modules" / ".rig-stamp").write_text(stamp)
    return home / "node_modules"


def clients():
    """name -> what a client of that kind is told; made anew for each rig."""
    grants = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
    common = {"redirect_uris": ["http://127.0.0.1/"], "response_types": ["code"],
              "application_type": "native", "grant_types": grants}
    return {
        "confidential": {"client_id": "rig-confidential", "client_secret": secrets.token_urlsafe(24),
                         "token_endpoint_auth_method": "client_secret_post", **common},
        "public": {"client_id": "rig-public", "token_endpoint_auth_method": "none", **common},
        "service": {"client_id": "rig-service", "client_secret": secrets.token_urlsafe(24),
                    "token_endpoint_auth_method": "client_secret_post", "redirect_uris": [],
                    "response_types": [], "grant_types": ["client_credentials"]},
        "assertion": {"client_id": "rig-assertion", "token_endpoint_auth_method": "private_key_jwt",
                      **common, "grant_types": [*grants, "client_credentials"]},
        "owner": {"client_id": "rig-owner", "client_secret": secrets.token_urlsafe(24),
                  "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [],
                  "response_types": [], "grant_types": ["password"]},
        "dovecot": {"client_id": "rig-dovecot", "client_secret": secrets.token_hex(16),
                    "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [],
                    "response_types": [], "grant_types": ["client_credentials"]},
    }


def make_signers(state):
    """The keys of those who sign: client "assertion", and a service account with its JSON file."""
    folder = Path(state["dir"]) / "certs"
    state["clients"]["assertion"].update(certs.make_signer(folder, "assertion"))
    made = certs.make_signer(folder, "service_account")
    account = {"email": "robot@rig.example.test", "file": str(folder / "service_account.json"), **made}
    write_private(Path(account["file"]), json.dumps({
        "type": "service_account", "project_id": "rig", "private_key_id": "rig-key-1",
        "private_key": Path(made["key"]).read_text(), "client_email": account["email"],
        "token_uri": state["endpoints"]["token"]}, indent=2))
    state["service_account"] = account


class Op:
    name = "op"
    seconds = 15  # to become ready; usually well under one

    def __init__(self, state):
        self.state = state
        self.log = Path(state["logs"]["op"])
        self.config = Path(state["dir"]) / "op" / "config.json"

    def prepare(self):
        s, ports = self.state, self.state["ports"]
        folder = self.config.parent
        folder.mkdir(mode=0o700)
        certs = s["certs"]
        https = [{"port": ports["op"], **certs["good"]}]
        for kind in ("wrong_name", "expired", "unknown_ca", "cn_only"):
            https.append({"port": ports[f"op_{kind}"], **certs[kind]})
        write_private(self.config, json.dumps({
            "modules": str(modules(s["dir"])),
            "issuer": s["issuer"],
            "users": s["users"],
            "clients": list(s["clients"].values()),
            "serviceAccount": s["service_account"],
            "defaultClient": s["clients"]["confidential"]["client_id"],
            "https": https,
            "tlsFronts": [{"port": ports["imaps_cn_only"], "to": ports["imap"], **certs["cn_only"]}],
            "relay": {"port": ports["smtp"], "lmtp": ports["lmtp"]},
            "adminPort": ports["admin"],
            "adminPath": s["admin"]["path"].strip("/"),
            "state": str(folder / "state.json"),
        }))

    def start(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("NODE_", "npm_"))}
        try:
            return spawn(["node", str(HERE / "op" / "main.js"), str(self.config)], self.log, env=env)
        except FileNotFoundError as e:
            raise RigError("node is not installed; run tests/deps demo") from e

    def ready(self):
        try:
            return ask(self.state, "GET", "/ready")["ready"]
        except (OSError, RigError):
            return False

    def clean(self):
        pass


def ask(state, method, path, body=None):
    """One request at the side door."""
    conn = http.client.HTTPConnection(HOST, state["ports"]["admin"], timeout=10)
    try:
        conn.request(method, state["admin"]["path"] + path, json.dumps(body) if body else None)
        answer = conn.getresponse()
        text = answer.read()
    except ConnectionError as e:
        raise RigError("the authorization server does not answer (killed?)") from e
    finally:
        conn.close()
    result = json.loads(text)
    if answer.status != 200:
        raise RigError(result.get("error", f"HTTP {answer.status}"))
    return result
