"""Rows that end in one element beyond whole vectors write that element and nothing behind it.

Running folds over columns write the last column of all rows after the others, so what it writes too
much stays in the first columns.
"""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import enable_x64

# One more than multiples of all numbers of lanes there are.
EXTENTS = (1, 3, 5, 9, 17, 33, 65)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "int32", "bfloat16", "float16", "int64"]
)
def test_the_last_column_is_written_alone(dtype):
    fold = "cumlogsumexp" if "float" in dtype else "cummax"

    def running(xs):
        return [getattr(lax, fold)(x, axis=1) for x in xs]

    rng = np.random.default_rng(0)
    with enable_x64():
        xs = [fnp.asarray(rng.integers(0, 9, (3, 4, n)), dtype) for n in EXTENTS]
        for want, found in zip(running(xs), fg.jit(running)(xs), strict=True):
            eps = float(fnp.finfo(dtype).eps) if "float" in dtype else 0.0
            want, found = (np.asarray(x).astype(np.float64) for x in (want, found))
            np.testing.assert_allclose(found, want, rtol=4 * eps, atol=4 * eps)


@pytest.mark.parametrize("dtype", ["int8", "int16", "float16"])
def test_updates_of_the_last_column(dtype):
    def updated(x, rows, y):
        return x.at[rows].set(y, mode="drop")

    rng = np.random.default_rng(1)
    for n in EXTENTS:
        x = fnp.asarray(rng.integers(0, 100, (6, n)), dtype)
        y = fnp.asarray(rng.integers(0, 100, (3, n)), "int32").astype(dtype)
        rows = fnp.asarray([4, 9, 1])
        want = np.array(x)
        want[[4, 1]] = np.asarray(y)[[0, 2]]
        np.testing.assert_array_equal(fg.jit(updated)(x, rows, y), want)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32"])
@pytest.mark.parametrize("extent", [64, 128, 192, 256, 320, 384])
def test_chunks_shorter_than_two_vectors(dtype, extent):
    """Two vectors of bytes are 128 elements, and threads share a loop by 64."""
    turns = 500
    x = np.random.default_rng(2).integers(0, extent, turns)

    def counted(x):
        one = fnp.asarray(1, dtype)
        return lax.fori_loop(0, turns, lambda i, n: n.at[x[i]].add(one), fnp.zeros(extent, dtype))

    want = np.bincount(x, minlength=extent).astype(dtype)
    np.testing.assert_array_equal(fg.jit(counted)(x.astype("int32")), want)


def test_no_store_has_a_mask_of_one_lane():
    """LLVM writes too much where such a store also truncates, on some processors."""
    x = fnp.ones((3, 4, 65), "bfloat16")
    for f in (lambda x: lax.cumlogsumexp(x, 1), lambda x: fnp.argmax(x, 1)):
        text = str(fg.jit(f).lower(x).llvm)
        stores = [line for line in text.splitlines() if "call void @llvm.masked.store" in line]
        assert not [line for line in stores if line.count("i1 true") == 1]
