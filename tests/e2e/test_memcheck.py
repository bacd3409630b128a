"""A visit by each protocol with the keeper and the gate under valgrind (`make memcheck`).

The build is one that is not confined; nothing else differs.
"""

import os
import re

import pytest

import ecluse_support
from cli_support import BINARY
from ecluse_support import ALICE, BOB

pytestmark = pytest.mark.skipif("MEMCHECK" not in os.environ, reason="`make memcheck` runs it")

SUMMARY = re.compile(r"ERROR SUMMARY: (\d+) errors")
ROLE = re.compile(r"Command: \S+ (\w+)")
LOST = re.compile(r"definitely lost: ([\d,]+) bytes")


@pytest.fixture
def checked(ecluse, monkeypatch):
    script = ecluse.folder / "under-valgrind"
    script.write_text(
        "#!/bin/sh\nexec valgrind --trace-children=yes --leak-check=full --num-callers=30 "
        f"--log-file={ecluse.folder}/memcheck.%p {BINARY.parent}/memcheck/ecluse \"$@\"\n")
    script.chmod(0o700)
    monkeypatch.setattr(ecluse_support, "BINARY", script)
    return ecluse.ready("alice")


def test_memcheck(checked):
    mail = checked.session("alice")
    mail.select("INBOX")
    assert mail.fetch("1:*", "(BODY.PEEK[])")[0] == "OK"
    mail.append("INBOX", None, None, b"Subject: kept\r\n\r\nkept\r\n")
    mail.logout()
    mail = checked.pop3_session("alice")
    mail.retr(1)
    mail.quit()
    mail = checked.smtp_session("alice")
    mail.sendmail(ALICE, [BOB], b"Subject: sent\r\n\r\nsent\r\n")
    mail.quit()
    assert checked.try_login("alice", "wrong").startswith("NO ")
    assert checked.stop() == 0
    reports = [path.read_text() for path in checked.folder.glob("memcheck.*")]
    assert sorted(ROLE.search(report)[1] for report in reports) == ["gate", "run"], reports
    for report in reports:
        assert int(SUMMARY.findall(report)[-1]) == 0, report
        assert all(size == "0" for size in LOST.findall(report)), report
