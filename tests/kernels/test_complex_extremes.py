"""Complex functions of huge and tiny numbers: compiled ones are as good as wider arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

FUNCTIONS = (
    "abs angle arccos arccosh arcsin arcsinh arctan arctanh cos cosh exp log log2 sign sin sinh "
    "sqrt tan tanh"
).split()
# Near the greatest and the smallest numbers, those whose squares are too great or too small, and
# where cuts and poles are.
SIZES = (0.0, 1.0, 0.5, 2.0, 3e38, 1e38, 1e20, 1e19, 2e18, 9e17, 1e-20, 1e-38, 1e-44)


def values() -> np.ndarray:
    sides = np.array([s * x for x in SIZES for s in (1.0, -1.0)], np.float32)
    re, im = (x.reshape(-1) for x in np.meshgrid(sides, sides))
    found = np.empty(re.size, np.complex64)
    found.real, found.imag = re, im
    return found


def wide(name: str, *args: np.ndarray) -> np.ndarray:
    """The function in double precision, rounded to single precision."""
    # float64 has room for squares and quotients of all these.
    given = [a.astype(np.complex128) for a in args]
    with np.errstate(all="ignore"):
        if name == "sign":
            size = abs(given[0])
            out = np.where(size == 0, 0, given[0] / np.where(size == 0, 1, size))
        else:
            out = getattr(np, name)(*given)
        return out.astype(np.complex64 if np.iscomplexobj(out) else np.float32)


def check(got: Any, want: np.ndarray, *args: np.ndarray) -> None:
    got = np.asarray(got)
    with np.errstate(all="ignore"):
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        scale = np.maximum(np.abs(want), np.finfo(np.float32).tiny)
        error = np.where(same, 0, np.abs(got - want) / scale)
    bad = ~(error < 16 * np.finfo(np.float32).eps)
    assert not bad.any(), [(*(a[bad][0] for a in args), got[bad][0], want[bad][0])]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    x = values()
    function = getattr(fnp, name)
    check(fg.jit(function)(x), wide(name, x), x)
    if name != "sign":
        check(function(x), wide(name, x), x)


def test_reciprocals_and_quotients_that_are_normal_numbers() -> None:
    x = values()
    y, z = (v.reshape(-1) for v in np.meshgrid(x[::3], x[1::5]))
    info = np.finfo(np.float32)
    for name, args in (("reciprocal", (x,)), ("divide", (y, z))):
        want = wide(name, *args)
        with np.errstate(all="ignore"):
            kept = np.isfinite(want) & (abs(want) > 4 * info.tiny) & (abs(want) < info.max / 4)
            kept &= np.isfinite(abs(args[-1])) & (abs(args[-1]) > 4 * info.tiny)
        kept &= abs(args[0].astype(np.complex128)) < info.max / 2
        kept &= abs(args[-1].astype(np.complex128)) < info.max / 2
        args = tuple(a[kept] for a in args)
        check(fg.jit(getattr(fnp, name))(*args), want[kept], *args)
