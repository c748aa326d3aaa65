"""The runtime as it is, cuda-bindings and machine code included, on a libcuda that checks.

The other tests of the runtime give it a driver in Python; here NVIDIA's own names are called, by
NVIDIA's own bindings, and a library of ours answers. It needs no GPU, and where there is one does
not touch it: each test is a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from funcgrad.kernels.cuda import adapter

from .libcuda import machine
from .libcuda.scenarios import SCENARIOS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The library, built once."""
    if adapter.missing() or machine.header() is None:
        pytest.skip("the packages of the extra cuda13, or their cuda.h, are not installed")
    if machine.compiler() is None:
        pytest.skip("there is no C compiler to build a fake libcuda with")
    return machine.build(tmp_path_factory.mktemp("libcuda"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios(library, name):
    module = "tests.kernels.cuda.libcuda.scenarios"
    # Not the GPUs of this machine: glibc finds libcuda.so.1 by the name of what is loaded.
    made = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-m", module, str(library), name],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0 and "faults:" not in made.stderr, made.stderr[-4000:]
