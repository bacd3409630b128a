"""Nothing here waits by a fixed pause: a condition is looked at until it holds or time is up."""

import difflib
import pprint
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


def wait_same(ask, ask_wanted, what, patience=PATIENCE):
    """Asks both until the answers are equal; how they differ when time is up is shown by lines."""
    deadline = time.monotonic() + patience
    while (answer := ask()) != (wanted := ask_wanted()):
        if time.monotonic() >= deadline:
            lines = (pprint.pformat(value, width=100).splitlines() for value in (wanted, answer))
            raise AssertionError("\n".join((f"not within {patience} s: {what}", *difflib.unified_diff(
                *lines, "wanted", "is", lineterm="", n=1000))))
        time.sleep(0.01)
