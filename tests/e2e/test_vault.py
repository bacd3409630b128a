"""The vault's key from each source, and `ecluse vault rekey`, as a user has them."""

import contextlib
import itertools
import os
import pty
import random
import re
import sqlite3
import signal
import subprocess
import tempfile
import time

import pytest

from cli_support import (BINARY, PATIENCE, Place, grant, grants, one_line,
                         place)  # noqa: F401 (fixtures)
from ecluse_support import IS_SANITIZED, WRONG
from processes import children

PASSPHRASE = "correct horse battery staple"
CREDENTIAL = "credential octets 0123456789"
LINE = "a line of the keyring"
SECRET_HEAP = 1 << 20
COMMAND = f"command:echo {LINE}"
SOURCES = ["keyfile", "passphrase", "credential:key", COMMAND]
WAY = [SOURCES[i] for i in (0, 0, 1, 1, 0, 2, 0, 3, 1, 2, 1, 3, 2, 3, 0)]


class Typist:
    """The command on a terminal of its own; what stands on it is `shown`."""

    def __init__(self, place, *arguments, stdin=None):
        self.shown = ""
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            if stdin is not None:
                os.dup2(stdin, 0)
            os.execve(BINARY, [str(BINARY), *arguments, "-c", str(place.file)],
                      place.environment())

    def read(self):
        try:
            octets = os.read(self.terminal, 4096)
        except OSError:  # its other end is closed
            octets = b""
        self.shown += octets.decode()
        return octets

    def wait_for(self, words):
        while words not in self.shown:
            assert self.read(), f"{words!r} did not come; shown:\n{self.shown}"

    def answer(self, prompt, line):
        """Each prompt is waited for, and counts once."""
        self.wait_for(prompt)
        before, self.shown = self.shown.split(prompt, 1)
        os.write(self.terminal, line.encode() + b"\n")
        return before

    def end(self):
        while self.read():
            pass
        _, status = os.waitpid(self.process, 0)
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(status)


def prepare(place, source):
    """The configuration, and what systemd would give."""
    credentials = place.folder / "credentials"
    credentials.mkdir(mode=0o700, exist_ok=True)
    key = credentials / "key"
    if not key.exists():
        key.write_text(CREDENTIAL)
        key.chmod(0o400)
    given = Place.environment
    place.environment = lambda **more: given(place, CREDENTIALS_DIRECTORY=str(credentials), **more)
    text = re.sub(r"(?m)^vault_key = .*\n", "", place.file.read_text())
    place.write(text.replace("[ecluse]\n", f"[ecluse]\nvault_key = {source}\n"))


OPENS = "the vault's passphrase: "
SEALS = "the vault's new passphrase: "
AGAIN = "the same once more: "


def seal_on_terminal(place, before, after):
    """`vault rekey` from one source to another, with what is asked on the way."""
    prepare(place, after)
    needs = before.startswith(("credential", "command"))
    typist = Typist(place, "vault", "rekey", *(["--from", before] if needs else []))
    if before == "passphrase":
        typist.answer(OPENS, PASSPHRASE)
    if after == "passphrase":
        typist.answer(SEALS, PASSPHRASE)
        typist.answer(AGAIN, PASSPHRASE)
    status = typist.end()
    assert PASSPHRASE not in typist.shown
    return status, typist.shown


def names_of_grants(place, source):
    if source != "passphrase":
        return [row["name"] for row in grants(place)]
    typist = Typist(place, "grants")
    typist.answer(OPENS, PASSPHRASE)
    assert typist.end() == 0, typist.shown
    return ["phone"] if "phone" in typist.shown else []


def vault_of(place):
    return (place.folder / "state" / "vault.db").read_bytes()


# ---- the sources ----

@pytest.mark.parametrize("source", ["credential:key", COMMAND])
def test_a_source_opens_the_vault_of_a_daemon(place, source):
    prepare(place, source)
    assert grant(place).status == 0
    place.start()
    assert [row["name"] for row in grants(place)] == ["phone"]
    assert not (place.folder / "state" / "vault.key").exists()
    for secret in (CREDENTIAL, LINE):
        assert secret.encode() not in vault_of(place)
        assert secret not in place.log()


def test_a_passphrase_opens_the_vault_of_a_daemon(place):
    prepare(place, "passphrase")
    making = Typist(place, "grant", "work", "--name", "phone")
    making.answer(SEALS, PASSPHRASE)
    making.answer(AGAIN, PASSPHRASE)
    assert making.end() == 0, making.shown
    daemon = Typist(place, "run")
    daemon.answer(OPENS, PASSPHRASE)
    daemon.wait_for(" ready")
    # Nobody is asked again while it runs.
    assert [row["name"] for row in grants(place)] == ["phone"]
    assert place.ecluse("stop").status == 0
    assert daemon.end() == 0, daemon.shown
    assert PASSPHRASE not in making.shown + daemon.shown
    assert PASSPHRASE.encode() not in vault_of(place)


def test_a_wrong_passphrase_changes_nothing(place):
    prepare(place, "passphrase")
    making = Typist(place, "grants")
    making.answer(SEALS, PASSPHRASE)
    making.answer(AGAIN, PASSPHRASE)
    assert making.end() == 0
    before = vault_of(place)
    for command in (["run"], ["grants"], ["vault", "rekey"]):
        typist = Typist(place, *command)
        typist.answer(OPENS, "correct horse battery stable")
        assert typist.end() == 78
        said = typist.shown.strip().splitlines()
        assert len(said) == 1 and "this passphrase does not open" in said[0], typist.shown
        assert "stable" not in typist.shown
        assert vault_of(place) == before
    assert names_of_grants(place, "passphrase") == []


@pytest.mark.parametrize("first, second, words", [
    (PASSPHRASE, PASSPHRASE + "!", "differ"),
    ("elevenoctet", None, "12 octets or more"),
    ("", None, "is empty"),
    ("x" * 1025, None, "longer than 1024 octets"),
])
def test_a_new_passphrase_is_looked_at(place, first, second, words):
    prepare(place, "passphrase")
    typist = Typist(place, "grants")
    typist.answer(SEALS, first)
    if second is not None:
        typist.answer(AGAIN, second)
    assert typist.end() == 65
    assert words in typist.shown, typist.shown
    assert not (place.folder / "state" / "vault.db").exists()


def test_a_passphrase_needs_a_terminal(place):
    prepare(place, "passphrase")
    result = place.ecluse("grants", stdin=PASSPHRASE.encode() + b"\n", start_new_session=True)
    one_line(result, 78, "passphrase", "terminal, and there is none")
    assert not (place.folder / "state" / "vault.db").exists()


def test_stdin_is_left_to_the_command(place):
    """The passphrase comes from the terminal while a password comes from a pipe."""
    prepare(place, "passphrase")
    reading, writing = os.pipe()
    os.write(writing, b"a chosen password\n")
    os.close(writing)
    typist = Typist(place, "grant", "work", "--name", "phone", "--password-stdin", stdin=reading)
    os.close(reading)
    typist.answer(SEALS, PASSPHRASE)
    typist.answer(AGAIN, PASSPHRASE)
    assert typist.end() == 0, typist.shown
    assert names_of_grants(place, "passphrase") == ["phone"]


@pytest.mark.parametrize("source, status, words", [
    ("command:exit 1", 69, "the command ended with status 1"),
    ("command:true", 65, "printed nothing"),
    ("command:echo something else", 78, "what the command prints does not open"),
    ("credential:key", 78, "sealed with a command"),
    ("keyfile", 78, "ecluse vault rekey"),
])
def test_a_source_that_is_not_the_vaults(place, source, status, words):
    prepare(place, COMMAND)
    assert grant(place).status == 0
    before = vault_of(place)
    prepare(place, source)
    for command in ("run", "grants"):
        one_line(place.ecluse(command), status, words)
    assert vault_of(place) == before
    assert not (place.folder / "state" / "vault.key").exists()
    prepare(place, COMMAND)
    assert names_of_grants(place, COMMAND) == ["phone"]


# ---- rekey ----

def test_rekey_from_each_to_each(place):
    assert grant(place).status == 0
    done = set()
    for before, after in zip(WAY, WAY[1:]):
        status, shown = seal_on_terminal(place, before, after)
        assert status == 0, shown
        assert f"sealed with a {after.split(':')[0]} now" in shown
        assert names_of_grants(place, after) == ["phone"]
        assert (place.folder / "state" / "vault.key").exists() == (after == "keyfile")
        done.add((before, after))
    assert done >= set(itertools.permutations(SOURCES, 2))


def test_mail_after_a_rekey(ecluse, rig):
    """The refresh token and the local password are those from before."""
    ecluse.ready("alice")
    ecluse.stop()
    ecluse.set("ecluse", vault_key=COMMAND)
    assert ecluse.ecluse("vault", "rekey").status == 0
    rig.clear()
    ecluse.start()
    assert ecluse.try_login("alice").startswith("OK ")
    assert rig.refreshes() == {"ok": 1}


def test_gpg_opens_the_vault(ecluse, rig):
    """The line is encrypted to a key of gpg's, as a password store does it."""
    home = ecluse.folder / "gnupg"
    home.mkdir(mode=0o700)
    surroundings = {**os.environ, "GNUPGHOME": str(home)}

    def gpg(*words, **more):
        subprocess.run(["gpg", "--batch", "--quiet", *words], check=True, env=surroundings,
                       timeout=PATIENCE, **more)

    gpg("--passphrase", "", "--quick-generate-key", "ecluse@example.test", "default", "default",
        "never")
    sealed = ecluse.folder / "vault.gpg"
    gpg("--encrypt", "--recipient", "ecluse@example.test", "--output", str(sealed),
        input=LINE.encode() + b"\n")
    try:
        ecluse.ready("alice")
        ecluse.stop()
        ecluse.set("ecluse", vault_key="command:gpg --batch --quiet --homedir "
                                       f"{home} --decrypt {sealed}")
        assert ecluse.ecluse("vault", "rekey").status == 0
        ecluse.start()
        assert ecluse.try_login("alice").startswith("OK ")
        assert ecluse.stop() == 0
        sealed.unlink()
        failed = ecluse.ecluse("grants")
        assert failed.status != 0 and LINE not in failed.out + failed.err
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], check=True, env=surroundings, timeout=PATIENCE)


def test_rekey_names_what_is_damaged(ecluse, rig):
    """It is neither lost nor sealed for the account in whose place it stands."""
    ecluse.ready()
    assert ecluse.stop() == 0
    path = ecluse.folder / "state" / "vault.db"

    def rows():
        with contextlib.closing(sqlite3.connect(path)) as database:
            return dict(database.execute("SELECT account, refresh_token FROM tokens"))
    before = rows()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE tokens SET refresh_token = ? WHERE account = 'bob'",
                         (before["alice"],))
        database.execute("UPDATE grants SET name = 'x' || char(27) WHERE account = 'bob'")
    result = ecluse.ecluse("vault", "rekey")
    assert result.status == 65 and "is sealed with a keyfile now" in result.out, result
    assert result.err.count("\n") == 1 and "\x1b" not in result.err
    assert "2 entries" in result.err and "the token of bob, password x" in result.err, result
    after = rows()
    assert after["bob"] == before["alice"] and after["alice"] != before["alice"]
    ecluse.start()
    assert ecluse.try_login("alice").startswith("OK ")
    assert ecluse.try_login("bob") == WRONG
    assert ecluse.ecluse("token", "bob").status != 0
    ecluse.sign_in("bob")
    assert ecluse.access_token("bob")


def test_rekey_needs_a_stopped_daemon(place):
    place.start()
    before = vault_of(place)
    prepare(place, COMMAND)
    one_line(place.ecluse("vault", "rekey"), 75, "ecluse stop")
    assert vault_of(place) == before


@pytest.mark.parametrize("arguments, words", [
    (["vault"], "rekey is missing"),
    (["vault", "open"], "rekey alone"),
    (["vault", "rekey", "--from=keyfile", "--from=passphrase"], "stands twice"),
])
def test_vault_is_rekey_alone(place, arguments, words):
    one_line(place.ecluse(*arguments), 64, words)


def test_kill_9_of_a_rekey(place):
    """At any moment the vault opens with the key file that is there."""
    assert grant(place).status == 0
    whole = time.monotonic()
    assert place.ecluse("vault", "rekey").status == 0
    whole = time.monotonic() - whole
    killed = 0
    for _ in range(60):
        rekey = subprocess.Popen([BINARY, "vault", "rekey", "-c", str(place.file)],
                                 env=place.environment(), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            rekey.wait(random.uniform(0, whole))
        except subprocess.TimeoutExpired:
            rekey.send_signal(signal.SIGKILL)
        killed += rekey.wait() == -signal.SIGKILL
        assert names_of_grants(place, "keyfile") == ["phone"]
    print(f"{killed} of 60 were killed before their end")
    assert killed > 0


# ---- the process ----

@pytest.mark.skipif(IS_SANITIZED, reason="LeakSanitizer traces its own process")
@pytest.mark.skipif(os.geteuid() != 0, reason="root looks into everything: another user is needed")
def test_nobody_of_the_same_user_looks_into_the_processes():
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 65534, 65534)
        here = Place(folder)
        os.chown(here.file, 65534, 65534)
        with open("/dev/null", "r+b") as nothing:
            daemon = subprocess.Popen([BINARY, "run", "-c", str(here.file)], stdin=nothing,
                                      stdout=nothing, stderr=nothing, env=here.environment(),
                                      **nobody)
        other = subprocess.Popen(["sleep", str(PATIENCE * 2)], **nobody)
        try:
            deadline = time.monotonic() + PATIENCE
            while here.ecluse("status", **nobody).status != 0:
                assert daemon.poll() is None and time.monotonic() < deadline
            gate, = children(daemon.pid)
            look = ["sh", "-c", 'cat "/proc/$0/environ" > /dev/null']
            assert subprocess.run([*look, str(other.pid)], **nobody).returncode == 0
            for process in (daemon.pid, gate):
                done = subprocess.run([*look, str(process)], capture_output=True, **nobody)
                assert done.returncode != 0 and b"Permission denied" in done.stderr
                limits = open(f"/proc/{process}/limits").read()
                assert re.search(r"Max core file size +0 +0 ", limits)
                # where secrets are: never swapped out
                locked = re.search(r"VmLck:\s+(\d+) kB", open(f"/proc/{process}/status").read())
                assert int(locked[1]) >= SECRET_HEAP >> 10
        finally:
            other.kill()
            other.wait()
            daemon.terminate()
            daemon.wait(PATIENCE)
