"""POP3, octet by octet."""

from raw_support import RawClient


class RawPop3(RawClient):
    def command(self, text):
        """The first line of the answer."""
        self.send(text if isinstance(text, bytes) else text.encode())
        self.send(b"\r\n")
        return self.line().decode("utf-8", "replace")

    def body(self):
        """The lines up to the dot, as they are on the wire."""
        lines = []
        while (line := self.line()) != b".":
            lines.append(line)
        return lines

    def login(self, user, password):
        """The answer to PASS."""
        for verb, word in (("USER", user), ("PASS", password)):
            raw = word if isinstance(word, bytes) else word.encode()
            reply = self.command(verb.encode() + b" " + raw)
        return reply

    def authenticate(self, mechanism, *messages, initial=False):
        """The last answer. `messages` are base64 already; with `initial` the first goes along."""
        left = list(messages)
        first = b" " + left.pop(0) if initial else b""
        self.send(b"AUTH " + mechanism.encode() + first + b"\r\n")
        while True:
            line = self.line()
            if not line.startswith(b"+ "):
                return line.decode("utf-8", "replace")
            self.send(left.pop(0) + b"\r\n")
