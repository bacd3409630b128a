"""Listeners that are not on loopback, and clients of other addresses: in a network namespace of the
test's own, with an address that exists nowhere else. Needs root."""

import os
import pathlib
import socket
import subprocess
import sys

import pytest

from cli_support import BINARY, PATIENCE

ADDRESS = "192.0.2.1"  # of the documentation's network
OTHER = "192.0.2.2"
CONFIGURATION = """\
[ecluse]
state_dir = {folder}/state
runtime_dir = {folder}/run
web = off
drain = 0

[listen imap]
protocol = imap
address = 0.0.0.0:1143
remote = plaintext
allow = {allow}

[account work]
address = alice@example.test
provider = local
client_id = test-client

[provider local]
imap = tls://imap.example.test:993
token_endpoint = https://127.0.0.1:1/token
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")


def greeting(source, target):
    with socket.socket() as client:
        client.settimeout(PATIENCE)
        client.bind((source, 0))
        client.connect((target, 1143))
        return client.recv(1000)


def inside(folder):
    """Runs in the namespace: says what a client of each address got."""
    for command in ("ip link set lo up", f"ip address add {ADDRESS}/24 dev lo",
                    f"ip address add {OTHER}/24 dev lo"):
        subprocess.run(command.split(), check=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(f"{folder}/notify")
        ready.settimeout(PATIENCE)
        daemon = subprocess.Popen([BINARY, "run", "-c", f"{folder}/ecluse.ini"],
                                  env={"NOTIFY_SOCKET": f"{folder}/notify", "HOME": folder})
        try:
            while b"READY=1" not in ready.recv(1000):
                pass
            for name, source, target in (("one", ADDRESS, ADDRESS), ("other", OTHER, ADDRESS),
                                         ("loopback", "127.0.0.1", "127.0.0.1")):
                print(name, greeting(source, target)[:4].decode() or "nothing")
        finally:
            daemon.terminate()
            print("exit", daemon.wait(PATIENCE))


@pytest.mark.parametrize("allow, expected", [
    (ADDRESS, ["one * OK", "other nothing", "loopback * OK", "exit 0"]),
    ("192.0.2.0/24", ["one * OK", "other * OK", "loopback * OK", "exit 0"]),
    ("198.51.100.7 2001:db8::/32", ["one nothing", "other nothing", "loopback * OK", "exit 0"]),
])
def test_only_addresses_that_are_allowed_come_in(tmp_path, allow, expected):
    tmp_path.chmod(0o700)
    file = tmp_path / "ecluse.ini"
    file.write_text(CONFIGURATION.format(folder=tmp_path, allow=allow))
    file.chmod(0o600)
    done = subprocess.run(["unshare", "--net", sys.executable, __file__, tmp_path],
                          capture_output=True, timeout=3 * PATIENCE, text=True,
                          env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parent)})
    assert done.stdout.splitlines() == expected, done.stderr


if __name__ == "__main__":
    inside(sys.argv[1])
