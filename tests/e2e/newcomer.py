"""Somebody who has nothing: a home without a configuration, on a machine (a mount namespace) whose
certificate authorities are the rig's and whose name server is scripted."""

import contextlib
import fcntl
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import tempfile
import threading

from cli_support import BINARY, PATIENCE, Result, free_port
from ecluse_support import SANITIZERS, Ecluse
from terminal import Terminal
from waiting import wait_until

NAMESPACE = ('mount --bind "$1" /etc/ssl/certs/ca-certificates.crt && '
             'mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"')


@contextlib.contextmanager
def usual_ports():
    """Those that a new configuration has: for one run at a time."""
    folder = pathlib.Path(tempfile.gettempdir()) / "ecluse-test-ports"
    folder.mkdir(exist_ok=True)
    with open(folder / "usual", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class NameServer:
    """Knows addresses, SRV and MX records, and denies the rest; on port 53 of an address of its own."""

    def __init__(self):
        port = free_port()
        self.address = f"127.{port >> 8}.{port & 255}.1"
        self.hosts = {}  # name → address
        self.exchangers = {}  # domain → [(priority, name)]
        self.services = {}  # "_imaps._tcp.example.test" → [(priority, weight, port, target)]
        self.questions = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    @staticmethod
    def name(text):
        return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".")) + b"\0"

    def answers(self, name, kind):
        if kind == 1 and name in self.hosts:
            return [socket.inet_aton(self.hosts[name])]
        if kind == 15:
            return [struct.pack(">H", priority) + self.name(target)
                    for priority, target in self.exchangers.get(name, [])]
        if kind == 33:
            return [struct.pack(">HHH", priority, weight, port) + self.name(target)
                    for priority, weight, port, target in self.services.get(name, [])]
        return []

    def serve(self):
        while (query := self.socket.recvfrom(4096))[0]:
            data, sender = query
            labels, place = [], 12
            while size := data[place]:
                labels.append(data[place + 1:place + 1 + size].decode())
                place += 1 + size
            name, end = ".".join(labels).lower(), place + 5
            kind = struct.unpack(">H", data[place + 1:place + 3])[0]
            self.questions.append((name, kind))
            records = self.answers(name, kind)
            is_known = bool(records) or name in self.hosts
            head = data[:2] + struct.pack(">HHHHH", 0x8180 | (0 if is_known else 3), 1,
                                          len(records), 0, 0)
            body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(record)) + record
                            for record in records)
            self.socket.sendto(head + data[12:end] + body, sender)

    def close(self):
        self.socket.sendto(b"", (self.address, 53))
        self.thread.join()
        self.socket.close()


class Newcomer:
    def __init__(self, folder, rig, names):
        self.folder = folder
        self.rig = rig
        self.names = names
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        self.file = self.home / ".config" / "ecluse" / "ecluse.ini"
        self.resolver = folder / "resolv.conf"
        self.resolver.write_text(f"nameserver {names.address}\noptions timeout:1 attempts:1\n")
        self.tools = folder / "tools"
        self.tools.mkdir()
        self.has_display = False
        self.terminals = []
        self.daemon = None
        Ecluse.everyone += [folder, self.home / ".local"]  # for the last look

    def environment(self, **more):
        display = {"DISPLAY": ":99"} if self.has_display else {}
        sanitizers = {name: os.environ[name] for name in SANITIZERS if name in os.environ}
        return {"PATH": f"{self.tools}:{os.environ['PATH']}", "HOME": str(self.home),
                **display, **sanitizers, **more}

    def command(self, *arguments):
        return ["unshare", "-m", "--", "sh", "-c", NAMESPACE, "sh", self.rig.state["ca"],
                self.resolver, BINARY, *arguments]

    def at_terminal(self, *arguments):
        terminal = Terminal(self.command(*arguments), self.environment(), self.folder)
        self.terminals.append(terminal)
        return terminal

    def call(self, *arguments, stdin=b""):
        return Result(subprocess.run(list(map(str, self.command(*arguments))), input=stdin,
                                     capture_output=True, timeout=2 * PATIENCE,
                                     env=self.environment()))

    # ---- a browser that notes where it was sent ----

    def give_browser(self):
        self.has_display = True
        tool = self.tools / "xdg-open"
        tool.write_text(f"#!/bin/sh\nprintf '%s' \"$1\" >{self.tools}/part\n"
                        f"mv {self.tools}/part {self.tools}/url\n")
        tool.chmod(0o755)

    def opened_url(self):
        wait_until((self.tools / "url").exists, "the browser")
        return (self.tools / "url").read_text()

    # ---- the daemon ----

    def start(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, \
                open(self.folder / "daemon.log", "wb") as log:
            path = str(self.folder / "notify")
            notify.bind(path)
            self.daemon = subprocess.Popen(list(map(str, self.command("run"))), stdout=log,
                                           stderr=log, stdin=subprocess.DEVNULL,
                                           env=self.environment(NOTIFY_SOCKET=path))
            assert select.select([notify], [], [], PATIENCE)[0], self.log()
            assert b"READY=1" in notify.recv(4096)

    def log(self):
        return (self.folder / "daemon.log").read_text(errors="replace")

    def close(self):
        for terminal in self.terminals:
            terminal.close()
        if self.daemon is not None:
            self.daemon.send_signal(signal.SIGTERM)
            assert self.daemon.wait(PATIENCE) == 0, self.log()

