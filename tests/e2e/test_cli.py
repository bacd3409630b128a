"""Every subcommand as its users see it: exit codes, texts, what is on stdout and what is not.

No upstream is needed: the token endpoint of the configuration is a port that nobody listens on, or
one of the test's own.
"""

import json
import os
import pty
import re
import select
import shutil
import socket
import stat
import subprocess

import pytest

from cli_support import (BINARY, PASSWORD, PATIENCE, accounts, endpoint, grant, grants, login,
                         one_line, place, rotating)  # noqa: F401 (fixtures)

COMMANDS = ["run", "check", "add", "providers", "login", "logout", "accounts", "grant", "grants",
            "revoke", "token", "import", "status", "sessions", "doctor", "audit", "cert", "vault",
            "reload", "stop", "version", "help"]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")


# ---- the command line ----

def test_help_lists_every_command_and_no_other(place):
    result = place.call("help")
    assert result.status == 0 and result.err == ""
    listed = re.findall(r"^  ([a-z]+)", result.out, re.M)
    assert listed == COMMANDS
    assert place.call("--help").out == result.out
    assert place.call("-h").out == result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_the_options_of_a_command(place, command):
    result = place.call("help", command)
    assert result.status == 0 and result.out.startswith(f"usage: ecluse {command}"), result
    assert "-c FILE" in result.out
    assert place.call(command, "--help").out == result.out


def test_help_of_what_there_is_not(place):
    one_line(place.call("help", "nonsense"), 64, "nonsense is no command")


@pytest.mark.parametrize("arguments, words", [
    ([], "no command"),
    (["nonsense"], "nonsense is no command"),
    (["--nonsense"], "--nonsense is no option"),
    (["run", "x"], "x is one word too many"),
    (["run", "--json"], "--json is no option"),
    (["--json", "run"], "--json is no option"),
    (["providers", "x"], "x is one word too many"),
    (["check", "--default"], "--default is no option"),
    (["check", "--defaults=1"], "--defaults takes no value"),
    (["check", "--defaults", "--defaults"], "--defaults stands twice"),
    (["check", "-c"], "-c needs a value"),
    (["check", "-c", "a", "-c", "b"], "-c stands twice"),
    (["grant"], "ACCOUNT is missing"),
    (["grant", "work"], "--name is missing"),
    (["grant", "work", "--name"], "--name needs a value"),
    (["grant", "work", "--name", "a\tb"], "--name has a value that is not UTF-8 text"),
    (["grant", "work", "--name", b"a\xff"], "--name has a value that is not UTF-8 text"),
    (["grant", "wo\nrk", "--name", "a"], "is empty or not UTF-8 text"),
    (["grant", "work", "--name", "a", "--password", "secret"], "--password is no option"),
    (["grant", "work", "--name", "a", "--from"], "--from needs a value"),
    (["revoke", "work"], "ACCOUNT N is missing"),
    (["revoke", "work", "1", "2"], "2 is one word too many"),
    (["login"], "ACCOUNT is missing"),
    (["login", "work", "--device", "--paste"], "--device and --paste exclude each other"),
    (["login", "work", "--paste", "--password-stdin"],
     "--password-stdin and --paste exclude each other"),
    (["login", "work", "--refresh-token", "x"], "--refresh-token is no option"),
    (["token"], "ACCOUNT is missing"),
    (["grants", ""], "is empty or not UTF-8 text"),
])
def test_wrong_usage_is_64(place, arguments, words):
    one_line(place.call(*arguments), 64, words)


def test_an_escape_sequence_does_not_reach_the_terminal(place):
    result = place.call("\x1b[2J")
    assert result.status == 64 and "\x1b" not in result.err and "\\x1b" in result.err


def test_version(place):
    result = place.call("version")
    assert result.status == 0 and re.fullmatch(r"ecluse \d+\.\d+\.\d+\n", result.out)
    assert place.call("--version").out == result.out
    assert json.loads(place.call("version", "--json").out)["version"] in result.out


# ---- which configuration ----

def test_the_configuration_may_be_named_before_or_after(place):
    expected = f"{place.file}: fine\n"
    assert place.call("-c", str(place.file), "check").out == expected
    assert place.call("check", "-c", str(place.file)).out == expected


def test_the_configuration_is_looked_for_in_this_order(place):
    folders = {name: place.folder / name for name in ("named", "xdg", "home/.config")}
    files = {}
    for name, folder in folders.items():
        (folder / "ecluse").mkdir(parents=True)
        files[name] = folder / "ecluse" / "ecluse.ini"
        shutil.copy(place.file, files[name])
    env = place.environment(ECLUSE_CONFIG=str(files["named"]),
                            XDG_CONFIG_HOME=str(folders["xdg"]))
    assert place.call("check", env=env).out == f"{files['named']}: fine\n"
    assert place.ecluse("check", env=env).out == f"{place.file}: fine\n"
    del env["ECLUSE_CONFIG"]
    assert place.call("check", env=env).out == f"{files['xdg']}: fine\n"
    del env["XDG_CONFIG_HOME"]
    assert place.call("check", env=env).out == f"{files['home/.config']}: fine\n"


@pytest.mark.skipif(os.path.exists("/etc/ecluse/ecluse.ini"), reason="the machine has its own")
def test_no_configuration_at_all_is_78(place):
    for command in (["check"], ["run"], ["accounts"], ["status"]):
        one_line(place.call(*command), 78, "no configuration", "-c FILE")


# ---- check ----

def test_check_says_every_problem_with_its_line(place):
    text = place.file.read_text().replace("web = off", "wep = off").replace(
        "provider = local\nclient_id = test-client\n\n[provider",
        "provider = elsewhere\nclient_id = test-client\n\n[provider")
    place.write(text)
    lines = text.split("\n")
    result = place.ecluse("check")
    assert result.status == 78 and result.out == ""
    problems = result.err.splitlines()
    assert len(problems) == 2, result
    assert problems[0].startswith(f"{place.file}:{lines.index('wep = off') + 1}: ")
    assert problems[1].startswith(f"{place.file}:{lines.index('provider = elsewhere') + 1}: ")


def test_a_broken_configuration_is_78_for_every_command(place):
    place.write("[nonsense]\n")
    for arguments in (["run"], ["accounts"], ["grants"], ["status"], ["stop"], ["reload"],
                      ["token", "work"], ["grant", "work", "--name", "a"], ["revoke", "work", "1"]):
        result = place.ecluse(*arguments)
        assert result.status == 78 and f"{place.file}:1: " in result.err, (arguments, result)


def test_a_configuration_that_others_can_write_is_78(place):
    place.file.chmod(0o622)
    result = place.ecluse("check")
    assert result.status == 78 and str(place.file) in result.err


def test_a_configuration_that_is_not_there_is_78(place):
    place.file.unlink()
    result = place.ecluse("check")
    assert result.status == 78 and str(place.file) in result.err


def test_defaults_are_printed_from_the_table(place):
    result = place.call("check", "--defaults")
    assert result.status == 0
    sections = re.findall(r"^\[(.*)\]$", result.out, re.M)
    assert sections == ["ecluse", "listen name", "account name", "provider name"]
    assert re.search(r"^drain +=? *= 5 ", result.out, re.M)


# ---- grants ----

def test_a_grant_prints_its_password_alone_on_stdout(place):
    result = grant(place)
    assert result.status == 0 and PASSWORD.fullmatch(result.out), result
    assert "grant 1 of work for phone" in result.err
    assert result.out.strip() not in result.err
    listed = place.ecluse("grants")
    assert result.out.strip() not in listed.out + listed.err
    assert grant(place, name="tablet").out != result.out


def test_grants_are_listed(place):
    assert grants(place) == []
    grant(place)
    grant(place, "--protocols", "smtp,imap", name="scanner", account="other")
    table = place.ecluse("grants").out.splitlines()
    assert table[0].split() == ["NUMBER", "ACCOUNT", "NAME", "PROTOCOLS", "ACCESS", "KIND",
                                "CREATED", "LAST", "USE"]
    rows = {row["name"]: row for row in grants(place)}
    assert rows["phone"]["protocols"] == "imap,pop3,smtp"
    assert rows["phone"]["kind"] == "generated" and rows["phone"]["last_used"] == 0
    assert rows["scanner"]["protocols"] == "imap,smtp" and rows["scanner"]["account"] == "other"
    assert [row["name"] for row in grants(place, "other")] == ["scanner"]
    assert all("password" not in row for row in rows.values())


@pytest.mark.parametrize("flags, mechanisms", [
    (["--challenge"], "challenge"), (["--apop"], "apop"),
    (["--apop", "--challenge"], "challenge,apop"), ([], "")])
def test_a_grant_says_what_its_password_is_kept_for(place, flags, mechanisms):
    result = grant(place, *flags)
    assert result.status == 0 and PASSWORD.fullmatch(result.out), result
    row, = grants(place)
    kind = "clear" if flags else "generated"
    assert (row["kind"], row["mechanisms"]) == (kind, mechanisms)
    assert (f"clear:{mechanisms} " if flags else "generated ") in place.ecluse("grants").out
    vault = (place.folder / "state" / "vault.db").read_bytes()
    assert result.out.strip().encode() not in vault


def test_a_chosen_password_may_be_kept(place):
    result = grant(place, "--challenge", "--password-stdin", stdin=b"correct horse battery\n")
    assert result.status == 0 and result.out == "", result
    assert grants(place)[0]["kind"] == "clear"


def test_a_user_has_one_kept_password_a_protocol(place):
    grant(place, "--challenge", "--protocols", "imap,smtp", name="old")
    one_line(grant(place, "--challenge"), 73, "grant old", "one such password a protocol",
             "--protocols")
    assert grant(place, "--challenge", "--protocols", "pop3").status == 0
    assert grant(place, "--apop", name="tablet").status == 0
    assert grant(place, "--challenge", account="other").status == 0


def test_help_tells_of_them(place):
    text = place.call("help", "grant").out
    assert "--challenge" in text and "--apop" in text and "SCRAM" in text


def test_a_grant_is_revoked_by_number_or_name(place):
    grant(place)
    grant(place, name="tablet")
    result = place.ecluse("revoke", "work", "1")
    assert result.status == 0 and result.out == "grant 1 of work for phone is revoked\n"
    assert place.ecluse("revoke", "work", "tablet").status == 0
    assert grants(place) == []
    one_line(place.ecluse("revoke", "work", "tablet"), 65, "work has no grant tablet")


def test_a_name_is_given_once(place):
    grant(place)
    one_line(grant(place), 73, "phone")


@pytest.mark.parametrize("more, words", [
    (["--protocols", "imap,http"], "imap,http is no list of protocols"),
    (["--protocols", "imap imap"], "is no list of protocols"),
    (["--protocols="], "is no list of protocols"),
])
def test_a_grant_for_no_protocol_is_refused(place, more, words):
    one_line(grant(place, *more), 65, words)


def test_a_number_is_no_name(place):
    one_line(grant(place, name="12"), 65, "name of a grant")


def test_an_unknown_account_is_65(place):
    for arguments in (["grant", "nobody", "--name", "a"], ["grants", "nobody"],
                      ["token", "nobody"]):
        one_line(place.ecluse(*arguments), 65, "nobody: no such account")


def test_a_chosen_password_is_not_printed(place):
    result = grant(place, "--password-stdin", stdin=b"correct horse battery\n")
    assert result.status == 0 and result.out == "" and "horse" not in result.err, result
    assert "short" not in result.err
    assert grants(place)[0]["kind"] == "chosen"


def test_a_short_password_is_warned_about(place):
    result = grant(place, "--password-stdin", stdin=b"1234567")
    assert result.status == 0 and "the password is short" in result.err, result


@pytest.mark.parametrize("stdin, words", [
    (b"", "is empty"),
    (b"\r\n", "is empty"),
    (b"one\ntwo\n", "more than one line"),
    (b"with\0nul\n", "control characters"),
    (b"with\rreturn\n", "control characters"),
    (b"with\ttab\n", "control characters"),
    (b"latin-1 \xe9t\xe9\n", "not UTF-8"),
    (b"a" * 256, "longer than 255"),
    (b"a" * 100000, "longer than 255"),
])
def test_a_password_that_no_client_could_send_is_65(place, stdin, words):
    one_line(grant(place, "--password-stdin", stdin=stdin), 65, words)
    assert grants(place) == []


def test_the_longest_password_is_taken(place):
    assert grant(place, "--password-stdin", stdin=b"\xc3\xa9" * 127 + b"a\r\n").status == 0


def test_a_password_is_not_shown_while_it_is_typed(place):
    master, slave = pty.openpty()
    typing = subprocess.Popen(
        [BINARY, "grant", "work", "--name", "phone", "--password-stdin", "-c", str(place.file)],
        stdin=slave, stdout=slave, stderr=slave, env=place.environment(), close_fds=True,
        start_new_session=True)
    os.close(slave)
    shown = read_until(master, b"the password: ")
    os.write(master, b"open sesame\n")
    shown += read_until(master, b"is made")
    assert typing.wait(PATIENCE) == 0
    os.close(master)
    assert b"sesame" not in shown


def read_until(descriptor, words):
    shown = b""
    while words not in shown:
        assert select.select([descriptor], [], [], PATIENCE)[0], shown
        shown += os.read(descriptor, 4096)
    return shown


def test_a_password_that_cannot_be_printed_is_said(place):
    with open("/dev/full", "wb") as full:
        result = grant(place, stdout=full)
    assert result.status == 73 and "ecluse revoke work 1" in result.err, result


def test_output_that_is_lost_is_an_error(place):
    with open("/dev/full", "wb") as full:
        assert place.ecluse("grants", stdout=full).status == 73


def test_closed_standard_descriptors_are_no_trouble(place):
    script = '"$@" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", script, "sh", BINARY, "grants", "-c", str(place.file)],
                          env=place.environment(), timeout=PATIENCE)
    assert done.returncode == 0
    assert grants(place) == []


# ---- accounts, login, token ----

def test_accounts_are_listed(place):
    table = place.ecluse("accounts")
    assert table.status == 0 and table.out.startswith("ACCOUNT  ADDRESS "), table
    assert re.search(r"^work +alice@example.test +local +code +never +- +- +-$", table.out, re.M)
    row = accounts(place)["work"]
    assert row == {"name": "work", "address": "alice@example.test", "provider": "local",
                   "flow": "code", "signed_in": "never", "expires": None, "last_refresh": None,
                   "last_error": None}


def test_a_token_of_an_account_that_never_signed_in_is_77(place):
    one_line(place.ecluse("token", "work"), 77, "work")


def test_an_adopted_token_stays_when_the_provider_is_unreachable(place):
    result = login(place, b"canary-4711\n")
    one_line(result, 75, "the token is stored")
    assert "canary" not in result.err
    row = accounts(place)["work"]
    assert row["signed_in"] == "in" and row["last_error"]
    assert "canary" not in json.dumps(row)
    one_line(place.ecluse("token", "work"), 75, "work")
    vault = b"".join(path.read_bytes() for path in (place.folder / "state").rglob("*")
                     if path.is_file())
    assert b"canary" not in vault


@pytest.mark.parametrize("stdin, words", [
    (b"", "is empty"),
    (b"two\nlines\n", "more than one line"),
    (b"a\x01b\n", "control characters"),
    (b"a" * (16 * 1024 + 1), "longer than 16384"),
    ("jeton-\u00e9".encode(), "printable ASCII"),
])
def test_what_is_no_token_is_65(place, stdin, words):
    one_line(login(place, stdin), 65, words)
    assert accounts(place)["work"]["signed_in"] == "never"


def test_a_token_is_for_a_protocol_of_the_provider(place):
    one_line(place.ecluse("token", "work", "--protocol", "http"), 64, "http is no protocol")
    one_line(place.ecluse("token", "work", "--protocol", "pop3"), 65, "has no pop3")
    one_line(place.ecluse("token", "work", "--protocol", "smtp"), 77, "work")


def refused(error):
    return lambda parameters: (400, {"error": error, "error_description": "says the provider"})


def test_a_sign_in_is_tried_and_told(place, endpoint):
    endpoint.answer = rotating
    result = login(place, b"r1\n")
    assert result.status == 0 and result.err == "", result
    assert re.fullmatch(r"work is signed in; its access token is good until "
                        r"\d{4}-\d\d-\d\d \d\d:\d\d\n", result.out), result
    assert accounts(place)["work"]["signed_in"] == "in"
    assert accounts(place)["work"]["last_error"] is None


def test_a_token_is_all_that_is_printed(place, endpoint):
    endpoint.answer = rotating
    assert login(place, b"r1\n").status == 0
    result = place.ecluse("token", "work")
    assert (result.status, result.out, result.err) == (0, "a2\n", ""), result
    assert [request["refresh_token"] for request in endpoint.requests] == ["r1", "r2"]
    with open("/dev/full", "wb") as full:
        assert place.ecluse("token", "work", stdout=full).status == 73


def test_a_refused_token_is_not_kept(place, endpoint):
    endpoint.answer = refused("invalid_grant")
    result = login(place, b"canary\n")
    one_line(result, 77, "refused and is not kept")
    assert "canary" not in result.err
    assert accounts(place)["work"]["signed_in"] == "never"
    one_line(place.ecluse("token", "work"), 77, "ecluse login work")
    assert len(endpoint.requests) == 1


def test_a_refused_token_does_not_cost_the_one_from_before(place, endpoint):
    endpoint.answer = rotating
    assert login(place, b"r1\n").status == 0
    endpoint.answer = refused("invalid_grant")
    one_line(login(place, b"canary\n"), 77, "not kept; the one from before is")
    assert accounts(place)["work"]["signed_in"] == "in"
    endpoint.answer = rotating
    assert place.ecluse("token", "work").status == 0
    assert [request["refresh_token"] for request in endpoint.requests] == ["r1", "canary", "r2"]


@pytest.mark.parametrize("answer", [lambda parameters: (503, {}), lambda parameters: (200, {}),
                                    refused("invalid_client"), refused("nonsense")])
def test_no_other_answer_costs_the_token(place, endpoint, answer):
    endpoint.answer = answer
    result = login(place, b"r1\n")
    assert result.status in (70, 75) and "the token is stored" in result.err, result
    assert accounts(place)["work"]["signed_in"] == "in"
    endpoint.answer = rotating
    assert place.ecluse("token", "work").out == "a1\n"


def test_a_token_whose_user_has_to_act_is_kept(place, endpoint):
    endpoint.answer = rotating
    assert login(place, b"r1\n").status == 0
    endpoint.answer = refused("interaction_required")
    one_line(login(place, b"r7\n"), 77, "the token is stored")
    endpoint.answer = rotating
    assert place.ecluse("token", "work").status == 0
    assert endpoint.requests[-1]["refresh_token"] == "r7"


# ---- who may do it ----

@pytest.mark.parametrize("name, mode", [
    ("state", 0o750), ("state/vault.db", 0o640), ("state/vault.key", 0o604)])
def test_state_that_others_can_read_is_78(place, name, mode):
    assert place.ecluse("grants").status == 0
    path = place.folder / name
    path.chmod(mode)
    for command in ("grants", "run"):
        one_line(place.ecluse(command), 78, str(path), "chmod")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_state_folder_that_is_a_link_is_78(place):
    (place.folder / "elsewhere").mkdir(mode=0o700)
    (place.folder / "state").symlink_to(place.folder / "elsewhere")
    one_line(place.ecluse("grants"), 78, "link")


def test_the_links_that_systemd_makes_are_followed(place):
    links = {}
    for name in ("state", "run"):
        (place.folder / "private" / name).mkdir(mode=0o700, parents=True)
        (place.folder / name).symlink_to(place.folder / "private" / name)
        links[name] = str(place.folder / name)
    text = place.file.read_text()
    place.write("\n".join(line for line in text.splitlines()
                          if not line.startswith(("state_dir", "runtime_dir"))) + "\n")
    environment = place.environment(STATE_DIRECTORY=links["state"] + ":/nonexistent",
                                    RUNTIME_DIRECTORY=links["run"])
    result = place.ecluse("grants", env=environment)
    assert result.status == 0, result
    assert (place.folder / "private" / "state" / "vault.db").exists()


def test_a_runtime_folder_that_others_can_enter_is_78(place):
    (place.folder / "run").mkdir(mode=0o755)
    (place.folder / "run").chmod(0o755)
    one_line(place.ecluse("run"), 78, "chmod 700")


@as_root
def test_a_socket_of_a_stranger_gets_nothing(place):
    folder = place.folder / "run"
    folder.mkdir()
    folder.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as trap:
        trap.bind(str(folder / "control"))
        trap.listen()
        os.chown(folder / "control", 65534, 65534)
        result = login(place, b"canary\n")
        one_line(result, 77, "65534")
        trap.settimeout(0)
        with pytest.raises(BlockingIOError):
            trap.accept()


@as_root
@pytest.mark.skipif(b"__asan_init" in BINARY.read_bytes() if BINARY.exists() else False,
                    reason="a sanitized build cannot look for leaks in a setuid process")
def test_setuid_is_refused(place):
    copy = place.folder / "ecluse"
    shutil.copy(BINARY, copy)
    os.chown(copy, 65534, 65534)
    copy.chmod(0o4755)
    done = subprocess.run([copy, "version"], capture_output=True, env=place.environment())
    assert done.returncode == 77 and b"setuid" in done.stderr, done
