"""Greatest and least numbers: zeros in their order, NaN of any sign and bits, infinities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

DTYPES = ("float16", "bfloat16", "float32", "float64")


def wanted(x: np.ndarray, op: str, axis: int | None) -> Any:
    """By sorting: -0 before 0, and NaN wins."""
    wide = x.astype(np.float64)
    if axis is None:
        wide, axis = wide.ravel(), 0
    order = np.lexsort((~np.signbit(wide), wide), axis=axis)
    which = np.take(order, -1 if op == "max" else 0, axis)
    best = np.take_along_axis(wide, np.expand_dims(which, axis), axis).squeeze(axis)
    return np.where(np.isnan(wide).any(axis), np.nan, best)


def same(got: Any, want: Any) -> None:
    got = np.asarray(got).astype(np.float64)
    np.testing.assert_array_equal(got, want)
    there = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[there], np.signbit(want)[there])


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, odd: float) -> np.ndarray:
    """Any bits where `odd`, else zeros of both signs, infinities and numbers around them."""
    kind = fnp.dtype(dtype)
    held = np.dtype(f"u{kind.itemsize}")
    bits = rng.integers(0, np.iinfo(held).max, shape, held, endpoint=True)
    few = np.array([0.0, -0.0, -1.0, -2.5, -np.inf], np.float64)
    plain = few[rng.integers(0, len(few), shape)].astype(kind)
    return np.where(rng.random(shape) < odd, bits.view(kind), plain)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["max", "min"])
@settings(max_examples=10)
@given(
    shape=st.tuples(st.integers(1, 40), st.sampled_from([1, 2, 7, 16, 33, 64, 257, 1000])),
    seed=st.integers(0, 2**32 - 1),
    odd=st.sampled_from([0.0, 0.001, 0.1, 1.0]),
)
def test_folds(dtype: str, op: str, shape: tuple[int, int], seed: int, odd: float) -> None:
    with fg.enable_x64(True), np.errstate(all="ignore"):
        x = numbers(np.random.default_rng(seed), shape, dtype, odd)
        for axis in (0, 1, None):
            same(fg.jit(getattr(fnp, op), static_argnums=1)(x, axis), wanted(x, op, axis))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("shape", [(3, 50), (1, 5000), (70, 129)])
def test_running_folds(dtype: str, op: str, shape: tuple[int, int]) -> None:
    with fg.enable_x64(True), np.errstate(all="ignore"):
        x = numbers(np.random.default_rng(1), shape, dtype, 0.002)
        for axis in (0, 1):
            got = fg.jit(getattr(lax, f"cum{op}"), static_argnums=1)(x, axis)
            n = shape[axis]
            parts = [wanted(np.take(x, range(k + 1), axis), op, axis) for k in range(n)]
            same(got, np.stack(parts, axis))


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_make_no_difference(dtype: str) -> None:
    with fg.enable_x64(True), np.errstate(all="ignore"):
        x = numbers(np.random.default_rng(2), (700, 1001), dtype, 1e-6)

        def f(x: Any) -> Any:
            return x.max(), x.min(0), x.max(1)

        found: list[list[bytes]] = []
        for threads in (1, 2, 3, 4):
            fg.config.update("num_threads", threads)
            try:
                found.append([np.asarray(v).tobytes() for v in fg.jit(f)(x)])
            finally:
                fg.config.update("num_threads", None)
        assert all(other == found[0] for other in found)
