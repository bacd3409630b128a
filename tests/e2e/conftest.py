"""The rig is started once; each test gets an ecluse of its own and a rig that is as at the start.

Whatever a test has done, at its end its ecluse must stop with exit code 0, have logged no alarm,
and have left no secret in its log, its files or the sight of others.
"""

import concurrent.futures
import json
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import canaries
from attack_support import settled_gates, watched
from audit_support import Rawlog
from cli_support import BINARY, PATIENCE
from ecluse_support import ALICE, Ecluse
from rig_support import Rig
from scripted_pop3 import Pop3Connection
from scripted_smtp import SmtpConnection
from scripted_upstream import ImapConnection, ScriptedUpstream

SCRIPTED = {kind.protocol: kind for kind in (ImapConnection, Pop3Connection, SmtpConnection)}


def pytest_configure():
    # Who starts the tests in the background may ignore it, and what is started here inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@pytest.fixture(scope="session")
def running_rig(tmp_path_factory):
    # Not below pytest's own folder: a short path for Dovecot's sockets.
    with tempfile.TemporaryDirectory(prefix="ecluse-rig-") as folder:
        rig = Rig(Path(folder) / "rig")
        yield rig
        rig.stop()
        tokens = rig.every_token()
    if tokens:
        canaries.sweep(tokens, Ecluse.everyone, tmp_path_factory.mktemp("sweep") / "needles")


@pytest.fixture
def rig(running_rig):
    running_rig.reset()
    return running_rig


@pytest.fixture
def ecluse(rig, tmp_path):
    """Not started yet, so that the test may change the configuration."""
    one = Ecluse(tmp_path, rig)
    yield one
    one.finish()


@pytest.fixture
def rawlog(rig):
    """What Dovecot hears of alice."""
    log = Rawlog(rig, ALICE)
    yield log
    log.close()


@pytest.fixture
def upstreams(running_rig):
    """Makes scripted servers."""
    made = []

    def make(script, protocol="imap"):
        made.append(ScriptedUpstream(running_rig, script, SCRIPTED[protocol]))
        return made[-1]

    yield make
    for upstream in made:
        upstream.close()


@pytest.fixture(scope="module")
def veteran(running_rig, tmp_path_factory):
    """One that goes through most of these attacks, one after the other."""
    running_rig.reset()
    one = Ecluse(tmp_path_factory.mktemp("veteran"), running_rig)
    one.ready("alice")
    yield one
    one.finish()


@pytest.fixture
def unharmed(rig, veteran):
    yield from watched(veteran)


@pytest.fixture
def fresh(ecluse):
    """Where alice's password is tried wrongly: five times, and she is shut out for a minute."""
    yield from watched(ecluse.ready("alice"))


@pytest.fixture
def serve(unharmed, upstreams):
    """Puts carol's mail behind a script."""
    def start(script, protocol="imap", scheme="tls"):
        upstream = upstreams(script, protocol)
        unharmed.serve_from(upstream, scheme=scheme)
        mark = unharmed.log_size()
        assert unharmed.ecluse("reload").status == 0
        unharmed.wait_log("ready with the new configuration", since=mark)
        if "carol" not in unharmed.passwords:
            unharmed.sign_in("carol")
            unharmed.grant("carol")
        unharmed.processes = [unharmed.daemon.pid, *settled_gates(unharmed)]
        return upstream

    return start


def one_hangs(which):
    """A token endpoint: the script's request of that number is never answered, all others are,
    by a token that is as good as gone when it is the next one that hangs."""
    seen = []

    def script(connection):
        connection.handshake()
        seen.append(connection)
        number = len(seen)
        if number == which:
            connection.until_gone()
        answer = json.dumps({"access_token": "at-last", "token_type": "Bearer",
                             "expires_in": 1 if number + 1 == which else 3600})
        while connection.line():
            pass  # the head of the request
        if connection.unread == b"":
            connection.receive()  # its body
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Connection: close\r\n"
                        f"Content-Length: {len(answer)}\r\n\r\n{answer}")
        connection.until_gone()

    return script


@pytest.fixture(scope="session")
def hanging(running_rig, tmp_path_factory):
    """A sign-in whose answer never comes, and a mail client who waits for another one. They have
    30 s, in which other tests run."""
    endpoint = ScriptedUpstream(running_rig, one_hangs(1))
    another = ScriptedUpstream(running_rig, one_hangs(2))
    mail = ScriptedUpstream(running_rig)
    one = Ecluse(tmp_path_factory.mktemp("hanging"), running_rig, [])
    one.serve_from(mail, "user50", token_endpoint=f"https://localhost:{endpoint.port}/token")
    one.serve_from(mail, "user51", token_endpoint=f"https://localhost:{another.port}/token")
    one.start()
    one.grant("user50")
    one.grant("user51")
    one.secrets["another token"] = token = "canary-of-the-hanging-client"
    result = one.ecluse("login", "user51", "--refresh-token-stdin", stdin=token.encode())
    assert result.status == 0, result
    client = one.raw()
    client.socket.settimeout(PATIENCE * 2)
    pool = concurrent.futures.ThreadPoolExecutor(1)
    one.reply = pool.submit(client.login, one.address_of("user51"), one.passwords["user51"])
    another.wait_for(2)
    one.meanwhile = one.accounts()["user51"]
    one.secrets["token"] = "canary-of-the-hanging-sign-in"
    one.began = time.monotonic()
    one.login = subprocess.Popen(
        [BINARY, "login", "user50", "--refresh-token-stdin", "-c", one.file], env=one.environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    one.login.stdin.write(one.secrets["token"].encode())
    one.login.stdin.close()
    one.login.stdin = None
    endpoint.wait_for(1)
    yield one
    if one.login.poll() is None:
        one.login.kill()
        one.login.communicate()
    one.finish()
    pool.shutdown()
    mail.close()
    endpoint.close()
    another.close()
