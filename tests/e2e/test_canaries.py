"""The look for secrets finds them: else no test that ends with it would show anything."""

import base64
import urllib.parse

import pytest

import canaries

SECRET = "canary/with+signs=and-letters"


def wrapped(before, after):
    return base64.b64encode(f"{before}{SECRET}{after}".encode())


SPELLINGS = {
    "raw": b"token=" + SECRET.encode() + b"\n", "hex": SECRET.encode().hex().encode(),
    "percent": urllib.parse.quote(SECRET, safe="").encode(), "xoauth2": wrapped("user=a\1", "\1\1"),
    "one before": wrapped("x", "yz"), "two before": wrapped("xx", "y"), "alone": wrapped("", ""),
    "url-safe": base64.urlsafe_b64encode(SECRET.encode()),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_found_in_any_spelling(tmp_path, spelling):
    text = b"2026 info  keeper: " + SPELLINGS[spelling] + b" and more"
    with pytest.raises(AssertionError, match="the secret stands in the log"):
        canaries.assert_absent({"the secret": SECRET}, {"the log": text})
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "vault.db").write_bytes(b"\0\1\n" + text + b"\0")
    with pytest.raises(AssertionError, match="vault.db"):
        canaries.sweep({SECRET}, [tmp_path], tmp_path / "needles")


def test_nothing_is_found_where_nothing_is(tmp_path):
    canaries.assert_absent({"the secret": SECRET}, {"the log": b"canary/without signs"})
    (tmp_path / "daemon.log").write_bytes(b"canary/without signs")
    assert canaries.sweep({SECRET}, [tmp_path], tmp_path / "needles") == 1
