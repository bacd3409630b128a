"""A sign-in as a browser goes through it, by script: forms, cookies and redirects, no page shown."""

import html
import http.client
import http.cookiejar
import json
import re
import select
import signal
import subprocess
import time
import urllib.parse
import urllib.request

from cli_support import BINARY, PATIENCE, ROOT
from rig_support import op

# Letters of the sign-in pages of the rig.
FORM = re.compile(r'<form[^>]*action="([^"]+)"', re.S)
HIDDEN = re.compile(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"')


class StopAtLoopback(urllib.request.HTTPRedirectHandler):
    """Follows redirects but for the last one, to the plain HTTP of the client."""

    def redirect_request(self, request, answer, code, message, headers, url):
        if url.startswith("http://"):
            raise Arrived(url)
        return super().redirect_request(request, answer, code, message, headers, url)


class Arrived(Exception):
    def __init__(self, url):
        super().__init__(url)
        self.url = url


class Browser:
    def __init__(self, rig):
        self.rig = rig
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=rig.context()),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), StopAtLoopback)

    def get(self, url, form=None):
        """The page's address and text."""
        data = None if form is None else urllib.parse.urlencode(form).encode()
        with self.opener.open(url, data, timeout=PATIENCE) as answer:
            return answer.url, answer.read().decode()

    def sign_in(self, url, user, action="login"):
        """The URL at which it ends, which has not been fetched."""
        form = {"user": user, "password": self.rig.state["users"][user]["password"], "do": action}
        try:
            address, page = self.get(url)
            target = urllib.parse.urljoin(address, html.unescape(FORM.search(page)[1]))
            address, page = self.get(target, form)
            self.submit(address, page, do="allow")  # the second form: prompt=consent
        except Arrived as arrived:
            return arrived.url
        raise AssertionError(f"the sign-in ends at {address}: {page}")

    def submit(self, address, page, **fields):
        """The form of a page with its hidden fields and these."""
        target = urllib.parse.urljoin(address, html.unescape(FORM.search(page)[1]))
        return self.get(target, {**dict(HIDDEN.findall(page)), **fields})

    def confirm_device(self, url, code, user, abort=False):
        """What a user does with the code that `ecluse login --device` shows."""
        address, page = self.submit(*self.get(url), user_code=code)
        if abort:
            self.submit(address, page, user_code=code, confirm="yes", abort="yes")
            return
        address, page = self.submit(address, page, user_code=code, confirm="yes")
        password = self.rig.state["users"][user]["password"]
        _, page = self.submit(address, page, user=user, password=password, do="login")
        assert "Signed in" in page, page


def visit(url, method="GET", headers=None, body=None, target=None):
    """The status, headers and body of one request to the redirect's address."""
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE)
    try:
        connection.request(method, target or f"{place.path}?{place.query}", body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Login:
    """`ecluse login` while it waits for its human."""

    def __init__(self, ecluse, *arguments):
        self.process = subprocess.Popen(
            [BINARY, "login", *arguments, "-c", str(ecluse.file)], env=ecluse.environment(),
            # A run in the background may have been told to ignore it, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.out = b""

    def read_until(self, pattern):
        """The match in what it has said on stdout."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.out.decode())):
            left = deadline - time.monotonic()
            assert select.select([self.process.stdout], [], [], max(left, 0))[0], self.out
            piece = self.process.stdout.read1(65536)
            assert piece, (self.out, self.process.communicate())
            self.out += piece
        return found

    def url(self):
        return self.read_until(r"(?m)^  (https://\S+)\n")[1]

    def redirect_uri(self):
        query = urllib.parse.urlsplit(self.url()).query
        return dict(urllib.parse.parse_qsl(query))["redirect_uri"]

    def answer(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def end(self):
        """Exit code, and all that it has said on stdout and stderr."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, self.out.decode() + out.decode(), err.decode()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def by_chromium(rig, url, user, code=None):
    """A sign-in by the real browser: what its last page says."""
    script = ROOT / "tests" / "e2e" / "chromium.mjs"
    wishes = {"url": url, "user": user, "password": rig.state["users"][user]["password"],
              "code": code}
    done = subprocess.run(["node", script, op.modules(rig.folder)], input=json.dumps(wishes),
                          capture_output=True, text=True, timeout=4 * PATIENCE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
