"""Under which key a user's kernel for GPUs is kept: what it is made from, and nothing else."""

import math
import os
import subprocess
import sys
import types

import numpy as np
import pytest

from funcgrad.config import config
from funcgrad.kernels.cuda import adapter
from funcgrad.kernels.cuda.adapter import Cubin
from funcgrad.kernels.cuda.fingerprints import fingerprint

cuda = pytest.importorskip("numba.cuda", reason="this Numba has no numba.cuda")

KERNEL = """
from numba import cuda
import numba, math
import numpy as np
FACTOR = {factor}
TABLE = np.array({table})
def helper(a):
    return a * {inner}
{decorated}
def named(a):
    return helper(a) + 1
helper = cuda.jit(device=True, inline="always")(helper)
def outer(shift):
    def kernel(x, out):
        i = cuda.grid(1)
        part = cuda.shared.array(32, numba.float32)
        if i < x.size and i not in (3, 5):
            out[i] = x[i] * FACTOR + TABLE[0] + shift + helper(x[i]) + math.sin(x[i]) + {last}
    return kernel
kernel = outer({shift})
"""
PLAIN = {
    "factor": "2.0",
    "table": "[1.0, 2.0]",
    "inner": "3",
    "decorated": "",
    "last": "0",
    "shift": "1",
}


def made(**changes):
    names = {}
    exec(KERNEL.format(**{**PLAIN, **changes}), names)
    return names["kernel"]


def test_equal_kernels_are_one():
    assert fingerprint(made()) == fingerprint(made()) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"factor": "2"},
        {"factor": "-0.0"},
        {"table": "[1.0, 2.5]"},
        {"table": "[1, 2]"},
        {"inner": "3.0"},
        {"last": "0.0"},
        {"last": "np.float32(0)"},
        {"last": "x.ndim"},
        {"shift": "1.0"},
        {"shift": "True"},
        {"shift": "np.int8(1)"},
    ],
    ids=str,
)
def test_what_is_otherwise_has_another_key(change):
    assert fingerprint(made(**change)) not in (None, fingerprint(made()))


def test_options_of_the_functions_it_calls():
    kernel = made()
    before = fingerprint(kernel)
    kernel.__globals__["helper"] = cuda.jit(device=True, inline="always", fastmath=True)(
        kernel.__globals__["helper"].py_func
    )
    assert fingerprint(kernel) not in (None, before)


def test_what_it_does_not_name_is_no_part_of_it():
    kernel = made()
    before = fingerprint(kernel)
    kernel.__globals__["other"] = object()
    assert fingerprint(kernel) == before
    assert fingerprint(made(decorated="# a comment\n\n\n")) == before


def test_what_cannot_be_said_is_not_kept():
    kernel = made()
    for value in (object(), types.ModuleType("mine"), [object()], np.array([object()])):
        kernel.__globals__["FACTOR"] = value
        assert fingerprint(kernel) is None
    del kernel.__globals__["FACTOR"]
    assert fingerprint(kernel) is None


def test_a_function_that_calls_itself():
    def down(n):
        return n if n < 1 else down(n - 1) + math.pi

    assert fingerprint(down) is not None


def test_other_processes_write_the_same(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.kernels.cuda.test_fingerprints import made, fingerprint\n"
        "from funcgrad.kernels.runtime.cache import key_of\n"
        "print(key_of(fingerprint(made(last='(0 if i in {1, 2, \"c\"} else 1)'))))"
    )
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
    found = set()
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", script, root],
            env={**os.environ, "PYTHONHASHSEED": seed, "FUNCGRAD_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(told.stdout)
    assert len(found) == 1


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """Counts what numba.cuda is asked to compile, in a store of its own."""
    asked = []

    class Numba:
        @staticmethod
        def custom_ptx(function, text, name, arrays, threads, version):
            asked.append((name, version))
            return f"ptx of {name}"

    def linked(ptx, version):
        return Cubin(ptx.encode(), ptx, ptx.split()[-1], 20, 0, 128)

    monkeypatch.setattr(adapter, "_numba", lambda: Numba)
    monkeypatch.setattr(adapter, "_linked", linked)
    monkeypatch.setattr(adapter, "missing", lambda packages=None: [])
    before = config.cache, config.cache_dir
    config.update("cache", True)
    config.update("cache_dir", str(tmp_path))
    yield asked
    config.update("cache", before[0])
    config.update("cache_dir", before[1])


ARRAYS = [(np.dtype(np.float32), 1, True), (np.dtype(np.float32), 1, False)]


def test_cubins_are_kept_and_found(compiler, monkeypatch):
    def get(kernel=None, name="k0", arrays=ARRAYS, threads=256, target="sm_90"):
        return adapter.custom_cubin(kernel or made(), "text", name, arrays, threads, target)

    first = get()
    # Another name in another program: it is the same kernel, under the name that it has there.
    assert get(name="k7") == first and first.entry == "k0" and len(compiler) == 1
    other = [(np.dtype(np.float64), 1, True), ARRAYS[1]]
    writable = [(np.dtype(np.float32), 1, False), ARRAYS[1]]
    get(target="sm_80"), get(threads=128), get(arrays=other), get(arrays=writable)
    get(made(shift="2"))
    assert len(compiler) == 6
    monkeypatch.setattr(adapter, "missing", lambda packages=None: ["numba-cuda"])
    assert get() == first
    with pytest.raises(ModuleNotFoundError, match="numba-cuda"):
        get(made(shift="9"))


def test_a_kernel_that_cannot_be_told_is_compiled_each_time(compiler):
    kernel = made()
    kernel.__globals__["FACTOR"] = object()
    for _ in range(2):
        adapter.custom_cubin(kernel, "text", "k0", ARRAYS, 256, "sm_90")
    assert len(compiler) == 2
