"""What a tree of processes has cost, and what it holds."""

import os
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def _parents():
    """Process → its parent, of all that there are."""
    parents = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            stat = Path(entry.path, "stat").read_text()
        except OSError:
            continue  # it has ended
        parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents


def tree(root):
    """The process and all that descend from it."""
    parents = _parents()
    found = {root}
    grows = True
    while grows:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grows = bool(more)
    return sorted(found & (set(parents) | {root}))


def cpu_of(pid):
    """Seconds of a process, of all its threads, those that ended too (the kernel's own count, in nanoseconds), and of the
    children that it has waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        own = time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED, as clock_getcpuclockid gives it
    except OSError:
        return 0.0
    return own + (int(stat[13]) + int(stat[14])) / TICK


def cpu(root):
    """Seconds of user and system time."""
    return sum(cpu_of(pid) for pid in tree(root))


def memory(root):
    """Octets of PSS."""
    total = 0
    for pid in tree(root):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total
