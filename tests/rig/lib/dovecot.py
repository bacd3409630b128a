"""Dovecot: IMAP, POP3, submission and LMTP for the rig's users.

All of it runs as one user without rights: nobody when the rig is started by
root, else whoever started it.
"""
import grp
import os
import pwd
import shutil
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from .common import ADDRESSES, HOST, RigError, greets, spawn, write_private

BINARY = "/usr/sbin/dovecot"
LONGEST_SOCKET = 32  # below run/; a unix socket's path has at most 107 bytes

CONFIG = """
base_dir = {home}/run
state_dir = {home}/state
instance_name = rig
# the master's stderr is the log file: its folder may be closed to {user}
log_path = /dev/stderr
log_timestamp = "%Y-%m-%d %H:%M:%S "
auth_verbose = yes
mail_fsync = never

default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
default_process_limit = 512
default_client_limit = 10000
default_vsz_limit = 1G

protocols = imap pop3 submission lmtp
listen = {addresses}
login_greeting = Dovecot ready.
ssl = yes
ssl_cert = <{certs[good][cert]}
ssl_key = <{certs[good][key]}
local {a[tls_required]} {{
  ssl = required
}}
{other_certs}

auth_mechanisms = xoauth2 oauthbearer
auth_failure_delay = 0
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {home}/oauth2.conf
}}
userdb {{
  driver = passwd-file
  args = {home}/users
}}
mail_max_userip_connections = 10000

mail_location = maildir:~/Maildir
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    auto = create
    special_use = \\Drafts
  }}
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
}}

submission_relay_host = {host}
submission_relay_port = {p[smtp]}
hostname = mail.example.test

# a login process serves many connections, and sessions start without a fork
# for each, so that thousands fit
service imap-login {{
  chroot =
  service_count = 0
  client_limit = 8000
  process_min_avail = 1
  process_limit = 2
  inet_listener imap {{
    port = {p[imap]}
  }}
  inet_listener imaps {{
    port = {p[imaps]}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  service_count = 0
  client_limit = 4000
  process_limit = 2
  inet_listener pop3 {{
    port = {p[pop3]}
  }}
  inet_listener pop3s {{
    port = {p[pop3s]}
    ssl = yes
  }}
}}
service submission-login {{
  chroot =
  service_count = 0
  client_limit = 4000
  process_limit = 2
  inet_listener submission {{
    port = {p[submission]}
  }}
  inet_listener submissions {{
    port = {p[submissions]}
    ssl = yes
  }}
}}
service imap {{
  service_count = 0
  client_limit = 50
}}
service pop3 {{
  service_count = 0
  client_limit = 20
}}
service submission {{
  service_count = 0
  client_limit = 20
}}
service lmtp {{
  user = {user}
  inet_listener lmtp {{
    address = {host}
    port = {p[lmtp]}
  }}
}}
service auth-worker {{
  user = {user}
}}
service stats {{
  chroot =
}}
service anvil {{
  chroot =
  # no penalty: every client of a proxy comes from one address
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""

OTHER_CERT = """
local {address} {{
  ssl_cert = <{cert}
  ssl_key = <{key}
}}"""

OAUTH2 = """
introspection_url = https://{client}:{secret}@localhost:{port}/token/introspection
introspection_mode = post
force_introspection = yes
username_attribute = username
active_attribute = active
active_value = true
openid_configuration_url = https://localhost:{port}/.well-known/openid-configuration
tls_ca_cert_file = {ca}
max_parallel_connections = 32
timeout_msecs = 20000
"""

MAILS = (
    ("Bob <bob@example.test>", "Welcome", "Hello Alice,\n\nthis mail was here before you.\n\nBob"),
    ("Carol <carol@example.test>", "Lunch on Friday",
     "Shall we say half past twelve, at the lock by the canal?\n\nCarol"),
    ("Bob <bob@example.test>", "Re: Lunch on Friday", "I will be there.\n\nBob"),
)


def usable(home):
    """Whether Dovecot, perhaps as nobody, can work in this folder."""
    if len(os.fsencode(home / "run")) + LONGEST_SOCKET > 107:
        return False
    if os.geteuid() != 0:
        return True
    return all(p.stat().st_mode & 0o001 for p in home.parents)


def make_home(folder):
    """DIR/dovecot, or a folder in /tmp with DIR/dovecot as a link to it.

    pytest's folders for root are closed to everybody else, and long.
    """
    here = Path(folder) / "dovecot"
    if usable(here):
        here.mkdir(mode=0o700)
        return here
    home = Path(tempfile.mkdtemp(prefix="rig-", dir="/tmp"))
    here.symlink_to(home)
    return home


def write_mails(maildir):
    now = int(time.time()) - 3600
    for n, (sender, subject, text) in enumerate(MAILS):
        date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(now + 600 * n))
        (maildir / "new" / f"{now + n}.rig{n}.localhost").write_text(
            f"From: {sender}\nTo: Alice <alice@example.test>\nSubject: {subject}\n"
            f"Date: {date}\nMessage-ID: <rig-{n}@example.test>\nMIME-Version: 1.0\n"
            f"Content-Type: text/plain; charset=utf-8\n\n{text}\n")


class Dovecot:
    name = "dovecot"
    seconds = 15

    def __init__(self, state):
        self.state = state
        self.log = Path(state["logs"]["dovecot"])
        self.home = Path(state["dovecot_home"])
        self.user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def prepare(self):
        if not os.access(BINARY, os.X_OK):
            raise RigError("Dovecot is not installed; run tests/deps demo")
        s, home = self.state, self.home
        account = pwd.getpwnam(self.user)
        certs = {}
        for kind, files in s["certs"].items():
            if kind == "ca":
                certs["ca"] = shutil.copy(files, home)
            else:  # the keys in DIR/certs belong to whoever started the rig
                certs[kind] = {k: shutil.copy(v, home) for k, v in files.items()}
        others = "".join(OTHER_CERT.format(address=ADDRESSES[kind], **certs[kind])
                         for kind in ("wrong_name", "expired", "unknown_ca"))
        write_private(home / "dovecot.conf", CONFIG.format(
            home=home, user=self.user, group=grp.getgrgid(account.pw_gid).gr_name, host=HOST,
            addresses=" ".join(ADDRESSES.values()), a=ADDRESSES, p=s["ports"], certs=certs,
            other_certs=others))
        client = s["clients"]["dovecot"]
        write_private(home / "oauth2.conf", OAUTH2.format(
            client=client["client_id"], secret=quote(client["client_secret"]),
            port=s["ports"]["op"], ca=certs["ca"]))
        write_private(home / "users", "".join(
            f"{address}::{account.pw_uid}:{account.pw_gid}::{Path(user['maildir']).parent}\n"
            for address, user in s["users"].items()))
        for user in s["users"].values():
            for sub in ("tmp", "new", "cur"):
                (Path(user["maildir"]) / sub).mkdir(parents=True)
        write_mails(Path(s["users"]["alice@example.test"]["maildir"]))
        if os.geteuid() == 0:
            for parent, folders, files in os.walk(home):
                for name in [".", *folders, *files]:
                    os.chown(os.path.join(parent, name), account.pw_uid, account.pw_gid)

    def start(self):
        shutil.rmtree(self.home / "run", ignore_errors=True)  # sockets of a killed one
        return spawn([BINARY, "-F", "-c", str(self.home / "dovecot.conf")], self.log,
                     user=self.user if os.geteuid() == 0 else None,
                     env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"})

    def ready(self):
        return all(greets(self.state["ports"][p]) for p in ("imap", "pop3", "submission"))

    def clean(self):
        link = Path(self.state["dir"]) / "dovecot"
        if link.is_symlink():
            link.unlink()
            shutil.rmtree(self.home, ignore_errors=True)
        else:
            shutil.rmtree(self.home / "run", ignore_errors=True)
