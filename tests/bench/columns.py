"""What is measured, and how: each column runs a load through a party and says what it cost."""

import statistics
import time

import gauge
from processes import OTHER_CPU, Failed, Process, fields

GIGABYTE = 1e9
MESSAGE = 1024 * 1024


class Run:
    """One load through one party; `cost` is the party's CPU in seconds."""

    def __init__(self, world, party, kind, protocol, count, sessions):
        self.world = world
        self.party = party
        # `count` may have a rate: see load.c.
        command = [world.build / "load", kind, protocol, party.ports[protocol], count, sessions,
                   party.credentials] + ([world.ca] if party.speaks_tls else [])
        self.what = f"{party.name}, {kind} of {protocol}"
        self.load = Process(command, party.folder / "load.log", cpu=OTHER_CPU, talks=True)
        world.running.append(self.load)
        self.ask("ready")

    def ask(self, expected, order=None):
        try:
            line = self.load.ask(order, self.party.patience)
        except Failed as failure:
            log = self.party.process.last_words() if self.party.process else ""
            raise Failed(f"{self.what}: {failure}\n{log}") from failure
        if line.split()[:1] != [expected]:
            raise Failed(f"{self.what}: the load said: {line}")
        return fields(line)

    def work(self, order="go", pause=None):
        """Fields of what the load said, and cost, by the clock of each process."""
        upstream = gauge.cpu(self.world.server.pid)
        before = self.cpu_of_party()
        if pause is not None:
            pause()
        result = self.ask("done", order)
        result["cost"] = self.cpu_of_party() - before
        result["upstream"] = gauge.cpu(self.world.server.pid) - upstream
        if self.party.speaks_tls:
            result["cost"] = result["cpu"]
        return result

    def cpu_of_party(self):
        return 0 if self.party.process is None else gauge.cpu(self.party.process.pid)

    def end(self):
        """Everybody logs out."""
        self.load.end_input()
        self.world.running.remove(self.load)


class Column:
    """`kind` of load; `unit` of what a count costs; `scale` from seconds to what is shown."""

    def __init__(self, title, kind, protocol, count, sessions, form, scale, target=None):
        self.title, self.kind, self.protocol = title, kind, protocol
        self.count, self.sessions = count, sessions
        self.form, self.scale, self.target = form, scale, target
        self.results = {}  # party's name → list of fields

    def is_for(self, party):
        return self.protocol in party.protocols

    def measure(self, world, party):
        count = max(1, int(self.count * (party.logins_factor if self.kind == "login" else 1)))
        world.server_counts()
        run = Run(world, party, self.kind, self.protocol, count, self.sessions)
        result = run.work()
        run.end()
        counts = world.server_counts()
        if self.kind == "login":
            check_logins(party, counts, count)
        result["each"] = result["cost"] / count * self.scale
        result["ends"] = (result["cpu"] + result["upstream"]) / count * self.scale
        result["busy"] = result["cost"] / result["wall"]
        result["resumed"] = counts["resumed"] / max(1, counts["resumed"] + counts["full"])
        self.results.setdefault(party.name, []).append(result)

    def median(self, name, key="each"):
        values = [result[key] for result in self.results.get(name, ()) if key in result]
        return statistics.median(values) if values else None

    def values(self, parties, key="each"):
        """Party's name → median. The direct client's CPU is less what the same client takes in
        plaintext."""
        found = {party.name: self.median(party.name, key) for party in parties}
        if key == "each":
            for party in parties:
                if party.speaks_tls and found[party.name] is not None:
                    plain = [self.median(other.name, "cpu") for other in parties
                             if not other.speaks_tls and other.name in self.results]
                    if not plain:
                        found[party.name] = None
                        continue
                    found[party.name] -= min(plain) / self.count * self.scale
        return found


def check_logins(party, counts, count):
    """A proxy that is to log in by token and does not is measured for something else."""
    by_token = counts["XOAUTH2"] + counts["OAUTHBEARER"]
    by_password = counts["LOGIN"] + counts["PLAIN"]
    if (by_token, by_password) != ((count, 0) if party.is_bearer else (0, count)):
        raise Failed(f"{party.name}: {counts} of {count} logins")


PER_GIGABYTE = GIGABYTE / MESSAGE  # messages in one


def all_columns(is_fast):
    """`target` is the share of the best peer's cost that ecluse is to stay within."""
    size = 4 if is_fast else 1
    gigabyte, micro = ("{:.3f}", PER_GIGABYTE), ("{:.1f}", 1e6)
    return [
        Column("IMAP download, CPU s/GB", "download", "imap", 256 // size, 1, *gigabyte, 0.68),
        Column("16 downloads at once, CPU s/GB", "download", "imap", 256 // size, 16, *gigabyte,
               0.68),
        Column("IMAP APPEND upload, CPU s/GB", "upload", "imap", 256 // size, 1, *gigabyte, 0.67),
        Column("POP3 download, CPU s/GB", "download", "pop3", 256 // size, 1, *gigabyte, 0.73),
        Column("SMTP upload, CPU s/GB", "upload", "smtp", 256 // size, 1, *gigabyte, 0.66),
        Column("IMAP login, CPU µs", "login", "imap", 800 // size, 8, *micro, 0.93),
        Column("POP3 login, CPU µs", "login", "pop3", 800 // size, 8, *micro, 0.93),
        Column("SMTP login, CPU µs", "login", "smtp", 800 // size, 8, *micro, 0.93),
        Column("command at 100 sessions, CPU µs", "command", "imap", 25000 // size, 100, *micro,
               0.88),
    ]


class Idle:
    """Many sessions that idle: what each holds, what they cost in peace, what a pushed line costs."""

    def __init__(self, is_fast):
        self.sessions = 500 if is_fast else 9500
        self.pushes = 3 if is_fast else 5
        self.peace = 1 if is_fast else 5  # seconds
        self.results = {}

    def measure(self, world, party):
        """The party is fresh; `before` is what it holds after a few sessions have come and gone."""
        sessions = min(self.sessions, party.sessions_max)
        before = self.memory_of(party, None)
        started = time.monotonic()
        run = Run(world, party, "idle", "imap", 0, sessions)
        setup = time.monotonic() - started
        quiet = gauge.cpu(party.process.pid) if party.process else 0
        time.sleep(self.peace)
        quiet = (gauge.cpu(party.process.pid) if party.process else 0) - quiet
        held = self.memory_of(party, run) - before
        pushed = self.push(world, run, sessions)
        run.end()
        after = self.memory_at_rest(party) - before
        self.results.setdefault(party.name, []).append({
            "bytes": held / sessions, "push": pushed, "idle": quiet / self.peace * 100,
            "left": after, "setup": setup, "sessions": sessions})

    @staticmethod
    def memory_of(party, run):
        if party.process is not None:
            return gauge.memory(party.process.pid)
        return gauge.memory(run.load.pid) if run is not None else 0

    def memory_at_rest(self, party):
        """When it has seen that everybody is gone: half a second in which nothing is given back."""
        deadline, last = time.monotonic() + 10, None
        held = self.memory_of(party, None)
        while (last is None or held < last) and time.monotonic() < deadline:
            time.sleep(0.5)
            last, held = held, self.memory_of(party, None)
        return held

    def push(self, world, run, sessions):
        """Microseconds of CPU for a line."""
        def send():
            told = fields(world.server.ask("push"))["pushed"]
            if told != sessions:
                raise Failed(f"{told:.0f} sessions idle, not {sessions}")
        costs = [run.work(pause=send)["cost"] for _ in range(self.pushes)]
        return statistics.median(costs) / sessions * 1e6

    def values(self, parties, key):
        return {party.name: statistics.median([row[key] for row in self.results[party.name]])
                if party.name in self.results else None for party in parties}
