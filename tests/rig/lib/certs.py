"""A test CA and certificates, one of each kind that a client must refuse."""
import shutil
import subprocess
from pathlib import Path

from .common import RigError

# name -> (issuer, common name, subject alternative names). The IP addresses
# are those where a server shows the certificate, so that each has one fault.
KINDS = {
    "good": ("ca", "localhost", "DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.6"),
    "wrong_name": ("ca", "other.example.test", "DNS:other.example.test"),
    "expired": ("ca", "localhost", "DNS:localhost,IP:127.0.0.1,IP:127.0.0.4"),
    "unknown_ca": ("unknown", "localhost", "DNS:localhost,IP:127.0.0.1,IP:127.0.0.5"),
    "cn_only": ("ca", "localhost", None),
}

CONFIG = """
[ca]
default_ca = this
[this]
database = {work}/index-{issuer}
new_certs_dir = {work}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
[req]
distinguished_name = none
prompt = no
[none]
[ca_ext]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = serverAuth
{san}
"""


def openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise RigError(f"openssl {args[0]} failed: {done.stderr.strip().splitlines()[-1]}")


def make(folder):
    """Returns name -> {cert, key}, and "ca" -> path of the CA certificate."""
    folder = Path(folder)
    folder.mkdir(mode=0o755)
    work = folder / "work"
    work.mkdir()
    conf, csr = work / "openssl.cnf", work / "request.csr"

    def configure(issuer, san=None):
        (work / f"index-{issuer}").touch()
        conf.write_text(CONFIG.format(work=work, issuer=issuer,
                                      san=f"subjectAltName = {san}" if san else ""))

    def new_key(name):
        key = folder / f"{name}.key"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        key.chmod(0o600)
        return key

    for issuer in ("ca", "unknown"):
        configure(issuer)
        openssl("req", "-new", "-x509", "-config", conf, "-extensions", "ca_ext", "-days", 3650,
                "-subj", f"/CN=rig {issuer}", "-key", new_key(issuer),
                "-out", folder / f"{issuer}.pem")

    made = {"ca": str(folder / "ca.pem")}
    for name, (issuer, cn, san) in KINDS.items():
        configure(issuer, san)
        key, cert = new_key(name), folder / f"{name}.pem"
        openssl("req", "-new", "-config", conf, "-subj", f"/CN={cn}", "-key", key, "-out", csr)
        when = ["-days", "825"]
        if name == "expired":
            when = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"]
        openssl("ca", "-batch", "-notext", "-config", conf, "-extensions", "leaf", *when,
                "-cert", folder / f"{issuer}.pem", "-keyfile", folder / f"{issuer}.key",
                "-in", csr, "-out", cert)
        made[name] = {"cert": str(cert), "key": str(key)}
    shutil.rmtree(work)
    return made


def make_signer(folder, name):
    """An RSA key that signs assertions, and a certificate by itself: {cert, key}."""
    key, cert = Path(folder) / f"{name}.key", Path(folder) / f"{name}.pem"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 30, "-subj", f"/CN={name}",
            "-keyout", key, "-out", cert)
    key.chmod(0o600)
    return {"cert": str(cert), "key": str(key)}
