"""The table of attacks in tests/README.md names tests that there are, and leaves no number out."""

import re

from cli_support import ROOT

ATTACKS = range(1, 81)
TESTS = ROOT / "tests"
ROW = re.compile(r"^\| (\d+) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
FOUND = {".py": r"^def {}\(", ".c": r"^static void {}\("}


def rows():
    return ROW.findall((TESTS / "README.md").read_text())


def test_every_number_has_its_row():
    numbers = [int(number) for number, _, _, _ in rows()]
    assert numbers == list(ATTACKS)


def test_every_row_says_what_happens():
    for number, attack, result, _ in rows():
        assert re.search(r"\w", attack) and re.search(r"\w", result), number


def test_every_row_has_its_tests():
    missing = []
    for number, _, result, here in rows():
        names = re.findall(r"`([^`]+)::([^`]+)`", here)
        assert names or result.startswith("does not apply: "), number
        for file, name in names:
            pattern = FOUND[(TESTS / file).suffix].format(re.escape(name))
            if not re.search(pattern, (TESTS / file).read_text(), re.MULTILINE):
                missing.append((number, file, name))
        missing += [(number, script) for script in re.findall(r"`(scripts/[^`]+)`", here)
                    if not (TESTS / script).exists()]
    assert not missing
