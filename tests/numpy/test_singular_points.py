"""Derivatives at kinks, poles and ties: JAX's, and constants that hold without it.

A row is a function of `x` on the namespace `n`, the point, and the gradient of its sum in reverse
mode. Forward mode has to give the same sum over the tangents of the axes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import scipy as fsp

nan, inf = math.nan, math.inf


def slope_of_sinc(x: float) -> float:
    """Of the angle that float32 has, which is rounded."""
    angle = float(np.float32(x) * np.float32(math.pi))
    return (math.cos(angle) - math.sin(angle) / angle) / x


ROWS: list[tuple[str, Any, Any]] = [
    ("n.linalg.norm(x)", [0.0, 0.0], [nan, nan]),
    ("n.linalg.norm(x, ord=1)", [0.0, -2.0], [1.0, -1.0]),
    ("n.linalg.norm(x, ord=n.inf)", [2.0, -2.0], [0.5, -0.5]),
    ("n.sqrt(x)", 0.0, inf),
    ("n.cbrt(x)", 0.0, inf),
    ("n.sqrt(n.sum(x * x))", [0.0, 0.0], [nan, nan]),
    ("n.where(x > 0, n.sqrt(n.where(x > 0, x, 1.0)), 0.0)", [0.0, 4.0], [0.0, 0.25]),
    ("n.where(x > 0, n.sqrt(x), 0.0)", [0.0, 4.0], [nan, 0.25]),
    ("n.where(x > 0, x, 2 * x)", [0.0, 1.0], [2.0, 1.0]),
    ("n.max(x)", [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
    ("n.min(x)", [1.0, 1.0, 3.0, 1.0], [1 / 3, 1 / 3, 0.0, 1 / 3]),
    ("n.maximum(x, 1.0)", [0.0, 1.0, 2.0], [0.0, 0.5, 1.0]),
    ("n.minimum(x, 1.0)", [0.0, 1.0, 2.0], [1.0, 0.5, 0.0]),
    ("n.maximum(x, x)", 1.0, 1.0),
    ("n.maximum(x, 0.0)", -0.0, 0.5),
    ("n.sort(x) @ n.asarray([1.0, 2.0, 3.0])", [2.0, 2.0, 1.0], [2.0, 3.0, 1.0]),
    ("n.median(x)", [1.0, 1.0, 2.0, 2.0], [0.0, 0.5, 0.5, 0.0]),
    ("n.ptp(x)", [1.0, 1.0], [0.0, 0.0]),
    ("x ** 0", 0.0, 0.0),
    ("x ** 0.0", 0.0, nan),
    ("x ** 1", 0.0, 1.0),
    ("x ** 2", 0.0, 0.0),
    ("x ** 3.0", 0.0, 0.0),
    ("x ** 1.0", 0.0, 1.0),
    ("x ** 0.5", 0.0, inf),
    ("x ** -1", 0.0, -inf),
    ("0.0 ** x", 2.0, 0.0),
    ("0.0 ** x", 0.0, 0.0),
    ("n.power(x, x)", 0.0, nan),
    ("2.0 ** x", 0.0, math.log(2)),
    ("(-2.0) ** x", 2.0, nan),
    ("x ** 2.0", -2.0, -4.0),
    ("n.float_power(x, 2)", 0.0, 0.0),
    ("n.arctan2(x, 0.0)", 0.0, nan),
    ("n.arctan2(0.0, x)", 0.0, nan),
    ("n.arctan2(x, 0.0)", 1.0, 0.0),
    ("n.arctan2(0.0, x)", -1.0, -0.0),
    ("n.hypot(x, 0.0)", 0.0, 0.5),
    ("n.hypot(x, 3.0)", 4.0, 0.8),
    ("n.abs(x)", [0.0, -0.0, -3.0], [1.0, 1.0, -1.0]),
    ("n.sign(x)", [0.0, 2.0], [0.0, 0.0]),
    ("n.fabs(x)", 0.0, 1.0),
    ("n.copysign(x, -1.0)", [0.0, 2.0], [-1.0, -1.0]),
    ("n.sinc(x)", [0.0, 1.0], [0.0, -1.0]),
    # At large angles the terms of the series at 0 are infinite.
    ("n.sinc(x)", [0.0, 2.0**21, 2.0**24], [0.0, *map(slope_of_sinc, (2.0**21, 2.0**24))]),
    ("n.clip(x, 0.0, 1.0)", [-1.0, 0.0, 0.5, 1.0, 2.0], [0.0, 0.5, 1.0, 0.5, 0.0]),
    ("n.prod(x)", [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    ("n.prod(x)", [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
    ("n.cumprod(x)", [2.0, 0.0, 3.0], [1.0, 8.0, 0.0]),
    ("n.cumprod(x)", [0.0, 0.0, 3.0], [1.0, 0.0, 0.0]),
    ("n.cumsum(x)", [0.0, 0.0], [2.0, 1.0]),
    ("n.var(x)", [2.0, 2.0], [0.0, 0.0]),
    ("n.std(x)", [2.0, 2.0], [nan, nan]),
    ("n.log(x)", 0.0, inf),
    ("n.log1p(x)", -1.0, inf),
    ("n.expm1(x)", -inf, 0.0),
    ("n.exp(x)", -inf, 0.0),
    ("n.tanh(x)", [inf, -inf], [0.0, 0.0]),
    ("n.arcsin(x)", 1.0, inf),
    ("n.arccos(x)", 1.0, -inf),
    ("n.arccosh(x)", 1.0, inf),
    ("n.arctanh(x)", 1.0, inf),
    ("1 / x", 0.0, -inf),
    ("x / x", 0.0, nan),
    ("n.reciprocal(x)", inf, -0.0),
    ("n.logaddexp(x, x)", inf, 1.0),
    ("n.logaddexp(x, x)", -inf, 1.0),
    ("n.logaddexp(x, 0.0)", [-inf, inf], [0.0, 1.0]),
    ("n.logaddexp(x, -n.inf)", 2.0, 1.0),
    ("n.logaddexp2(x, x)", 1.0, 1.0),
    ("s.special.logsumexp(x)", [-inf, 0.0], [0.0, 1.0]),
    ("s.special.logsumexp(x)", [inf, 0.0], [nan, 0.0]),
    ("s.special.xlogy(x, 0.0)", 0.0, -inf),
    ("s.special.xlogy(0.0, x)", 0.0, nan),
    ("s.special.xlogy(x, 2.0)", 0.0, math.log(2)),
    ("s.special.xlog1py(x, -1.0)", 0.0, -inf),
    ("s.special.entr(x)", 1.0, -1.0),
    ("s.special.expit(x)", [-inf, inf], [0.0, 0.0]),
    ("n.floor(x)", 1.0, 0.0),
    ("n.round(x)", 0.5, 0.0),
    ("n.fmod(x, 2.0)", [4.0, -3.0], [1.0, 1.0]),
    ("n.remainder(x, 2.0)", [4.0, -3.0, 0.0], [1.0, 1.0, 1.0]),
    ("n.remainder(4.0, x)", [2.0, -2.0, 3.0], [-2.0, 2.0, -1.0]),
    ("n.remainder(-3.0, x)", [2.0, -2.0], [2.0, -1.0]),
    ("x // 2.0", [4.0, -3.0], [0.0, 0.0]),
    ("n.divmod(x, 2.0)[1]", [4.0, -3.0], [1.0, 1.0]),
    ("n.nan_to_num(x)", [nan, inf, 1.0], [0.0, 0.0, 1.0]),
    ("n.nansum(x)", [nan, 1.0], [0.0, 1.0]),
    ("n.nanmax(x)", [nan, 1.0, 1.0], [0.0, 0.5, 0.5]),
    ("n.heaviside(x, 0.5)", 0.0, 0.0),
    ("n.unwrap(x)", [0.0, 2.0], [1.0, 1.0]),
    ("n.interp(x, n.asarray([0.0, 1.0, 2.0]), n.asarray([0.0, 1.0, 4.0]))", [0.5, 3.0], [1.0, 0.0]),
]


# 0 · inf comes in where reverse mode has no product, and the other way round.
FORWARD: dict[str, Any] = {
    "n.where(x > 0, n.sqrt(x), 0.0)@[0.0, 4.0]": [0.0, 0.25],
    "s.special.logsumexp(x)@[inf, 0.0]": [nan, nan],
    "s.special.xlogy(x, 0.0)@0.0": nan,
    "s.special.xlog1py(x, -1.0)@0.0": nan,
}

# The halves that two equal infinities have in common; in JAX 2 at inf and NaN at -inf. The slopes
# at the corner of hypot, between which JAX chose the middle until 0.12, and NaN since.
NOT_AS_IN_JAX = ("n.logaddexp(x, x)", "n.hypot(x, 0.0)")


def both_modes(transforms: Any, n: Any, s: Any, code: str, point: Any) -> tuple[Any, Any]:
    """The gradient of the sum of a function, in reverse and in forward mode."""

    def f(x: Any) -> Any:
        return n.sum(eval(code, {"n": n, "s": s, "x": x}))

    x = n.asarray(point, dtype="float32")
    return np.asarray(transforms.grad(f)(x)), np.asarray(transforms.jacfwd(f)(x))


@pytest.mark.parametrize(("code", "point", "want"), ROWS, ids=[f"{r[0]}@{r[1]}" for r in ROWS])
def test_derivatives(code: str, point: Any, want: Any) -> None:
    back, forth = both_modes(fg, fnp, fsp, code, point)
    np.testing.assert_allclose(back, want, rtol=1e-5)
    np.testing.assert_allclose(forth, FORWARD.get(f"{code}@{point}", want), rtol=1e-5)

    def compiled(x: Any) -> Any:
        return fnp.sum(eval(code, {"n": fnp, "s": fsp, "x": x}))

    jitted = fg.jit(fg.grad(compiled))(fnp.asarray(point, dtype="float32"))
    np.testing.assert_allclose(jitted, want, rtol=1e-5)


@pytest.mark.slow
def test_derivatives_are_those_of_jax() -> None:
    jax = pytest.importorskip("jax")
    for code, point, want in ROWS:
        if code not in NOT_AS_IN_JAX:
            name = f"{code}@{point}"
            back, forth = both_modes(jax, jax.numpy, jax.scipy, code, point)
            np.testing.assert_allclose(back, want, rtol=1e-5, err_msg=name)
            np.testing.assert_allclose(forth, FORWARD.get(name, want), rtol=1e-5, err_msg=name)
