"""What `ecluse add` prints for mail programs, pasted into their files and used by the real ones."""

import pytest

from add_support import Adding, Settings
from clients_readers import MBOX
from clients_support import Customer, Letter, assert_same, mails_below, mails_in_mbox, three_mails
from ecluse_support import ALICE, BOB  # noqa: F401 (fixture)


@pytest.fixture
def pasting(rig, tmp_path):
    """Alice with the settings that she was shown, at a daemon that runs; in her home what she
    pasted will be."""
    ecluse = Adding(tmp_path, rig)
    ecluse.start()
    out, err = ecluse.add(ALICE)
    assert "does not run" not in err
    customer = Customer(ecluse, "alice", tmp_path / "alice")
    customer.settings = Settings(out)
    yield customer
    ecluse.finish()


def test_mutt_reads(pasting, three_mails):
    file = pasting.file("muttrc", pasting.settings.section("mutt"))
    (pasting.home / "Mail").mkdir()
    copy = pasting.home / "copy"
    keys = f"<tag-pattern>~A<enter><tag-prefix><copy-message>{copy}<enter><quit>"
    pasting.run_in_terminal(
        "mutt", "-n", "-F", file, "-e", "set confirmcreate=no confirmappend=no mbox_type=mbox "
        "quit=yes wait_key=no move=no", "-e", f'push "{keys}"')
    assert_same(mails_in_mbox(copy), three_mails, MBOX)


@pytest.mark.parametrize("program", ["mutt", "neomutt"])
def test_mutt_sends(pasting, rig, program):
    letter = Letter(ALICE, BOB)
    file = pasting.file("muttrc", pasting.settings.section("mutt"))
    pasting.run(program, "-n", "-F", file, "-s", letter.subject, "--", BOB, stdin=letter.TEXT)
    letter.assert_text(letter.arrived(rig))


def test_mbsync(pasting, three_mails):
    file = pasting.file(".mbsyncrc", pasting.settings.section("mbsync"))
    assert "after mkdir -p ~/Mail/alice\n" in pasting.settings.text
    (pasting.home / "Mail" / "alice").mkdir(parents=True)
    pasting.run("mbsync", "-c", file, "-a")
    assert_same(mails_below(pasting.home / "Mail" / "alice" / "INBOX"), three_mails, ("X-TUID",))


def test_msmtp(pasting, rig):
    letter = Letter(ALICE, BOB)
    file = pasting.file(".msmtprc", pasting.settings.section("msmtp"))
    pasting.run("msmtp", "-C", file, "-a", "alice", BOB, stdin=letter.mail())
    letter.assert_whole(letter.arrived(rig))


def test_fetchmail(pasting, rig, three_mails):
    file = pasting.file(".fetchmailrc", pasting.settings.section("fetchmail"))
    pasting.run("fetchmail", "-f", file, "--fetchall", "--norewrite", "--invisible", "--nodetach",
                "--nosyslog", "--mda", pasting.deliver, "--pidfile", pasting.home / "pid")
    assert_same(pasting.deliveries(), three_mails)
    assert len(rig.mails(ALICE)) == 3  # kept


def test_thunderbird_is_told_in_words(pasting):
    text = pasting.settings.section("Thunderbird")
    for protocol in ("imap", "smtp"):
        assert f"port {pasting.settings.ports[protocol]}, connection security None" in text
    assert f"user name {ALICE}" in text
