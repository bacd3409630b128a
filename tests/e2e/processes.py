"""Looking at processes from outside."""

import os


def resident(pid):
    """KiB of memory, or 0 when the process is gone."""
    return _field(f"/proc/{pid}/status", "VmRSS:")


def proportional(pid):
    """KiB with shared pages counted in parts; 0 when we may not look (not root)."""
    return _field(f"/proc/{pid}/smaps_rollup", "Pss:")


def _field(path, name):
    try:
        with open(path) as file:
            return next((int(line.split()[1]) for line in file if line.startswith(name)), 0)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


def _state_and_parent(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, parent = file.read().rsplit(b")", 1)[1].split()[:2]
            return state, int(parent)
    except (FileNotFoundError, ProcessLookupError):
        return b"X", 0


def is_alive(pid):
    """A zombie does nothing any more."""
    return _state_and_parent(pid)[0] not in (b"Z", b"X")


def children(pid):
    return [int(name) for name in os.listdir("/proc")
            if name.isdigit() and _state_and_parent(name)[1] == pid]
