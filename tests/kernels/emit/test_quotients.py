"""Quotients and remainders in vectors: what NumPy gives, to the last bit and the sign of zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.config import enable_x64

WHOLE = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, 5e-324, 3.4e38, 1.7e308, -0.7]


def pairs(dtype: Any) -> tuple[Any, Any]:
    """All pairs of the ends, and numbers beside multiples: quotients that are nearly integers."""
    info, rng = np.iinfo(dtype), np.random.default_rng(0)
    if info.bits == 8:
        x, y = np.meshgrid(*[np.arange(info.min, info.max + 1)] * 2)
        return x.ravel().astype(dtype), y.ravel().astype(dtype)
    ends = [info.min, info.min + 1, 0, 1, 2, 3, 7, info.max // 2, info.max - 1, info.max]
    ends = [*ends, *([-1, -2, -3] if info.min else [])]
    divisors = np.exp(rng.uniform(0, np.log(2.0**info.bits) - 1, 1000)).astype(dtype)
    divisors = np.maximum(divisors, dtype(1))
    multiples = [int(d) * (int(info.max) // int(d)) for d in divisors]
    near = [min(m + k, int(info.max)) for m in multiples for k in (-1, 0, 1)]
    x, y = np.meshgrid(np.array(ends, dtype), np.array(ends, dtype))
    lefts = np.array(near, dtype)
    rights = np.repeat(divisors, 3)
    if info.min:
        lefts = np.concatenate([lefts, -lefts, lefts])
        rights = np.concatenate([rights, rights, -rights])
    return np.concatenate([x.ravel(), lefts]), np.concatenate([y.ravel(), rights])


@pytest.mark.parametrize("dtype", WHOLE)
def test_of_integers_as_evaluated(dtype: Any) -> None:
    with enable_x64(), np.errstate(over="ignore"):
        x, y = (fnp.asarray(a) for a in pairs(dtype))
        for function in (fg.lax.div, fg.lax.rem, fnp.floor_divide, fnp.remainder):
            found, expected = fg.jit(function)(x, y), function(x, y)
            np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize("dtype", [np.int16, np.uint32])
def test_by_one_number_that_is_no_constant(dtype: Any) -> None:
    x = fnp.asarray(pairs(dtype)[0])
    for divisor in (0, 1, 7, np.iinfo(dtype).max):
        y = fnp.asarray(dtype(divisor))
        for function in (fg.lax.div, fg.lax.rem):
            given = fnp.broadcast_to(y, x.shape)
            found = fg.jit(lambda x, y, f=function: f(x, fnp.broadcast_to(y, x.shape)))(x, y)
            np.testing.assert_array_equal(np.asarray(found), np.asarray(function(x, given)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_floats_to_the_bit(dtype: Any) -> None:
    rng, info = np.random.default_rng(1), np.finfo(dtype)
    with enable_x64(), np.errstate(all="ignore"):
        x, y = np.meshgrid(np.array(SPECIAL, dtype), np.array(SPECIAL, dtype))
        # Of all sizes, whose quotients have up to thousands of digits; of one size; multiples.
        wide = np.exp(rng.uniform(np.log(info.tiny), np.log(info.max), (2, 500)))
        close = rng.standard_normal((2, 3001)) * 30
        step = rng.uniform(0.01, 3, 2000).astype(dtype)
        whole = step * rng.integers(0, 1 << 12, 2000).astype(dtype)
        beside = np.nextafter(whole, dtype(np.inf) * rng.choice([-1, 1], 2000).astype(dtype))
        small = (rng.integers(-99, 99, (2, 501)) * info.smallest_subnormal).astype(dtype)
        lefts = [x.ravel(), wide[0], close[0], whole, beside, small[0]]
        rights = [y.ravel(), wide[1], close[1], step, step, small[1]]
        a, b = (np.concatenate([p.astype(dtype) for p in side]) for side in (lefts, rights))
        expected = np.fmod(a, b)
        found = np.asarray(fg.jit(fg.lax.rem)(fnp.asarray(a), fnp.asarray(b)))
    np.testing.assert_array_equal(found, expected)
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("dtype", [np.float16, fnp.bfloat16])
def test_of_small_floats_as_evaluated(dtype: Any) -> None:
    rng = np.random.default_rng(2)
    with np.errstate(all="ignore"):
        a = fnp.asarray(np.concatenate([SPECIAL, rng.standard_normal(1000) * 100]).astype(dtype))
        b = fnp.asarray(np.concatenate([SPECIAL[::-1], rng.standard_normal(1000)]).astype(dtype))
        found, expected = fg.jit(fg.lax.rem)(a, b), fg.lax.rem(a, b)
    np.testing.assert_array_equal(
        np.asarray(found, dtype=np.float32), np.asarray(expected, dtype=np.float32)
    )
