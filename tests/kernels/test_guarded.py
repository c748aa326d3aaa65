"""Fused kernels touch nothing beyond their arrays: a forbidden page lies behind each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("guarded.py")
COUNTS = {"landmarks": 1, "strided": 1, "tails": 1, "exact": 40, "smooth": 25, "gradients": 10}

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith(("linux", "darwin")), reason="mprotect is of Unix"
)


def run(what, count=1, threads="2"):
    command = [sys.executable, str(SCRIPT), what, str(count)]
    environment = {**os.environ, "FUNCGRAD_NUM_THREADS": threads}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("what", COUNTS)
def test_programs_stay_within_their_arrays(what):
    done = run(what, COUNTS[what])
    assert done.returncode == 0, done.stderr[-4000:]


def test_the_guards_stop_who_goes_beyond():
    assert run("trespass").returncode < 0
