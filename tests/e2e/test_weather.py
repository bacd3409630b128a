"""The mail clients again, through bad networks: between them and ecluse, and between it and the
servers.
"""

import imaplib
import itertools
import poplib

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


@pytest.mark.parametrize("octets", [5000, 20_000, 100_000])
def test_a_reset_is_no_success(ecluse, out, rig, octets):
    """The server's end breaks within a mail: the client must not take it for whole."""
    out(Weather(reset_after=octets), near=Weather())
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
