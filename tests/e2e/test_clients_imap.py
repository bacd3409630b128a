"""Real IMAP clients, with nothing but a password and a plaintext port."""

import imaplib

import pytest

import clients_readers
import clients_senders
from cli_support import PATIENCE
from clients_readers import curl
from clients_support import (Letter, alice, bob, cautious_alice,  # noqa: F401 (fixtures)
                             three_mails)


@pytest.mark.parametrize("reader", clients_readers.IMAP)
def test_reads(alice, three_mails, reader):  # noqa: F811
    clients_readers.IMAP[reader].check(alice, three_mails)


@pytest.mark.parametrize("reader", clients_readers.IMAP_CHALLENGED)
def test_reads_and_never_sends_the_password(cautious_alice, three_mails, reader):  # noqa: F811
    clients_readers.IMAP_CHALLENGED[reader].check(cautious_alice, three_mails)


def test_curl_lists_the_folders(alice):  # noqa: F811
    listed = curl(alice, "imap", "")
    assert all(name in listed for name in (b"INBOX", b"Drafts", b"Sent", b"Trash", b"Junk"))


def test_curl_appends(alice):  # noqa: F811
    mail = alice.home / "mail"
    mail.write_bytes(b"Subject: from curl\r\n\r\n" + b"a line\r\n" * 10000)
    curl(alice, "imap", "Drafts", "-T", mail)
    assert curl(alice, "imap", "Drafts;MAILINDEX=1") == mail.read_bytes()


def test_imaplib_idles_until_somebody_sends(alice, bob, rig):  # noqa: F811
    with imaplib.IMAP4("127.0.0.1", bob.ports["imap"], timeout=PATIENCE) as mail:
        mail.login(bob.user, bob.password)
        mail.select()
        mail.send(b"i IDLE\r\n")
        assert mail.readline().startswith(b"+ ")
        letter = Letter(alice.user, bob.user)
        clients_senders.SENDERS["smtplib-plain"].send(alice, letter)
        assert mail.readline() == b"* 1 EXISTS\r\n"
        mail.send(b"DONE\r\n")
        while not (line := mail.readline()).startswith(b"i "):
            assert line.startswith(b"* ")
        assert line.startswith(b"i OK ")
    letter.assert_whole(letter.arrived(rig))
