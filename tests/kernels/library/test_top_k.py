"""Kernels of top_k against the NumPy rule, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
from funcgrad import lax
from funcgrad.kernels.library import sort, top_k
from funcgrad.kernels.runtime import toolchain
from funcgrad.primitives.sorting import top_k_p

from . import test_sort as sorts
from .harness import Program


def check(x: np.ndarray, k: int, axis: int) -> None:
    kernel = top_k.build(top_k.TopSpec(x.dtype, x.shape, axis, k), toolchain.machine())
    assert kernel is not None
    wanted = top_k_p.impl(x, k=k, axis=axis)
    found = Program(kernel).several([x], [(w.shape, w.dtype) for w in wanted])
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(sorts.bits(a, False), sorts.bits(b, False))


@st.composite
def searches(draw: st.DrawFn) -> tuple[np.ndarray, int, int]:
    rank = draw(st.integers(1, 3))
    longest = (2000, 50, 9)[rank - 1]
    shape = tuple(draw(st.integers(1, longest)) for _ in range(rank))
    axis = draw(st.integers(0, rank - 1))
    most = min(shape[axis], draw(st.sampled_from([4, 40, 2000])))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    x = sorts.values(rng, shape, draw(st.sampled_from(sorts.KINDS)))
    return x, draw(st.integers(1, most)), axis


@settings(max_examples=40, deadline=None)
@given(searches())
def test_random_searches(case: Any) -> None:
    check(*case)


@pytest.mark.parametrize("splits", [False, True])
@pytest.mark.parametrize("long", [False, True])
@settings(max_examples=20, deadline=None)
@given(case=searches())
def test_random_searches_in_parts(long: bool, splits: bool, case: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_k, "PART", 100)
        patch.setattr(top_k, "SHARE", 2)
        patch.setattr(top_k, "FEW", 3)
        patch.setattr(sort, "is_long", lambda rows: long)
        if not splits:
            patch.setattr(sort, "by_splits", lambda *_: False)
        check(*case)


@pytest.mark.parametrize("dtype", sorts.KINDS, ids=str)
@pytest.mark.parametrize("k", [1, 33, 5000])
def test_long_rows(dtype: Any, k: int) -> None:
    check(sorts.values(np.random.default_rng(k), (2, 140_001), dtype), k, 1)


@pytest.mark.parametrize("order", [1, -1])
def test_sorted_and_constant_rows(order: int) -> None:
    x = np.arange(70_000, dtype=np.float32)[::order].copy()
    for k in (1, 10, 300):
        check(x, k, 0)
        check(x * 0, k, 0)
        check(np.full_like(x, -np.inf), k, 0)


def test_what_is_left_to_numpy() -> None:
    machine = toolchain.machine()
    for shape, k in (((4,), 0), ((0, 4), 2)):
        spec = top_k.TopSpec(np.dtype(np.float32), shape, len(shape) - 1, k)
        assert top_k.build(spec, machine) is None


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_programs_give_the_same_bits_on_any_number_of_threads(threads: int) -> None:
    x = sorts.values(np.random.default_rng(8), (300_000,), np.dtype(np.float32))
    rows = x[:90_000].reshape(300, 300)
    program = fg.jit(lambda x, y: (lax.top_k(x, 5), lax.top_k(x, 9000), lax.top_k(y, 4, axis=0)))
    before = fg.config.num_threads
    fg.config.update("num_threads", threads)
    try:
        found = program(x, rows)
    finally:
        fg.config.update("num_threads", before)
    wanted = [top_k_p.impl(a, k=k, axis=0) for a, k in ((x, 5), (x, 9000), (rows, 4))]
    for pair, expected in zip(found, wanted, strict=True):
        for a, b in zip(pair, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(a), b)


def test_scalars_are_refused() -> None:
    with pytest.raises(ValueError, match="dimension"):
        fg.jit(lambda x: lax.top_k(x, 1))(np.float32(1))
