"""Secrets must not stand in anything that is written down, in whatever spelling."""

import base64
import subprocess
import urllib.parse


def spellings(secret):
    """Raw, percent-encoded, hexadecimal, and base64 at each of the three positions in which the
    secret may stand inside a longer text."""
    raw = secret.encode() if isinstance(secret, str) else secret
    found = {raw, urllib.parse.quote_from_bytes(raw, safe="").encode(), raw.hex().encode(),
             raw.hex().upper().encode()}
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw)
        # What the neighbours share in the first and last group is cut off.
        text = text[4 if before else 0:len(text) - 4]
        found |= {text, text.translate(bytes.maketrans(b"+/", b"-_"))}
    return {text for text in found if len(text) >= 8}


def assert_absent(secrets, texts):
    """`secrets`: name → secret; `texts`: name → bytes."""
    for name, secret in secrets.items():
        for spelling in spellings(secret):
            for place, text in texts.items():
                assert spelling not in text, f"{name} stands in {place}, as {spelling[:6]!r}…"


def sweep(secrets, folders, needles):
    """The same for very many secrets and files, by grep; `needles` is a file to write."""
    spelled = set().union(*(spellings(secret) for secret in secrets))
    needles.touch(0o600)
    needles.write_bytes(b"".join(text + b"\n" for text in sorted(spelled)))
    files = [str(path) for folder in folders for name in ("state", "run", "daemon.log", "proc")
             for path in (folder / name, *(folder / name).rglob("*")) if path.is_file()]
    done = subprocess.run(["xargs", "-0", "grep", "-laFf", str(needles), "--", "/dev/null"],
                          input="\0".join(files).encode(), capture_output=True)
    needles.unlink()
    assert not done.stderr, done.stderr
    assert not done.stdout, f"a token stands in {done.stdout.decode()}"
    return len(files)
