"""Fernet tokens, made with the standard library and the openssl command."""

import base64
import hashlib
import hmac
import subprocess


def seal(text, password, salt, iterations, moment=1700000000, vector=bytes(range(16, 32))):
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations, 32)
    cipher = subprocess.run(
        ["openssl", "enc", "-aes-128-cbc", "-K", key[16:].hex(), "-iv", vector.hex()],
        input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
    token = b"\x80" + moment.to_bytes(8, "big") + vector + cipher
    return base64.urlsafe_b64encode(token + hmac.digest(key[:16], token, "sha256")).decode()
