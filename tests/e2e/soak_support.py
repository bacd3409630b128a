"""What keeps an ecluse busy for a long time, and how its processes are watched meanwhile."""

import os
import re
import threading
import time

from processes import children, resident

MAIL = re.compile(r"soak-\d+-end")
FETCHED = re.compile(rb"\* \d+ FETCH \(.*BODY\[\] \{")


class Idle:
    """IMAP sessions that wait for news, and say so again before a server loses its patience."""

    RENEW = 300  # seconds

    def __init__(self, ecluse, name, count):
        self.sessions = [ecluse.raw_session(name) for _ in range(count)]
        for session in self.sessions:
            assert session.command("EXAMINE INBOX")[0].startswith("OK ")
        self.renewed = time.monotonic()
        self._wait()

    def _wait(self):
        for session in self.sessions:
            session.send("i IDLE\r\n")
        for session in self.sessions:
            while not session.line().startswith(b"+ "):
                pass

    def end(self):
        for session in self.sessions:
            session.send("DONE\r\n")
        for session in self.sessions:
            assert session.until_tagged(b"i")[0].startswith("OK ")

    def tend(self):
        if time.monotonic() - self.renewed >= self.RENEW:
            self.end()
            self._wait()
            self.renewed = time.monotonic()


class Post:
    """Mails from alice to bob, who reads by IMAP, and user7, who reads by POP3; who reads a mail
    deletes it. Each of them is a thread, with sessions that end and come again."""

    SENDERS = 4
    IN_A_SESSION = 10

    def __init__(self, ecluse, a_second):
        self.ecluse = ecluse
        self.gap = self.SENDERS / a_second
        self.sending, self.reading = threading.Event(), threading.Event()
        self.sent = [set() for _ in range(self.SENDERS)]
        self.read = {"bob": [], "user7": []}
        self.failures = []
        self.senders = [self._thread(self._send, number) for number in range(self.SENDERS)]
        self.readers = [self._thread(self._fetch, "bob", self.sending, self._by_imap),
                        self._thread(self._fetch, "user7", self.sending, self._by_pop3)]

    def _thread(self, work, *arguments):
        def run():
            try:
                work(*arguments)
            except Exception as error:  # pylint: disable=broad-except
                self.failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def _send(self, sender):
        due, number = time.monotonic(), 0
        while not self.sending.is_set():
            session = self.ecluse.raw_session("alice", "smtp")
            for _ in range(self.IN_A_SESSION):
                number += 1
                mark = f"soak-{number * self.SENDERS + sender}-end"
                to = self.ecluse.address_of("bob" if number % 2 else "user7")
                reply = session.submit(self.ecluse.address_of("alice"), to,
                                       f"Subject: {mark}\r\n\r\n{'x' * 2000}\r\n.\r\n".encode())
                assert reply.startswith("250 "), reply
                self.sent[sender].add(mark)
                due += self.gap
                if self.sending.wait(max(0, due - time.monotonic())):
                    break
            assert session.command("QUIT").startswith("221 ")
            self._forget(session)

    def _forget(self, session):
        session.close()
        self.ecluse.clients.remove(session)

    def _fetch(self, name, sending, once):
        """Until the last was sent and is here."""
        while not sending.is_set() or not self.reading.is_set():
            self.read[name] += once(name)
            sending.wait(0.5) and self.reading.wait(0.2)

    def _by_imap(self, name):
        session = self.ecluse.raw_session(name, "imap")
        assert session.command("SELECT INBOX")[0].startswith("OK ")
        lines = session.command("FETCH 1:* BODY.PEEK[]")[1]
        found = self._marks(lines)
        last = len([line for line in lines if FETCHED.match(line)])
        if last:  # not 1:*, since more may have come meanwhile
            assert session.command(f"STORE 1:{last} +FLAGS.SILENT (\\Deleted)")[0].startswith("OK ")
            assert session.command("EXPUNGE")[0].startswith("OK ")
        assert session.command("LOGOUT")[0].startswith("OK ")
        self._forget(session)
        return found

    def _by_pop3(self, name):
        session = self.ecluse.raw_session(name, "pop3")
        found = []
        for number in range(1, int(session.command("STAT").split()[1]) + 1):
            assert session.command(f"RETR {number}").startswith("+OK ")
            found += self._marks(session.body())
            assert session.command(f"DELE {number}").startswith("+OK ")
        assert session.command("QUIT").startswith("+OK ")
        self._forget(session)
        return found

    @staticmethod
    def _marks(lines):
        return [mark for line in lines if line.startswith(b"Subject: ")
                for mark in MAIL.findall(line.decode())]

    def everything_sent(self):
        return set().union(*self.sent)

    def everything_read(self):
        return self.read["bob"] + self.read["user7"]

    def stop_sending(self):
        self.sending.set()
        for thread in self.senders:
            thread.join()

    def stop(self):
        self.sending.set()
        self.reading.set()
        for thread in self.senders + self.readers:
            thread.join()


class Watch:
    """Samples of memory and descriptors of each process of an ecluse."""

    def __init__(self, ecluse):
        self.began = time.monotonic()
        daemon = ecluse.daemon.pid
        self.processes = {f"gate {n}" if pid != daemon else "keeper": pid
                          for n, pid in enumerate([daemon, *sorted(children(daemon))])}
        self.samples = []  # (seconds, {process: (KiB, descriptors)})

    def descriptors(self):
        return {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in self.processes.items()}

    def sample(self):
        now = {name: (resident(pid), count)
               for (name, pid), count in zip(self.processes.items(), self.descriptors().values())}
        self.samples.append((time.monotonic() - self.began, now))
        return now

    def slopes(self, warm_up):
        """Process → what memory (KiB) and descriptors grow by in an hour, by least squares."""
        kept = [sample for sample in self.samples if sample[0] >= warm_up]
        return {name: tuple(slope([at / 3600 for at, _ in kept], [now[name][i] for _, now in kept])
                            for i in range(2))
                for name in self.processes}


def slope(x, y):
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    over = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
    under = sum((a - mean_x) ** 2 for a in x)
    return over / under if under else 0.0
