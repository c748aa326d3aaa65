"""Large results written past the caches: where, and that they are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.kernels import pipeline
from funcgrad.kernels.emit.llvm_lines import KEPT, KEPT_LINES, LINES
from funcgrad.kernels.emit.streams import LEAST
from funcgrad.kernels.runtime import toolchain
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


def placed(f: Any, x: Any, place: int) -> list[np.ndarray]:
    """The results of a program whose results begin so many bytes into a line of memory.

    Nothing beside them is written.
    """
    run = pipeline.compiled(fg.jit(f).lower(x).stages)
    outs: list[np.ndarray] = []
    around: list[tuple[np.ndarray, int, int]] = []
    for aval in fg.tree_util.tree_leaves(fg.eval_shape(f, x)):
        size = aval.size * aval.dtype.itemsize
        memory = np.full(size + 192, 7, np.uint8)
        start = 64 + -memory.ctypes.data % 64 + place
        around.append((memory, start, start + size))
        outs.append(np.ndarray(aval.shape, aval.dtype, memory, start))

    def given(*_: Any) -> list[np.ndarray]:
        return outs

    run._results = given  # pyright: ignore[reportPrivateUsage]
    got = run([np.asarray(x)])
    for memory, start, end in around:
        assert (memory[:start] == 7).all()
        assert (memory[end:] == 7).all()
    return [np.array(out) for out in got]


@pytest.mark.parametrize("place", [0, 16])
def test_memory_that_is_not_aligned_is_written_as_usual(place: int) -> None:
    """A result is written where the caller says."""
    x = array(ROWS, SIDE)

    def f(x: Any) -> Any:
        return 2 * x + 1

    (got,) = placed(f, x, place)
    np.testing.assert_array_equal(got, 2 * np.asarray(x) + 1)


def centered(x: Any) -> Any:
    """Rows without their mean: a loop that only stores."""
    return x - fnp.mean(x, 1, keepdims=True)


def weighed(x: Any) -> Any:
    """Powers and their sum: a loop that stores and folds."""
    powers = fnp.exp2(x - fnp.max(x, 1, keepdims=True))
    return powers, fnp.sum(powers, 1)


def beside(x: Any) -> Any:
    """Two results of different width, of which one only begins in lines as the other does."""
    e = x - fnp.max(x, 1, keepdims=True)
    return 3 * e, (2 * e).astype(np.float32), fnp.concatenate([e, e[:, :3]], 1)


def behind(x: Any) -> Any:
    """Two parts of a result, of which the second does not begin with a line."""
    return fnp.concatenate([x.ravel()[5:], 2 * x.ravel()])


@pytest.mark.parametrize("f", [centered, weighed, beside, behind])
@pytest.mark.parametrize(
    ("width", "dtype"),
    [
        (127, "float32"),
        (201, "float32"),
        (1000, "float32"),
        (1001, "float64"),
        (1023, "bfloat16"),
        (3001, "float32"),
        (65537, "float32"),
    ],
)
@pytest.mark.parametrize("bits", [256, 512])
def test_rows_that_begin_within_a_line(
    f: Any, width: int, dtype: str, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results are the same bits as where nothing goes past the caches."""
    # LLVM makes several vectors of one that is too wide.
    machine = toolchain.machine()._replace(vector_bits=bits)
    monkeypatch.setattr(toolchain, "machine", lambda: machine)
    with fg.enable_x64(True):
        kind = fnp.dtype(dtype)
        x = array(LEAST // (kind.itemsize * width) + 2, width, dtype=kind)
        row = width * kind.itemsize
        enough = KEPT_LINES * 64 <= row <= KEPT if f is weighed else row >= LINES * 64
        assert ("!nontemporal" in text(f, x)) == (enough or f is behind)
        usual, aligned = placed(f, x, 16), placed(f, x, 0)
        for a, b in zip(aligned, usual, strict=True):
            np.testing.assert_array_equal(a, b)
        with fg.disable_jit():
            wanted = fg.tree_util.tree_leaves(f(x))
        near = 1e-2 if dtype == "bfloat16" else 1e-5
        for a, b in zip(aligned, wanted, strict=True):
            a, b = (np.asarray(v, np.float64) for v in (a, b))
            np.testing.assert_allclose(a, b, near, near)


def test_equal_rows_have_equal_sums() -> None:
    """Where a row begins in its line of memory makes no difference."""
    row = array(1, 1001)
    x = fnp.broadcast_to(row, (LEAST // 4004 + 1, 1001))
    powers, sums = fg.jit(weighed)(x + 0)
    assert len(np.unique(np.asarray(sums))) == 1
    assert (np.asarray(powers) == np.asarray(powers)[0]).all()
