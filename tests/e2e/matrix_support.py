"""The parties of the matrix (matrix.md): a client and a server that go to a phase and meet an event
there, and what each of them saw of it.
"""

import itertools
import json
import re
import socket
import ssl
import threading
from pathlib import Path

from audit_support import field, records, segments
from cli_support import PATIENCE, free_port
from imap_support import plain, quoted
from protocols import PROTOCOLS
from scripted_pop3 import Pop3Connection
from scripted_smtp import SmtpConnection
from scripted_upstream import Gone, ImapConnection, ScriptedUpstream
from waiting import wait_until

TABLE = Path(__file__).with_name("matrix.md")
KINDS = {"imap": ImapConnection, "pop3": Pop3Connection, "smtp": SmtpConnection}
HALF = 50_000  # octets of a transfer that have passed when something happens
WHOLE = 50_000_000
SILENCE = 10  # seconds that are longer than any patience of the hasty build
FIRST_OF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00"
FILLER = (b"x" * 998 + b"\r\n")
LAST_WORDS = {"imap": b"* OK last words\r\n", "pop3": b"+OK last words\r\n",
              "smtp": b"250 last words\r\n"}
NO = {"imap": "m NO [UNAVAILABLE] ", "pop3": "-ERR [SYS/TEMP] ", "smtp": "454 4.7.0 "}
BYE = {"imap": "* BYE ", "pop3": "-ERR [SYS/TEMP] ", "smtp": "421 4.4.2 "}
NOOP_IS_FINE = re.compile(rb"n OK|\+OK|-ERR|250 ")  # POP3 has none before the login
STOPPING = {**BYE, "smtp": "421 4.3.2 "}


# ---- the table ----

def tables():
    """Heading → rows, each a list of cells, of the tables in matrix.md."""
    found, heading = {}, None
    for line in TABLE.read_text().splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("| "):
            found.setdefault(heading, []).append([cell.strip() for cell in line[1:-1].split("|")])
    return found


class Outcome:
    def __init__(self, row):
        (self.name, self.client_hears, self.client_end, self.server_hears, self.server_end,
         self.code) = row

    def fits(self, protocol, seen):
        """Whether that is what was seen: (what the client heard, how its connection ended, and the
        same of the server)."""
        heard, end, server_heard, server_end = seen
        return ((end, server_end) == (self.client_end, self.server_end)
                and pattern_of(self.client_hears, protocol).fullmatch(heard)
                and pattern_of(self.server_hears, protocol).fullmatch(server_heard))


def pattern_of(words, protocol):
    if words in ("–", "*"):
        return re.compile(b"" if words == "–" else b".*", re.DOTALL)
    words = words.format(no=NO[protocol], bye=BYE[protocol], stopping=STOPPING[protocol],
                         last=LAST_WORDS[protocol].decode().rstrip())
    lines = "".join(f"{line}\r\n" for line in words.split(" ⏎ "))
    return re.compile(re.escape(lines).replace(r"\*:", ".*:").encode())


class Cell:
    """One session: where it is, what happens there, and what is to come of it."""

    numbers = itertools.count()

    def __init__(self, protocol, phase, event, outcome):
        self.protocol, self.phase, self.event, self.outcome = protocol, phase, event, outcome
        number = next(Cell.numbers)
        self.source = f"127.1.{number // 250}.{number % 250 + 1}"
        self.client = self.connection = None
        self.has_arrived, self.is_due, self.is_over = (threading.Event() for _ in range(3))
        self.server_heard, self.server_end = b"", "–"
        self.server_is_done = threading.Event()

    def __repr__(self):
        return f"{self.protocol}, {self.phase}, {self.event}"


def read_cells(known):
    """Every cell that can occur; `known` are the names of phases and events."""
    found = tables()
    outcomes = {row[0]: Outcome(row) for row in found["Outcomes"][1:]}
    reasons = {row[0] for row in found["Cells that cannot occur"][1:]}
    cells = []
    for protocol in PROTOCOLS:
        head, *rows = found[protocol.upper()]
        assert head[1:] == known.events, (protocol, head)
        assert [row[0] for row in rows] == known.phases, protocol
        for row in rows:
            for event, name in zip(head[1:], row[1:], strict=True):
                assert name in outcomes or name in reasons, (protocol, row[0], event, name)
                if name in outcomes:
                    cells.append(Cell(protocol, row[0], event, outcomes[name]))
    return cells


# ---- the server ----

def reach(connection, phase):
    """The server's part of the way."""
    if phase == "upstream TLS":
        assert connection.receive_raw() != b""
        return
    if phase == "upstream STARTTLS":
        connection.hello()
        connection.read_starttls()
        return
    connection.handshake()
    if phase == "upstream greeting":
        return
    connection.greet()
    tag = connection.read_token()
    if phase == "upstream login":
        return
    connection.accept(tag)
    TRANSFERS.get((connection.protocol, phase), lambda _: None)(connection)


def give_half(connection):
    line = connection.line()
    connection.send(b"* 1 FETCH (BODY[] {%d}\r\n" % WHOLE if connection.protocol == "imap"
                    else b"+OK it follows\r\n")
    assert line.split(b" ")[0] in (b"f", b"RETR"), line
    for _ in range(HALF // len(FILLER)):
        connection.send(FILLER)


def take_half(connection, answers):
    for answer in answers:
        connection.line()
        connection.send(answer)
    while len(connection.unread) < HALF:
        connection.unread += connection.receive()
    connection.unread = connection.unread[HALF:]


def begin_idle(connection):
    connection.line()
    connection.send("+ idling\r\n")


TRANSFERS = {
    ("imap", "transfer down"): give_half,
    ("pop3", "transfer down"): give_half,
    ("imap", "transfer up"): lambda c: take_half(c, ["+ go on\r\n"]),
    ("smtp", "transfer up"): lambda c: take_half(c, ["250 ok\r\n", "250 ok\r\n", "354 go on\r\n"]),
    ("imap", "IDLE"): begin_idle,
}


def say_goodbye(connection):
    """The close_notify of TLS, where there is TLS."""
    if connection.tls is None:
        return
    try:
        connection.tls.unwrap()
    except ssl.SSLError:
        pass  # it would wait for the other's
    connection._flush()


def hear_to_end(connection, cell):
    """How the connection ends; what was said goes to the cell."""
    is_notified = connection.tls is None
    cell.server_heard = bytes(connection.unread)
    while True:
        try:
            data = connection.socket.recv(65536)
        except ConnectionError:
            return "reset"
        if data == b"":
            return "closed" if is_notified else "cut"
        if connection.tls is None:
            cell.server_heard += data
            continue
        connection.incoming.write(data)
        try:
            while plain_text := connection.tls.read(65536):
                cell.server_heard += plain_text
            is_notified = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            is_notified = True


def fill(connection):
    """Sends until nobody takes more."""
    try:
        while True:
            connection.send(FILLER)
    except Gone:
        pass


def serve_event(connection, cell):
    """What the server does, and its view of what comes."""
    event = cell.event
    if event == "server resets":
        connection.reset()
        return "–"
    if event == "server cuts":
        connection.socket.shutdown(socket.SHUT_WR)
    elif event in ("server closes", "server half-closes"):
        say_goodbye(connection)
        connection.socket.shutdown(socket.SHUT_WR)
    elif event == "server stalls":
        cell.is_over.wait(PATIENCE)
    elif event == "client stalls" and cell.phase == "transfer down":
        fill(connection)
    if event in ("server closes", "server cuts"):
        connection.socket.close()
        return "–"
    return hear_to_end(connection, cell)


def play(connection):
    """The script of every server here."""
    cell = connection.server.cell
    cell.connection = connection
    try:
        reach(connection, cell.phase)
        cell.has_arrived.set()
        cell.is_due.wait()
        cell.server_end = serve_event(connection, cell)
        if cell.outcome.client_hears == "{last}":
            connection.send(LAST_WORDS[cell.protocol])
            say_goodbye(connection)
    finally:
        connection.tls = None  # nothing more is said
        cell.server_is_done.set()


class BlackHole:
    """Two connections fill a queue of none; what comes then is dropped."""

    def __init__(self):
        self.listening = socket.socket()
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen(0)
        self.port = self.listening.getsockname()[1]
        self.fillers = [socket.socket() for _ in range(4)]
        for filler in self.fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))

    def close(self):
        for one in (self.listening, *self.fillers):
            one.close()


# ---- the client ----

def send_login(client, protocol, user, password):
    """All but the wait for the answer."""
    if protocol == "imap":
        client.send(b"m LOGIN %s %s\r\n" % (quoted(user), quoted(password)))
    elif protocol == "pop3":
        assert client.command(f"USER {user}").startswith("+OK")
        client.send(f"PASS {password}\r\n")
    else:
        client.extensions()
        client.send(b"AUTH PLAIN %s\r\n" % plain(user, password))


PART_OF_A_COMMAND = {"imap": b"m LOG", "pop3": b"USE", "smtp": b"EHL"}


def begin_exchange(client, protocol):
    if protocol == "smtp":
        client.extensions()
    client.send(b"m AUTHENTICATE PLAIN\r\n" if protocol == "imap" else b"AUTH PLAIN\r\n")
    assert client.line().rstrip() in (b"+", b"334")


def transfer_down(client, protocol):
    client.send(b"f FETCH 1 BODY[]\r\n" if protocol == "imap" else b"RETR 1\r\n")
    client.line()
    assert len(client.file.read(HALF)) == HALF


def transfer_up(client, protocol):
    if protocol == "imap":
        client.send(b"u APPEND INBOX {%d}\r\n" % WHOLE)
        assert client.line().startswith(b"+")
    else:
        for line in ("MAIL FROM:<a@example.test>", "RCPT TO:<b@example.test>", "DATA"):
            assert client.command(line)[0] in "23"
    client.send(FILLER * (HALF // len(FILLER)))


def client_idles(client, _):
    client.send(b"i IDLE\r\n")
    assert client.line() == b"+ idling"


CLIENT_PARTS = {"transfer down": transfer_down, "transfer up": transfer_up, "IDLE": client_idles}


def hear_client_to_end(client):
    """What it heard, and how its connection ended."""
    heard = b""
    try:
        while data := client.file.read1(65536):
            heard += data
        return heard, "closed"
    except ConnectionResetError:
        return heard, "reset"


def fill_up(client):
    """A client that sends until nobody takes more, and hears what there is to hear."""
    client.socket.settimeout(1)
    try:
        while True:
            client.socket.sendall(FILLER)
    except TimeoutError:
        pass
    finally:
        client.socket.settimeout(PATIENCE)


# ---- the stage ----

class Beside:
    """Sessions, one by protocol, that all of it is nothing to."""

    def __init__(self, stage):
        self.stage = stage
        self.locks = {protocol: threading.Lock() for protocol in PROTOCOLS}
        self.count = 0
        self.over = threading.Event()
        self.failure = None
        self.clients = {}
        for protocol in PROTOCOLS:
            client = stage.connect(protocol, "127.0.0.1")
            reply = client.login(*stage.login_of("polite"))
            assert reply.startswith(PROTOCOLS[protocol].logged_in), reply
            self.clients[protocol] = client
        self.thread = threading.Thread(target=self.keep_alive)
        self.thread.start()

    def round_trip(self, protocol):
        """Something that goes to the server and back."""
        with self.locks[protocol]:
            client = self.clients[protocol]
            self.count += 1
            if protocol == "imap":
                reply = client.command("NOOP", f"{self.count}")[0]
            else:
                reply = client.command(f"NOOP {self.count}")
            assert "for " in reply, reply

    def keep_alive(self):
        while not self.over.wait(1):
            for protocol in PROTOCOLS:
                try:
                    self.round_trip(protocol)
                except (AssertionError, EOFError, OSError) as error:
                    self.failure = error
                    return

    def close(self):
        self.over.set()
        self.thread.join()
        for client in self.clients.values():
            client.close()
        assert self.failure is None, self.failure


class Stage:
    """An ecluse, its servers, and clients that go to where the event is to be."""

    def __init__(self, ecluse, rig):
        self.ecluse, self.rig = ecluse, rig
        self.lock = {protocol: threading.Lock() for protocol in PROTOCOLS}
        self.holes = []
        self.servers = {}
        self.tls_ports = {}
        self.passwords = {}
        for protocol, kind in KINDS.items():
            for scheme in ("tls", "starttls"):
                self.servers[protocol, scheme] = ScriptedUpstream(rig, play, kind)
            self.servers[protocol, "polite"] = ScriptedUpstream(rig, kind=kind)
        self.hole = BlackHole()
        self.configure()

    def place_of(self, protocol, name):
        if name in ("hole", "slow"):
            return f"tls://localhost:{self.hole.port}"
        scheme = "starttls" if name == "starttls" else "tls"
        return f"{scheme}://localhost:{self.servers[protocol, name].port}"

    def configure(self):
        one = self.ecluse
        for protocol in PROTOCOLS:
            many = {"max_sessions": 1000, "max_sessions_per_account": 1000}
            one.listen(protocol, one.port_of(protocol), **many)
            self.tls_ports[protocol] = free_port()
            one.set(f"listen {protocol}-tls", protocol=protocol, tls="on",
                    address=f"127.0.0.1:{self.tls_ports[protocol]}", **many)
        token = one.folder / "token"
        token.write_text("echo a-token\n")
        slow = one.folder / "slow"
        slow.write_text("sleep 1000\n")
        for number, name in enumerate(("polite", "tls", "starttls", "hole", "slow"), 1):
            one.add_provider(f"of-{name}", **{p: self.place_of(p, name) for p in PROTOCOLS})
            one.set(f"account {name}", address=f"user{number}@example.test", flow="command",
                    provider=f"of-{name}",
                    token_command=f"sh {slow if name == 'slow' else token}")
        result = one.ecluse("cert")
        assert result.status == 0, result

    def start(self):
        self.ecluse.start()
        for name in ("polite", "tls", "starttls", "hole", "slow"):
            self.ecluse.grant(name)

    def login_of(self, name):
        return self.ecluse.address_of(name), self.ecluse.passwords[name]

    def connect(self, protocol, source, **more):
        client = PROTOCOLS[protocol].client(self.ecluse.port_of(protocol), source=source, **more)
        return client

    def go(self, cell):
        """Brings a session to its phase."""
        with self.lock[cell.protocol]:
            self.go_alone(cell)

    def go_alone(self, cell):
        protocol, phase = cell.protocol, cell.phase
        if phase == "client TLS":
            cell.client = PROTOCOLS[protocol].client(self.tls_ports[protocol], greet=False,
                                                     source=cell.source)
            cell.client.send(FIRST_OF_A_HELLO)
            wait_until(lambda: self.is_in_the_journal(cell), f"{cell} to be accepted")
            return
        cell.client = self.connect(protocol, cell.source)
        if phase == "greeted":
            return
        if phase == "in a command":
            cell.client.send(PART_OF_A_COMMAND[protocol])
            return
        if phase == "in an exchange":
            begin_exchange(cell.client, protocol)
            return
        name = {"keeper thinks": "slow", "connecting": "hole",
                "upstream STARTTLS": "starttls"}.get(phase, "tls")
        if name in ("tls", "starttls"):
            self.servers[protocol, name].cell = cell
        send_login(cell.client, protocol, *self.login_of(name))
        if name in ("slow", "hole"):
            self.wait_state(cell, "connecting" if name == "hole" else "logging-in")
            return
        if phase in ("upstream TLS", "upstream STARTTLS", "upstream greeting", "upstream login"):
            assert cell.has_arrived.wait(PATIENCE), cell
            return
        reply = cell.client.line() if protocol != "smtp" else cell.client.reply()[-1]
        CLIENT_PARTS.get(phase, lambda *_: None)(cell.client, protocol)
        assert cell.has_arrived.wait(PATIENCE), (cell, reply)

    def is_in_the_journal(self, cell):
        needle = f'"{cell.source}"'.encode()
        return any(needle in segment.read_bytes() for segment in segments(self.ecluse))

    def wait_state(self, cell, state):
        """As `ecluse sessions` has it."""
        place = "%s:%d" % cell.client.socket.getsockname()

        def is_there():
            result = self.ecluse.ecluse("sessions", "--json")
            assert result.status == 0, result
            return any((row["client"], row["state"]) == (place, state)
                       for row in json.loads(result.out)["sessions"])

        wait_until(is_there, f"{cell} to be {state}")

    # ---- the event, and what follows ----

    def happen(self, cell):
        """What a client does; the server's part is in its script, or here where it has none."""
        client = cell.client
        if cell.event == "client closes":
            client.close()
        elif cell.event == "client half-closes":
            client.socket.shutdown(socket.SHUT_WR)
        elif cell.event == "client resets":
            client.reset()
        cell.is_due.set()

    def watch(self, cell):
        """What both sides saw: see Outcome.fits."""
        heard, end = self.watch_client(cell)
        cell.is_over.set()
        if cell.connection is not None:
            assert cell.server_is_done.wait(PATIENCE), f"{cell}: the server waits for its end"
        return heard, end, cell.server_heard, cell.server_end

    def watch_client(self, cell):
        client, wanted = cell.client, cell.outcome.client_end
        if cell.event in ("client closes", "client resets"):
            return b"", "–"
        if cell.event == "client stalls" and cell.phase == "transfer down":
            cell.is_over.wait(SILENCE)
        elif cell.event == "server stalls" and cell.phase == "transfer up":
            fill_up(client)
        if wanted == "goes on":
            return self.watch_on(cell), self.leave(cell)
        return hear_client_to_end(client)

    def watch_on(self, cell):
        """A login that failed: what was said, and that another may follow."""
        client = cell.client
        heard = client.line() + b"\r\n"
        client.send(b"n NOOP\r\n" if cell.protocol == "imap" else b"NOOP\r\n")
        reply = client.line()
        assert NOOP_IS_FINE.match(reply), (cell, heard, reply)
        return heard

    def leave(self, cell):
        cell.client.close()
        return "goes on"

    def closes_of(self, cells):
        """Source → why, of each session-close in the journal."""
        found = {cell.source: [] for cell in cells}
        for record in records(self.ecluse, "session-close"):
            source = field(record, "client.ip")
            if source in found:
                found[source].append(field(record, "event.code"))
        return found

    def close(self):
        for server in self.servers.values():
            server.close()
        self.hole.close()
