"""kill -9 at random instants: the keeper in a storm of refreshes, gates under load. Whatever is
killed, the vault is valid, the journal is whole but for the end of its last line, and what a client
was told is sent lies in the mailbox and stands in the journal.
"""

import concurrent.futures
import functools
import itertools
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from cli_support import BINARY, PATIENCE
from crash_support import (ENDS, KILLS, Load, Mails, assert_journal, assert_valid, chance, closing,
                           pause)
from ecluse_support import ALICE, IS_SANITIZED, SLOWNESS
from imap_support import plain
from processes import is_alive
from protocols import PROTOCOLS
from waiting import wait_until

PEOPLE = ("alice", "bob", "user7")


# ---- the keeper ----

def rotations(log, name):
    """How often the vault had taken a rotated token."""
    return len(re.findall(rf"account {name}: new access token.*has rotated", log))


def spent(rig, address):
    """How many tokens of theirs the provider has spent, as far as the one that was refused."""
    outcomes = [request["outcome"] for request in rig.stats()["last"]
                if request["user"] == address and request["grant"] == "refresh_token"]
    assert set(outcomes) <= {"ok", "invalid_grant"}, outcomes
    return len(list(itertools.takewhile(lambda outcome: outcome == "ok", outcomes)))


class Storm:
    """An ecluse with access tokens that are too short-lived to be given out twice."""

    def __init__(self, ecluse, rig, rotation):
        self.ecluse, self.rig, self.rotation = ecluse, rig, rotation
        rig.knob("lifetime", 20)
        rig.knob("rotate", "off" if rotation == "off" else "on")
        rig.knob("grace", 600 if rotation == "grace" else 0)
        ecluse.set("ecluse", audit_sync="strict" if rotation == "strict" else "group")
        ecluse.ready(*PEOPLE)
        ecluse.daemon.kill()
        ecluse.daemon.wait()
        self.mails = Mails()
        self.lost = self.refreshes = self.torn = 0

    def log_in(self, name, protocol):
        with closing(self.ecluse.raw(protocol=protocol)) as client:
            reply = client.login(self.ecluse.address_of(name), self.ecluse.passwords[name])
        assert reply.startswith((PROTOCOLS[protocol].logged_in, PROTOCOLS[protocol].stopping.decode(),
                                 "BYE ", "* BYE ")), reply

    def send(self):
        with closing(self.ecluse.raw(protocol="smtp")) as client:
            reply = client.command("EHLO client.example")
            if reply.startswith("250 "):
                reply = client.authenticate(
                    "PLAIN", plain(ALICE, self.ecluse.passwords["alice"]), initial=True)
            assert reply.startswith(("235 ", "421 4.3.2 ")), reply
            if reply.startswith("235 "):
                for _ in range(3):
                    self.mails.send(client)

    def load(self):
        return Load(self.send, self.send, *[
            functools.partial(self.log_in, name, protocol)
            for name, protocol in itertools.product(PEOPLE, ("imap", "pop3"))])

    def kill_at(self, seconds):
        pause(seconds)
        self.ecluse.daemon.kill()
        self.ecluse.daemon.wait()

    def kill_while_it_starts(self, seconds):
        with open(self.ecluse.folder / "daemon.log", "ab") as log:
            self.ecluse.daemon = subprocess.Popen(
                [BINARY, "run", "-c", str(self.ecluse.file)], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=self.ecluse.environment())
        self.ecluse.daemons.append(self.ecluse.daemon)
        self.kill_at(seconds)

    def look(self, name, reply, log):
        """Behind the restart: signed in, or told what to do, and for the one possible reason."""
        address = self.ecluse.address_of(name)
        if reply.startswith("OK "):
            return
        assert self.rotation == "strict", reply
        assert reply == f"NO [AUTHENTICATIONFAILED] account {name} must be signed in again; " \
                        f"sign in: ecluse login {name}"
        assert self.ecluse.accounts()[name]["signed_in"] == "out"
        assert spent(self.rig, address) > rotations(log, name)
        self.lost += 1
        self.ecluse.sign_in(name)
        assert self.ecluse.try_login(name).startswith("OK ")

    def round(self, kill, seconds):
        self.rig.clear()
        mark = self.ecluse.log_size()
        kill(seconds)
        log = self.ecluse.log_since(mark)
        assert_valid(self.ecluse.folder / "state" / "vault.db")
        self.torn += assert_journal(self.ecluse)
        self.ecluse.start()  # at once: the ports are there, though the gates of the dead one may be
        self.refreshes += self.rig.refreshes().get("ok", 0)
        with concurrent.futures.ThreadPoolExecutor(len(PEOPLE)) as pool:
            replies = list(pool.map(self.ecluse.try_login, PEOPLE))
        for name, reply in zip(PEOPLE, replies):
            self.look(name, reply, log)

    def kill_in_storm(self, seconds):
        with self.load():
            self.kill_at(seconds)

    def kill_while_mails_pass(self, seconds):
        before = len(self.mails.taken)
        with self.load() as load:
            wait_until(lambda: load.failures or len(self.mails.taken) > before, "a mail")
            self.kill_at(seconds)


@pytest.mark.parametrize("rotation", ["off", "grace", "strict"])
def test_kill_9_of_the_keeper_in_a_storm_of_refreshes(ecluse, rig, rotation):
    """Refresh tokens that do not rotate; that do, and are taken for a while after they were spent;
    that do, and are the end of the sign-in when they come again. With the last a kill between the
    provider's answer and the vault costs a sign-in, and the user is told; never else."""
    ecluse.add_account("user7")
    instants = chance(f"keeper, rotation {rotation}")
    storm = Storm(ecluse, rig, rotation)
    ecluse.start()
    for count in range(KILLS):
        if count % 5 == 4:
            ecluse.daemon.kill()
            ecluse.daemon.wait()
            storm.round(storm.kill_while_it_starts, instants.uniform(0, 0.1 * SLOWNESS))
        elif count % 5 == 1:
            storm.round(storm.kill_while_mails_pass, instants.uniform(0, 0.3 * SLOWNESS))
        else:
            storm.round(storm.kill_in_storm, instants.uniform(0, 0.3 * SLOWNESS))
    storm.mails.assert_kept(ecluse, rig)
    print(f"{storm.refreshes} refreshes under way, {storm.lost} sign-ins lost, "
          f"{len(storm.mails.taken)} mails sent, {storm.torn} torn tails")
    assert storm.refreshes > 0 and (rotation == "strict" or storm.lost == 0)


def slow_disk(process, log):
    """Each sync of the keeper waits a while, from when this returns."""
    tracer = subprocess.Popen(
        ["strace", "-o", log, "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=3s",
         "-p", str(process)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE)
    line = tracer.stderr.readline()
    assert b"attached" in line, line
    return tracer


@pytest.mark.skipif(IS_SANITIZED or os.geteuid() != 0, reason="nobody else may trace the keeper")
def test_a_slow_disk_costs_no_sign_in(ecluse, rig):
    """A card of flash memory, say: the keeper is killed while a transaction waits for it."""
    rig.knob("lifetime", 20)
    rig.knob("rotate", "on")
    ecluse.ready("alice")
    state = ecluse.folder / "state"
    tracer = slow_disk(ecluse.daemon.pid, ecluse.folder / "strace")
    rig.clear()
    client = ecluse.raw()
    client.send(f"a LOGIN alice@example.test {ecluse.passwords['alice']}\r\n")
    wait_until(lambda: rig.refreshes() == {"ok": 1}, "the refresh")
    wait_until((state / "vault.db-journal").exists, "the transaction")
    ecluse.kill()
    tracer.wait(PATIENCE)
    assert (state / "vault.db-journal").exists()  # it did not count yet
    assert_valid(state / "vault.db")
    ecluse.start()
    assert ecluse.try_login("alice").startswith("OK ")
    assert rig.refreshes() == {"ok": 2}


# ---- gates ----

GATES = 4
KILLS_OF_ONE = 25  # an ecluse: its gates are started again after longer and longer pauses


class Sessions:
    """Clients of all gates; who is cut off must have been at one that was killed."""

    def __init__(self, ecluse, mails):
        self.ecluse = ecluse
        self.mails = mails
        self.cut = []  # the ports of clients that were logged in
        self.logins = itertools.count(1)
        self.relayed = 0

    def session(self, name, protocol):
        client = self.ecluse.raw(protocol=protocol)
        try:
            reply = client.login(self.ecluse.address_of(name), self.ecluse.passwords[name])
            assert reply.startswith(PROTOCOLS[protocol].logged_in), reply
        except ENDS:
            client.close()
            raise
        next(self.logins)
        return client

    def use(self, name, protocol, work):
        with closing(self.session(name, protocol)) as client:
            port = client.socket.getsockname()[1]
            try:
                work(client)
            except ENDS:
                self.cut.append(port)

    def send(self):
        def work(client):
            for _ in range(4):
                self.mails.send(client)

        self.use("alice", "smtp", work)

    def relay(self):
        def work(client):
            for _ in range(50):
                assert client.command("EXAMINE INBOX")[0].startswith("OK ")
                self.relayed += 1

        self.use("alice", "imap", work)

    def log_in(self):
        self.use("bob", "imap", lambda client: client.command("LOGOUT"))

    def knock(self):
        """The port is there all the time."""
        try:
            socket.create_connection(("127.0.0.1", self.ecluse.port), PATIENCE).close()
        except ConnectionRefusedError as error:
            raise AssertionError("the port was refused") from error

    def assert_cut_by_kills_alone(self, log):
        killed = set(re.findall(r"gate (\d+) was ended by signal 9", log))
        for port in self.cut:
            # What the keeper itself says: a gate's last words die with it.
            gates = re.findall(rf"client-auth .* peer=127\.0\.0\.1:{port} .* session=(\d+)\.", log)
            assert killed & set(gates), (port, gates, killed)


def living_gates(ecluse):
    return sorted(filter(is_alive, ecluse.gates()))


def kill_gates(ecluse, count, instants):
    for _ in range(count):
        pause(instants.uniform(0, 0.3 * SLOWNESS))
        gate = instants.choice(wait_until(lambda: living_gates(ecluse), "a gate"))
        os.kill(gate, signal.SIGKILL)
        wait_until(lambda: not is_alive(gate), "its end")


def test_kill_9_of_gates_under_load(ecluse, rig):
    """No message that a client was told is sent gets lost, no port is ever refused, and nobody else
    notices."""
    ecluse.set("ecluse", workers=GATES)
    for protocol in ("imap", "smtp"):
        ecluse.set(f"listen {protocol}", max_sessions=1000, max_sessions_per_account=1000)
    instants = chance("gates")
    ecluse.ready("alice", "bob")
    mails = Mails()
    cut = logins = relayed = 0
    for left in range(KILLS, 0, -KILLS_OF_ONE):
        sessions, mark = Sessions(ecluse, mails), ecluse.log_size()
        batch = min(left, KILLS_OF_ONE)
        with Load(sessions.send, sessions.send, sessions.relay, sessions.relay, sessions.relay,
                  sessions.log_in, sessions.knock):
            kill_gates(ecluse, batch, instants)
        wait_until(lambda: ecluse.status()["gate_restarts"] == batch, "the last gate's successor")
        log = ecluse.log_since(mark)
        assert len(re.findall(r"gate \d+ was ended by signal 9", log)) == batch
        sessions.assert_cut_by_kills_alone(log)
        mails.assert_kept(ecluse, rig)
        cut += len(sessions.cut)
        logins, relayed = logins + next(sessions.logins) - 1, relayed + sessions.relayed
        assert ecluse.stop() == 0
        assert not assert_journal(ecluse)
        ecluse.start()
    print(f"{cut} of {logins} sessions cut off, {len(mails.taken)} mails sent, {relayed} commands relayed")
    assert cut and mails.taken and relayed
