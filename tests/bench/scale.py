"""What more processes give: every party with one worker and with two, all CPUs for everybody."""

import statistics

from columns import MESSAGE, Run
from parties import Ecluse, Haproxy, Nginx

WORKERS = (1, 2)
# title, kind of load, count, sessions at once, from a count in a second to what is shown
MEASURES = (("IMAP logins a second", "login", 800, 32, 1, "{:.0f}"),
            ("16 downloads at once, GB a second", "download", 512, 16, MESSAGE / 1e9, "{:.2f}"))


def parties(world):
    """The threads of haproxy count as workers."""
    for kind in (Nginx, Haproxy, Ecluse):
        for workers in WORKERS:
            variant = type(kind.__name__, (kind,), {"workers": workers,
                                                    "name": f"{kind.name} with {workers}"})
            party = variant(world)
            party.version = party.find_version()
            yield party


def measure(world, rounds):
    """Party's name → title → a second's counts, one a round."""
    results = {}
    for party in world.parties:
        party.start()
        world.warm_up(party)
    for _ in range(rounds):
        for title, kind, count, sessions, scale, _form in MEASURES:
            for party in world.parties:
                run = Run(world, party, kind, "imap", count, sessions)
                wall = run.work()["wall"]
                run.end()
                results.setdefault(party.name, {}).setdefault(title, []).append(
                    count / wall * scale)
    return results


def render(results):
    lines = ["| | " + " | ".join(measure[0] for measure in MEASURES) + " |",
             "|---|" + "--:|" * len(MEASURES)]
    for name, values in results.items():
        cells = [form.format(statistics.median(values[title]))
                 for title, _kind, _count, _sessions, _scale, form in MEASURES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
