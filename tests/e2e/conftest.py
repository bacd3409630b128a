"""The rig is started once; each test gets an ecluse of its own and a rig that is as at the start.

Whatever a test has done, at its end its ecluse must stop with exit code 0, have logged no alarm,
and have left no secret in its log, its files or the sight of others.
"""

import resource
import shutil
import tempfile
from pathlib import Path

import pytest

import canaries
from ecluse_support import Ecluse
from rig_support import Rig
from scripted_upstream import ScriptedUpstream


def pytest_configure():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@pytest.fixture(scope="session")
def running_rig(tmp_path_factory):
    folder = Path(tempfile.mkdtemp(prefix="ecluse-rig-"))
    rig = Rig(folder / "rig")
    yield rig
    rig.stop()
    tokens = rig.every_token()
    shutil.rmtree(folder)
    if tokens:
        canaries.sweep(tokens, Ecluse.everyone, tmp_path_factory.mktemp("sweep") / "needles")


@pytest.fixture
def rig(running_rig):
    running_rig.reset()
    return running_rig


@pytest.fixture
def ecluse(rig, tmp_path):
    """Not started yet, so that the test may change the configuration."""
    one = Ecluse(tmp_path, rig)
    yield one
    one.finish()


@pytest.fixture
def upstreams(running_rig):
    """Makes scripted servers."""
    made = []

    def make(script, **more):
        made.append(ScriptedUpstream(running_rig, script, **more))
        return made[-1]

    yield make
    for upstream in made:
        upstream.close()
