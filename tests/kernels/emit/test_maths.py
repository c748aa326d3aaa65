"""Elementary functions as expressions: accuracy in units of the last place, and special values.

The references are NumPy's in a wider format (float64 for float32, long double for float64). An
error is |value - reference| over the distance of the floats at the reference.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from funcgrad.kernels.emit.maths import expand

from .expressions import evaluate, variable

POINTS = 4_000
Wide = Any


class Case(NamedTuple):
    """A function, where it is tried, and the greatest error allowed in float32 and float64."""

    reference: Callable[..., Any]
    ulps: tuple[float, float]
    ranges: tuple[tuple[float, float], ...]  # where float32 is tried
    wider: tuple[tuple[float, float], ...] = ()  # where float64 is tried, too


def logistic(x: Wide) -> Wide:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


ALL = (-np.inf, np.inf)  # every bit pattern is as likely as another
CASES = {
    "exp": Case(np.exp, (0.95, 0.95), ((-110, 95), (-1, 1), ALL), ((-750, 715),)),
    "exp2": Case(np.exp2, (0.95, 0.95), ((-152, 130), (-1, 1), ALL), ((-1080, 1030),)),
    "expm1": Case(np.expm1, (1.5, 1.9), ((-20, 90), (-2, 2), ALL), ((-50, 712),)),
    "log": Case(np.log, (1.0, 0.9), ((0, 4), (0.6, 1.6), (0, 1e-37), ALL), ((0, 1e-307),)),
    "log1p": Case(np.log1p, (1.6, 0.95), ((-1, 3), (-0.5, 0.5), ALL)),
    "tanh": Case(np.tanh, (1.5, 1.5), ((-10, 10), (-1, 1), ALL), ((-20, 20),)),
    "logistic": Case(logistic, (1.75, 1.75), ((-110, 40), (-3, 3), ALL), ((-750, 60),)),
    "sin": Case(np.sin, (1.75, 2.0), ((-10, 10), (-1e5, 1e5), ALL), ((-1e9, 1e9),)),
    "tan": Case(np.tan, (0.6, 4.0), ((-10, 10), (-1e5, 1e5), ALL), ((-1e9, 1e9),)),
    "cos": Case(np.cos, (1.75, 2.0), ((-10, 10), (-1e5, 1e5), ALL), ((-1e9, 1e9),)),
}
DTYPES = (np.float32, np.float64)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=("float32", "float64"))
one_operand = pytest.mark.parametrize("op", CASES)


def points(case: Case, dtype: Any) -> Any:
    """Regular and random points of each range."""
    rng = np.random.default_rng(7)
    whole = np.dtype(f"i{np.dtype(dtype).itemsize}")
    parts: list[Any] = []
    for low, high in case.ranges + (case.wider if dtype == np.float64 else ()):
        if np.isinf(low):
            info = np.iinfo(whole)
            parts.append(rng.integers(info.min, info.max, POINTS, whole).view(dtype))
        else:
            parts += [np.linspace(low, high, POINTS), rng.uniform(low, high, POINTS)]
    return np.concatenate([np.asarray(p, dtype) for p in parts])


def specials(dtype: Any) -> Any:
    """Signed zeros, infinities, NaN, subnormals, extremes and small integers."""
    info = np.finfo(dtype)
    sizes = [0, np.inf, info.smallest_subnormal, info.tiny / 4, info.tiny, info.max]
    values = [*sizes, 0.5, 1, 1.5, 2, 3, 4, 100, 101, 2.0**30]
    return np.array([np.nan, *values, *(-v for v in values)], dtype)


def reference_of(case: Case, *xs: Any) -> Any:
    wide = np.float64 if xs[0].dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        return np.asarray(case.reference(*(x.astype(wide) for x in xs)))


def errors(out: Any, exact: Any) -> Any:
    """Errors in units of the last place; infinite where only one is NaN or infinite."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rounded = exact.astype(out.dtype)
        off = np.abs(out.astype(exact.dtype) - exact) / np.spacing(np.abs(rounded))
    same = (out == rounded) | (np.isnan(out) & np.isnan(rounded))
    finite = np.isfinite(out) & np.isfinite(rounded)
    return np.where(finite, off, np.where(same, 0, np.inf)).astype(np.float64)


def computed(op: str, *xs: Any) -> Any:
    names = "xy"[: len(xs)]
    expression = expand(op, tuple(variable(xs[0].dtype, n) for n in names))
    assert expression is not None
    return evaluate(expression, dict(zip(names, xs, strict=True)))


@both_dtypes
@one_operand
def test_accuracy(op: str, dtype: Any) -> None:
    case = CASES[op]
    x = points(case, dtype)
    off = errors(computed(op, x), reference_of(case, x))
    worst = int(np.argmax(off))
    assert off[worst] <= case.ulps[DTYPES.index(dtype)], (x[worst], off[worst])


@both_dtypes
@one_operand
def test_special_values(op: str, dtype: Any) -> None:
    case, x = CASES[op], specials(dtype)
    out, exact = computed(op, x), reference_of(case, x)
    off = errors(out, exact)
    assert (off <= case.ulps[DTYPES.index(dtype)]).all(), x[off > 2]
    differs = (np.signbit(out) != np.signbit(exact)) & ~np.isnan(exact)
    assert not differs.any(), x[differs]
