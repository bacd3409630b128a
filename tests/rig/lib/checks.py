"""What the checks of the self-test share."""
import subprocess
from pathlib import Path

ALICE, BOB, CAROL = (f"{n}@example.test" for n in ("alice", "bob", "carol"))
results = {"passed": 0, "failed": 0}


def check(what, true):
    results["passed" if true else "failed"] += 1
    if not true:
        print(f"FAIL {what}")


def rig(*args, user=None, ok=True):
    argv = [str(Path(__file__).resolve().parent.parent / "rig"), *map(str, args)]
    if user:
        argv = ["runuser", "-u", user, "--", *argv]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400)
    if ok and done.returncode:
        raise RuntimeError(f"rig {args[0]}: {done.stderr}")
    return done


def raises(kind, function):
    try:
        function()
    except kind:
        return True
    return False
