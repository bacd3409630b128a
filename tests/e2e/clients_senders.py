"""Real mail clients that send; by their names and how they log in."""

import dataclasses
import smtplib
import typing

from cli_support import PATIENCE
from clients_readers import CURL, PERL, curl


@dataclasses.dataclass
class Sender:
    """`by` takes a Customer, a Letter and the settings."""
    by: typing.Callable
    settings: dict
    mechanism: str = "PLAIN"
    whole: bool = True  # sends what it is handed, header and all

    def send(self, customer, letter):
        with customer.logging_in_by(self.mechanism):
            self.by(customer, letter, **self.settings)

    def check(self, letter, arrived):
        letter.assert_whole(arrived) if self.whole else letter.assert_text(arrived)


# ---- of whole mails ----

def by_smtplib(customer, letter, mechanism):
    smtp = smtplib.SMTP("127.0.0.1", customer.ports["smtp"], timeout=PATIENCE)
    with smtp:
        smtp.ehlo()
        smtp.user, smtp.password = customer.user, customer.password
        smtp.auth(mechanism, getattr(smtp, f"auth_{mechanism.lower()}"))
        smtp.sendmail(letter.sender, [letter.recipient], letter.mail().replace(b"\n", b"\r\n"))


def by_curl(customer, letter, way):
    mail = customer.home / "mail"
    mail.write_bytes(letter.mail())
    curl(customer, "smtp", "client.example.test", *CURL[way], "--crlf", "-T", mail,
         "--mail-from", letter.sender, "--mail-rcpt", letter.recipient)


def by_msmtp(customer, letter, mechanism):
    settings = customer.file("msmtprc", f"""\
account default
host 127.0.0.1
port {customer.ports["smtp"]}
from {letter.sender}
user {customer.user}
passwordeval "cat {customer.password_file}"
auth {mechanism}
tls off
""")
    customer.run("msmtp", "-C", settings, letter.recipient, stdin=letter.mail())


def by_swaks(customer, letter, mechanism):
    mail = customer.home / "mail"
    mail.write_bytes(letter.mail().removesuffix(b"\n"))  # it puts one there
    settings = customer.file("swaksrc", f"""\
--server 127.0.0.1
--port {customer.ports["smtp"]}
--auth {mechanism}
--auth-user {customer.user}
--auth-password {customer.password}
--from {letter.sender}
--to {letter.recipient}
--data @{mail}
""")
    customer.run("swaks", "--config", settings)


NET_SMTP = PERL + r"""
use Net::SMTP;
use Authen::SASL;
my ($sender, $recipient, $mail) = @ARGV[5 .. 7];
my $smtp = Net::SMTP->new('127.0.0.1', Port => $port) or die $@;
my $sasl = Authen::SASL->new(mechanism => $mechanism,
    callback => {user => $user, pass => $password, authname => ''});
$smtp->auth($sasl) or die $smtp->message;
$smtp->mail($sender) && $smtp->to($recipient) && $smtp->data or die $smtp->message;
open my $in, '<:raw', $mail or die;
$smtp->datasend($_) or die while <$in>;
$smtp->dataend or die $smtp->message;
$smtp->quit;
"""


def by_net_smtp(customer, letter, mechanism):
    mail = customer.home / "mail"
    mail.write_bytes(letter.mail())
    customer.run("perl", "-", customer.ports["smtp"], customer.user, customer.password_file,
                 customer.delivered, mechanism, letter.sender, letter.recipient, mail,
                 stdin=NET_SMTP.encode())


# ---- of a text, around which they write the mail ----

def by_mutt(customer, letter, program, mechanism):
    settings = customer.file("muttrc", f"""\
set smtp_url = "smtp://{customer.user}@127.0.0.1:{customer.ports["smtp"]}/"
set smtp_pass = "{customer.password}"
set smtp_authenticators = "{mechanism}"
set ssl_starttls = no
set ssl_force_tls = no
set from = "{letter.sender}"
set envelope_from = yes
set copy = no
""")
    customer.run(program, "-n", "-F", settings, "-s", letter.subject, "--", letter.recipient,
                 stdin=letter.TEXT)


def by_s_nail(customer, letter, mechanism):
    settings = customer.file("mailrc", f"""\
set v15-compat
set mta=smtp://127.0.0.1:{customer.ports["smtp"]}
set smtp-auth={mechanism}
set user={customer.user}
set password={customer.password}
set from={letter.sender}
""")
    customer.run("s-nail", "-:u", "-s", letter.subject, letter.recipient, stdin=letter.TEXT,
                 MAILRC=str(settings), DEAD="/dev/null")


SENDERS = {
    "smtplib-plain": Sender(by_smtplib, {"mechanism": "PLAIN"}),
    "smtplib-login": Sender(by_smtplib, {"mechanism": "LOGIN"}, "LOGIN"),
    "curl": Sender(by_curl, {"way": "default"}),
    "curl-plain": Sender(by_curl, {"way": "plain"}),
    "curl-login": Sender(by_curl, {"way": "login"}, "LOGIN"),
    "curl-initial": Sender(by_curl, {"way": "initial"}),
    "msmtp-plain": Sender(by_msmtp, {"mechanism": "plain"}),
    "msmtp-login": Sender(by_msmtp, {"mechanism": "login"}, "LOGIN"),
    "swaks-plain": Sender(by_swaks, {"mechanism": "PLAIN"}),
    "swaks-login": Sender(by_swaks, {"mechanism": "LOGIN"}, "LOGIN"),
    "Net-SMTP-plain": Sender(by_net_smtp, {"mechanism": "PLAIN"}),
    "Net-SMTP-login": Sender(by_net_smtp, {"mechanism": "LOGIN"}, "LOGIN"),
    **{f"{program}-{mechanism}": Sender(by_mutt, {"program": program, "mechanism": mechanism},
                                        mechanism.upper(), whole=False)
       for program in ("mutt", "neomutt") for mechanism in ("plain", "login")},
    **{f"s-nail-{mechanism}": Sender(by_s_nail, {"mechanism": mechanism}, mechanism.upper(),
                                     whole=False) for mechanism in ("plain", "login")},
}
