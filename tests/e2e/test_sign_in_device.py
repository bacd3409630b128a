"""`ecluse login` by a code that is typed in on another device."""

import ctypes
import os
import pty
import re
import time

import pytest

from browser_support import Browser, Login
from cli_support import accounts, endpoint, id_token, one_line, place  # noqa: F401 (fixtures)
from ecluse_support import ALICE
from sign_in_support import assert_signed_in, human  # noqa: F401
from waiting import wait_until


def test_device(human, ecluse, rig):
    ecluse.start()
    login = human("alice", "--device")
    code = login.read_until(r"type this code: (\S+)")[1]
    Browser(rig).confirm_device(login.url(), code, ALICE)
    assert login.end()[::2] == (0, "")
    assert_signed_in(ecluse)


def test_device_is_declined(human, ecluse, rig):
    ecluse.start()
    login = human("alice", "--device")
    code = login.read_until(r"type this code: (\S+)")[1]
    Browser(rig).confirm_device(login.url(), code, ALICE, abort=True)
    status, _, err = login.end()
    assert status == 77 and "declined" in err


def test_device_by_the_flow_of_the_account(human, ecluse, rig):
    ecluse.set("account alice", flow="device")
    login = human("alice")
    assert login.read_until(r"type this code: (\S+)")


CODES = {"device_code": "canary-device-code", "user_code": "AB-CD", "interval": 1,
         "verification_uri": "https://id.example.test/device",
         "verification_uri_complete": "https://id.example.test/device?code=AB-CD"}


@pytest.fixture
def scripted(place, endpoint):
    """A device endpoint whose polls are answered from a list."""
    base = f"https://127.0.0.1:{endpoint.server.server_port}"
    place.write(place.file.read_text().replace(
        "[provider local]", f"[provider local]\ndevice_authorization_endpoint = {base}/device"))
    answers = []
    times = []

    def answer(parameters):
        if "grant_type" not in parameters:
            return 200, CODES
        if parameters["grant_type"] == "refresh_token":
            return GOOD
        times.append(time.monotonic())
        return answers.pop(0)

    endpoint.answer = answer
    endpoint.polls = answers
    endpoint.times = times
    return endpoint


def refusal(error):
    return 400, {"error": error}


CLIENT_IS_PUBLIC = {
    "error": "invalid_client", "error_codes": [7000218],
    "error_description": "AADSTS7000218: The request body must contain: client_secret."}

GOOD = 200, {"access_token": "a1", "token_type": "Bearer", "refresh_token": "r1",
             "id_token": id_token(aud="test-client", email=ALICE)}


def test_device_waits(place, scripted):
    place.start()
    scripted.polls += [refusal("authorization_pending"), (503, {}), GOOD]
    result = place.ecluse("login", "work", "--device")
    assert result.status == 0 and "https://id.example.test/device\n" in result.out, result
    assert "AB-CD" in result.out and "canary" not in result.out + result.err + place.log()
    polls = [request for request in scripted.requests if "device_code" in request]
    assert polls == [{"grant_type": "urn:ietf:params:oauth:grant-type:device_code",
                      "device_code": "canary-device-code", "client_id": "test-client"}] * 3
    assert accounts(place)["work"]["signed_in"] == "in"


def pauses(place):
    """Those before each poll so far, in seconds."""
    return [int(pause) for pause in re.findall(r"its code is asked about in (\d+) s", place.log())]


@pytest.fixture
def telling(place, scripted):
    """A daemon that tells how long it pauses."""
    place.write(place.file.read_text().replace("[ecluse]", "[ecluse]\nlog = debug"))
    place.start()
    return place


def test_device_slows_down(telling, scripted):
    """And does not forget that it has."""
    scripted.polls += [refusal("slow_down"), refusal("slow_down")]
    login = Login(telling, "work", "--device")
    try:
        wait_until(lambda: pauses(telling) == [1, 6, 11], "the second pause")
        assert scripted.times[1] - scripted.times[0] >= 6  # never earlier, however slow we are
    finally:
        login.kill()


def test_device_loses_its_connection(telling, scripted):
    scripted.polls += [None, None, refusal("authorization_pending"), GOOD]
    result = telling.ecluse("login", "work", "--device")
    assert result.status == 0 and pauses(telling) == [1, 2, 4, 1], result
    assert accounts(telling)["work"]["signed_in"] == "in"


def test_device_waits_no_longer_than_its_code(place, scripted):
    codes = {**CODES, "expires_in": 2}
    scripted.answer = lambda parameters: ((400, {"error": "authorization_pending"})
                                          if "grant_type" in parameters else (200, codes))
    result = place.ecluse("login", "work", "--device")
    assert result.status == 75 and "the code has expired; try again" in result.err, result
    assert "for 2 seconds at most" in result.out


@pytest.mark.parametrize("error, status, words", [
    ("access_denied", 77, "declined"), ("expired_token", 75, "the code has expired"),
    ("authorization_declined", 77, "declined"), ("invalid_client", 77, "invalid_client"),
])
def test_device_ends(place, scripted, error, status, words):
    scripted.polls += [refusal("authorization_pending"), refusal(error)]
    result = place.ecluse("login", "work", "--device")
    assert result.status == status and words in result.err and not scripted.polls, result
    assert accounts(place)["work"]["signed_in"] == "never"


@pytest.mark.parametrize("step", ["device", "token"])
def test_device_is_refused_in_words(place, scripted, step):
    scripted.polls += [(401, CLIENT_IS_PUBLIC)]
    if step == "device":
        scripted.answer = lambda parameters: (401, CLIENT_IS_PUBLIC)
    result = place.ecluse("login", "work", "--device")
    assert result.status == 77 and "AADSTS7000218); add client_secret" in result.err, result
    assert "the client has to prove itself" in result.err and "body" not in result.err


@pytest.mark.parametrize("answer", [(200, {}), (200, {**CODES, "verification_uri": "http://x.test"}),
                                    (400, {"error": "invalid_scope"}), (503, {})])
def test_device_gets_no_code(place, scripted, answer):
    scripted.answer = lambda parameters: answer
    result = place.ecluse("login", "work", "--device")
    assert result.status in (75, 77) and "the device endpoint gives no code" in result.err, result
    assert result.out == ""


def test_device_needs_an_endpoint(place):
    one_line(place.ecluse("login", "work", "--device"), 78, "no device_authorization_endpoint")


QUIET = 2  # modules of light around the code
HALVES = {" ": (0, 0), "\u2580": (1, 0), "\u2584": (0, 1), "\u2588": (1, 1)}


class QRcode(ctypes.Structure):
    _fields_ = [("version", ctypes.c_int), ("width", ctypes.c_int),
                ("data", ctypes.POINTER(ctypes.c_ubyte))]


def modules_of(text):
    """Rows of the code by libqrencode itself, 1 where it is dark."""
    library = ctypes.CDLL("libqrencode.so.4")
    library.QRcode_encodeString.restype = ctypes.POINTER(QRcode)
    # version: the least that will do; level L; mode: octets; case matters
    code = library.QRcode_encodeString(text.encode(), 0, 0, 2, 1)[0]
    return [[code.data[y * code.width + x] & 1 for x in range(code.width)]
            for y in range(code.width)]


def modules_shown(text):
    """The same as a telephone sees them, without the margin, which must be light."""
    rows = []
    for line in re.findall("\33\\[30;47m([ \u2580\u2584\u2588]+)\33\\[0m", text):
        rows += zip(*(HALVES[block] for block in line))
    width = len(rows[0]) - 2 * QUIET
    inner = range(QUIET, QUIET + width)
    assert not any(dark for y, row in enumerate(rows) for x, dark in enumerate(row)
                   if x not in inner or y not in inner)
    return [list(row[QUIET:QUIET + width]) for row in rows[QUIET:QUIET + width]]


def test_qr_code_is_for_terminals_alone(place, scripted):
    scripted.polls += [GOOD, GOOD]
    utf8 = place.environment(LANG="C.UTF-8")
    assert "\u2588" not in place.ecluse("login", "work", "--device", env=utf8).out
    ours, theirs = pty.openpty()
    assert place.ecluse("login", "work", "--device", env=utf8, stdout=theirs).status == 0
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass  # the end
    os.close(ours)
    assert modules_shown(shown.decode()) == modules_of(CODES["verification_uri_complete"])
    assert "AB-CD" in shown.decode()
