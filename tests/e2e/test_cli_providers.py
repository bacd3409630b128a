"""The built-in providers as their users meet them: listed, overridden, found by the address."""

import json
import pathlib
import re
import subprocess

from cli_support import BINARY, ROOT, place  # noqa: F401 (fixture)

LISTENER = "[listen imap]\naddress = 127.0.0.1:{port}\n"


def providers(place, *options, **more):
    result = place.call("providers", "--json", *options, **more)
    assert result.status == 0 and result.err == "", result
    return {row["name"]: row for row in json.loads(result.out)}


def configure(place, text):
    place.write(f"[ecluse]\nstate_dir = {place.folder}/state\nruntime_dir = {place.folder}/run\n"
                "web = off\n" + LISTENER.format(port=place.port) + text)


def test_the_table_needs_no_configuration(place):
    rows = providers(place)
    table = (ROOT / "config" / "providers.ini").read_text()
    assert list(rows) == re.findall(r"^\[provider (.*)\]$", table, re.M)
    assert rows["google"]["domains"] == ["gmail.com", "googlemail.com"]
    assert rows["google"]["imap"] == "tls://imap.gmail.com:993"
    assert rows["google"]["flows"] == ["code"]
    assert rows["microsoft"]["flows"] == ["code", "device"]
    assert rows["icloud"]["flows"] == ["none"] and rows["icloud"]["pop3"] == ""
    assert {row["confidence"] for row in rows.values()} == {"high", "medium", "low"}
    assert all(row["hint"] and row["domains"] for row in rows.values())


def test_the_table_is_shown(place):
    result = place.call("providers")
    assert result.status == 0 and result.err == "", result
    head, *lines = result.out.splitlines()
    assert head.split() == ["PROVIDER", "DOMAINS", "FLOWS", "CONFIDENCE", "HINT"]
    rows = providers(place)
    assert [line.split()[0] for line in lines] == list(rows)
    personal = next(line for line in lines if line.startswith("microsoft-personal "))
    more = len(rows["microsoft-personal"]["domains"]) - 2
    assert re.match(rf"microsoft-personal +outlook.com hotmail.com \+{more} +code device +high ",
                    personal)


def test_the_configuration_comes_first(place):
    configure(place, "[provider mine]\nimap = tls://imap.mine.test\ndomains = mine.test\n"
                     "flow = none\n"
                     "[provider yahoo]\nhint = call Ann\nimap = tls://imap.yahoo.test\n")
    rows = providers(place, "-c", str(place.file))
    assert list(rows)[:2] == ["mine", "yahoo"] and len(rows) == len(providers(place)) + 1
    assert rows["mine"] == {"name": "mine", "domains": ["mine.test"], "flows": ["none"],
                            "confidence": "unknown", "hint": "",
                            "imap": "tls://imap.mine.test", "pop3": "", "smtp": ""}
    assert rows["yahoo"]["hint"] == "call Ann"
    assert rows["yahoo"]["imap"] == "tls://imap.yahoo.test"
    assert rows["yahoo"]["smtp"] == providers(place)["yahoo"]["smtp"]


def test_a_broken_or_absent_file_that_is_named_is_78(place):
    place.write("[nonsense]\n")
    result = place.ecluse("providers")
    assert result.status == 78 and result.out == "" and f"{place.file}:1: " in result.err
    place.file.unlink()
    result = place.ecluse("providers")
    assert result.status == 78 and result.out == "" and str(place.file) in result.err


def test_an_account_of_an_address_and_a_client(place):
    configure(place, "[account work]\naddress = alice@gmail.com\nclient_id = x\n"
                     "[account old]\naddress = alice@gmx.de\n")
    result = place.ecluse("check")
    assert result.status == 0 and result.err == "", result
    fine, *hints = result.out.splitlines()
    rows = providers(place)
    assert fine == f"{place.file}: fine"
    assert hints == [f"provider {name} (confidence: high): {rows[name]['hint']}"
                     for name in ("google", "gmx")]
    accounts = json.loads(place.ecluse("accounts", "--json").out)
    assert [(row["name"], row["provider"], row["flow"]) for row in accounts] == [
        ("work", "google", "code"), ("old", "gmx", "none")]


def test_an_unknown_domain_names_the_fix(place):
    configure(place, "[account work]\naddress = alice@unknown.test\nclient_id = x\n")
    result = place.ecluse("check")
    line = place.file.read_text().split("\n").index("[account work]") + 1
    assert result.status == 78 and result.out == "", result
    assert result.err.startswith(f"{place.file}:{line}: account work has no provider")
    assert "unknown.test; add provider = NAME" in result.err and result.err.count("\n") == 1


def test_the_table_is_installed(tmp_path):
    # The binary that is tested is there already, so that nothing is built.
    subprocess.run(["make", "-s", "-C", ROOT, "install", f"BUILD={BINARY.parent.parent}",
                    f"MODE={BINARY.parent.name}", f"DESTDIR={tmp_path}", "PREFIX=/usr"],
                   check=True, stdout=subprocess.DEVNULL)
    installed = pathlib.Path(tmp_path, "usr/share/doc/ecluse/providers.ini")
    assert installed.read_text() == (ROOT / "config" / "providers.ini").read_text()
