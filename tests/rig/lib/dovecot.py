"""Dovecot: IMAP, POP3, submission and LMTP for the rig's users.

All of it runs as one user without rights: nobody when the rig is started by
root, else whoever started it. There are two of it on the same mail, since one
Dovecot offers the same mechanisms everywhere: one takes tokens, the other
passwords.
"""
import grp
import os
import pwd
import shutil
import time
from pathlib import Path
from urllib.parse import quote

from .common import (ADDRESSES, HOST, OAUTH_ADDRESSES, RigError, greets, remove_home, spawn,
                     write_private)

BINARY = "/usr/sbin/dovecot"
LONGEST_SOCKET = len("/run-password/") + 31  # below the home

CONFIG = """
base_dir = {home}/{run}
state_dir = {home}/state-{run}
instance_name = rig-{run}
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

protocols = imap pop3 submission
listen = {addresses}
login_greeting = Dovecot ready.
ssl_cert = <{certs[good][cert]}
ssl_key = <{certs[good][key]}

auth_failure_delay = 0
userdb {{
  driver = passwd-file
  args = {home}/users
}}
mail_max_userip_connections = 10000

mail_location = maildir:~/Maildir
# What clients say, where somebody has made the folder.
rawlog_dir = %h/rawlog
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

TOKENS = """
protocols = $protocols lmtp
ssl = yes
local {a[tls_required]} {{
  ssl = required
}}
{other_certs}

auth_mechanisms = xoauth2 oauthbearer
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {home}/oauth2.conf
}}
service auth {{
  inet_listener {{
    address = {host}
    port = {p[auth]}
  }}
}}
service lmtp {{
  user = {user}
  inet_listener lmtp {{
    address = {host}
    port = {p[lmtp]}
  }}
}}
"""

PASSWORDS = """
ssl = required
auth_mechanisms = plain login scram-sha-1 scram-sha-256
passdb {{
  driver = passwd-file
  args = {home}/users
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


def write_mails(maildir):
    now = int(time.time()) - 3600
    for n, (sender, subject, text) in enumerate(MAILS):
        date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(now + 600 * n))
        (maildir / "new" / f"{now + n}.rig{n}.localhost").write_text(
            f"From: {sender}\nTo: Alice <alice@example.test>\nSubject: {subject}\n"
            f"Date: {date}\nMessage-ID: <rig-{n}@example.test>\nMIME-Version: 1.0\n"
            f"Content-Type: text/plain; charset=utf-8\n\n{text}\n")


class Dovecot:
    """Tokens, and the mail of all."""
    name = "dovecot"
    run = "run"
    seconds = 15
    settings = CONFIG + TOKENS
    addresses = OAUTH_ADDRESSES

    def __init__(self, state):
        self.state = state
        self.log = Path(state["logs"][self.name])
        self.home = Path(state["dovecot_home"])
        self.config = self.home / f"{self.name}.conf"
        self.account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())

    def prepare(self):
        if not os.access(BINARY, os.X_OK):
            raise RigError("Dovecot is not installed; run tests/deps demo")
        certs = self.copy_certs()
        self.write_oauth2(certs["ca"])
        self.write_users()
        self.write_config(certs)
        self.give_away(self.home)

    def copy_certs(self):
        """The keys in DIR/certs belong to whoever started the rig."""
        certs = {}
        for kind, files in self.state["certs"].items():
            if kind == "ca":
                certs["ca"] = shutil.copy(files, self.home)
            else:
                certs[kind] = {k: shutil.copy(v, self.home) for k, v in files.items()}
        return certs

    def write_oauth2(self, ca):
        client = self.state["clients"]["dovecot"]
        write_private(self.home / "oauth2.conf", OAUTH2.format(
            client=client["client_id"], secret=quote(client["client_secret"]),
            port=self.state["ports"]["op"], ca=ca))

    def write_users(self):
        users = self.state["users"]
        write_private(self.home / "users", "".join(
            f"{address}:{{PLAIN}}{user['password']}:{self.account.pw_uid}:{self.account.pw_gid}::"
            f"{Path(user['maildir']).parent}\n" for address, user in users.items()))
        for user in users.values():
            for sub in ("tmp", "new", "cur"):
                (Path(user["maildir"]) / sub).mkdir(parents=True)
        write_mails(Path(users["alice@example.test"]["maildir"]))

    def write_config(self, certs):
        others = "".join(OTHER_CERT.format(address=ADDRESSES[kind], **certs[kind])
                         for kind in self.addresses if kind in certs and kind != "good")
        write_private(self.config, self.settings.format(
            home=self.home, run=self.run, user=self.account.pw_name,
            group=grp.getgrgid(self.account.pw_gid).gr_name, host=HOST,
            addresses=" ".join(self.addresses.values()), a=ADDRESSES, p=self.state["ports"],
            certs=certs, other_certs=others))

    def give_away(self, top):
        if os.geteuid() == 0:
            for path in [top, *top.rglob("*")]:
                os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def start(self):
        shutil.rmtree(self.home / self.run, ignore_errors=True)  # sockets of a killed one
        return spawn([BINARY, "-F", "-c", str(self.config)], self.log,
                     user=self.account.pw_name if os.geteuid() == 0 else None,
                     env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"})

    def ready(self):
        return all(greets(self.state["ports"][p], address) for p in ("imap", "pop3", "submission")
                   for address in self.addresses.values())

    def clean(self):
        shutil.rmtree(self.home / self.run, ignore_errors=True)
        remove_home(self.state["dir"], Dovecot.name)


class Password(Dovecot):
    """Passwords only, for the same mail, at an address of its own."""
    name = "password"
    run = "run-password"
    settings = CONFIG + PASSWORDS
    addresses = {"password": ADDRESSES["password"]}

    def prepare(self):
        good = {key: str(self.home / Path(path).name)
                for key, path in self.state["certs"]["good"].items()}
        self.write_config({"good": good})
        self.give_away(self.config)
