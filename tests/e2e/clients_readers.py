"""Real mail clients that read the INBOX and remove nothing; by their names and how they log in."""

import contextlib
import dataclasses
import imaplib
import poplib
import typing

from cli_support import PATIENCE
from clients_support import assert_same, mails_below, mails_in_mbox


@dataclasses.dataclass
class Reader:
    """`by` takes a Customer and the settings, and gives the mails as the client keeps them."""
    by: typing.Callable
    settings: dict
    own: tuple = ()  # the lines of a mail's header that this client writes itself
    mechanism: str = "PLAIN"  # which LOGIN as a command, and USER, are too

    def check(self, customer, originals):
        with customer.logging_in_by(self.mechanism):
            mails = self.by(customer, **self.settings)
        assert_same(mails, originals, self.own)


# ---- Python's own ----

def by_imaplib(customer, mechanism):
    mail = imaplib.IMAP4("127.0.0.1", customer.ports["imap"], timeout=PATIENCE)
    with mail:
        if mechanism == "LOGIN":
            mail.login(customer.user, customer.password)
        else:
            mail.authenticate(
                "PLAIN", lambda _: f"\0{customer.user}\0{customer.password}".encode())
        mail.select(readonly=True)
        numbers = mail.search(None, "ALL")[1][0].split()
        return [mail.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers]


def by_poplib(customer):
    pop = poplib.POP3("127.0.0.1", customer.ports["pop3"], timeout=PATIENCE)
    with contextlib.closing(pop):
        pop.user(customer.user)
        pop.pass_(customer.password)
        mails = [b"\r\n".join(pop.retr(n + 1)[1]) + b"\r\n" for n in range(pop.stat()[0])]
        pop.quit()
    return mails


# ---- curl ----

CURL = {"default": [], "plain": ["--login-options", "AUTH=PLAIN"],
        "login": ["--login-options", "AUTH=LOGIN"],
        "initial": ["--login-options", "AUTH=PLAIN", "--sasl-ir"],
        "cram-md5": ["--login-options", "AUTH=CRAM-MD5"],
        "digest-md5": ["--login-options", "AUTH=DIGEST-MD5"]}


def curl(customer, protocol, place, *options):
    secret = f'user = "{customer.user}:{customer.password}"\n'
    return customer.run("curl", "-sS", "-K", "-", *options,
                        f"{protocol}://127.0.0.1:{customer.ports[protocol]}/{place}",
                        stdin=secret.encode())


def imap_by_curl(customer, way):
    status = curl(customer, "imap", "", "-X", "STATUS INBOX (MESSAGES)", *CURL[way])
    count = int(status.split(b"MESSAGES ")[1].split(b")")[0])
    return [curl(customer, "imap", f"INBOX;MAILINDEX={n + 1}", *CURL[way]) for n in range(count)]


def pop3_by_curl(customer, way):
    listed = curl(customer, "pop3", "", *CURL[way]).split(b"\r\n")[:-1]
    return [curl(customer, "pop3", line.split()[0].decode(), *CURL[way]) for line in listed]


# ---- synchronizers ----

def by_mbsync(customer, mechanism):
    mail = customer.home / "mail"
    mail.mkdir()
    settings = customer.file("mbsyncrc", f"""\
IMAPAccount there
Host 127.0.0.1
Port {customer.ports["imap"]}
User {customer.user}
PassCmd "cat {customer.password_file}"
SSLType None
AuthMechs {mechanism}

IMAPStore far
Account there

MaildirStore near
Path {mail}/
Inbox {mail}/INBOX

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync Pull
SyncState *
""")
    customer.run("mbsync", "-c", settings, "-a")
    return mails_below(mail)


def by_offlineimap(customer, mechanism):
    settings = customer.file("offlineimaprc", f"""\
[general]
accounts = one
metadata = {customer.home}/state
[Account one]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {customer.home}/mail
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {customer.ports["imap"]}
remoteuser = {customer.user}
remotepassfile = {customer.password_file}
ssl = no
starttls = no
auth_mechanisms = {mechanism}
readonly = true
folderfilter = lambda name: name == 'INBOX'
""")
    customer.run("offlineimap", "-o", "-u", "basic", "-c", settings)
    return mails_below(customer.home / "mail")


# ---- fetchers ----

def by_fetchmail(customer, protocol):
    settings = customer.file("fetchmailrc", f"""\
set invisible
poll 127.0.0.1 service {customer.ports[protocol]} protocol {protocol}
  username "{customer.user}" password "{customer.password}"
  sslproto "" keep fetchall no rewrite mda "{customer.deliver}"
""")
    customer.run("fetchmail", "-f", settings, "--nodetach", "--nosyslog", "--pidfile",
                 customer.home / "pid")
    return customer.deliveries()


def by_getmail(customer, protocol):
    folder = customer.home / "getmail"
    folder.mkdir()
    settings = customer.file("getmailrc", f"""\
[retriever]
type = Simple{protocol.upper()}Retriever
server = 127.0.0.1
port = {customer.ports[protocol]}
username = {customer.user}
password = {customer.password}
[destination]
type = MDA_external
path = {customer.deliver}
unixfrom = false
allow_root_commands = true
[options]
delete = false
received = false
delivered_to = false
""")
    customer.run("getmail", "--getmaildir", folder, "--rcfile", settings)
    return customer.deliveries()


def by_mpop(customer, mechanism):
    settings = customer.file("mpoprc", f"""\
account there
host 127.0.0.1
port {customer.ports["pop3"]}
user {customer.user}
passwordeval "cat {customer.password_file}"
auth {mechanism}
tls off
keep on
received_header off
delivery mda {customer.deliver}
""")
    customer.run("mpop", "-C", settings, "-a")
    return customer.deliveries()


# ---- readers ----

def press_in_mutt(customer, protocol, program, mechanism, keys):
    """Opens the INBOX and presses the keys, of which the last ones leave."""
    (customer.home / "Mail").mkdir()
    place = f"{protocol.removesuffix('3')}://127.0.0.1:{customer.ports[protocol]}/"
    kind = protocol.removesuffix("3")
    settings = customer.file("muttrc", f"""\
set spoolfile = "{place}"
set {kind}_user = "{customer.user}"
set {kind}_pass = "{customer.password}"
set {kind}_authenticators = "{mechanism}"
set ssl_starttls = no
set ssl_force_tls = no
set confirmcreate = no
set confirmappend = no
set mbox_type = mbox
set move = no
set quit = yes
set wait_key = no
set delete = yes
""")
    customer.run_in_terminal(program, "-n", "-F", str(settings), "-e", f'push "{keys}"')


def by_mutt(customer, protocol, program, mechanism):
    copy = customer.home / "copy"
    press_in_mutt(customer, protocol, program, mechanism,
                  f"<tag-pattern>~A<enter><tag-prefix><copy-message>{copy}<enter><quit>")
    return mails_in_mbox(copy)


def by_s_nail(customer, protocol, mechanism):
    copy = customer.home / "copy"
    user = customer.user.replace("@", "%40")
    settings = customer.file("mailrc", f"""\
set v15-compat
set {protocol}-auth={mechanism}
set password={customer.password}
""")
    place = f"{protocol}://{user}@127.0.0.1:{customer.ports[protocol]}"
    place += "/INBOX" if protocol == "imap" else ""
    customer.run("s-nail", "-:u", "-R", "-f", place, stdin=f"copy * {copy}\nxit\n".encode(),
                 MAILRC=str(settings), DEAD="/dev/null")
    return mails_in_mbox(copy)


# ---- Perl's modules ----

PERL = r"""
use strict;
use warnings;
my ($port, $user, $file, $folder, $mechanism) = @ARGV;
open my $secret, '<', $file or die;
chomp(my $password = <$secret>);
my $count = 0;
sub keep {
    open my $out, '>:raw', "$folder/" . ++$count or die;
    print $out @_;
    close $out or die;
}
"""

MAIL_IMAPCLIENT = PERL + r"""
use Mail::IMAPClient;
my $mail = Mail::IMAPClient->new(Server => '127.0.0.1', Port => $port, User => $user,
    Password => $password, $mechanism eq 'LOGIN' ? () : (Authmechanism => $mechanism)) or die $@;
$mail->examine('INBOX') or die $mail->LastError;
keep($mail->message_string($_)) for $mail->messages;
$mail->logout or die $mail->LastError;
"""

NET_IMAP_SIMPLE = PERL + r"""
use Net::IMAP::Simple;
my $mail = Net::IMAP::Simple->new("127.0.0.1:$port") or die $Net::IMAP::Simple::errstr;
$mail->login($user, $password) or die $mail->errstr;
my $messages = $mail->select('INBOX') or die $mail->errstr;
keep(@{$mail->get($_)}) for 1 .. $messages;
$mail->quit;
"""

NET_POP3 = PERL + r"""
use Net::POP3;
my $pop = Net::POP3->new('127.0.0.1', Port => $port) or die $@;
my $messages = $pop->login($user, $password) // die $pop->message;
keep(@{$pop->get($_) // die $pop->message}) for 1 .. $messages;
$pop->quit or die $pop->message;
"""


def by_perl(customer, protocol, script, mechanism=""):
    customer.run("perl", "-", customer.ports[protocol], customer.user, customer.password_file,
                 customer.delivered, mechanism, stdin=script.encode())
    return customer.deliveries()


# ---- alpine ----

ALPINE = """
set timeout 60
lassign $argv settings file copy
set in [open $file]
gets $in password
close $in
proc await {text} {
    expect -ex $text {} timeout {puts "no $text"; exit 1} eof {puts "gone before $text"; exit 1}
}
set stty_init "rows 24 columns 250"
spawn -noecho alpine -i -o -p $settings
await "PASSWORD:"
send -- "$password\r"
await "INBOX(READONLY)"
await "OTHER CMDS"
send ";"
await "SELECT criteria"
send "a"
await "OTHER CMDS"
send "a"
await "APPLY command"
send "s"
await "saved-messages"
send -- "$copy\r"
await "OTHER CMDS"
send "q"
expect eof {} timeout {puts "does not end"; exit 1}
"""


def by_alpine(customer):
    copy = customer.file("copy", "")  # it would ask whether to make one
    settings = customer.file("pinerc", f"""\
inbox-path={{127.0.0.1:{customer.ports["imap"]}/imap/user={customer.user}/notls}}INBOX
feature-list=enable-aggregate-command-set,disable-password-file-saving,quit-without-confirm
user-domain=example.test
last-version-used=9.99
status-message-delay=-1
""")
    customer.run("expect", "-", settings, customer.password_file, copy, stdin=ALPINE.encode())
    return mails_in_mbox(copy)


# ---- all of them ----

MBOX = ("Content-Length", "Lines", "Status")
GETMAIL = ("Return-Path", "X-getmail-retrieved-from-mailbox")

IMAP = {
    "imaplib-login": Reader(by_imaplib, {"mechanism": "LOGIN"}),
    "imaplib-plain": Reader(by_imaplib, {"mechanism": "PLAIN"}),
    "curl": Reader(imap_by_curl, {"way": "default"}),
    "curl-plain": Reader(imap_by_curl, {"way": "plain"}),
    "curl-initial": Reader(imap_by_curl, {"way": "initial"}),
    "mbsync-login": Reader(by_mbsync, {"mechanism": "LOGIN"}, ("X-TUID",)),
    "mbsync-plain": Reader(by_mbsync, {"mechanism": "PLAIN"}, ("X-TUID",)),
    "offlineimap-login": Reader(by_offlineimap, {"mechanism": "LOGIN"}),
    "offlineimap-plain": Reader(by_offlineimap, {"mechanism": "PLAIN"}),
    "fetchmail": Reader(by_fetchmail, {"protocol": "imap"}),
    "getmail": Reader(by_getmail, {"protocol": "imap"}, GETMAIL),
    **{f"{program}-{mechanism}": Reader(
        by_mutt, {"protocol": "imap", "program": program, "mechanism": mechanism}, MBOX,
        mechanism.upper())
       for program in ("mutt", "neomutt") for mechanism in ("login", "plain")},
    "s-nail": Reader(by_s_nail, {"protocol": "imap", "mechanism": "login"}, MBOX),
    "Mail-IMAPClient-login": Reader(
        by_perl, {"protocol": "imap", "script": MAIL_IMAPCLIENT, "mechanism": "LOGIN"}),
    "Mail-IMAPClient-plain": Reader(
        by_perl, {"protocol": "imap", "script": MAIL_IMAPCLIENT, "mechanism": "PLAIN"}),
    "Net-IMAP-Simple": Reader(by_perl, {"protocol": "imap", "script": NET_IMAP_SIMPLE}),
    "alpine": Reader(by_alpine, {}, ("X-IMAPbase", "Status", "X-Status", "X-Keywords", "X-UID")),
}

# They never send their password, which the grant must keep for that.
IMAP_CHALLENGED = {
    **{f"curl-{way}": Reader(imap_by_curl, {"way": way}, mechanism=way.upper())
       for way in ("cram-md5", "digest-md5")},
    **{f"mbsync-{mechanism.lower()}": Reader(by_mbsync, {"mechanism": mechanism}, ("X-TUID",),
                                             mechanism)
       for mechanism in ("CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")},
    "offlineimap-cram-md5": Reader(by_offlineimap, {"mechanism": "CRAM-MD5"},
                                   mechanism="CRAM-MD5"),
    **{f"mutt-{mechanism}": Reader(
        by_mutt, {"protocol": "imap", "program": "mutt", "mechanism": mechanism}, MBOX,
        mechanism.upper()) for mechanism in ("cram-md5", "digest-md5", "scram-sha-256")},
}

POP3 = {
    "poplib": Reader(by_poplib, {}),
    "curl": Reader(pop3_by_curl, {"way": "default"}),
    "curl-plain": Reader(pop3_by_curl, {"way": "plain"}),
    "curl-initial": Reader(pop3_by_curl, {"way": "initial"}),
    "curl-login": Reader(pop3_by_curl, {"way": "login"}, mechanism="LOGIN"),
    "fetchmail": Reader(by_fetchmail, {"protocol": "pop3"}),
    "getmail": Reader(by_getmail, {"protocol": "pop3"}, GETMAIL),
    **{f"{program}-{mechanism}": Reader(
        by_mutt, {"protocol": "pop3", "program": program, "mechanism": mechanism}, MBOX)
       for program in ("mutt", "neomutt") for mechanism in ("user", "plain")},
    "s-nail": Reader(by_s_nail, {"protocol": "pop3", "mechanism": "plain"}, MBOX),
    "mpop-user": Reader(by_mpop, {"mechanism": "user"}),
    "mpop-plain": Reader(by_mpop, {"mechanism": "plain"}),
    "Net-POP3": Reader(by_perl, {"protocol": "pop3", "script": NET_POP3}),
}
