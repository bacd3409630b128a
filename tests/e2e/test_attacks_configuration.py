"""What a configuration cannot do, whoever wrote it; the numbers are those of the attack catalogue."""

import re
import socket

import pytest

from scripted_upstream import polite

FORMAT = "%n%s%x%p%100000d"
OFF = ["tls_verify = no", "verify = none", "insecure = yes", "ssl_verify = false", "tls = off"]


@pytest.mark.parametrize("line", OFF)
def test_22_verification_cannot_be_turned_off(ecluse, line):
    key, value = line.split(" = ")
    ecluse.set("provider local", **{key: value})
    result = ecluse.ecluse("check")
    assert result.status == 78 and re.search(rf"ecluse.ini:\d+: .*{key}", result.err), result


@pytest.mark.parametrize("place", ["plain://localhost:1", "imap://localhost:1", "localhost:1",
                                   "tcp://localhost:1", "TLS+insecure://localhost:1"])
def test_22_plaintext_upstream_cannot_be_said(ecluse, place):
    ecluse.set("provider local", imap=place)
    result = ecluse.ecluse("check")
    assert result.status == 78 and re.search(r"ecluse.ini:\d+: imap", result.err), result


def test_23_what_is_not_said_is_verified(ecluse, rig):
    """No word on authorities: those of the system count, and they know nothing of this server."""
    del ecluse.sections["ecluse"]["ca_file"]
    ecluse.set("ecluse")
    ecluse.start()
    token = rig.refresh_token("alice@example.test")
    ecluse.secrets["the refresh token"] = token
    rig.clear()
    result = ecluse.ecluse("login", "alice", "--refresh-token-stdin", stdin=token.encode())
    assert result.status == 75 and "certificate" in result.err, result
    assert rig.token_requests() == 0


@pytest.mark.parametrize("host", ["evil host", "evil\thost", "-evil", "evil..host", "a" * 64,
                                  "evil\x01", "evil;x", "[::1"])
def test_49_a_name_that_is_none(ecluse, host):
    ecluse.set("provider local", smtp=f"tls://{host}:465")
    result = ecluse.ecluse("check")
    assert result.status == 78 and re.search(r"ecluse.ini:\d+: (smtp|the line)", result.err), result


def test_49_our_name_is_fixed(ecluse, upstreams):
    """Neither the machine's nor the client's goes upstream, before the login and behind it."""
    upstream = upstreams(polite, "smtp")
    ecluse.serve_from(upstream, "alice")
    ecluse.ready("alice")
    client = ecluse.smtp_session("alice")
    assert client.ehlo("evil.example.test")[0] == 250
    client.quit()
    heard = bytes(upstream.wait_over()[0].plain).split(b"\r\n")
    hellos = [line for line in heard if line.startswith((b"EHLO", b"HELO"))]
    assert len(hellos) > 1 and set(hellos) == {b"EHLO [127.0.0.1]"}
    assert not any(b"evil" in line or socket.gethostname().encode() in line for line in heard)


@pytest.mark.parametrize("section, key, value, told", [
    ("ecluse", FORMAT, "x", 'unknown key "{}"'), (FORMAT, "key", "x", 'unknown section "{}"'),
    ("account alice", "provider", FORMAT, 'provider "{}" is unknown; add a [provider {}] section'),
    ("listen imap", "address", FORMAT, 'address "{}": must be')])
def test_59_format_strings_that_are_refused(ecluse, section, key, value, told):
    ecluse.set(section, **{key: value})
    result = ecluse.ecluse("check")
    assert result.status == 78 and told.replace("{}", FORMAT) in result.err, result


def test_59_format_strings_that_are_served(ecluse, upstreams):
    ecluse.serve_from(upstreams(polite), "alice")
    address = f"{FORMAT}@example.test"
    ecluse.add_account("odd", provider="of-alice", address=address, user="bob@example.test")
    ecluse.start()
    ecluse.sign_in("odd", "bob@example.test")
    ecluse.grant("odd")
    session = ecluse.raw_session("odd")
    assert session.command("NOOP")[0] == "OK NOOP completed for bob@example.test"
    assert ecluse.accounts()["odd"]["address"] == address
    assert address in ecluse.ecluse("accounts").out
