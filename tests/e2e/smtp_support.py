"""SMTP, octet by octet."""

from imap_support import plain
from raw_support import RawClient


class RawSmtp(RawClient):
    def reply(self):
        """All lines of a reply, each with its code."""
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        assert len({line[:3] for line in lines}) == 1, lines
        return [line.decode("utf-8", "replace") for line in lines]

    def command(self, text):
        """The last line of the reply."""
        self.send(text if isinstance(text, bytes) else text.encode())
        self.send(b"\r\n")
        return self.reply()[-1]

    def extensions(self, name="client.example"):
        """What EHLO shows, less the first line."""
        self.send(f"EHLO {name}\r\n")
        lines = self.reply()
        assert lines[0].startswith("250"), lines
        return [line[4:] for line in lines[1:]]

    def login(self, user, password):
        """The last line of the reply to AUTH PLAIN."""
        self.extensions()
        return self.authenticate("PLAIN", plain(user, password), initial=True)

    def authenticate(self, mechanism, *messages, initial=False):
        """The last reply. `messages` are base64 already; with `initial` the first goes along."""
        left = list(messages)
        first = b" " + left.pop(0) if initial else b""
        self.send(b"AUTH " + mechanism.encode() + first + b"\r\n")
        while True:
            line = self.reply()[-1]
            if not line.startswith("334 "):
                return line
            self.send(left.pop(0) + b"\r\n")

    def submit(self, sender, recipient, octets):
        """The reply behind the message, which is dot-stuffed already and brings its own end."""
        for command, expected in ((f"MAIL FROM:<{sender}>", "250"),
                                  (f"RCPT TO:<{recipient}>", "250"), ("DATA", "354")):
            reply = self.command(command)
            assert reply.startswith(expected), reply
        self.send(octets)
        return self.reply()[-1]
