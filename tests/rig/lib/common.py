"""What every part of the rig needs: ports, files, processes."""
import errno
import json
import os
import pwd
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

HOST = "127.0.0.1"

# base + N. Where there is one, N is the well-known port of the protocol.
PORTS = {
    "auth": 12,
    "lmtp": 24,
    "smtp": 25,
    "admin": 80,
    "pop3": 110,
    "imap": 143,
    "op": 443,
    "op_wrong_name": 444,
    "op_expired": 445,
    "op_unknown_ca": 446,
    "op_cn_only": 447,
    "submissions": 465,
    "postfixs": 466,
    "submission": 587,
    "postfix": 588,
    "imaps_cn_only": 992,
    "imaps": 993,
    "pop3s": 995,
}

# Each address shows another server of the same mail.
ADDRESSES = {
    "good": "127.0.0.1",
    "tls_required": "127.0.0.2",
    "wrong_name": "127.0.0.3",
    "expired": "127.0.0.4",
    "unknown_ca": "127.0.0.5",
    "password": "127.0.0.6",
}
OAUTH_ADDRESSES = {kind: a for kind, a in ADDRESSES.items() if kind != "password"}
DOVECOT_PORTS = ("pop3", "imap", "submissions", "submission", "imaps", "pop3s")
POSTFIX_PORTS = ("postfixs", "postfix")


class RigError(Exception):
    """Said to the user in one line."""


def write_private(path, text):
    """A file that only its owner can read, complete or not there at all."""
    new = Path(f"{path}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
        f.write(text)
    os.rename(new, path)


def check_ports(ports):
    """Fails when one of them is taken: better now than in a server's log."""
    for name, port in ports.items():
        addresses = {HOST: HOST}
        if name in DOVECOT_PORTS:
            addresses = ADDRESSES
        elif name in POSTFIX_PORTS:
            addresses = OAUTH_ADDRESSES
        for address in addresses.values():
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind((address, port))
                    s.listen(1)
                except OSError as e:
                    if e.errno != errno.EADDRINUSE:
                        raise
                    raise RigError(f"port {port} on {address} ({name}) is taken; "
                                   "end what uses it or give another --base") from e


# ---- folders in which a server works that is not who started the rig

def usable(home, longest_socket):
    if len(os.fsencode(home)) + longest_socket > 107:  # of a unix socket's path
        return False
    if os.geteuid() != 0:
        return True
    return all(p.stat().st_mode & 0o001 for p in home.parents)


def make_home(folder, name, longest_socket=0):
    """DIR/NAME, or a folder in /tmp with DIR/NAME as a link to it.

    pytest's folders for root are closed to everybody else, and long.
    `longest_socket` is what a socket's path has below the home.
    """
    here = Path(folder) / name
    if usable(here, longest_socket):
        here.mkdir(mode=0o700)
        return here
    home = Path(tempfile.mkdtemp(prefix="rig-", dir="/tmp"))
    here.symlink_to(home)
    return home


def remove_home(folder, name):
    """What make_home made; without a link, what is in DIR stays there."""
    link = Path(folder) / name
    if link.is_symlink():
        shutil.rmtree(link.resolve(), ignore_errors=True)
        link.unlink()


# ---- processes. A process is known by pid and start time, so that a number
# ---- that the kernel has given to somebody else is never signalled.

def start_time(pid):
    """Clock ticks since boot, or None for no such process (or a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def alive(proc):
    return bool(proc) and start_time(proc["pid"]) == proc["started"]


def group_members(pgid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == pgid and fields[0] not in "ZX":
                found.append(int(entry))
    return found


def spawn(argv, log, user=None, env=None):
    """Starts a server in a session of its own, its output in a file."""
    def many_files():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))

    drop = {}
    if user:
        drop = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    with open(log, "ab") as out:
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                             start_new_session=True, cwd="/", preexec_fn=many_files, **drop)
    return {"pid": p.pid, "started": start_time(p.pid)}


def reap(pid):
    """Our own children become zombies; those of an earlier rig do not."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def end(proc, seconds=5.0):
    """SIGTERM, then SIGKILL to the whole group. True when nothing is left."""
    if not proc:
        return True
    if alive(proc):
        os.kill(proc["pid"], signal.SIGTERM)
        wait_until(lambda: reap(proc["pid"]) or not alive(proc), seconds)
    # Its children share its group. While one lives the number stays taken, so
    # a group with a leader of another start time is not ours.
    leader = start_time(proc["pid"])
    if leader not in (None, proc["started"]):
        return True
    for sig in (None, signal.SIGTERM, signal.SIGKILL):
        if sig and group_members(proc["pid"]):
            os.killpg(proc["pid"], sig)
        if wait_until(lambda: reap(proc["pid"]) or not group_members(proc["pid"]), 1.0):
            return True
    return False


def wait_until(test, seconds, pause=0.01):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if test():
            return True
        time.sleep(pause)
    return bool(test())


def greets(port, address=HOST):
    """Whether a server on the port says something at once."""
    try:
        with socket.create_connection((address, port), 1) as s:
            s.settimeout(2)
            return bool(s.recv(1))
    except OSError:
        return False


def tail(path, lines=8):
    try:
        text = Path(path).read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def load_state(folder):
    try:
        return json.loads((Path(folder) / "rig.json").read_text())
    except FileNotFoundError:
        return None


def save_state(state):
    write_private(Path(state["dir"]) / "rig.json", json.dumps(state, indent=1) + "\n")
