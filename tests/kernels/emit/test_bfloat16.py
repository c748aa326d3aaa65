"""Arithmetic on bfloat16: rounded as the definition says, for every number there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ml_dtypes import bfloat16

import funcgrad as fg
import funcgrad.numpy as fnp

ALL = np.arange(1 << 16, dtype=np.uint16).view(bfloat16)
# Beside them: zeros, ones, the least and greatest numbers, infinities, and NaNs with few and all
# bits of both signs.
BITS = np.uint16([0x0000, 0x3F80, 0x4049, 0x0001, 0x007F, 0x0080, 0x7F7F, 0x7F80, 0x7F81])
BITS = np.concatenate([BITS, np.uint16([0x7FC0, 0x7FFF])])
OTHERS = np.concatenate([BITS, BITS | 0x8000]).view(bfloat16)

UNARY = [fnp.negative, fnp.abs, fnp.floor, fnp.ceil, fnp.rint, fnp.trunc, fnp.sqrt]
BINARY = [fnp.add, fnp.subtract, fnp.multiply, fnp.divide, fnp.maximum, fnp.minimum, fnp.copysign]


def same(got: Any, want: np.ndarray) -> None:
    """The same bits, and NaN where NaN is wanted."""
    got = np.asarray(got)
    assert got.dtype == want.dtype == bfloat16
    nan = np.isnan(want.astype(np.float32))
    np.testing.assert_array_equal(np.isnan(got.astype(np.float32)), nan)
    np.testing.assert_array_equal(got.view(np.uint16)[~nan], want.view(np.uint16)[~nan])


@pytest.mark.parametrize("f", UNARY, ids=lambda f: f.__name__)
def test_operations_on_every_number(f: Any) -> None:
    with np.errstate(all="ignore"):
        want = getattr(np, f.__name__)(ALL.astype(np.float32)).astype(bfloat16)
    same(fg.jit(f)(ALL), want)


@pytest.mark.parametrize("f", BINARY, ids=lambda f: f.__name__)
def test_operations_on_every_number_and_others(f: Any) -> None:
    x, y = (a.ravel() for a in np.meshgrid(ALL, OTHERS))
    a, b = x.astype(np.float32), y.astype(np.float32)
    with np.errstate(all="ignore"):
        want = getattr(np, f.__name__)(a, b).astype(bfloat16)
    got = np.asarray(fg.jit(f)(x, y))
    # Of zeros of both signs NumPy takes either.
    some = (a != 0) | (b != 0) | (f not in (fnp.maximum, fnp.minimum))
    same(got[some], want[some])


def test_float32_with_any_nan_becomes_nan() -> None:
    """Bits in the lower half alone make no infinity, and all bits no zero."""
    bits = np.uint32([0x7F800001, 0x7F80FFFF, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF, 0x7FC00000])

    def f(x: Any) -> Any:
        return x.astype(fnp.bfloat16)

    assert np.isnan(np.asarray(fg.jit(f)(bits.view(np.float32))).astype(np.float32)).all()
