"""Each phase of a session meets each event: see matrix.md."""

import concurrent.futures
import os
import signal
from types import SimpleNamespace

import pytest

import cli_support
import ecluse_support
from cli_support import BINARY, PATIENCE
from ecluse_support import IS_SANITIZED, Ecluse
from matrix_support import Beside, Stage, read_cells, tables
from processes import children
from protocols import PROTOCOLS

KNOWN = SimpleNamespace(
    phases=["client TLS", "greeted", "in a command", "in an exchange", "keeper thinks",
            "connecting", "upstream TLS", "upstream STARTTLS", "upstream greeting",
            "upstream login", "relay", "transfer down", "transfer up", "IDLE", "draining",
            "stopping"],
    events=["client closes", "client half-closes", "client resets", "client stalls",
            "server closes", "server half-closes", "server cuts", "server resets",
            "server stalls", "keeper dies", "gate dies"])
CELLS = read_cells(KNOWN)
DEATHS = ("keeper dies", "gate dies")


def test_the_table_is_full():
    """Each cell names an outcome, or why it cannot be, and nothing is named in vain."""
    found = tables()
    named = {name for protocol in PROTOCOLS for row in found[protocol.upper()][1:]
             for name in row[1:]}
    known = {row[0] for heading in ("Outcomes", "Cells that cannot occur")
             for row in found[heading][1:]}
    assert named == known
    assert len(CELLS) > 300


def some(phases=None, events=None, but=()):
    return [cell for cell in CELLS if (phases is None or cell.phase in phases)
            and (events is None or cell.event in events)
            and cell.phase not in but and cell.event not in but]


def side_by_side(action, cells):
    with concurrent.futures.ThreadPoolExecutor(len(cells)) as pool:
        return list(pool.map(action, cells))


class Play:
    """Some cells on one stage."""

    def __init__(self, folder, rig, cells, **options):
        self.cells, self.wrong = cells, []
        self.ecluse = Ecluse(folder, rig, [])
        self.ecluse.set("ecluse", **options)
        self.stage = Stage(self.ecluse, rig)
        self.stage.start()

    def watch(self, cell):
        try:
            seen = self.stage.watch(cell)
            if not cell.outcome.fits(cell.protocol, seen):
                seen = [one[-80:] for one in seen]
                self.wrong.append(f"{cell}: not {cell.outcome.name}, but {seen}")
        except Exception as error:  # the others go on
            self.wrong.append(f"{cell}: {cell.outcome.name}\n  {error!r}")

    def finish(self):
        self.ecluse.finish()
        self.ecluse.assert_intact()
        self.stage.close()
        closes = self.stage.closes_of(self.cells)
        for cell in self.cells:
            wanted = [] if cell.outcome.code == "–" else [cell.outcome.code]
            if closes[cell.source] != wanted:
                self.wrong.append(f"{cell}: session-close {closes[cell.source]}, not {wanted}")
        assert not self.wrong, "\n".join([f"{len(self.wrong)} of {len(self.cells)}", *self.wrong])


@pytest.fixture
def play(running_rig, tmp_path):
    return lambda cells, **options: Play(tmp_path, running_rig, cells, **options)


@pytest.fixture
def hasty(monkeypatch):
    program = BINARY.parent / "hasty" / "ecluse"
    monkeypatch.setattr(cli_support, "BINARY", program)
    monkeypatch.setattr(ecluse_support, "BINARY", program)


def drain(ecluse):
    """By a reload: what there is goes on at a gate that takes nobody in."""
    mark = ecluse.log_size()
    assert ecluse.ecluse("reload").status == 0
    ecluse.wait_log("ready with the new configuration", since=mark)


def play_through(one):
    """Each cell goes to its phase and meets its event; those of one protocol in turn."""
    stage, beside = one.stage, Beside(one.stage)

    def live(cell):
        try:
            stage.go(cell)
        except Exception as error:
            one.wrong.append(f"{cell}: on the way: {error!r}")
            return
        if cell.phase == "draining":
            return
        stage.happen(cell)
        one.watch(cell)
        beside.round_trip(cell.protocol)

    draining = [cell for cell in one.cells if cell.phase == "draining"]
    side_by_side(live, draining)
    drain(one.ecluse)

    def end(cell):
        stage.happen(cell)
        one.watch(cell)
        beside.round_trip(cell.protocol)

    with concurrent.futures.ThreadPoolExecutor(len(one.cells)) as pool:
        ended = [pool.submit(end, cell) for cell in draining]
        lived = [pool.submit(live, cell) for cell in one.cells if cell.phase != "draining"]
        for future in ended + lived:
            future.result()
    beside.close()
    one.finish()


def test_somebody_leaves(play):
    play_through(play(some(but=("stopping", "client stalls", "server stalls", *DEATHS))))


def test_nobody_speaks(play, hasty):
    play_through(play(some(events=("client stalls", "server stalls"), but=("stopping",))))


def on_the_way(one, cells):
    """All of them where their event is to be."""
    side_by_side(one.stage.go, cells)


def strike(one, cells, blow):
    """One event for all of them."""
    for cell in cells:
        one.stage.happen(cell)
    with concurrent.futures.ThreadPoolExecutor(len(cells)) as pool:
        watching = [pool.submit(one.watch, cell) for cell in cells]
        blow()
        for future in watching:
            future.result()


def test_the_keeper_dies(play):
    """Nothing is left over that serves, and the journal goes on when it is there again."""
    one = play(some(events=("keeper dies",), but=("stopping",)))
    on_the_way(one, [cell for cell in one.cells if cell.phase == "draining"])
    drain(one.ecluse)
    on_the_way(one, [cell for cell in one.cells if cell.phase != "draining"])
    strike(one, one.cells, one.ecluse.kill)
    one.ecluse.start()
    Beside(one.stage).close()
    one.finish()


def gates_of(ecluse):
    return set(children(ecluse.daemon.pid))


def kill_gate(one, gate, cells, beside):
    strike(one, cells, lambda: os.kill(gate, signal.SIGKILL))
    for other in beside:
        for protocol in other.clients:
            other.round_trip(protocol)


def test_a_gate_dies(play):
    one = play(some(events=("gate dies",), but=("stopping",)))
    first = Beside(one.stage)
    before = gates_of(one.ecluse)
    drain(one.ecluse)
    gate, = gates_of(one.ecluse) - before
    serving = [cell for cell in one.cells if cell.phase != "draining"]
    on_the_way(one, serving)
    kill_gate(one, gate, serving, [first])
    draining = [cell for cell in one.cells if cell.phase == "draining"]
    on_the_way(one, draining)
    gate, = gates_of(one.ecluse) - before
    drain(one.ecluse)
    second = Beside(one.stage)
    kill_gate(one, gate, draining, [first, second])
    first.close()
    second.close()
    one.finish()


def stop(ecluse):
    mark = ecluse.log_size()
    ecluse.daemon.send_signal(signal.SIGTERM)
    ecluse.wait_log("stopping; sessions have", since=mark)


def stopping(play, *events):
    """Sessions in the time that they get at a stop."""
    one = play(some(("stopping",), events), drain=10 if IS_SANITIZED else 5)
    beside = Beside(one.stage)
    on_the_way(one, one.cells)
    one.gate, = one.ecluse.gates()
    stop(one.ecluse)
    return one, beside


def test_somebody_leaves_while_it_stops(play):
    """Who stalls has the time that there is, and is told."""
    one, beside = stopping(play, *(event for event in KNOWN.events if event not in DEATHS))

    def end(cell):
        one.stage.happen(cell)
        one.watch(cell)
        if not cell.event.endswith("stalls"):
            beside.round_trip(cell.protocol)

    with concurrent.futures.ThreadPoolExecutor(len(one.cells)) as pool:
        ended = {cell: pool.submit(end, cell) for cell in one.cells}
        for cell in one.cells:
            if not cell.event.endswith("stalls"):
                ended[cell].result()
        beside.close()
    assert one.ecluse.daemon.wait(PATIENCE) == 0
    one.finish()


def test_the_keeper_dies_while_it_stops(play):
    one, beside = stopping(play, "keeper dies")
    beside.close()
    strike(one, one.cells, one.ecluse.kill)
    one.ecluse.start()
    one.finish()


def test_the_gate_dies_while_it_stops(play):
    one, beside = stopping(play, "gate dies")
    beside.close()
    strike(one, one.cells, lambda: os.kill(one.gate, signal.SIGKILL))
    assert one.ecluse.daemon.wait(PATIENCE) == 0
    one.finish()
