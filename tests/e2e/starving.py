"""Allocations that fail, by the file that tests/torture/failing_malloc.c looks at."""

import mmap
import struct

FIELDS = ("process", "countdown", "burst", "struck", "awaited", "gate", "watched", "blocks",
          "is_shown")
KEEPER, GATE = 1, 2


class Control:
    def __init__(self, path):
        path.write_bytes(bytes(4 * len(FIELDS)))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)

    def __getattr__(self, name):
        return struct.unpack_from("i", self.memory, 4 * FIELDS.index(name))[0]

    def put(self, **values):
        for name, value in values.items():
            struct.pack_into("i", self.memory, 4 * FIELDS.index(name), value)

    def aim(self, k, burst, process=0, awaited=0):
        """At a process, or at the next that starts in a role. Those come last: what counts is there
        then."""
        self.rest()
        self.put(countdown=k, burst=burst, struck=0)
        self.put(awaited=awaited, process=process)

    def rest(self):
        """Nothing fails any more. How many have."""
        self.put(awaited=0, process=0)
        return self.struck

    def watch(self, process):
        self.put(watched=0, blocks=0)
        self.put(watched=process)
