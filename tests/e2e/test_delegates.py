"""delegates = yes: somebody else has signed in, and the mail server says whether that user may read
the mailbox. So it is with every account of an emailproxy.config, where nobody looks at it."""

import json
import socket

import pytest

from browser_support import Browser, visit
from ecluse_support import ALICE, BOB, CAROL
from import_support import PASSWORD, account, heir, stranger  # noqa: F401
from sign_in_support import assert_signed_in, human, odd  # noqa: F401
from waiting import wait_until

SHUT = "whom the mail server does not let into the mailbox"


@pytest.fixture
def shared(rig):
    """Bob may read carol's mail, by tokens that are made from here on."""
    rig.knob("delegate", BOB, CAROL)


def carols_section(rig, one):
    """With a token of bob's, whose id_tokens have his address."""
    return account(rig, CAROL, one.token_of(BOB), oauth2_scope="openid email offline_access mail")


def opens(one):
    return one.try_login("carol", PASSWORD).startswith("OK ")


# ---- an emailproxy.config as it is ----

def use(stranger, rig):  # noqa: F811
    stranger.use(carols_section(rig, stranger)).start()
    stranger.passwords["carol"] = PASSWORD


def test_a_shared_mailbox_is_served(stranger, rig, shared):  # noqa: F811
    use(stranger, rig)
    for _ in range(2):
        assert opens(stranger)
        row = stranger.accounts()["carol"]
        assert row["signed_in"] == "in" and row["last_error"] is None, row
        assert stranger.stop() == 0
        stranger.start()
    rig.knob("expire", BOB)
    for _ in range(2):
        assert opens(stranger)
    tried = stranger.log().count("whom the mail server lets in")
    assert tried == 3  # once after each start


def test_a_stranger_s_token_is_not_kept(stranger, rig):  # noqa: F811
    use(stranger, rig)
    reply = stranger.try_login("carol")
    assert reply.startswith("NO [AUTHENTICATIONFAILED] "), reply
    assert f"is that of {BOB}, {SHUT}" in reply and "ecluse login carol" in reply, reply
    row = stranger.accounts()["carol"]
    assert row["signed_in"] == "out" and BOB in row["last_error"], row
    rig.clear()
    assert stranger.try_login("carol").startswith("NO [AUTHENTICATIONFAILED] ")
    assert rig.token_requests() == 0
    stranger.hang_up()
    assert stranger.stop() == 0
    stranger.start()
    assert "ecluse login carol" in stranger.try_login("carol")


def test_a_mailbox_that_is_shut_later_ends_no_sign_in(stranger, rig, shared):  # noqa: F811
    use(stranger, rig)
    assert opens(stranger)
    stranger.hang_up()
    assert stranger.stop() == 0
    rig.knob("delegate", BOB, BOB)
    stranger.start()
    assert SHUT in stranger.try_login("carol")
    assert stranger.accounts()["carol"]["signed_in"] == "in"
    assert stranger.stop() == 0
    rig.knob("delegate", BOB, CAROL)
    stranger.start()
    assert opens(stranger)


def test_a_mail_server_that_is_away(stranger, rig, shared):  # noqa: F811
    """The token stays, and nobody has it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        stranger.use(carols_section(rig, stranger))
        there = stranger.file.read_text()
        away = str(closed.getsockname()[1])
        for port in (rig.ports["imaps"], rig.ports["pop3s"], rig.submissions):
            there = there.replace(f"server_port = {port}", f"server_port = {away}")
        right, _ = stranger.file.read_text(), stranger.file.write_text(there)
        stranger.start()
        reply = stranger.try_login("carol", PASSWORD)
        assert reply.startswith("NO [UNAVAILABLE] ") and "cannot be tried" in reply, reply
        assert stranger.accounts()["carol"]["signed_in"] == "in"
    stranger.file.write_text(right)
    assert stranger.ecluse("reload").status == 0
    wait_until(lambda: stranger.try_login("carol", PASSWORD).startswith("OK "), "the mail server")


# ---- taken over ----

@pytest.mark.parametrize("may", [True, False])
def test_a_shared_mailbox_is_taken_over(heir, rig, may):  # noqa: F811
    if may:
        rig.knob("delegate", BOB, CAROL)
    heir.start()
    result = heir.take(heir.theirs(carols_section(rig, heir)))
    assert "delegates = yes\n" in heir.file.read_text()
    if may:
        assert result.status == 0 and "carol: the token is taken over" in result.out, result
        assert opens(heir)
    else:
        assert result.status == 77 and "is not kept" in result.err and SHUT in result.err, result
        assert heir.accounts()["carol"]["signed_in"] == "never"


# ---- signed in to ----

@pytest.fixture
def carols(ecluse, human):  # noqa: F811
    ecluse.add_account("carol", delegates="yes")
    ecluse.start()
    return human


def sign_in(carols, rig, who):  # noqa: F811
    login = carols("carol")
    assert visit(Browser(rig).sign_in(login.url(), who))[0] == 200
    status, _, err = login.end()
    return status, err


def test_a_delegate_signs_in(carols, ecluse, rig, shared):
    assert sign_in(carols, rig, BOB) == (0, "")
    assert_signed_in(ecluse, "carol")
    rig.knob("expire", BOB)
    ecluse.grant("carol")
    assert ecluse.try_login("carol").startswith("OK ")


def test_a_stranger_signs_in(carols, ecluse, rig):
    status, err = sign_in(carols, rig, BOB)
    assert status == 77 and err.count("\n") == 1, err
    assert "signed in as somebody whom the mail server does not let into the mailbox of carol: " \
        f"{BOB} (localhost: " in err and f"Sign in as {CAROL}" in err, err
    assert ecluse.accounts()["carol"]["signed_in"] == "never"
    assert sign_in(carols, rig, CAROL) == (0, "")


def test_the_mail_server_is_not_asked_about_the_owner(carols, ecluse, rig):
    assert sign_in(carols, rig, CAROL) == (0, "")
    assert "the token is tried" not in ecluse.log()


def test_a_delegate_when_no_mail_server_can_be_asked(carols, ecluse, rig, shared):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"tls://localhost:{closed.getsockname()[1]}"
        ecluse.set("provider local", imap=place, pop3=place, smtp=place)
        assert ecluse.ecluse("reload").status == 0
        status, err = sign_in(carols, rig, BOB)
    assert status == 75 and "cannot be tried" in err and err.count("\n") == 1, err
    assert ecluse.accounts()["carol"]["signed_in"] == "never"


# ---- a token that is brought, and userinfo ----

def bring(ecluse, token=b"brought"):
    return ecluse.ecluse("login", "alice", "--refresh-token-stdin", stdin=token)


@pytest.mark.parametrize("user, status, words", [
    (ALICE, 0, ""), (CAROL, 77, "whom the mail server does not let into the mailbox: "
                     f"{BOB} (localhost: "), (None, 75, "cannot be tried")])
def test_userinfo_names_somebody_else(ecluse, odd, rig, user, status, words):  # noqa: F811
    ecluse.set("account alice", delegates="yes")
    odd.say("/me", {"email": BOB})
    odd.give(user or ALICE)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        if user is None:
            place = f"tls://localhost:{closed.getsockname()[1]}"
            ecluse.set("provider local", imap=place, pop3=place, smtp=place)
        ecluse.start()
        result = bring(ecluse)
    assert result.status == status and words in result.err, result
    assert ecluse.accounts()["alice"]["signed_in"] == ("in" if status == 0 else "never")


def test_nothing_changes_for_accounts_of_one_user(ecluse, rig, shared):
    """delegates = no is what an account has."""
    ecluse.add_account("carol")
    ecluse.start()
    token = rig.refresh_token(BOB)
    ecluse.secrets["a token of bob"] = token
    result = ecluse.ecluse("login", "carol", "--refresh-token-stdin", stdin=token.encode())
    assert result.status == 77 and f"the token is that of {BOB}, but the account is {CAROL}" in \
        result.err, result
    assert json.loads(ecluse.ecluse("accounts", "--json").out)[-1]["signed_in"] == "never"
