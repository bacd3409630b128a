"""Processes that the benchmark starts, each on its CPU, and ends by itself whatever happens."""

import ctypes
import os
import pwd
import resource
import select
import signal
import socket
import subprocess
import time

import gauge

PATIENCE = 30
PROXY_CPU, OTHER_CPU = (sorted(os.sched_getaffinity(0)) * 2)[:2]
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    pass


def _prepare(cpu, user):
    def prepare():
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if user is not None:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # setuid would clear it
    return prepare


def nobody():
    """For servers that refuse to run as root; NULL: we are not root either."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Process:
    """A program on a CPU, or on all (None). Its standard error goes to `log`, which is shown when it
    fails."""
    has_cpu_of_its_own = True

    def __init__(self, command, log, cpu=PROXY_CPU, user=None, talks=False, env=None):
        self.name = os.path.basename(str(command[0]))
        self.log = log
        pipe = subprocess.PIPE if talks else None
        with open(log, "ab") as errors:
            self.popen = subprocess.Popen(
                [str(word) for word in command], stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or errors, stderr=errors, env=env, start_new_session=True,
                preexec_fn=_prepare(cpu if self.has_cpu_of_its_own else None, user))
        self.pid = self.popen.pid

    def say(self, order):
        self.popen.stdin.write(order.encode() + b"\n")
        self.popen.stdin.flush()

    def ask(self, order=None, patience=120):
        """One line to it (unless None), and the line that it says then."""
        try:
            if order is not None:
                self.say(order)
            if not select.select([self.popen.stdout], [], [], patience)[0]:
                raise Failed(f"{self.name} says nothing for {patience} s; {self.last_words()}")
        except BrokenPipeError:
            pass
        line = self.popen.stdout.readline().decode().rstrip("\n")
        if not line:
            raise Failed(f"{self.name} has ended: {self.last_words()}")
        return line

    def last_words(self):
        with open(self.log, "rb") as file:
            return file.read()[-1500:].decode(errors="replace").strip()

    def end_input(self):
        """Lets it finish by itself; fails unless it ends well."""
        self.popen.stdin.close()
        if self.popen.wait(PATIENCE) != 0:
            raise Failed(f"{self.name} failed: {self.last_words()}")
        self.popen.stdout.close()

    def stop(self):
        """Ends it and what it has started."""
        family = gauge.tree(self.pid) if self.popen.poll() is None else []
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.popen.poll() is None:
                self.popen.send_signal(number)
                try:
                    self.popen.wait(PATIENCE / 3)
                except subprocess.TimeoutExpired:
                    pass
        for pid in family[1:]:
            _end(pid)
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass


def _end(pid):
    """A descendant whose parent is gone: it has a moment to follow."""
    deadline = time.monotonic() + 3
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def fields(line):
    """`word KEY=NUMBER…` as a dictionary."""
    return {key: float(value) for key, _, value in
            (word.partition("=") for word in line.split()) if value}


def wait_until_open(ports, process):
    deadline = time.monotonic() + PATIENCE
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError as error:
                if process.popen.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"{process.name} does not listen: {process.last_words()}") from error
                time.sleep(0.05)
