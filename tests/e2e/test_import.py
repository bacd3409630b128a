"""Coming from email-oauth2-proxy: its file, its tokens and its password are taken over."""

import concurrent.futures
import json
import os
import stat
from pathlib import Path

import pytest

from cli_support import one_line
from ecluse_support import ALICE, BOB, WRONG
from fernet_support import seal
from import_support import PASSWORD, SALT, account, heir, stranger  # noqa: F401

# ---- import ----

@pytest.mark.parametrize("runs", [True, False], ids=["running", "stopped"])
def test_mail_is_read_with_the_old_password(heir, rig, runs):
    path = heir.theirs(account(rig, ALICE, heir.token_of(ALICE)))
    if runs:
        heir.start()
    result = heir.take(path)
    assert result.status == 0, result
    assert "port" in result.err and "is one of our listeners already" in result.err
    assert "listeners 0, providers 1, accounts 1 are added" in result.out
    assert "alice: the token is taken over; its access token is good until" in result.out
    assert "alice: mail clients go on with the password that they have" in result.out
    assert stat.S_IMODE(os.stat(heir.file).st_mode) == 0o600
    if not runs:
        heir.start()
    assert heir.accounts()["alice"]["signed_in"] == "in"
    assert heir.read_mail("alice")
    assert heir.try_login("alice", PASSWORD + "x").startswith(WRONG)


def test_a_configuration_is_made_of_it(heir, rig, tmp_path):
    """There is none yet: it gets the listeners too, and nobody else can read it."""
    path = heir.theirs(account(rig, ALICE), account(rig, BOB))
    made = tmp_path / "made" / "ecluse.ini"
    result = heir.call("import", "emailproxy", str(path), "-c", str(made))
    assert result.status == 0, result
    assert "listeners 3, providers 1, accounts 2 are added" in result.out
    assert "bob: no token of it was opened; ecluse login bob" in result.out
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o600
    assert heir.call("check", "-c", str(made)).out == f"{made}: fine\n"


def test_what_stands_in_the_configuration_stays(heir, rig):
    """Also behind a symbolic link, and when a run before was killed in the middle."""
    heir.file.write_text("; mine\n" + heir.file.read_text().rstrip("\n"))
    before, link = heir.file.read_text(), heir.file
    heir.file = heir.file.rename(heir.folder / "real.ini")
    link.symlink_to(heir.file)
    (heir.folder / "real.ini.new").write_text("half a con")
    path = heir.theirs(account(rig, ALICE))
    result = heir.call("import", "emailproxy", str(path), "-c", str(link))
    assert result.status == 0, result
    assert heir.file.read_text().startswith(before + "\n\n[provider emailproxy]\n")
    assert link.is_symlink() and not (heir.folder / "real.ini.new").exists()


def test_what_together_has_a_problem_is_not_written(heir, rig):
    heir.set("listen imap", max_sessions="many")
    before = heir.file.read_bytes()
    result = heir.take(heir.theirs(account(rig, ALICE)))
    assert result.status == 78 and "max_sessions" in result.err, result
    assert heir.file.read_bytes() == before
    assert sorted(path.name for path in heir.folder.iterdir()
                  if path.name.startswith("ecluse.ini")) == ["ecluse.ini"]
    heir.set("listen imap", max_sessions=64)


def test_a_wrong_password_changes_nothing(heir, rig):
    path = heir.theirs(account(rig, ALICE, heir.token_of(ALICE)))
    before = heir.file.read_bytes()
    result = heir.take(path, password="wrong")
    assert result.status == 77 and result.out == "", result
    assert result.err.endswith("ecluse: import: the password opens no token of the file; nothing "
                               "was changed\n")
    assert heir.file.read_bytes() == before
    assert heir.accounts() == {}


def test_without_a_password_the_accounts_come_without_tokens(heir, rig):
    path = heir.theirs(account(rig, ALICE, heir.token_of(ALICE)))
    result = heir.take(path, password=None)
    assert result.status == 0, result
    assert "no local password on stdin, so the tokens are not taken over" in result.err
    assert heir.accounts()["alice"]["signed_in"] == "never"


def test_without_a_password_a_sealed_client_secret_stays_sealed(heir, rig):
    rows = account(rig, ALICE, heir.token_of(ALICE))
    rows[ALICE]["client_secret_encrypted"] = seal(rows[ALICE].pop("client_secret"), PASSWORD, SALT,
                                                  100_000)
    result = heir.take(heir.theirs(rows), password=None)
    assert result.status == 0, result
    assert "alice: its client secret was not opened; give the account its" in result.err


def test_two_passwords_one_account_at_a_time(heir, rig):
    path = heir.theirs(account(rig, ALICE, heir.token_of(ALICE)),
                       account(rig, BOB, heir.token_of(BOB), password="bob's own", iterations=10))
    assert heir.take(path, "--account", ALICE).status == 0
    assert list(heir.accounts()) == ["alice"]
    assert heir.take(path, "--account", BOB, password="bob's own").status == 0
    heir.start()
    assert heir.read_mail("alice")
    assert heir.try_login("bob", "bob's own").startswith("OK ")
    assert heir.try_login("alice", "bob's own").startswith(WRONG)


def test_what_is_here_already_is_left_alone(heir, rig):
    path = heir.theirs(account(rig, ALICE))
    assert heir.take(path).status == 0
    before = heir.file.read_bytes()
    result = heir.take(path)
    assert result.status == 73 and result.out == "", result
    assert "account alice has this address already" in result.err
    assert heir.file.read_bytes() == before


def test_a_sealed_client_secret(heir, rig):
    rows = account(rig, ALICE, heir.token_of(ALICE))
    rows[ALICE]["client_secret_encrypted"] = seal(rows[ALICE].pop("client_secret"), PASSWORD, SALT,
                                                  100_000)
    assert heir.take(heir.theirs(rows)).status == 0
    heir.start()
    assert heir.read_mail("alice")


def test_a_plain_client_secret_beside_a_sealed_one(heir, rig):
    rows = account(rig, ALICE, heir.token_of(ALICE))
    rows[ALICE]["client_secret_encrypted"] = seal("of before", PASSWORD, SALT, 100_000)
    assert heir.take(heir.theirs(rows)).status == 0
    heir.start()
    assert heir.read_mail("alice")


@pytest.mark.parametrize("is_sealed", [False, True], ids=["plain", "sealed"])
def test_an_account_of_a_client(heir, rig, is_sealed):
    """Its access token says whose password it is; no sign-in is needed."""
    rows = account(rig, ALICE, "unused", oauth2_flow="client_credentials")
    del rows[ALICE]["permission_url"], rows[ALICE]["refresh_token"]
    if is_sealed:
        rows[ALICE]["client_secret_encrypted"] = seal(rows[ALICE].pop("client_secret"), PASSWORD,
                                                      SALT, 100_000)
    result = heir.take(heir.theirs(rows))
    assert result.status == 0, result
    assert "the token is taken over" not in result.out
    heir.start()
    row = heir.accounts()["alice"]
    assert row["flow"] == "client_credentials" and row["signed_in"] == "not needed"
    assert heir.try_login("alice", PASSWORD + "x").startswith(WRONG)
    assert not heir.try_login("alice", PASSWORD).startswith(WRONG)


def test_an_account_with_the_provider_s_own_password(heir, rig):
    rows = account(rig, ALICE, "unused", oauth2_flow="password")
    del rows[ALICE]["permission_url"]
    result = heir.take(heir.theirs(rows))
    assert result.status == 0, result
    assert "alice: the password is the provider's, too, and kept for it" in result.out
    assert heir.accounts()["alice"]["signed_in"] == "in"


def test_a_token_that_is_dead_is_said(heir, rig):
    path = heir.theirs(account(rig, ALICE, "dead"))
    result = heir.take(path)
    assert result.status == 77, result
    assert "alice: the token was refused and is not kept" in result.err
    assert "alice: mail clients go on with the password" in result.out
    heir.start()
    assert "sign in: ecluse login alice" in heir.try_login("alice", PASSWORD)


def test_dry_run(heir, rig):
    path = heir.theirs(account(rig, ALICE, heir.token_of(ALICE)))
    before = heir.file.read_bytes()
    result = heir.take(path, "--dry-run", password=None)
    assert result.status == 0, result
    assert f"[account alice]\naddress = {ALICE}\n" in result.out
    assert "; client_secret is not shown\n" in result.out
    assert heir.file.read_bytes() == before


def test_files_that_are_none(heir, tmp_path):
    other = tmp_path / "other"
    one_line(heir.take(heir.file), 65, "is no emailproxy.config")
    one_line(heir.ecluse("import", "emailproxy", str(other)), 65, "cannot be opened")
    one_line(heir.ecluse("import", "emailproxy", str(tmp_path)), 65, "no regular file")
    one_line(heir.ecluse("import", "thunderbird", str(other)), 64, "only emailproxy is known")
    other.write_text("[IMAP-1993]\nnonsense\n[alice@example.test]\nclient_id\n")
    result = heir.take(other)
    assert result.status == 65, result
    assert result.err.startswith(f"{other}:2: neither a [section] nor key = value")


# ---- run ----

def test_their_file_is_served_as_it_is(stranger, rig):
    """One command, and mail is read with the password that the client has; the second time without
    the file's tokens."""
    stranger.use(account(rig, ALICE, stranger.token_of(ALICE)), account(rig, BOB)).start()
    before = stranger.file.read_bytes()
    assert stranger.accounts()["alice"]["signed_in"] == "never"
    assert stranger.try_login("alice", "wrong").startswith(WRONG)
    assert stranger.try_login("bob", PASSWORD).startswith(WRONG)
    assert stranger.accounts()["alice"]["signed_in"] == "never"
    assert stranger.read_mail("alice")
    assert stranger.accounts()["alice"]["signed_in"] == "in"
    assert stranger.file.read_bytes() == before
    assert stranger.stop() == 0
    stranger.start()
    rig.clear()
    assert stranger.read_mail("alice")
    assert rig.refreshes() == {"ok": 1}


def test_what_was_revoked_does_not_come_back(stranger, rig):
    stranger.use(account(rig, ALICE, stranger.token_of(ALICE))).start()
    assert stranger.read_mail("alice")
    stranger.hang_up()
    assert stranger.ecluse("revoke", "alice", "emailproxy").status == 0
    for _ in range(2):
        assert stranger.try_login("alice", PASSWORD).startswith(WRONG)
        assert stranger.stop() == 0
        stranger.start()


def test_many_first_logins_at_once(stranger, rig):
    """They share one look at the token, and one request."""
    stranger.use(account(rig, ALICE, stranger.token_of(ALICE))).start()
    rig.clear()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: stranger.try_login("alice", PASSWORD), range(8)))
    assert [reply[:3] for reply in replies] == ["OK "] * 8
    assert rig.refreshes() == {"ok": 1}


# ---- sections of the sample that nobody has filled in ----

def of_sample(rig):
    rows = account(rig, "x")["x"]
    unfilled = rows | {"client_id": "*** your own ***", "client_secret": "*** your own ***"}
    return {
        "your.name@example.test": unfilled,
        "tenant@example.test": rows | {"token_url": "https://id.test/*** your tenant ***/token"},
        "scope@example.test": rows | {"token_url": "http://id.test/token"},
        "key@example.test": rows | {"oauth2_flow": "service_account", "client_id": "file",
                                    "client_secret": "./key.json"},
        "POP-0": {"server_address": "pop.example.test", "server_port": 995}}


def assert_left_out(rig, text):
    for name in of_sample(rig):
        assert text.count(f"warning: [{name}] is left out: ") == 1, text


def test_a_file_with_the_sample_in_it_is_served(stranger, rig):
    stranger.use(account(rig, ALICE, stranger.token_of(ALICE)), of_sample(rig))
    result = stranger.ecluse("check")
    assert result.status == 0, result
    assert_left_out(rig, result.err)
    stranger.start()
    assert_left_out(rig, stranger.log())
    assert list(stranger.accounts()) == ["alice"]
    assert stranger.read_mail("alice")


def test_a_file_with_the_sample_in_it_is_taken_over(heir, rig):
    result = heir.take(heir.theirs(account(rig, ALICE, heir.token_of(ALICE)), of_sample(rig)))
    assert result.status == 0, result
    assert_left_out(rig, result.err)
    heir.start()
    assert list(heir.accounts()) == ["alice"]
    assert heir.read_mail("alice")


def test_a_file_with_the_sample_alone_is_refused(stranger, heir, rig):
    stranger.use(of_sample(rig))
    result = stranger.ecluse("check")
    assert result.status == 78 and "client_id has the text of the sample" in result.err, result
    result = heir.take(heir.theirs(of_sample(rig)), password=None)
    assert result.status == 65 and "client_id has the text of the sample" in result.err, result


# ---- catch-all accounts ----

EVERYBODY = {"emailproxy": {"allow_catch_all_accounts": "True"}}


def everybody(rig):
    """Of a domain, by the client's own token, which opens alice's mailbox."""
    known = rig.state["clients"]["service"]
    return {"@example.test": {
        "oauth2_flow": "client_credentials", "token_url": rig.state["endpoints"]["token"],
        "oauth2_scope": "mail", "client_id": known["client_id"],
        "client_secret": known["client_secret"]}}


def test_a_catch_all_that_needs_nobody(stranger, rig):
    cache = {name: value for name, value in account(rig, ALICE, "unused")[ALICE].items()
             if name in ("token_salt", "token_iterations", "access_token", "refresh_token")}
    stranger.use(EVERYBODY, everybody(rig), {ALICE: cache}).start()
    assert [row["address"] for row in stranger.accounts().values()] == ["*@example.test"]
    assert stranger.try_login("alice", PASSWORD).startswith(WRONG)  # a grant is needed
    stranger.passwords["alice"] = stranger.grant("example.test")
    assert stranger.session("alice").select("INBOX")[0] == "OK"


def test_a_catch_all_that_is_taken_over(heir, rig):
    result = heir.take(heir.theirs(EVERYBODY, everybody(rig)), password=None)
    assert result.status == 0, result
    assert "example.test: needs no sign-in, but a password: ecluse grant example.test" in result.out
    heir.start()
    heir.passwords["alice"] = heir.grant("example.test")
    assert heir.session("alice").select("INBOX")[0] == "OK"


def test_those_whom_a_catch_all_has_served(heir, rig):
    """Each has signed in by its one section; what they have besides is the token alone."""
    general = {"@example.test": account(rig, ALICE)[ALICE]}
    cached = {ALICE: {name: value for name, value in
                      account(rig, ALICE, heir.token_of(ALICE))[ALICE].items()
                      if name not in general["@example.test"]}}
    result = heir.take(heir.theirs(EVERYBODY, general, cached))
    assert result.status == 0 and "serves those alone that have a section" in result.err, result
    heir.start()
    assert heir.read_mail("alice")
    assert heir.accounts()["alice"]["signed_in"] == "in"


def inherits(rig, token, *keys, password=PASSWORD):
    """alice's section and the one of her domain, which has these keys and all that is no cache."""
    rows = account(rig, ALICE, token, password)[ALICE]
    rows["client_secret_encrypted"] = seal(rows["client_secret"], PASSWORD, SALT, 1_200_000)
    shared = {*account(rig, ALICE)[ALICE], *keys}
    if "client_secret_encrypted" in keys:
        shared.remove("client_secret")
    own = set(rows) - shared - {"client_secret", "client_secret_encrypted"}
    return {"@example.test": {name: rows[name] for name in rows if name in shared},
            ALICE: {name: rows[name] for name in rows if name in own}}


@pytest.mark.parametrize("keys", [("token_salt", "token_iterations"), ("client_secret_encrypted",)])
def test_what_is_inherited_is_taken_over(heir, rig, keys):
    result = heir.take(heir.theirs(EVERYBODY, inherits(rig, heir.token_of(ALICE), *keys)))
    assert result.status == 0, result
    heir.start()
    assert heir.read_mail("alice")


def test_a_secret_that_many_share_proves_nobody_s_password(heir, rig):
    """It opens with one password, alice's tokens with another, which alone is hers."""
    rows = inherits(rig, heir.token_of(ALICE), "client_secret_encrypted", password="alice's own")
    result = heir.take(heir.theirs(EVERYBODY, rows))
    assert result.status == 0, result
    assert "alice: no token of it was opened; ecluse login alice" in result.out
    assert heir.ecluse("grants", "alice").out.count("emailproxy") == 0
    heir.start()
    assert heir.try_login("alice", PASSWORD).startswith(WRONG)


# ---- tokens in a file of their own ----

CACHED = ("token_salt", "token_iterations", "access_token", "access_token_expiry", "refresh_token",
          "last_activity")


def cache_of(folder, rows):
    path = folder / "cache.config"
    path.write_text("".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in of.items() if key in CACHED)
        for name, of in rows.items()))
    return path


def test_tokens_of_a_cache(heir, rig):
    """They go before those of the file; who is in the cache alone is nobody's account."""
    rows = account(rig, ALICE, heir.token_of(ALICE)) | account(rig, BOB, "unused")
    cache = cache_of(heir.folder, rows)
    result = heir.take(heir.theirs(account(rig, ALICE, "dead")), "--cache-store", str(cache))
    assert result.status == 0, result
    heir.start()
    assert list(heir.accounts()) == ["alice"]
    assert heir.read_mail("alice")
    assert heir.accounts()["alice"]["signed_in"] == "in"


def test_tokens_of_a_cache_of_a_catch_all(heir, rig):
    """Then who is in the cache alone has signed in by the section of the domain."""
    cache = cache_of(heir.folder, account(rig, ALICE, heir.token_of(ALICE)))
    general = {"@example.test": account(rig, ALICE)[ALICE]}
    assert heir.take(heir.theirs(EVERYBODY, general), "--cache-store", str(cache)).status == 0
    heir.start()
    assert heir.read_mail("alice")


def test_a_cache_that_is_none(heir, rig):
    path, before = heir.theirs(account(rig, ALICE)), heir.file.read_bytes()
    other = cache_of(heir.folder, account(rig, BOB, "unused"))
    result = heir.take(path, "--cache-store", str(other))
    assert result.status == 65 and f"{other} has no token of an account of {path}" in result.err
    other.write_text("[alice@example.test]\nnonsense\n")
    result = heir.take(path, "--cache-store", str(other))
    assert result.status == 65 and result.err.startswith(f"{other}:2: neither a [section]"), result
    other.unlink()
    one_line(heir.take(path, "--cache-store", str(other)), 65, "cannot be opened")
    assert heir.file.read_bytes() == before


# ---- the key of a service account, in the file itself ----

def keyed(rig, **more):
    """As somebody pastes the JSON of the provider."""
    key = "\n\t".join(Path(rig.state["service_account"]["file"]).read_text().splitlines())
    return {ALICE: {"oauth2_flow": "service_account", "token_url": rig.state["endpoints"]["token"],
                    "oauth2_scope": "mail", "client_id": "key", "client_secret": key} | more}


def secrets_of(rig):
    pem = json.loads(Path(rig.state["service_account"]["file"]).read_text())["private_key"]
    return {f"line {n} of the key": line for n, line in enumerate(pem.splitlines()[1:-1])
            if len(line) >= 32}


def assert_reads(one, rig):
    one.passwords["alice"] = one.grant("alice")
    rig.clear()
    assert one.session("alice").select("INBOX")[0] == "OK"
    assert rig.stats()["last"][-1]["assertion"]["claims"]["sub"] == ALICE


def test_a_key_is_put_into_a_file(heir, rig):
    heir.secrets |= secrets_of(rig)
    path, made = heir.theirs(keyed(rig)), heir.folder / "alice.json"
    shown = heir.take(path, "--dry-run", password=None)
    assert shown.status == 0 and f"jwt_key_file = {made}\n" in shown.out, shown
    assert not made.exists()
    result = heir.take(path, password=None)
    assert result.status == 0, result
    assert f"{made}: the key of a service account is in it" in result.out
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o600
    assert json.loads(made.read_text()) == json.loads(
        Path(rig.state["service_account"]["file"]).read_text())
    assert heir.ecluse("check").status == 0
    heir.start()
    assert_reads(heir, rig)


def test_a_key_never_takes_the_place_of_another_file(heir, rig):
    path, made = heir.theirs(keyed(rig)), heir.folder / "alice.json"
    before = heir.file.read_bytes()
    made.write_text("mine")
    result = heir.take(path, password=None)
    assert result.status == 73 and f"{made}: is there already" in result.err, result
    assert made.read_text() == "mine" and heir.file.read_bytes() == before
    made.unlink()
    made.symlink_to(heir.folder / "elsewhere")
    assert heir.take(path, password=None).status == 73
    assert not (heir.folder / "elsewhere").exists()
    made.unlink()
    assert heir.take(path, password=None).status == 0


def test_a_key_goes_when_nothing_comes_of_it(heir, rig):
    """Unless it was there: of a run that was killed, say."""
    path, made = heir.theirs(keyed(rig)), heir.folder / "alice.json"
    heir.set("listen imap", max_sessions="many")
    assert heir.take(path, password=None).status == 78
    assert not made.exists()
    heir.set("listen imap", max_sessions=64)
    assert heir.take(path, password=None).status == 0
    heir.set("ecluse")  # without what was taken over
    assert heir.take(path, password=None).status == 0 and made.exists()


def test_a_key_is_served_where_it_stands(stranger, rig):
    stranger.secrets |= secrets_of(rig)
    stranger.use(keyed(rig))
    assert stranger.ecluse("check").status == 0
    stranger.file.chmod(0o644)
    assert "readable by group or others" in stranger.ecluse("check").err
    stranger.file.chmod(0o600)
    stranger.start()
    assert_reads(stranger, rig)


def test_a_key_that_is_none(stranger, rig):
    stranger.use(keyed(rig, client_secret="{}"))
    result = stranger.ecluse("check")
    assert result.status == 78 and "its key: it is not the JSON of a service account" in result.err
    stranger.start()
    stranger.passwords["alice"] = stranger.grant("alice")
    assert "not the JSON of a service account" in stranger.try_login("alice")
