"""Who is compared: each with the configuration that its manual would give for "plaintext here, verified
TLS there", no more and no less. All of them verify the upstream's certificate and name."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from processes import PROXY_CPU, Failed, Process, free_ports, nobody, wait_until_open

TREE = Path(__file__).resolve().parents[2]
PROTOCOLS = ("imap", "pop3", "smtp")
TOKEN = "bench-access-token"
SESSIONS_MAX = 10000


def _said(command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                            env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
    return result.stdout.decode(errors="replace")


class Party:
    """A proxy before the upstream. `world` has folder, ca, upstream ports and credentials."""
    name = version = None
    protocols = PROTOCOLS
    user = None
    cpu = PROXY_CPU
    is_peer = True
    is_bearer = False      # it logs in upstream by a token of its own
    speaks_tls = False     # its clients do, themselves
    sessions_max = SESSIONS_MAX
    logins_factor = 1.0    # of the number of logins that others are measured by
    workers = 1
    may_stall = False      # then its cell is left out, and it begins anew
    patience = 120         # seconds that a load by it may take

    def __init__(self, world):
        self.world = world
        self.folder = world.folder / self.name.replace(" ", "-")
        self.folder.mkdir(exist_ok=True)
        self.process = None
        self.ports = {}
        self.credentials = world.credentials

    def start(self):
        self.ports = dict(zip(self.protocols, free_ports(len(self.protocols))))
        command = self.prepare()
        self.process = Process(command, self.folder / "log", cpu=self.cpu, user=self.user,
                               env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
        wait_until_open(self.ports.values(), self.process)
        return self

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600 if self.user is None else 0o644)
        return path

    def prepare(self):
        """Writes its configuration; the command to start."""
        raise NotImplementedError

    @classmethod
    def is_there(cls):
        return shutil.which(cls.binary, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is not None


class Nginx(Party):
    name = "nginx stream"
    binary = "nginx"
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"

    @staticmethod
    def find_version():
        return re.search(r"nginx/([\d.]+)", _said(["nginx", "-v"]))[1]

    def prepare(self):
        servers = "".join(
            f"  server {{ listen 127.0.0.1:{port} backlog=4096;"
            f" proxy_pass 127.0.0.1:{self.world.upstream[protocol]}; }}\n"
            for protocol, port in self.ports.items())
        config = self.write("nginx.conf", f"""
load_module {self.module};
daemon off;
pid {self.folder}/pid;
error_log {self.folder}/error.log error;
worker_processes {self.workers};
worker_rlimit_nofile 20000;
events {{ worker_connections 20000; }}
stream {{
  proxy_ssl on;
  proxy_ssl_protocols TLSv1.3;
  proxy_ssl_verify on;
  proxy_ssl_trusted_certificate {self.world.ca};
  proxy_ssl_name localhost;
  proxy_ssl_server_name on;
  proxy_timeout 1h;
{servers}}}
""")
        return ["nginx", "-c", config, "-p", self.folder, "-e", self.folder / "error.log"]


class Haproxy(Party):
    name = binary = "haproxy"

    @staticmethod
    def find_version():
        return re.search(r"version ([\d.]+)", _said(["haproxy", "-v"]))[1]

    def prepare(self):
        sections = "".join(f"""
listen {protocol}
  bind 127.0.0.1:{port} backlog 4096
  server upstream 127.0.0.1:{self.world.upstream[protocol]} ssl verify required """
                           f"ca-file {self.world.ca} sni str(localhost) verifyhost localhost\n"
                           for protocol, port in self.ports.items())
        config = self.write("haproxy.cfg", f"""
global
  nbthread {self.workers}
  maxconn 9900
  ulimit-n 20000
defaults
  mode tcp
  maxconn 9900
  timeout connect 10s
  timeout client 1h
  timeout server 1h
{sections}""")
        return ["haproxy", "-db", "-q", "-f", config]


class Stunnel(Party):
    name = "stunnel"
    binary = "stunnel4"

    @staticmethod
    def find_version():
        return re.search(r"stunnel ([\d.]+)", _said(["stunnel4", "-version"]))[1]

    def prepare(self):
        sections = "".join(f"""
[{protocol}]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{self.world.upstream[protocol]}
verifyChain = yes
CAfile = {self.world.ca}
checkHost = localhost
sni = localhost
""" for protocol, port in self.ports.items())
        return ["stunnel4", self.write("stunnel.conf", f"""
foreground = yes
pid =
debug = err
client = yes
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
TIMEOUTidle = 3600
{sections}""")]


class Dovecot(Party):
    name = "Dovecot proxy"
    binary = "dovecot"
    is_bearer = True
    services = {"imap": "imap", "pop3": "pop3", "smtp": "submission"}
    listeners = {"imap": ("imap", "imaps"), "pop3": ("pop3", "pop3s"),
                 "smtp": ("submission", "submissions")}

    @staticmethod
    def find_version():
        return _said(["dovecot", "--version"]).split()[0]

    def __init__(self, world):
        super().__init__(world)
        self.user = nobody()
        if self.user is not None:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)

    def sections(self):
        for protocol, port in self.ports.items():
            service = self.services[protocol]
            plain, secure = self.listeners[protocol]
            yield f"""
service {service}-login {{
  chroot =
  service_count = 0
  client_limit = 19000
  process_min_avail = 1
  process_limit = 1
  inet_listener {plain} {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener {secure} {{
    port = 0
  }}
}}
protocol {service} {{
  passdb {{
    driver = static
    args = proxy=y nopassword=y host=localhost hostip=127.0.0.1 """ \
                f"""port={self.world.upstream[protocol]} ssl=yes proxy_mech=xoauth2 pass={TOKEN}
  }}
}}
"""

    def prepare(self):
        name = self.user.pw_name if self.user else os.environ.get("USER", "nobody")
        group = "nogroup" if self.user else name
        return ["dovecot", "-F", "-c", self.write("dovecot.conf", f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = /dev/stderr
default_internal_user = {name}
default_internal_group = {group}
default_login_user = {name}
default_client_limit = 19000
default_vsz_limit = 0
protocols = {" ".join(self.services[protocol] for protocol in self.ports)}
listen = 127.0.0.1
ssl = yes
ssl_cert = <{self.world.folder}/server.pem
ssl_key = <{self.world.folder}/server.key
# its login processes read no ssl_client_ca_file
import_environment = $import_environment SSL_CERT_FILE={self.world.ca}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
hostname = localhost
# there has to be one for all, though each protocol has its own
passdb {{
  driver = static
  args = password={TOKEN}
}}
{"".join(self.sections())}
service auth-worker {{
  user = {name}
}}
service stats {{
  chroot =
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
""")]


class Ecluse(Party):
    """With the process that keeps the secrets, SASL on both sides and the record of what happened."""
    name = "ecluse"
    is_peer = False
    is_bearer = True
    binary = Path(os.environ.get("ECLUSE", TREE / "build/release/ecluse"))
    audit = os.environ.get("AUDIT") or "standard"
    options = ""  # more lines of its configuration

    def find_version(self):
        return _said([self.binary, "version"]).split()[-1]

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    def run(self, *arguments, text=""):
        result = subprocess.run([self.binary, *arguments], input=text.encode(), check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.environment())
        if result.returncode != 0:
            raise Failed(f"ecluse {arguments[0]}: {result.stderr.decode().strip()}")
        return result.stdout.decode()

    def prepare(self):
        places = {protocol: f"tls://127.0.0.1:{port}" for protocol, port in
                  self.world.upstream.items()}
        listeners = "".join(f"""
[listen {protocol}]
protocol = {protocol}
address = 127.0.0.1:{port}
max_sessions = 20000
max_sessions_per_account = 20000
""" for protocol, port in self.ports.items())
        accounts = "".join(f"""
[account {user.partition("@")[0]}]
address = {user}
provider = bench
flow = command
token_command = echo {TOKEN}
""" for user in self.world.users)
        config = self.write("ecluse.ini", f"""
[ecluse]
state_dir = {self.folder}/state
runtime_dir = {self.folder}/run
web = off
workers = {self.workers}
ca_file = {self.world.ca}
audit = {self.audit}
{self.options}
{listeners}
[provider bench]
{"".join(f"{key} = {value}{chr(10)}" for key, value in places.items())}
{accounts}""")
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        self.credentials = self.folder / "credentials"
        self.credentials.write_text("".join(
            f"{user} {self.grant(config, user)}\n" for user in self.world.users))
        return [self.binary, "run", "-c", config]

    def grant(self, config, user):
        """A generated password, as the manual recommends."""
        name = user.partition("@")[0]
        return self.run("grant", name, "--name", "bench", "-c", str(config)).split()[-1]


class EcluseOff(Ecluse):
    """What the journal costs is the difference."""
    name = "ecluse without journal"
    audit = "off"

    @classmethod
    def is_there(cls):
        return Ecluse.audit != cls.audit


class EcluseBefore(Ecluse):
    """Another build of it, at the path BEFORE, to see what a change gives."""
    name = "ecluse before"
    binary = Path(os.environ.get("BEFORE") or "/nonexistent")

    @classmethod
    def is_there(cls):
        return cls.binary.exists()


class EmailProxy(Party):
    """The program that ecluse replaces; EMAILPROXY is the path of its emailproxy.py."""
    name = "email-oauth2-proxy"
    is_bearer = True
    sessions_max = 100
    logins_factor = 0.01
    may_stall = True       # with many sessions at once it does, in each run so far
    patience = 90          # a hundred logins are half a minute

    @staticmethod
    def is_there():
        return "EMAILPROXY" in os.environ

    @staticmethod
    def find_version():
        text = Path(os.environ["EMAILPROXY"]).read_text()
        return re.search(r"__package_version__ = '([^']+)'", text)[1]

    def prepare(self):
        sys.path.append(str(TREE / "tests/e2e"))
        from fernet_support import seal  # pylint: disable=import-outside-toplevel,import-error
        salt = "AAECAwQFBgcICQoLDA0ODw=="
        names = {"imap": "IMAP", "pop3": "POP", "smtp": "SMTP"}
        user, password = self.world.credentials.read_text().split()[:2]
        token = seal(TOKEN, password, bytes(range(16)), 1200000)
        self.credentials = self.folder / "credentials"
        self.credentials.write_text(f"{user} {password}\n")
        config = self.write("emailproxy.config", "".join(f"""
[{names[protocol]}-{port}]
local_address = 127.0.0.1
server_address = localhost
server_port = {self.world.upstream[protocol]}
""" for protocol, port in self.ports.items()) + f"""
[{user}]
permission_url = https://localhost/authorize
token_url = https://localhost/token
oauth2_scope = mail
redirect_uri = http://localhost
client_id = bench
token_salt = {salt}
token_iterations = 1200000
access_token = {token}
access_token_expiry = {int(time.time()) + 86400}
refresh_token = {token}
""")
        os.environ["SSL_CERT_FILE"] = str(self.world.ca)
        return [sys.executable, os.environ["EMAILPROXY"], "--no-gui", "--config-file", config]


class Floor(Party):
    """A bare relay over epoll and OpenSSL: no protocol, no authentication. What is reachable."""
    name = "bare relay"
    is_peer = False

    @staticmethod
    def is_there():
        return True

    @staticmethod
    def find_version():
        return ""

    def prepare(self):
        pairs = [f"{port}:{self.world.upstream[protocol]}" for protocol, port in
                 self.ports.items()]
        return [self.world.build / "floor", self.world.ca, *pairs]


class Direct(Party):
    """No proxy: the client speaks TLS itself. Its CPU is what that adds to the client's."""
    name = "direct TLS"
    is_peer = False
    speaks_tls = True

    @staticmethod
    def is_there():
        return True

    @staticmethod
    def find_version():
        return ""

    def start(self):
        self.ports = dict(self.world.upstream)
        return self


def all_parties(world):
    """Those that are there, ecluse last."""
    kinds = [Nginx, Haproxy, Stunnel, Dovecot, EmailProxy, Direct, Floor, EcluseBefore, EcluseOff]
    missing = [kind.name for kind in kinds[:4] if not kind.is_there()]
    if missing:
        raise Failed(f"not installed: {', '.join(missing)}; run tests/deps bench")
    if not Ecluse.binary.exists():
        raise Failed(f"no {Ecluse.binary}; run make")
    wanted = os.environ.get("ONLY", "").split(",") if os.environ.get("ONLY") else None
    parties = [kind(world) for kind in kinds if kind.is_there()] + [Ecluse(world)]
    for party in parties:
        party.version = party.find_version()
    return [party for party in parties if wanted is None or party.name in wanted]
