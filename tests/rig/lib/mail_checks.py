"""The self-test's checks of the mail servers."""
import imaplib
import poplib
import smtplib
import socket
import ssl
import threading
import time

from . import client as c, common
from .checks import ALICE, BOB, CAROL, check, raises


def test_logins(s):
    token = c.grant(s, ALICE)["access_token"]
    for mechanism in ("XOAUTH2", "OAUTHBEARER"):
        mail = c.login(s, ALICE, token, mechanism)
        check(f"{mechanism}: three mails wait", mail.select()[1] == [b"3"])
        mail.logout()
        check(f"{mechanism}: another user's token is refused", c.refused(s, BOB, token, mechanism))
        check(f"{mechanism}: an unknown token is refused", c.refused(s, ALICE, "x" * 43, mechanism))
    mail = c.imap(s)
    offered = {cap for cap in mail.capabilities if cap.startswith("AUTH=")}
    check("only the two OAuth mechanisms", offered == {"AUTH=XOAUTH2", "AUTH=OAUTHBEARER"})
    mail.logout()
    mail = c.login(s, "user60@example.test", c.grant(s, "user60@example.test")["access_token"])
    check("mailboxes are there", len(mail.list()[1]) == 5)
    mail.logout()


def test_no_delay_for_failures(s):
    began = time.monotonic()
    for _ in range(4):
        c.refused(s, ALICE, "x" * 43)
    check("failed logins are not slowed down", time.monotonic() - began < 4)


# ---- each protocol by TLS at once and by STARTTLS

def open_imap(s, tls, host="localhost"):
    if tls:
        return c.imap(s, host)
    mail = imaplib.IMAP4(host, s["ports"]["imap"], timeout=15)
    mail.starttls(c.context(s))
    return mail


def open_pop3(s, tls, host="localhost"):
    if tls:
        return poplib.POP3_SSL(host, s["ports"]["pop3s"], context=c.context(s), timeout=15)
    pop = poplib.POP3(host, s["ports"]["pop3"], timeout=15)
    pop.stls(c.context(s))
    return pop


def open_smtp(s, tls, host="localhost", port="submission"):
    """After EHLO. The port for TLS at once has one more s in its name."""
    if tls:
        smtp = smtplib.SMTP_SSL(host, s["ports"][f"{port}s"], context=c.context(s), timeout=15)
    else:
        smtp = smtplib.SMTP(host, s["ports"][port], timeout=15)
        smtp.starttls(context=c.context(s))
    smtp.ehlo()
    return smtp


def mails_of(s, user, subject, count):
    """The texts of the mails with that subject, once there are as many."""
    mail = c.login(s, user, c.grant(s, user)["access_token"])

    def found():
        mail.select()
        return mail.search(None, "SUBJECT", f'"{subject}"')[1][0].split()

    common.wait_until(lambda: len(found()) >= count, 10)
    texts = [mail.fetch(number, "(BODY.PEEK[TEXT])")[1][0][1] for number in found()]
    mail.logout()
    return sorted(texts)


def test_imap(s):
    token = c.grant(s, ALICE)["access_token"]
    for tls in (True, False):
        for mechanism in ("XOAUTH2", "OAUTHBEARER"):
            mail = open_imap(s, tls)
            mail.authenticate(mechanism, c.answers(mechanism, ALICE, token))
            check(f"IMAP, {mechanism}, TLS at once: {tls}", mail.select()[1] == [b"3"])
            mail.logout()
    mail = imaplib.IMAP4("localhost", s["ports"]["imap"], timeout=15)
    check("IMAP offers STARTTLS", "STARTTLS" in mail.capabilities)
    mail.logout()
    host = s["addresses"]["tls_required"]
    mail = imaplib.IMAP4(host, s["ports"]["imap"], timeout=15)
    caps = mail.capabilities
    check("TLS required: nothing offered before", "LOGINDISABLED" in caps and "AUTH=XOAUTH2" not in caps)
    mail.logout()
    mail = open_imap(s, False, host)
    check("TLS required: login after STARTTLS",
          mail.authenticate("XOAUTH2", c.answers("XOAUTH2", ALICE, token))[0] == "OK")
    mail.logout()


def test_pop3(s):
    token = c.grant(s, ALICE)["access_token"]
    for tls in (True, False):
        for mechanism in ("XOAUTH2", "OAUTHBEARER"):
            pop = open_pop3(s, tls)
            check(f"POP3 offers {mechanism}", sorted(pop.capa()["SASL"]) == ["OAUTHBEARER", "XOAUTH2"])
            c.pop_auth(pop, mechanism, ALICE, token)
            check(f"POP3, {mechanism}, TLS at once: {tls}", pop.stat()[0] == 3)
            pop.quit()


def submission_works(s, port, subject):
    """Each way to log in sends a mail to Carol."""
    token = c.grant(s, ALICE)["access_token"]
    for tls in (True, False):
        for mechanism in ("XOAUTH2", "OAUTHBEARER"):
            smtp = open_smtp(s, tls, port=port)
            check(f"{port}: who has not logged in is refused", smtp.mail(CAROL)[0] == 530 or
                  (smtp.rcpt(CAROL)[0] == 554 and smtp.rset()))
            c.smtp_auth(smtp, mechanism, ALICE, token)
            text = f"{mechanism} TLS {tls}"
            smtp.sendmail(ALICE, [CAROL], f"Subject: {subject}\r\n\r\n.{text}\r\n")
            for stranger in ("stranger@example.test", "alice@example.com"):
                check(f"{port}: {stranger} is refused", raises(
                    smtplib.SMTPRecipientsRefused,
                    lambda: smtp.sendmail(ALICE, [stranger], "Subject: no\r\n\r\n")))
            smtp.quit()
    expected = sorted(f".{mechanism} TLS {tls}\r\n".encode() for tls in (True, False)
                      for mechanism in ("XOAUTH2", "OAUTHBEARER"))
    check(f"{port}: all mails arrived, with their dots", mails_of(s, CAROL, subject, 4) == expected)
    for mechanism in ("XOAUTH2", "OAUTHBEARER"):
        smtp = open_smtp(s, True, port=port)
        check(f"{port}: {mechanism} with another user's token is refused", raises(
            smtplib.SMTPAuthenticationError, lambda: c.smtp_auth(smtp, mechanism, BOB, token)))
        smtp.close()


def test_submission(s):
    submission_works(s, "submission", "by Dovecot")


def test_postfix(s):
    if not s["postfix"]:
        return
    submission_works(s, "postfix", "by Postfix")
    plain = smtplib.SMTP("localhost", s["ports"]["postfix"], timeout=15)
    plain.ehlo()
    check("Postfix: no AUTH before TLS", plain.has_extn("starttls") and not plain.has_extn("auth"))
    check("Postfix: no MAIL before TLS", plain.mail(ALICE)[0] == 530)
    plain.quit()
    for tls in (True, False):
        smtp = open_smtp(s, tls, port="postfix")
        lines = smtp.ehlo_resp.decode().splitlines()
        check("Postfix: both AUTH lines", {"AUTH XOAUTH2 OAUTHBEARER", "AUTH=XOAUTH2 OAUTHBEARER"} <= {*lines})
        stock = ("size", "dsn", "smtputf8", "pipelining", "chunking", "8bitmime", "enhancedstatuscodes")
        check(f"Postfix: {stock}", all(smtp.has_extn(name) for name in stock))
        smtp.quit()


def test_password(s):
    host, secret = s["addresses"]["password"], s["users"][ALICE]["password"]
    mechanisms = ("PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256")
    for tls in (True, False):
        for mechanism in mechanisms:
            mail = open_imap(s, tls, host)
            mail.capability()
            offered = {cap[5:] for cap in mail.capabilities if cap.startswith("AUTH=")}
            check(f"password: only passwords {offered}", offered == {*mechanisms})
            mail.authenticate(mechanism, c.answers(mechanism, ALICE, secret))
            check(f"password: IMAP {mechanism}, TLS at once: {tls}", mail.select()[1] == [b"3"])
            mail.logout()
            pop = open_pop3(s, tls, host)
            c.pop_auth(pop, mechanism, ALICE, secret)
            check(f"password: POP3 {mechanism}, TLS at once: {tls}", pop.stat()[0] == 3)
            pop.quit()
            smtp = open_smtp(s, tls, host)
            c.smtp_auth(smtp, mechanism, ALICE, secret)
            smtp.sendmail(ALICE, [CAROL], f"Subject: password\r\n\r\n{mechanism} {tls}\r\n")
            smtp.quit()
            check(f"password: {mechanism} refuses another one", raises(
                imaplib.IMAP4.error, lambda: open_imap(s, tls, host).authenticate(
                    mechanism, c.answers(mechanism, ALICE, "wrong"))))
    check("password: the mails arrived", mails_of(s, CAROL, "password", 8) == sorted(
        f"{mechanism} {tls}\r\n".encode() for tls in (True, False) for mechanism in mechanisms))
    check("password: all differ", len({u["password"] for u in s["users"].values()}) == len(s["users"]))
    mail = open_imap(s, True, host)
    check("password: LOGIN", mail.login(ALICE, secret)[0] == "OK")
    mail.logout()


def test_password_needs_tls(s):
    host, ports = s["addresses"]["password"], s["ports"]
    mail = imaplib.IMAP4(host, ports["imap"], timeout=15)
    check("password: IMAP offers nothing before TLS", "LOGINDISABLED" in mail.capabilities
          and not any(cap.startswith("AUTH=") for cap in mail.capabilities))
    mail.logout()
    pop = poplib.POP3(host, ports["pop3"], timeout=15)
    check("password: nor POP3", "USER" not in pop.capa() and not pop.capa()["SASL"])
    pop.quit()
    smtp = smtplib.SMTP(host, ports["submission"], timeout=15)
    smtp.ehlo()
    check("password: nor submission", not smtp.has_extn("auth"))
    smtp.quit()


def test_bad_certificates(s):
    def why(host, port):
        try:
            with socket.create_connection((host, port), 5) as plain:
                c.context(s).wrap_socket(plain, server_hostname=host).close()
        except ssl.SSLCertVerificationError as e:
            return e.verify_message
        return "fine"

    words = {"wrong_name": "mismatch", "expired": "expired", "unknown_ca": "unable to get local issuer"}
    for kind, word in words.items():
        for port in ("imaps", "pop3s", "submissions", *(["postfixs"] if s["postfix"] else [])):
            check(f"{kind} at {port}", word in why(s["addresses"][kind], s["ports"][port]))
        check(f"{kind} at the authorization server", word in why("localhost", s["ports"][f"op_{kind}"]))
    for port in ("imaps_cn_only", "op_cn_only"):
        check(f"name in CN only at {port}", "mismatch" in why("localhost", s["ports"][port]))
    for host, port in (("localhost", "imaps"), ("127.0.0.1", "imaps"), ("127.0.0.2", "imaps"),
                       ("127.0.0.6", "imaps"), ("localhost", "op")):
        check(f"good certificate at {host} {port}", why(host, s["ports"][port]) == "fine")


def test_cn_only_serves(s):
    trusting = c.context(s)
    trusting.check_hostname = False
    mail = imaplib.IMAP4_SSL("localhost", s["ports"]["imaps_cn_only"], ssl_context=trusting, timeout=15)
    token = c.grant(s, ALICE)["access_token"]
    check("the CN-only port leads to Dovecot",
          mail.authenticate("XOAUTH2", lambda _: c.xoauth2(ALICE, token))[0] == "OK")
    mail.logout()


def test_many_sessions(s):
    users = [f"user{n}@example.test" for n in range(1, 41)]
    tokens = {u: c.grant(s, u)["access_token"] for u in users}
    open_, wrong = [], []

    def some(k):
        for i in range(k, s["sessions"], 8):
            try:
                user = users[i % len(users)]
                open_.append(c.login(s, user, tokens[user]))
            except Exception as e:  # counted and shown
                wrong.append(e)

    threads = [threading.Thread(target=some, args=(k,)) for k in range(8)]
    began = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join(300)
    took = time.monotonic() - began
    check(f"{s['sessions']} sessions at once (wrong: {wrong[:1]})", len(open_) == s["sessions"])
    check("all alive", all(m.noop()[0] == "OK" for m in open_))
    print(f"     {len(open_)} sessions in {took:.1f} s")
    for m in open_:
        m.shutdown()
