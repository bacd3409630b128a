"""Nothing here waits by a fixed pause: a condition is looked at until it holds or time is up."""

import time

from cli_support import PATIENCE


def wait_until(condition, what, patience=PATIENCE):
    """Returns what the condition gave when it was first true."""
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {patience} s: {what}"
        time.sleep(0.01)
