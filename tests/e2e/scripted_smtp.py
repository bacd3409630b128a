"""SMTP for scripted servers."""

from scripted_upstream import Connection

EHLO = b"EHLO [127.0.0.1]"
EXTENSIONS = ["PIPELINING", "SIZE 1000000", "8BITMIME", "ENHANCEDSTATUSCODES"]
AUTH = "AUTH XOAUTH2 OAUTHBEARER"


class SmtpConnection(Connection):
    protocol = "smtp"
    alpn = "smtp"  # never asked for

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.messages = []  # as they were on the wire, less their ends

    def hello(self):
        self.send("220 scripted ESMTP\r\n")

    def expect(self, command):
        line = self.line()
        assert line == command, line

    def tell_capabilities(self, offer=(*EXTENSIONS, AUTH)):
        self.expect(EHLO)
        lines = ["scripted", *offer]
        self.send("".join(f"250{' ' if at == len(lines) else '-'}{line}\r\n"
                          for at, line in enumerate(lines, 1)))

    def greet(self, **more):
        self.hello()
        self.tell_capabilities(**more)

    def read_starttls(self):
        self.tell_capabilities(offer=(*EXTENSIONS, "STARTTLS"))
        self.expect(b"STARTTLS")

    def agree(self, _, behind=""):
        self.send(f"220 go ahead\r\n{behind}")

    def read_token(self):
        """A token seldom fits into an AUTH line (RFC 4954 section 4)."""
        verb, self.mechanism = self.line().decode().split(" ")
        assert verb == "AUTH", verb
        self.send("334 \r\n")
        self.learn(self.line())

    def accept(self, _=None):
        self.send("235 2.7.0 Accepted\r\n")

    def refuse(self, _=None):
        self.send("535 5.7.8 not with that\r\n")

    def take_message(self):
        """Behind DATA."""
        self.send("354 go on\r\n")
        self.unread = b"\r\n" + self.unread
        self.messages.append(self.until(b"\r\n.\r\n")[2:])
        self.send(f"250 2.0.0 queued as {len(self.messages)}\r\n")

    def answer_commands(self):
        while True:
            line = self.line()
            self.commands.append(line)
            verb = line.split(b" ")[0].upper()
            if verb == b"DATA":
                self.take_message()
            elif verb == b"QUIT":
                self.send("221 2.0.0 bye\r\n")
                return
            else:
                self.send(f"250 2.0.0 {line.decode('utf-8', 'replace')} for {self.user}\r\n")
