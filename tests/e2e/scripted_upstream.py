"""A mail server that does what a test says, behind a certificate that ecluse trusts.

A script is a function that gets the connection and plays the server. Everything that ecluse sends
is kept: the octets on the wire (`raw`), those of them before the handshake (`bare`), and what was
inside TLS (`plain`). What differs between the protocols stands below, in scripted_pop3 and in
scripted_smtp, by the same names:

    hello              the first words
    tell_capabilities  the answer to the question for them
    greet              all that is said before the login
    read_starttls      the command, after the hello; agree is the answer
    read_token         the login; accept or refuse is the answer
    answer_commands    everything after it
"""

import base64
import re
import socket
import ssl
import struct
import threading

from cli_support import PATIENCE
from waiting import wait_until

CAPABILITIES = "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE"
OFFER = CAPABILITIES + " AUTH=XOAUTH2 AUTH=OAUTHBEARER"
TOKEN = re.compile(rb"\x01auth=Bearer ([^\x01]*)\x01")
USER = re.compile(rb"^(?:user=|n,a=)([^\x01,]*)")


class Gone(Exception):
    """ecluse has closed the connection."""


class Connection:
    def __init__(self, server, plug):
        self.server = server
        self.socket = plug
        self.raw = bytearray()
        self.plain = bytearray()
        self.tls = None
        self.bare_size = None  # octets of `raw` before the handshake
        self.resumed = None
        self.unread = b""
        self.mechanism = self.user = self.token = None
        self.refused = []  # the reasons why TLS did not come about
        self.commands = []  # after the login
        self.is_over = False

    # ---- octets ----

    def receive_raw(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        self.raw += data
        return data

    def send_raw(self, data):
        try:
            self.socket.sendall(data)
        except (ConnectionError, BrokenPipeError) as error:
            raise Gone from error

    def _flush(self):
        if data := self.outgoing.read():
            self.send_raw(data)

    def _with_tls(self, action):
        """Repeats the action while it wants octets of the peer."""
        while True:
            try:
                result = action()
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                data = self.receive_raw()
                if data == b"":
                    self.incoming.write_eof()
                    raise Gone from None
                self.incoming.write(data)
            except ssl.SSLError as error:
                self.refused.append(str(error))
                self._flush()  # the alert
                raise Gone from error

    @property
    def bare(self):
        return bytes(self.raw[:self.bare_size])

    def handshake(self, context=None):
        self.bare_size = len(self.raw)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or self.server.context).wrap_bio(self.incoming, self.outgoing,
                                                             server_side=True)
        self._with_tls(self.tls.do_handshake)
        self.resumed = self.tls.session_reused

    def send(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        if self.tls is None:
            self.send_raw(data)
            return
        self.tls.write(data)
        self._flush()

    def receive(self):
        data = self._with_tls(lambda: self.tls.read(65536)) if self.tls else self.receive_raw()
        if data == b"":
            raise Gone
        if self.tls:
            self.plain += data
        return data

    def until(self, end):
        while end not in self.unread:
            self.unread += self.receive()
        before, self.unread = self.unread.split(end, 1)
        return before

    def line(self):
        return self.until(b"\r\n")

    def until_gone(self):
        try:
            while True:
                self.receive()
        except Gone:
            pass

    def cut(self):
        """FIN without the close_notify of TLS."""
        self.tls = None
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # ---- what the protocols share ----

    def start_tls(self):
        self.hello()
        self.agree(self.read_starttls())
        self.handshake()

    def learn(self, message):
        """What the login tells."""
        message = base64.b64decode(message, validate=True)
        self.user = USER.search(message)[1].decode()
        self.token = TOKEN.search(message)[1].decode()

    def log_in(self, **more):
        self.greet(**more)
        self.accept(self.read_token())


class ImapConnection(Connection):
    protocol = alpn = "imap"

    def hello(self, offer=OFFER):
        self.send(f"* OK [CAPABILITY {offer}] scripted\r\n")

    greet = hello

    def command(self, verb):
        """Its tag."""
        tag, said = self.line().decode().split(" ")
        assert said == verb, said
        return tag

    def tell_capabilities(self, offer=OFFER):
        tag = self.command("CAPABILITY")
        self.send(f"* CAPABILITY {offer}\r\n{tag} OK done\r\n")

    def read_starttls(self):
        return self.command("STARTTLS")

    def agree(self, tag, behind=""):
        self.send(f"{tag} OK go ahead\r\n{behind}")

    def read_token(self):
        """Takes the AUTHENTICATE; returns its tag."""
        words = self.line().split(b" ")
        assert words[1] == b"AUTHENTICATE", words
        self.mechanism = words[2].decode()
        if len(words) == 3:
            self.send("+ \r\n")
            words.append(self.line())
        self.learn(words[3])
        return words[0].decode()

    def accept(self, tag, capabilities=CAPABILITIES):
        self.send(f"{tag} OK [CAPABILITY {capabilities}] Logged in\r\n")

    def refuse(self, tag):
        self.send(f"{tag} NO [AUTHENTICATIONFAILED] not with that\r\n")

    def answer_commands(self):
        """OK to all of them, until the client logs out."""
        while True:
            line = self.line()
            self.commands.append(line)
            tag, verb = line.decode("utf-8", "replace").split(" ")[:2]
            if verb.upper() == "LOGOUT":
                self.send(f"* BYE bye\r\n{tag} OK LOGOUT completed\r\n")
                return
            self.send(f"{tag} OK {verb} completed for {self.user}\r\n")


def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate["cert"], certificate["key"])
    return context


def polite(connection):
    connection.handshake()
    connection.log_in()
    connection.answer_commands()


def polite_behind_starttls(connection):
    connection.start_tls()
    connection.tell_capabilities()
    connection.accept(connection.read_token())
    connection.answer_commands()


class ScriptedUpstream:
    def __init__(self, rig, script=polite, kind=ImapConnection):
        self.script = script
        self.kind = kind
        self.protocol = kind.protocol
        self.context = server_context(rig.state["certs"]["good"])
        self.context.set_alpn_protocols([kind.alpn])
        self.connections = []
        self.failures = []
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                plug, _ = self.listening.accept()
            except OSError:
                return  # closed
            plug.settimeout(None)
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self.kind(self, plug)
            self.connections.append(connection)
            threading.Thread(target=self._play, args=(connection,), daemon=True).start()

    def _play(self, connection):
        try:
            self.script(connection)
            if connection.tls is not None and connection.socket.fileno() >= 0:
                connection.tls.unwrap()  # close_notify: an honest end
        except (Gone, ssl.SSLError, OSError):
            pass
        except Exception as error:  # a mistake in the script: the test must hear of it
            self.failures.append(error)
        finally:
            if connection.tls is not None:
                try:
                    connection._flush()
                except (Gone, OSError):
                    pass
            connection.socket.close()
            connection.is_over = True

    def wait_for(self, count):
        """The connections, once there were so many."""
        wait_until(lambda: len(self.connections) >= count, f"{count} connections upstream")
        return self.connections

    def wait_over(self):
        """The connections, once all of them have ended."""
        wait_until(lambda: all(c.is_over for c in list(self.connections)), "upstream ended")
        return self.connections

    def tokens(self):
        return [c.token for c in self.connections if c.token]

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join(PATIENCE)
        for connection in self.connections:
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.wait_over()
        assert not self.failures, self.failures
