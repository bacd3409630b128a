"""A built-in row of the table serves a real login, when its servers are those of the rig."""

from ecluse_support import ALICE


def test_a_row_that_is_overridden_serves_an_account_of_an_address_and_a_client(ecluse, rig):
    """Neither the account nor the section says more than it must; the rest is the table's."""
    servers = ecluse.sections.pop("provider local")
    del ecluse.sections["account bob"]
    del ecluse.sections["account alice"]["provider"]
    ecluse.set("provider thundermail", domains="*.example.test example.test", imap=servers["imap"],
               smtp=servers["smtp"], token_endpoint=servers["token_endpoint"])
    ecluse.ready("alice")
    row = ecluse.accounts()["alice"]
    assert (row["address"], row["provider"], row["flow"]) == (ALICE, "thundermail", "code")
    assert ecluse.session("alice").select("INBOX")[0] == "OK"
    assert ecluse.smtp_session("alice").noop()[0] == 250
    # The table has no POP3 server for it.
    assert ecluse.try_login("alice", protocol="pop3") == (
        "-ERR [SYS/PERM] provider thundermail has no pop3")
