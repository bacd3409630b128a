"""A program at a terminal of its own, and whoever sits before it."""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

from cli_support import PATIENCE


class Terminal:
    """The program has it as controlling terminal, so Ctrl-C works as it does anywhere."""

    def __init__(self, command, environment, cwd):
        self.ours, theirs = pty.openpty()

        def take_terminal():
            os.setsid()
            os.close(os.open(os.ttyname(0), os.O_RDWR))
            # A run in the background may have been told to ignore it, and that is inherited.
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self.process = subprocess.Popen(list(map(str, command)), env=environment, cwd=cwd,
                                        stdin=theirs, stdout=theirs, stderr=theirs,
                                        preexec_fn=take_terminal)
        # Kept open: what it has left behind (the echo) can be looked at when it has ended.
        self.theirs = theirs
        self.shown = ""
        self.mark = 0  # behind what was awaited last

    def _read(self, seconds):
        if not select.select([self.ours], [], [], max(seconds, 0))[0]:
            return False
        self.shown += os.read(self.ours, 65536).decode(errors="replace").replace("\r\n", "\n")
        return True

    def await_text(self, pattern):
        """The match in what is shown after what was awaited before."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.shown[self.mark:])):
            left = deadline - time.monotonic()
            assert left > 0 and (self._read(min(left, 0.2)) or self.process.poll() is None), (
                pattern, self.shown)
        self.mark += found.end()
        return found

    def type(self, text):
        os.write(self.ours, text.encode())

    def answer(self, question, line):
        """Waits for the question."""
        self.await_text(question)
        self.type(line + "\n")

    def has_echo(self):
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)

    def end(self):
        """Its exit code (negative: the signal), when all that it showed was read."""
        status = self.process.wait(PATIENCE)
        while self._read(0):
            pass
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.theirs)
        os.close(self.ours)
