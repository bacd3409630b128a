"""What every measurement has around it."""

import subprocess

from columns import Run
from processes import OTHER_CPU, Failed, Process, fields

USERS = 16


class World:
    """The upstream, the certificate that it shows, who logs in, and all that runs."""

    def __init__(self, folder, build):
        self.folder = folder
        self.build = build
        self.running = []
        self.parties = []
        self.ca = folder / "ca.pem"
        self.users = [f"user{i}@bench.test" for i in range(USERS)]
        self.credentials = folder / "credentials"
        self.credentials.write_text("".join(f"{user} bench-password\n" for user in self.users))
        self.make_certificates()
        self.server = Process([build / "upstream", folder / "server.pem", folder / "server.key"],
                              folder / "upstream.log", cpu=OTHER_CPU, talks=True)
        self.running.append(self.server)
        self.upstream = {key: int(value) for key, value in fields(self.server.ask()).items()}

    def openssl(self, *arguments):
        result = subprocess.run(["openssl", *map(str, arguments)], cwd=self.folder, check=False,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if result.returncode != 0:
            raise Failed(result.stderr.decode())

    def make_certificates(self):
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
        self.openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", 2,
                     "-subj", "/CN=bench authority")
        self.openssl("req", "-x509", *new_key, "-keyout", "server.key", "-out", "server.pem",
                     "-days", 2, "-subj", "/CN=localhost", "-CA", "ca.pem", "-CAkey", "ca.key",
                     "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                     "-addext", "basicConstraints=critical,CA:FALSE")
        for name in ("ca.pem", "server.pem", "server.key"):
            (self.folder / name).chmod(0o644)  # Dovecot is run as nobody

    def server_counts(self):
        """Since it was asked last."""
        return fields(self.server.ask("counts"))

    def warm_up(self, party):
        """Each user once, so that tokens and TLS sessions are there."""
        for protocol in party.protocols:
            run = Run(self, party, "login", protocol, USERS if party.logins_factor == 1 else 1, 2)
            run.work()
            run.end()

    def begin_anew(self, party):
        """Of one that hangs, and who hangs on it."""
        while self.running[-1] is not self.server:
            self.running.pop().stop()
        party.stop()
        party.start()
        self.warm_up(party)

    def end(self):
        for process in reversed(self.running):
            process.stop()
        for party in self.parties:
            party.stop()
