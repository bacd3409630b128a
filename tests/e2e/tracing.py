"""System calls of a process that fail, or take their time."""

import os
import signal
import subprocess

from cli_support import PATIENCE


def living_threads(process):
    """Without those that have ended and are still listed."""
    living = []
    for thread in os.listdir(f"/proc/{process}/task"):
        try:
            with open(f"/proc/{process}/task/{thread}/stat", encoding="ascii") as file:
                state = file.read().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            living.append(thread)
    return living


class Injection:
    """`what` is in strace's words: error=EIO, delay_enter=1000000, when=3. Each thread counts its
    own calls; what the process starts meanwhile is left alone."""

    def __init__(self, process, call, what, log=os.devnull):
        threads = living_threads(process)
        self.tracer = subprocess.Popen(
            ["strace", "-o", log, "-e", f"trace={call}", "-e", f"inject={call}:{what}",
             *(word for thread in threads for word in ("-p", thread))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in threads:
            line = self.tracer.stderr.readline()
            # One of the pool may have ended meanwhile.
            assert b"attached" in line or b"No such process" in line, line

    def stop(self):
        self.tracer.send_signal(signal.SIGINT)
        self.tracer.communicate(timeout=PATIENCE)
