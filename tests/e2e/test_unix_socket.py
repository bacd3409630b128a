"""A listener on a unix socket: the way to it, who may come, and mail through it."""

import grp
import imaplib
import os
import pwd
import socket
import stat
import subprocess
import sys

import pytest

from cli_support import PATIENCE, one_line
from ecluse_support import ALICE
from waiting import wait_until

NOBODY = pwd.getpwnam("nobody").pw_uid
NOGROUP = grp.getgrnam("nogroup").gr_gid


class UnixImap(imaplib.IMAP4):
    """imaplib over AF_UNIX."""

    def __init__(self, path):
        self.path = str(path)
        super().__init__()

    def _create_socket(self, timeout):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(PATIENCE)
        client.connect(self.path)
        return client


@pytest.fixture
def path(ecluse):
    """Its folder is not there yet; the folder's name is short, for 108 octets are not much."""
    place = ecluse.folder / "s" / "imap"
    ecluse.set("listen imap", address=f"unix:{place}")
    return place


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_mail_through_it(ecluse, path):
    ecluse.ready("alice")
    assert (mode_of(path.parent), mode_of(path)) == (0o700, 0o600)
    client = UnixImap(path)
    assert client.login(ALICE, ecluse.passwords["alice"])[0] == "OK"
    letter = b"Subject: by unix socket\r\n\r\nhello\r\n"
    assert client.append("INBOX", None, None, letter)[0] == "OK"
    assert client.select("INBOX")[0] == "OK"
    assert len(client.search(None, 'SUBJECT "by unix socket"')[1][0].split()) == 1
    client.logout()
    ecluse.wait_log(r"session-close .*alice")


def test_it_goes_and_comes_with_the_daemon(ecluse, path):
    ecluse.start()
    assert path.is_socket()
    assert ecluse.stop() == 0
    assert not path.exists()
    ecluse.start()
    UnixImap(path).logout()
    # A dead one that a kill left behind is replaced.
    ecluse.kill()
    assert path.is_socket()
    ecluse.start()
    UnixImap(path).logout()


def test_it_goes_at_a_reload(ecluse, path):
    ecluse.start()
    ecluse.set("listen imap", address=f"127.0.0.1:{ecluse.port}")
    assert ecluse.ecluse("reload").status == 0
    wait_until(lambda: not path.exists(), "the end of the socket")
    ecluse.set("listen imap", address=f"unix:{path} 127.0.0.1:{ecluse.port}")
    assert ecluse.ecluse("reload").status == 0
    UnixImap(path).logout()


# As another user: connects and tells the greeting, or what came in its place.
STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[3]))
client = socket.socket(socket.AF_UNIX)
client.settimeout(30)
try:
    client.connect(sys.argv[1])
    print(client.recv(200))
except (OSError) as problem:
    print(type(problem).__name__)
"""


def as_nobody(path):
    done = subprocess.run([sys.executable, "-c", STRANGER, path, str(NOGROUP), str(NOBODY)],
                          capture_output=True, text=True, timeout=PATIENCE * 2)
    assert done.stderr == "", done
    return done.stdout.strip()


@pytest.fixture
def opened(path):
    """Opens the way to the socket to everybody, as far as it is shut."""
    modes = {}

    def open_up():
        for one in [path, *path.parents]:
            mode, wanted = mode_of(one), 0o666 if one == path else 0o011
            if mode | wanted != mode:
                modes[one] = mode
                one.chmod(mode | wanted)

    yield open_up
    for one, mode in modes.items():
        if one.exists():
            one.chmod(mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_strangers_stay_outside(ecluse, path, opened):
    # The folder and the socket's mode keep them away ...
    ecluse.start()
    assert as_nobody(path) == "PermissionError"
    # ... and if somebody opens both, SO_PEERCRED does: closed before the greeting.
    opened()
    mark = ecluse.log_size()
    assert as_nobody(path) == "b''"
    ecluse.wait_log(r"peer-rejected", since=mark)
    # With peer = any they are let in.
    ecluse.set("ecluse", peer="any")
    assert ecluse.ecluse("reload").status == 0
    wait_until(lambda: as_nobody(path).startswith("b'* OK "), "a greeting for another user")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o722, 0o1777])
def test_folder_that_others_can_write_to(ecluse, path, mode):
    path.parent.mkdir()
    path.parent.chmod(mode)
    one_line(ecluse.ecluse("run"), 78, f"unix:{path}: others can write to folder {path.parent}",
             "chmod go-w")
    path.parent.chmod(0o755)
    ecluse.start()
    assert mode_of(path.parent) == 0o755
    UnixImap(path).logout()


def test_only_the_last_folder_is_made(ecluse):
    place = ecluse.folder / "a" / "b" / "imap"
    ecluse.set("listen imap", address=f"unix:{place}")
    one_line(ecluse.ecluse("run"), 70, f"unix:{place}: cannot make the folder {place.parent}")
    assert not place.parent.parent.exists()


def test_what_is_there_is_not_removed(ecluse, path):
    path.parent.mkdir(0o700)
    path.write_text("precious")
    one_line(ecluse.ecluse("run"), 69, f"unix:{path} is taken")
    assert path.read_text() == "precious"
