"""Small clients for the self-test: mail by imaplib and friends, OAuth by hand."""
import base64
import hashlib
import hmac
import html
import http.client
import http.cookiejar
import imaplib
import json
import re
import secrets
import ssl
import urllib.error
import urllib.parse
import urllib.request

from . import op


def context(state):
    made = ssl.create_default_context(cafile=state["ca"])
    made.hostname_checks_common_name = False  # as every client should by now
    return made


def xoauth2(user, token):
    return f"user={user}\1auth=Bearer {token}\1\1".encode()


def oauthbearer(user, token):
    return f"n,a={user},\1host=localhost\1port=993\1auth=Bearer {token}\1\1".encode()


class Scram:
    """The client of RFC 5802 without channel binding: called with each challenge, first with none."""

    def __init__(self, user, password, digest):
        self.password, self.digest = password.encode(), digest
        self.bare = f"n={user},r={secrets.token_urlsafe(18)}".encode()
        self.expected = None  # of the server, which must know the password too

    def __call__(self, challenge=None):
        if not challenge:
            return b"n,," + self.bare
        if self.expected is None:
            return self.prove(challenge)
        if challenge != b"v=" + base64.b64encode(self.expected):
            raise ValueError("the server does not know the password")
        return b""

    def prove(self, challenge):
        nonce, salt, rounds = (part[2:] for part in challenge.split(b",")[:3])
        salted = hashlib.pbkdf2_hmac(self.digest, self.password, base64.b64decode(salt), int(rounds))
        final = b"c=biws,r=" + nonce
        message = b",".join((self.bare, challenge, final))
        key = hmac.digest(salted, b"Client Key", self.digest)
        signature = hmac.digest(hashlib.new(self.digest, key).digest(), message, self.digest)
        self.expected = hmac.digest(hmac.digest(salted, b"Server Key", self.digest), message,
                                    self.digest)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        return final + b",p=" + base64.b64encode(proof)


def answers(mechanism, user, secret):
    """Called with each challenge, first with none: what a client of that mechanism says."""
    if mechanism.startswith("SCRAM-"):
        return Scram(user, secret, mechanism.removeprefix("SCRAM-").replace("-", "").lower())
    said = {"XOAUTH2": [xoauth2(user, secret), b""],  # the second after an error challenge
            "OAUTHBEARER": [oauthbearer(user, secret), b"\1"],
            "PLAIN": [f"\0{user}\0{secret}".encode()],
            "LOGIN": [user.encode(), secret.encode()]}[mechanism]
    return lambda _=None: said.pop(0)


def smtp_auth(smtp, mechanism, user, secret):
    """In steps: a long initial response would not fit."""
    answer = answers(mechanism, user, secret)
    return smtp.auth(mechanism, lambda challenge=None: answer(challenge).decode(),
                     initial_response_ok=False)


def pop_auth(pop, mechanism, user, secret):
    answer = answers(mechanism, user, secret)
    pop._putcmd(f"AUTH {mechanism}")
    while (line := pop._getresp()).startswith(b"+ "):
        pop._putline(base64.b64encode(answer(base64.b64decode(line[2:]))))
    return line


def imap(state, host="localhost", port="imaps"):
    return imaplib.IMAP4_SSL(host, state["ports"][port], ssl_context=context(state), timeout=15)


def login(state, user, token, mechanism="XOAUTH2", port="imaps"):
    """A session, or imaplib's error with the server's words."""
    mail = imap(state, port=port)
    try:
        mail.authenticate(mechanism, answers(mechanism, user, token))
    except imaplib.IMAP4.error:
        mail.shutdown()
        raise
    return mail


def refused(state, user, token, mechanism="XOAUTH2"):
    try:
        login(state, user, token, mechanism).logout()
    except imaplib.IMAP4.error as e:
        return "AUTHENTICATIONFAILED" in str(e)
    return False


def grant(state, user, client="confidential"):
    return op.ask(state, "POST", "/grant",
                  {"user": user, "client": state["clients"][client]["client_id"]})


def knob(state, name, *values):
    return op.ask(state, "POST", "/knob", {"name": name, "values": [str(v) for v in values]})


def stats(state):
    return op.ask(state, "GET", "/stats")


class Answer:
    """Of an HTTP request: status, headers, text, and the JSON if it is any."""

    def __init__(self, status, headers, text, url=""):
        self.status, self.headers, self.text, self.url = status, headers, text, url
        try:
            self.json = json.loads(text)
        except ValueError:
            self.json = None

    def __getitem__(self, key):
        return (self.json or {}).get(key)


def post(state, endpoint, form, client="confidential", basic=False, timeout=15, port="op"):
    """One form to one endpoint; nothing is followed."""
    conn = http.client.HTTPSConnection("localhost", state["ports"][port],
                                       context=context(state), timeout=timeout)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    form = dict(form)
    if client:
        known = state["clients"][client]
        if basic:
            pair = ":".join(map(urllib.parse.quote, (known["client_id"], known["client_secret"])))
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form.setdefault("client_id", known["client_id"])
            if "client_secret" in known:
                form.setdefault("client_secret", known["client_secret"])
    try:
        conn.request("POST", op.PATHS[endpoint], urllib.parse.urlencode(form), headers)
        got = conn.getresponse()
        return Answer(got.status, got.headers, got.read().decode())
    finally:
        conn.close()


def refresh(state, token, **more):
    return post(state, "token", {"grant_type": "refresh_token", "refresh_token": token}, **more)


class Browser:
    """Keeps cookies, follows redirects, fills forms, runs no script."""

    def __init__(self, state):
        self.last = None  # the address to which no more could be followed
        browser = self

        class Follow(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, req, fp, code, msg, headers, newurl):
                if not newurl.startswith(state["issuer"]):
                    browser.last = newurl  # the client's own page
                    return None
                return super().redirect_request(req, fp, code, msg, headers, newurl)

        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context(state)),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), Follow())

    def open(self, url, form=None):
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            got = self.opener.open(url, data, timeout=15)
        except urllib.error.HTTPError as e:
            got = e
        return Answer(got.status, got.headers, got.read().decode(), got.geturl())

    def submit(self, page, **fields):
        """The page's form, hidden fields included."""
        action = html.unescape(re.search(r'<form[^>]*action="([^"]*)"', page.text)[1])
        hidden = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.text))
        return self.open(urllib.parse.urljoin(page.url, action), {**hidden, **fields})

    def landed(self):
        """What the client's own page would have been given."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.last or "").query))


def pkce():
    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def authorize_url(state, client, redirect, challenge=None, **more):
    query = {"client_id": state["clients"][client]["client_id"], "response_type": "code",
             "scope": "openid offline_access mail", "redirect_uri": redirect, "state": "xyz", **more}
    if challenge:
        query.update(code_challenge=challenge, code_challenge_method="S256")
    return state["endpoints"]["authorization"] + "?" + urllib.parse.urlencode(query)
