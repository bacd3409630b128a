"""One account for a whole domain: the mailbox is the one that the client names."""

import imaplib

import pytest

from audit_support import field, records
from cli_support import one_line
from ecluse_support import ALICE, BOB, CAROL, WRONG
from imap_support import plain
from waiting import wait_same

DOMAIN = "account domain"


@pytest.fixture
def domain(ecluse):
    for name in ("alice", "bob"):
        ecluse.sections.pop(f"account {name}")
    return ecluse


def serve(ecluse, **options):
    ecluse.set(DOMAIN, address="*@example.test", provider="local", **options)
    ecluse.start()
    ecluse.grant("domain")
    ecluse.rig.clear()
    return ecluse


@pytest.fixture
def service(domain, rig):
    """By a service account with domain-wide delegation: a token opens one mailbox."""
    return serve(domain, flow="service_account", scope="mail",
                 jwt_key_file=rig.state["service_account"]["file"])


@pytest.fixture
def client(domain, rig):
    """By its own client, whose token opens what an administrator has opened to it."""
    known = rig.state["clients"]["service"]
    return serve(domain, flow="client_credentials", client_id=known["client_id"],
                 client_secret=known["client_secret"])


def subjects(ecluse):
    """For whom tokens were asked for."""
    return [last["assertion"]["claims"]["sub"] for last in ecluse.rig.stats()["last"]]


def reply_to(ecluse, user, password=None):
    client = ecluse.raw()
    return client.login(user, password or ecluse.passwords["domain"])


def test_each_mailbox_by_its_own_token(service):
    for _ in range(2):
        for user in (ALICE, BOB, CAROL):
            session = service.imap()
            session.login(user, service.passwords["domain"])
            assert session.select("INBOX", readonly=True)[0] == "OK"
    assert subjects(service) == [ALICE, BOB, CAROL]
    assert service.rig.token_requests() == 3
    service.rig.knob("expire", BOB)
    assert reply_to(service, BOB).startswith("OK ")
    assert subjects(service)[3:] == [BOB]
    wait_same(lambda: [field(login, "ecluse.auth.login") for login in records(service, "client-auth")],
              lambda: [ALICE, BOB, CAROL] * 2 + [BOB], "whose logins they were")
    row = service.accounts()["domain"]
    assert row["signed_in"] == "not needed" and row["expires"] and row["address"] == "*@example.test"


def test_every_protocol_names_its_mailbox(service):
    assert service.raw(protocol="pop3").login(BOB, service.passwords["domain"]).startswith("+OK")
    smtp = service.smtp()
    smtp.login(CAROL, service.passwords["domain"])
    smtp.ehlo()
    smtp.sendmail(CAROL, [ALICE], f"From: {CAROL}\r\nTo: {ALICE}\r\nSubject: by domain\r\n\r\n.\r\n")
    assert subjects(service) == [BOB, CAROL]


def test_the_domain_is_compared_without_case(service):
    assert reply_to(service, "bob@EXAMPLE.Test").startswith("OK ")
    assert reply_to(service, BOB).startswith("OK ")
    assert subjects(service) == [BOB]


@pytest.mark.parametrize("user", [
    "*@example.test", "@example.test", "bob*alice@example.test", "bob@example.test@example.test",
    "bob@elsewhere.test", "bob@sub.example.test", "bob,a=alice@example.test", '"bob"@example.test'])
def test_what_is_no_mailbox_of_it(service, user):
    client = service.raw()
    assert client.authenticate("PLAIN", plain(user, service.passwords["domain"])) == WRONG
    assert service.rig.token_requests() == 0


def test_a_password_is_needed_all_the_same(service):
    assert reply_to(service, ALICE, "wrong").endswith(WRONG)
    assert service.rig.token_requests() == 0


def test_a_mailbox_that_is_not_there(service):
    for _ in range(3):
        reply = reply_to(service, "nobody@example.test")
        assert "unauthorized_client" in reply and "account domain" in reply, reply
    assert service.rig.token_requests() == 1
    assert reply_to(service, ALICE).startswith("OK ")  # that is nobody else's trouble


def test_an_account_of_its_own_goes_before(domain, rig):
    domain.add_account("bob")
    serve(domain, flow="service_account", scope="mail",
          jwt_key_file=rig.state["service_account"]["file"])
    domain.sign_in("bob")
    domain.grant("bob")
    domain.rig.clear()
    assert reply_to(domain, BOB).endswith(WRONG)
    assert domain.try_login("bob").startswith("OK ")
    assert domain.rig.stats()["last"] == []


def test_one_token_for_all_that_the_client_may_open(client):
    for _ in range(2):
        assert reply_to(client, ALICE).startswith("OK ")
    assert client.rig.token_requests() == 1
    client.rig.knob("service_user", BOB)
    assert reply_to(client, BOB).startswith("OK ")


def test_the_client_s_token_for_other_programs(client):
    assert client.access_token("domain") == client.access_token("domain", "--user", BOB)


def test_tokens_for_other_programs(service):
    one_line(service.ecluse("token", "domain"), 64, "name a mailbox: --user NAME@DOMAIN")
    one_line(service.ecluse("token", "domain", "--user", "bob@elsewhere.test"), 65, "does not serve")
    of_bob = service.access_token("domain", "--user", "bob@EXAMPLE.test")
    assert subjects(service) == [BOB] and service.access_token("domain", "--user", BOB) == of_bob
    assert service.access_token("domain", "--user", ALICE) != of_bob


def test_each_mailbox_has_its_sessions(domain, rig):
    domain.set("listen imap", max_sessions_per_account=1)
    serve(domain, flow="service_account", scope="mail",
          jwt_key_file=rig.state["service_account"]["file"])
    assert reply_to(domain, ALICE).startswith("OK ")
    assert reply_to(domain, BOB).startswith("OK ")
    with pytest.raises(EOFError):
        reply_to(domain, BOB)
    domain.wait_log("too many sessions of account domain")


def test_a_reload_takes_the_domain_away(service):
    session = service.imap()
    session.login(BOB, service.passwords["domain"])
    service.set(DOMAIN, address="*@other.test")
    assert service.ecluse("reload").status == 0
    assert reply_to(service, BOB).endswith(WRONG)


def test_challenges_name_a_mailbox_too(service):
    service.grant("domain", "--challenge", client="old")
    session = imaplib.IMAP4("127.0.0.1", service.port)
    service.clients.append(session)
    password = list(service.secrets.values())[-1]
    session.login_cram_md5(BOB, password)
    assert session.select("INBOX", readonly=True)[0] == "OK"
    assert subjects(service) == [BOB]
