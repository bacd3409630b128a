"""What the tests of attacks share."""

import concurrent.futures

import pytest

from ecluse_support import IS_SANITIZED
from waiting import wait_until

NOT_IMAP = "NO [UNAVAILABLE] the mail server does not speak as it should: "
SIZES = pytest.mark.skipif(IS_SANITIZED, reason="sanitizers change the sizes")


def settled_gates(one):
    """Those of the newest configuration alone."""
    return wait_until(lambda: len(gates := one.gates()) == 1 and gates, "one gate")


def lets_alice_in(one):
    """Not yet, as long as those who attacked it still take all there is room for."""
    try:
        return one.try_login("alice").startswith("OK ")
    except EOFError:
        return False


def watched(one):
    """Afterwards the same processes are there, and alice logs in."""
    one.processes = [one.daemon.pid, *settled_gates(one)]
    restarts = one.status()["gate_restarts"]
    yield one
    one.hang_up()
    wait_until(lambda: lets_alice_in(one), "alice's login")
    assert [one.daemon.pid, *settled_gates(one)] == one.processes
    assert one.status()["gate_restarts"] == restarts
    one.assert_clean()


def side_by_side(action, *arguments):
    """Refusals take half a second each."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(action, *arguments))
