"""System calls of a process that fail, or take their time."""

import os
import signal
import subprocess

from cli_support import PATIENCE


class Injection:
    """`what` is in strace's words: error=EIO, delay_enter=1000000, when=3. Each thread counts its
    own calls; what the process starts meanwhile is left alone."""

    def __init__(self, process, call, what, log=os.devnull):
        threads = os.listdir(f"/proc/{process}/task")
        self.tracer = subprocess.Popen(
            ["strace", "-o", log, "-e", f"trace={call}", "-e", f"inject={call}:{what}",
             *(word for thread in threads for word in ("-p", thread))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in threads:
            line = self.tracer.stderr.readline()
            assert b"attached" in line, line

    def stop(self):
        self.tracer.send_signal(signal.SIGINT)
        self.tracer.communicate(timeout=PATIENCE)
