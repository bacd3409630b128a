"""POP3 for scripted servers."""

from scripted_upstream import Connection

CAPABILITIES = ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "USER"]
SASL = "SASL XOAUTH2 OAUTHBEARER"


class Pop3Connection(Connection):
    protocol = alpn = "pop3"

    def hello(self):
        self.send("+OK scripted\r\n")

    def expect(self, command):
        line = self.line()
        assert line == command.encode(), line

    def tell_capabilities(self, offer=(*CAPABILITIES, SASL)):
        self.expect("CAPA")
        self.send("".join(f"{line}\r\n" for line in ("+OK these", *offer, ".")))

    def greet(self, **more):
        self.hello()
        self.tell_capabilities(**more)

    def read_starttls(self):
        self.expect("STLS")

    def agree(self, _, behind=""):
        self.send(f"+OK go ahead\r\n{behind}")

    def read_token(self):
        """A token never fits into an AUTH line (RFC 5034 section 4)."""
        verb, self.mechanism = self.line().decode().split(" ")
        assert verb == "AUTH", verb
        self.send("+ \r\n")
        self.learn(self.line())

    def accept(self, _=None):
        self.send("+OK Logged in\r\n")

    def refuse(self, _=None):
        self.send("-ERR [AUTH] not with that\r\n")

    def answer_commands(self):
        while True:
            line = self.line()
            self.commands.append(line)
            self.send(f"+OK {line.decode('utf-8', 'replace')} for {self.user}\r\n")
            if line.upper() == b"QUIT":
                return
