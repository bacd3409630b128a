"""A client that shows each octet, for what the libraries hide."""

import select
import socket
import struct

from cli_support import PATIENCE


class RawClient:
    def __init__(self, port, host="127.0.0.1", greet=True, source=None):
        """`source`: the address that it comes from."""
        self.socket = socket.create_connection((host, port), PATIENCE, source and (source, 0))
        self.socket.settimeout(PATIENCE)
        self.file = self.socket.makefile("rb")
        self.greeting = self.line() if greet else None

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        line = self.file.readline()
        if line == b"":
            raise EOFError("the server closed")
        assert line.endswith(b"\r\n"), line
        return line[:-2]

    def rest(self):
        """Everything until the server closes; a reset is an end too."""
        received = b""
        try:
            while data := self.file.read(65536):
                received += data
        except ConnectionError:
            pass
        return received

    def is_quiet(self):
        return not select.select([self.socket], [], [], 0)[0]

    def reset(self):
        """Closed by a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()
