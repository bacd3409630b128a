"""IMAP, octet by octet."""

import base64

from raw_support import RawClient


def quoted(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def plain(user, password, authorization=""):
    """A PLAIN message (RFC 4616), as it goes over the line."""
    parts = [part if isinstance(part, bytes) else part.encode()
             for part in (authorization, user, password)]
    return base64.b64encode(b"\0".join(parts))


class RawImap(RawClient):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.tags = 0

    def until_tagged(self, tag):
        """The tagged reply without its tag, and the lines before it."""
        before = []
        while True:
            line = self.line()
            if line.startswith(tag + b" "):
                return line[len(tag) + 1:].decode("utf-8", "replace"), before
            before.append(line)

    def command(self, *parts):
        """Parts are joined by blanks; see until_tagged."""
        self.tags += 1
        tag = b"t%d" % self.tags
        self.send(b" ".join([tag, *(p if isinstance(p, bytes) else p.encode() for p in parts)])
                  + b"\r\n")
        return self.until_tagged(tag)

    def login(self, user, password):
        """The tagged reply."""
        return self.command("LOGIN", quoted(user), quoted(password))[0]

    def append(self, mailbox, message, plus=b""):
        """The tagged reply. The literal is pushed with "+", else waited for."""
        self.tags += 1
        tag = b"t%d" % self.tags
        self.send(tag + b" APPEND " + mailbox.encode() + b" {%d%s}\r\n" % (len(message), plus))
        if not plus:
            line = self.line()
            assert line.startswith(b"+ "), line
        self.send(message + b"\r\n")
        return self.until_tagged(tag)[0]

    def authenticate(self, mechanism, *messages, initial=False):
        """The tagged reply. `messages` are base64 already; with `initial` the first goes along."""
        self.tags += 1
        tag = b"t%d" % self.tags
        left = list(messages)
        first = b" " + left.pop(0) if initial else b""
        self.send(tag + b" AUTHENTICATE " + mechanism.encode() + first + b"\r\n")
        while True:
            line = self.line()
            if not line.startswith(b"+"):
                assert line.startswith(tag + b" "), line
                return line[len(tag) + 1:].decode()
            self.send(left.pop(0) + b"\r\n")
