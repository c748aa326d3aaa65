"""Large results written past the caches: where, and that they are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.kernels import pipeline
from funcgrad.kernels.emit.streams import LEAST
from funcgrad.kernels.runtime.machine import architecture

# Elsewhere `streamed` says of every kernel that nothing is written past the caches.
# Other processors have no such stores here, so there is no text to look at.
pytestmark = pytest.mark.skipif(
    architecture() != "x86_64", reason="only on x86-64 are there stores past the caches"
)

SIDE = 1024
ROWS = LEAST // (4 * SIDE)


def array(*shape: int, dtype: Any = np.float32) -> Any:
    return fnp.asarray(np.random.default_rng(1).normal(size=shape).astype(dtype))


def text(f: Any, *args: Any) -> str:
    return fg.jit(f).lower(*args).stages.llvm


@pytest.mark.parametrize(
    ("shape", "dtype", "past"),
    [
        ((ROWS, SIDE), np.float32, True),
        ((ROWS // 2, SIDE), np.float64, True),
        ((ROWS + 1, SIDE + 8), np.float32, True),
        ((ROWS // 2, SIDE), np.float32, False),
    ],
)
def test_large_results_go_past_the_caches(shape: Any, dtype: Any, past: bool) -> None:
    with fg.enable_x64(True):
        x = array(*shape, dtype=dtype)

        def f(x: Any) -> Any:
            return 2 * x + 1

        assert ("!nontemporal" in text(f, x)) == past
        got = np.asarray(fg.jit(f)(x))
    assert got.ctypes.data % 64 == 0
    np.testing.assert_array_equal(got, 2 * np.asarray(x) + 1)


def test_what_is_read_again_is_kept() -> None:
    x, ids = array(ROWS, SIDE), fnp.arange(7)

    def f(x: Any) -> Any:
        return x.at[ids].add(1.0)

    lines = text(f, x).split("define void ")
    (updates,) = [t for t in lines if t.startswith("@k1(")]
    assert "!nontemporal" not in updates
    np.testing.assert_array_equal(fg.jit(f)(x)[:7], np.asarray(x)[:7] + 1)


@pytest.mark.parametrize("place", [0, 16])
def test_memory_that_is_not_aligned_is_written_as_usual(place: int) -> None:
    """A result is written where the caller says."""
    x = array(ROWS, SIDE)
    program = fg.jit(lambda x: 2 * x + 1).lower(x)
    run = pipeline.compiled(program.stages)
    memory = np.empty(x.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + place
    out = np.ndarray(x.shape, x.dtype, memory, start)
    run._results = lambda *_: [out]  # pyright: ignore[reportPrivateUsage]
    memory[:] = 7
    (got,) = run([np.asarray(x)])
    np.testing.assert_array_equal(got, 2 * np.asarray(x) + 1)
    assert (memory[:start] == 7).all()
    assert (memory[start + x.nbytes :] == 7).all()
