"""`ecluse doctor` as the tests read it."""

import base64
import json
import re

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
STEPS = ("dns", "tcp", "tls", "capabilities", "login")


class Walk:
    """All steps of one run, and its exit code."""

    def __init__(self, ecluse, *accounts):
        result = ecluse.ecluse("doctor", "--json", *accounts)
        self.status = result.status
        self.steps = json.loads(result.out)
        assert result.err == "", result
        for secret in ecluse.secrets.values():
            assert secret not in result.out
        for step in self.steps:
            assert set(step) == {"account", "protocol", "step", "outcome", "detail", "advice"}
            assert step["outcome"] in ("ok", "warning", "failed", "skipped"), step
            assert not CONTROL.search(json.dumps(step, ensure_ascii=False)), step

    def outcomes(self, account, protocol):
        return {step["step"]: step["outcome"] for step in self.steps
                if (step["account"], step["protocol"]) == (account, protocol)}

    def find(self, step, protocol=None, account=None):
        found, = [one for one in self.steps if one["step"] == step and one["protocol"] == protocol
                  and account in (None, one["account"])]
        return found

    def failures(self):
        return [(step["protocol"], step["step"]) for step in self.steps
                if step["outcome"] == "failed"]

    def assert_fails(self, protocol, step, status, detail, advice="", said=""):
        """In that step, as the only one, with these words; everything before it is well."""
        assert self.failures() == [(protocol, step)], self.steps
        assert self.status == status, self.steps
        failed = self.find(step, protocol)
        assert detail in failed["detail"] and said in failed["detail"], failed
        assert advice in failed["advice"], failed
        if step in STEPS:
            expected = {name: "ok" for name in STEPS[:STEPS.index(step)]} | {step: "failed"}
            assert self.outcomes(failed["account"], protocol) == expected


def jwt(**claims):
    """A token that nobody has signed."""
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)] + [b"signature"]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
