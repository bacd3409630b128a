"""Bad networks, in user space: a relay between two ends that delays, crumbles, throttles, stalls or
cuts what passes. The random numbers are seeded, so that the same weather comes again.
"""

import asyncio
import dataclasses
import random
import socket
import struct
import threading


@dataclasses.dataclass(frozen=True)
class Weather:
    """For each direction of a connection."""
    latency: float = 0  # seconds that each piece takes
    jitter: float = 0  # and up to so many more; pieces stay in order
    piece: int = 65536  # octets that go together
    crumbs: int = 0  # so many octets at the beginning go one by one
    octets_per_second: int = 0  # 0: as many as there are
    stall: float = 0  # once, somewhere in the first kilobytes, nothing passes for so long
    reset_after: int = 0  # the connection is reset behind so many octets from the server
    end_after: int = 0  # behind so many of them no more come, though the connection stays


WEATHERS = {
    "far": Weather(latency=0.02),
    "restless": Weather(latency=0.001, jitter=0.03),
    "crumbling": Weather(crumbs=3000),
    "pieces": Weather(piece=7),
    "narrow": Weather(octets_per_second=100_000, piece=1400),
    "stalling": Weather(stall=1.0),
}


class WeatherRelay:
    """Listens on `port` and passes to `target` until it is closed."""

    def __init__(self, target, weather, seed):
        self.target = target
        self.weather = weather
        self.random = random.Random(seed)
        self.passed = 0  # octets, both ways
        self.pieces = 0  # in which they went
        self.waited = 0  # seconds, before all of these together
        self.failures = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.loop = asyncio.new_event_loop()
        self.tasks = set()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(
            asyncio.start_server(self._connection, sock=self.listening))
        self.loop.run_forever()
        server.close()
        for task in self.tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*self.tasks, return_exceptions=True))
        self.loop.close()

    async def _connection(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            try:
                await asyncio.gather(self._pass(reader, far_writer),
                                     self._pass(far_reader, writer, self.weather.reset_after,
                                                self.weather.end_after))
            finally:
                far_writer.close()
        except (OSError, asyncio.CancelledError):  # one of the ends has gone
            pass
        except Exception as error:  # a mistake here: the test must hear of it
            self.failures.append(error)
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _pass(self, reader, writer, reset_after=0, end_after=0):
        weather = self.weather
        stall_at = self.random.randrange(4000) if weather.stall else None
        passed = 0
        while data := await reader.read(65536):
            while data:
                size = 1 if passed < weather.crumbs else weather.piece
                piece, data = data[:size], data[size:]
                await self._wait(len(piece))
                if stall_at is not None and passed + len(piece) > stall_at:
                    stall_at = None
                    await self._sleep(weather.stall)
                if reset_after and passed + len(piece) > reset_after:
                    self._reset(writer)
                    raise ConnectionResetError
                if end_after and passed + len(piece) > end_after:
                    writer.write_eof()
                    return
                writer.write(piece)
                await writer.drain()
                passed += len(piece)
                self.passed += len(piece)
                self.pieces += 1
        if writer.can_write_eof():
            writer.write_eof()

    async def _wait(self, size):
        seconds = self.weather.latency + self.random.uniform(0, self.weather.jitter)
        if self.weather.octets_per_second:
            seconds += size / self.weather.octets_per_second
        # A turn of the loop at least, so that crumbs arrive as crumbs.
        await self._sleep(seconds)

    async def _sleep(self, seconds):
        self.waited += seconds
        await asyncio.sleep(seconds)

    @staticmethod
    def _reset(writer):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                   struct.pack("ii", 1, 0))
        writer.transport.abort()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        assert not self.failures, self.failures
