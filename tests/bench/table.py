"""The results as one Markdown table, and what they were measured with."""

import platform
import re
import subprocess
from pathlib import Path


def _machine():
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    system = re.search(r'^PRETTY_NAME="?([^"\n]*)', Path("/etc/os-release").read_text(), re.M)
    openssl = subprocess.run(["openssl", "version"], stdout=subprocess.PIPE, check=True).stdout
    return (f"{cpu[1] if cpu else platform.machine()}, Linux {platform.release()}, "
            f"{system[1] if system else '?'}, {' '.join(openssl.decode().split()[:2])}")


class Row:
    def __init__(self, title, form, values, target=None, is_ratio=True):
        self.title, self.form, self.values = title, form, values
        self.target, self.is_ratio = target, is_ratio

    def cells(self, parties):
        yield self.title
        for party in parties:
            value = self.values.get(party.name)
            text = "–" if value is None else self.form.format(value)
            yield f"**{text}**" if party.name == "ecluse" else text
        yield self.ratio(parties)

    def ratio(self, parties):
        mine = self.values.get("ecluse")
        peers = [self.values[party.name] for party in parties
                 if party.is_peer and self.values.get(party.name) is not None]
        if not self.is_ratio or mine is None or not peers:
            return ""
        ratio = f"{mine / min(peers):.2f}"
        return f"{ratio} (≤ {self.target})" if self.target else ratio


def _rows(parties, columns, idle):
    for column in columns:
        yield Row(column.title, column.form, column.values(parties), column.target)
        if column.kind == "command":
            yield Row("the same, p99 of an answer, µs", "{:.0f}", column.values(parties, "p99"), 1.0)
    if idle is not None:
        sessions = idle.sessions
        held = {name: value and value / 1000
                for name, value in idle.values(parties, "bytes").items()}
        yield Row(f"idle session, KB at {sessions} sessions", "{:.1f}", held, 0.70)
        yield Row("pushed line (IDLE), CPU µs", "{:.1f}",
                  {party.name: None if party.speaks_tls else idle.values(parties, "push")[party.name]
                   for party in parties}, 0.93)
        yield Row("CPU while all idle, %", "{:.2f}", idle.values(parties, "idle"), is_ratio=False)
    for column in columns:
        if column.kind == "login":
            resumed = {name: value and 100 * value
                       for name, value in column.values(parties, "resumed").items()}
            yield Row(f"TLS resumed, {column.protocol.upper()} logins, %", "{:.0f}", resumed,
                      is_ratio=False)


def _notes(parties, columns, idle):
    """How it is known that the two ends are not what was measured, and what the journal takes."""
    for column in columns:
        mine = column.median("ecluse")
        if mine is not None and column.kind in ("download", "upload", "command"):
            yield (f"- {column.title}: load and upstream together took "
                   f"{column.form.format(column.median('ecluse', 'ends'))} beside ecluse's "
                   f"{column.form.format(mine)}; ecluse's CPU was busy "
                   f"{100 * column.median('ecluse', 'busy'):.0f} % of the time.")
        without = column.median("ecluse without journal")
        if mine is not None and without is not None:
            yield (f"- {column.title}: with the journal {100 * (mine / without - 1):+.0f} % of what "
                   "it takes without.")
    if idle is not None and "ecluse" in idle.results:
        row = idle.results["ecluse"][0]
        yield (f"- {row['sessions']} sessions logged in within {row['setup']:.1f} s; after all had "
               f"logged out ecluse held {row['left'] / 1e6:.1f} MB more than before them.")


def render(parties, columns, idle, rounds):
    lines = [f"{_machine()}; proxy on one CPU, load and upstream on another; medians of {rounds} "
             "interleaved rounds; TLS 1.3, AES-256-GCM, X25519, P-256; GB = 1e9 octets; messages "
             "of 1 MiB; every octet compared.", ""]
    names = [f"{party.name} {party.version}".strip() for party in parties]
    lines.append("| | " + " | ".join(names) + " | ecluse / best peer (target) |")
    lines.append("|---|" + "--:|" * (len(parties) + 1))
    for row in _rows(parties, columns, idle):
        lines.append("| " + " | ".join(row.cells(parties)) + " |")
    lines.append("")
    lines += _notes(parties, columns, idle)
    return "\n".join(lines)
