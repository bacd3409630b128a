"""The mail clients again, through bad networks: between them and ecluse, and between it and the
servers. And that these networks are as bad as they are said to be.
"""

import contextlib
import imaplib
import itertools
import poplib
import socket
import threading

import pytest

from cli_support import PATIENCE
from clients_readers import IMAP, POP3
from clients_senders import SENDERS
from clients_support import Customer, Letter
from ecluse_support import ALICE
from weather import WEATHERS, Weather, WeatherRelay

ROUNDS = list(zip(itertools.cycle(SENDERS), IMAP, itertools.cycle(POP3), itertools.cycle(WEATHERS)))
assert {weather for *_, weather in ROUNDS} == set(WEATHERS)


@pytest.fixture
def out(ecluse, rig, request):
    """Puts a weather before the servers, and returns the ports of another one before ecluse."""
    relays = []

    def relay(target, weather):
        relays.append(WeatherRelay(target, weather, request.node.name + str(len(relays))))
        return relays[-1].port

    def start(weather, near=None):
        servers = {"imap": rig.ports["imaps"], "pop3": rig.ports["pop3s"],
                   "smtp": rig.submissions}
        ecluse.set("provider local", **{protocol: f"tls://localhost:{relay(port, weather)}"
                                        for protocol, port in servers.items()})
        return {protocol: relay(ecluse.port_of(protocol), near or weather)
                for protocol in servers}

    start.relays = relays
    yield start
    for one in relays:
        one.close()


@pytest.mark.parametrize("sender, imap, pop3, weather", ROUNDS)
def test_one_sends_and_two_read(ecluse, out, rig, tmp_path, sender, imap, pop3, weather):
    ports = out(WEATHERS[weather])
    ecluse.ready("alice", "bob")
    people = {}
    for name, folder in (("alice", "alice"), ("bob", "bob"), ("bob", "again")):
        people[folder] = Customer(ecluse, name, tmp_path / folder)
        people[folder].ports = ports
    letter = Letter(people["alice"].user, people["bob"].user)
    SENDERS[sender].send(people["alice"], letter)
    arrived = letter.arrived(rig)
    SENDERS[sender].check(letter, arrived)
    IMAP[imap].check(people["bob"], [arrived])
    POP3[pop3].check(people["again"], [arrived])
    assert all(relay.passed > 0 for relay in out.relays)


@pytest.mark.parametrize("octets", [5000, 20_000, 100_000])
@pytest.mark.parametrize("how", ["reset_after", "end_after"])
def test_a_cut_is_no_success(ecluse, out, rig, how, octets):
    """The server's end breaks within a mail: the client must not take it for whole."""
    out(Weather(**{how: octets}), near=Weather())
    ecluse.ready("alice")
    whole = b"Subject: large\r\n\r\n" + b"a line of text\r\n" * 20_000
    # What is there to be read went in by a way that does not break.
    rig.put_mail(ALICE, whole)
    mail = imaplib.IMAP4("127.0.0.1", ecluse.port, timeout=PATIENCE)
    mail.login(ALICE, ecluse.passwords["alice"])
    with pytest.raises(imaplib.IMAP4.abort):
        mail.select(readonly=True)
        mail.fetch("4", "(BODY.PEEK[])")
        mail.noop()
    mail.shutdown()
    pop = poplib.POP3("127.0.0.1", ecluse.pop3_port, timeout=PATIENCE)
    pop.user(ALICE)
    pop.pass_(ecluse.passwords["alice"])
    with pytest.raises((poplib.error_proto, ConnectionError)):
        pop.retr(4)
    pop.close()


class Echo:
    """A server that sends back what it gets, until it gets no more."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        connection, _ = self.listening.accept()
        with connection, contextlib.suppress(ConnectionError):
            while data := connection.recv(65536):
                connection.sendall(data)

    def close(self):
        self.thread.join()
        self.listening.close()


TEXT = bytes(range(256)) * 40


def exchange(weather):
    """TEXT there and back. (what came back, whether a reset ended it, the relay)"""
    echo = Echo()
    relay = WeatherRelay(echo.port, weather, "echo")
    back, is_reset = b"", False
    with socket.create_connection(("127.0.0.1", relay.port), timeout=PATIENCE) as client:
        client.sendall(TEXT)
        client.shutdown(socket.SHUT_WR)
        try:
            while data := client.recv(65536):
                back += data
        except ConnectionResetError:
            is_reset = True
    echo.close()
    relay.close()
    return back, is_reset, relay


LEAST = {  # pieces, seconds that are waited: for TEXT, twice
    "far": (2, 0.04), "restless": (2, 0.002), "crumbling": (6000, 0), "pieces": (2 * 1463, 0),
    "narrow": (2 * 8, 0.2), "stalling": (2, 2.0),
}


@pytest.mark.parametrize("name", WEATHERS)
def test_the_weather_itself(name):
    back, is_reset, relay = exchange(WEATHERS[name])
    pieces, seconds = LEAST[name]
    assert back == TEXT and not is_reset and relay.passed == 2 * len(TEXT)
    assert relay.pieces >= pieces and relay.waited >= seconds
    assert seconds or relay.waited == 0


@pytest.mark.parametrize("how", ["reset_after", "end_after"])
def test_the_cut_itself(how):
    back, is_reset, _ = exchange(Weather(piece=100, **{how: 5000}))
    assert len(back) <= 5000 and TEXT.startswith(back)
    assert is_reset == (how == "reset_after")
    assert is_reset or len(back) == 5000
