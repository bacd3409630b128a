"""Postfix: submission by STARTTLS and by TLS, as a provider has it.

Dovecot checks the tokens for it and takes the mails by LMTP. Its parts run as
users of their own, so it needs root; without root the rig does without it.
"""
import os
import shutil
import time
from pathlib import Path

from .common import HOST, OAUTH_ADDRESSES, RigError, greets, remove_home, spawn, write_private
from .common import make_home

MASTER = "/usr/lib/postfix/sbin/master"

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
# the log is what master was started with
maillog_file = /dev/stdout

inet_protocols = ipv4
myhostname = mail.example.test
mydestination =
alias_maps =
# all mail goes to the users here, and none leaves the machine
virtual_mailbox_domains = example.test
virtual_mailbox_maps = texthash:{home}/mailboxes
virtual_transport = lmtp:inet:{host}:{p[lmtp]}
default_transport = error:this server delivers to example.test only
relay_transport = $default_transport
smtp_dns_support_level = disabled

smtpd_peername_lookup = no
smtpd_tls_security_level = encrypt
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:{host}:{p[auth]}
# the second line, AUTH=, that clients of the last century look for
broken_sasl_auth_clients = yes
smtpd_client_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject

# every client of a proxy comes from one address: no limit, no penalty
smtpd_client_event_limit_exceptions = 127.0.0.0/8
smtpd_error_sleep_time = 0
in_flow_delay = 0
"""

MASTER_CF = """
pickup    unix  n - n 60    1     pickup
cleanup   unix  n - n -     0     cleanup
qmgr      unix  n - n 300   1     qmgr
tlsmgr    unix  - - n 1000? 1     tlsmgr
rewrite   unix  - - n -     -     trivial-rewrite
bounce    unix  - - n -     0     bounce
defer     unix  - - n -     0     bounce
trace     unix  - - n -     0     bounce
verify    unix  - - n -     1     verify
flush     unix  n - n 1000? 0     flush
proxymap  unix  - - n -     -     proxymap
error     unix  - - n -     -     error
retry     unix  - - n -     -     error
lmtp      unix  - - n -     -     lmtp
anvil     unix  - - n -     1     anvil
scache    unix  - - n -     1     scache
postlog   unix-dgram n - n - 1    postlogd
"""

SUBMISSION = """
{address}:{port} inet n - n - - smtpd
  -o smtpd_tls_chain_files={key},{cert}
  -o smtpd_tls_wrappermode={wrapped}
"""

QUEUE = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
         "private", "saved", "trace")


def offered():
    return os.geteuid() == 0


def write_old(path, text):
    """A minute ago: Postfix waits until a file is not new any more."""
    path.write_text(text)
    os.utime(path, times=(time.time() - 60,) * 2)


class Postfix:
    name = "postfix"
    seconds = 15

    def __init__(self, state):
        self.state = state
        self.log = Path(state["logs"]["postfix"])
        self.home = Path(state["dir"]) / "postfix"

    def prepare(self):
        if not os.access(MASTER, os.X_OK):
            raise RigError("Postfix is not installed; run tests/deps demo")
        ports = self.state["ports"]
        make_home(self.state["dir"], "postfix")
        home = self.home.resolve()
        home.chmod(0o755)
        self.make_queue(home)
        write_old(home / "mailboxes",
                  "".join(f"{address} here\n" for address in self.state["users"]))
        write_old(home / "main.cf", MAIN.format(home=home, host=HOST, p=ports))
        services = [MASTER_CF]
        for kind, address in OAUTH_ADDRESSES.items():
            files = self.state["certs"].get(kind, self.state["certs"]["good"])
            key, cert = (shutil.copy(files[part], home) for part in ("key", "cert"))
            for port, wrapped in ((ports["postfix"], "no"), (ports["postfixs"], "yes")):
                services.append(SUBMISSION.format(address=address, port=port, key=key, cert=cert,
                                                  wrapped=wrapped))
        (home / "master.cf").write_text("".join(services))

    def make_queue(self, home):
        for path in (home / "data", *(home / "queue" / sub for sub in QUEUE)):
            path.mkdir(mode=0o700, parents=True)
            shutil.chown(path, "postfix")
        for sub, mode in (("public", 0o710), ("maildrop", 0o730)):
            path = home / "queue" / sub
            path.mkdir()
            shutil.chown(path, "postfix", "postdrop")
            path.chmod(mode)
        (home / "queue" / "pid").mkdir()

    def start(self):
        return spawn([MASTER, "-s", "-c", str(self.home.resolve())], self.log,
                     env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def ready(self):
        return greets(self.state["ports"]["postfix"])

    def clean(self):
        shutil.rmtree(self.home.resolve(), ignore_errors=True)
        remove_home(self.state["dir"], "postfix")
