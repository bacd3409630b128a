"""An emailproxy.config, and an ecluse that takes it over or serves it."""

import base64

import pytest

import canaries
from ecluse_support import Ecluse
from fernet_support import seal

PASSWORD = "old pa\\ss wörd"
SALT = bytes(range(16))


def account(rig, address, token=None, password=PASSWORD, iterations=1_200_000, **more):
    known, places = rig.state["clients"]["confidential"], rig.state["endpoints"]
    rows = {"permission_url": places["authorization"], "token_url": places["token"],
            "oauth2_scope": "openid offline_access", "redirect_uri": "http://localhost",
            "client_id": known["client_id"], "client_secret": known["client_secret"]}
    if token:
        rows |= {"token_salt": base64.b64encode(SALT).decode(), "token_iterations": iterations,
                 "access_token": seal("stale", password, SALT, iterations),
                 "access_token_expiry": 1700000000, "last_activity": 1700000000,
                 "refresh_token": seal(token, password, SALT, iterations)}
    return {address: rows | more}


def theirs(folder, rig, ports, *accounts):
    """An emailproxy.config as that program writes it."""
    upstream = {"IMAP": rig.ports["imaps"], "POP": rig.ports["pop3s"], "SMTP": rig.submissions}
    sections = {"Server setup": {"documentation": "for clients\n\tof all kinds"}}
    for kind, port in zip(upstream, ports):
        sections[f"{kind}-{port}"] = {"server_address": "localhost", "server_port": upstream[kind],
                                      "local_address": "127.0.0.1"}
    for rows in accounts:
        sections |= rows
    path = folder / "emailproxy.config"
    path.write_text("".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items()) + "\n"
        for name, rows in sections.items()))
    path.chmod(0o600)
    return path


class Heir(Ecluse):
    """It has listeners of its own, and no account until some are taken over."""

    def __init__(self, folder, rig):
        super().__init__(folder, rig, people=())
        del self.sections["provider local"]
        self.set("ecluse")
        self.secrets["the old password"] = PASSWORD
        self.secrets["the client's secret"] = rig.state["clients"]["confidential"]["client_secret"]

    def address_of(self, name):
        return f"{name}@example.test"

    def theirs(self, *accounts):
        ports = self.port, self.pop3_port, self.smtp_port
        return theirs(self.folder, self.rig, ports, *accounts)

    def token_of(self, address):
        token = self.rig.refresh_token(address)
        self.secrets[f"the token of {address}"] = token
        return token

    def take(self, path, *more, password=PASSWORD):
        """`ecluse import`; nothing secret is said by it, and the other file stays as it is."""
        before = path.read_bytes()
        result = self.ecluse("import", "emailproxy", str(path), *more,
                             stdin=f"{password}\n".encode() if password else b"")
        canaries.assert_absent(self.secrets, {"stdout": result.out.encode(),
                                              "stderr": result.err.encode()})
        assert path.read_bytes() == before
        return result

    def read_mail(self, name, password=PASSWORD):
        self.passwords[name] = password
        client = self.pop3_session(name)
        assert client.stat()[0] > 0
        return b"\n".join(client.retr(1)[1])


@pytest.fixture
def heir(rig, tmp_path):
    one = Heir(tmp_path, rig)
    yield one
    one.finish()


class Stranger(Heir):
    """Serves the file of the other one as it is."""

    def use(self, *accounts):
        self.file = self.theirs(*accounts)
        return self

    def set(self, section, **options):
        if self.file.name != "emailproxy.config":
            super().set(section, **options)

    def environment(self, **more):
        return super().environment(SSL_CERT_FILE=self.rig.state["ca"],
                                   XDG_STATE_HOME=str(self.folder / "state"),
                                   XDG_RUNTIME_DIR=str(self.folder / "run"), **more)


@pytest.fixture
def stranger(rig, tmp_path):
    one = Stranger(tmp_path, rig)
    for name in "state", "run":
        (tmp_path / name).mkdir(mode=0o700)
    yield one
    one.finish()
