"""Elementary ufuncs: exponentials, logarithms, trigonometric and hyperbolic functions.

In: arrays and numbers, taken to a float or complex dtype. Out: arrays of that dtype.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..primitives import arithmetic, comparison, complexes
from ..primitives import transcendental as ops
from ..primitives.elementwise import constant_like
from ..typing import Array, ArrayLike
from .promotion import dtype_of, promote_args_inexact, strong, to_array
from .selection import where

if TYPE_CHECKING:
    from jaxtyping import Shaped


@planned
def exp(x: Shaped[ArrayLike, "..."], /) -> Array:
    """e^x."""
    return ops.exp(*promote_args_inexact("exp", x))


@planned
def exp2(x: Shaped[ArrayLike, "..."], /) -> Array:
    """2^x."""
    return ops.exp2(*promote_args_inexact("exp2", x))


@planned
def expm1(x: Shaped[ArrayLike, "..."], /) -> Array:
    """e^x - 1, exact for small x."""
    return ops.expm1(*promote_args_inexact("expm1", x))


@planned
def log(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The natural logarithm."""
    return ops.log(*promote_args_inexact("log", x))


@planned
def log1p(x: Shaped[ArrayLike, "..."], /) -> Array:
    """log(1 + x), exact for small x."""
    return ops.log1p(*promote_args_inexact("log1p", x))


def log_base(logarithm: Any, base: float) -> Array:
    """The logarithm to another base, from the natural one."""
    if dtype_of(logarithm).kind == "c":
        # A quotient of complex numbers would make NaN of infinite parts.
        logarithm = to_array(logarithm)
        bottom = math.log(base)
        return complexes.complex(logarithm.real / bottom, logarithm.imag / bottom)
    return arithmetic.div(logarithm, ops.log(constant_like(logarithm, base)))


@planned
def log2(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The logarithm to base 2."""
    return log_base(ops.log(*promote_args_inexact("log2", x)), 2.0)


@planned
def log10(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The logarithm to base 10."""
    return log_base(ops.log(strong(*promote_args_inexact("log10", x))), 10.0)


@planned
def logaddexp(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """log(e^x1 + e^x2), without overflow; the derivative is finite for equal infinities too."""
    a, b = map(to_array, promote_args_inexact("logaddexp", x1, x2))
    if dtype_of(a).kind == "c":
        larger = a.real > b.real
        difference = where(a == b, 0, where(larger, b - a, a - b))
        return where(larger, a, b) + log1p(exp(difference))
    # Equal infinities have no difference; 0 stands for it.
    difference = where(a == b, constant_like(a, 0), a - b)
    return arithmetic.max(a, b) + log1p(exp(-abs(difference)))


@planned
def logaddexp2(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """log2(2^x1 + 2^x2), without overflow."""
    a, b = map(to_array, promote_args_inexact("logaddexp2", x1, x2))
    return logaddexp(a * math.log(2.0), b * math.log(2.0)) / math.log(2.0)


@planned
def sin(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The sine of x radians."""
    return ops.sin(*promote_args_inexact("sin", x))


@planned
def cos(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The cosine of x radians."""
    return ops.cos(*promote_args_inexact("cos", x))


@planned
def tan(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The tangent of x radians."""
    return ops.tan(*promote_args_inexact("tan", x))


@planned
def arcsin(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The inverse sine in radians, in [-π/2, π/2]."""
    return ops.asin(*promote_args_inexact("arcsin", x))


@planned
def arccos(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The inverse cosine in radians, in [0, π]."""
    return ops.acos(*promote_args_inexact("arccos", x))


@planned
def arctan(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The inverse tangent in radians, in (-π/2, π/2)."""
    return ops.atan(*promote_args_inexact("arctan", x))


@planned
def arctan2(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """The angle of the point (x2, x1) in radians, in [-π, π]."""
    return ops.atan2(*promote_args_inexact("arctan2", x1, x2))


@planned
def sinh(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The hyperbolic sine."""
    return ops.sinh(*promote_args_inexact("sinh", x))


@planned
def cosh(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The hyperbolic cosine."""
    return ops.cosh(*promote_args_inexact("cosh", x))


@planned
def tanh(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The hyperbolic tangent."""
    return ops.tanh(*promote_args_inexact("tanh", x))


@planned
def arcsinh(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The inverse hyperbolic sine."""
    return ops.asinh(*promote_args_inexact("arcsinh", x))


@planned
def arccosh(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The inverse hyperbolic cosine, for x ≥ 1."""
    return ops.acosh(*promote_args_inexact("arccosh", x))


@planned
def arctanh(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The inverse hyperbolic tangent, for |x| ≤ 1."""
    return ops.atanh(*promote_args_inexact("arctanh", x))


asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2
asinh, acosh, atanh = arcsinh, arccosh, arctanh


@planned
def sinc(x: Shaped[ArrayLike, "..."], /) -> Array:
    """sin(πx) / (πx), and 1 at 0; derivatives of every order up to the tenth hold at 0."""
    value = to_array(promote_args_inexact("sinc", x)[0])
    angle = value * math.pi
    at_zero = comparison.eq(value, constant_like(value, 0))
    safe = where(at_zero, constant_like(value, 1), angle)
    # At 0 the quotient is replaced by its Taylor series, whose derivatives are those of sinc.
    # Elsewhere the series is one of zeros: of large angles it would overflow, and infinity times
    # the zero cotangent of what is not taken is NaN.
    near = where(at_zero, angle, constant_like(value, 0))
    squared = near * near
    series = 1.0 + 0.0 * squared
    for n in (10, 8, 6, 4, 2):
        series = 1.0 - (series * squared) / float(n * (n + 1))
    return where(at_zero, series, ops.sin(safe) / safe)


@planned
def deg2rad(x: Shaped[ArrayLike, "..."], /) -> Array:
    """Degrees as radians: x · π / 180."""
    (value,) = promote_args_inexact("deg2rad", x)
    return arithmetic.mul(value, constant_like(value, math.pi / 180.0))


@planned
def rad2deg(x: Shaped[ArrayLike, "..."], /) -> Array:
    """Radians as degrees: x · 180 / π."""
    (value,) = promote_args_inexact("rad2deg", x)
    return arithmetic.mul(value, constant_like(value, 180.0 / math.pi))


radians, degrees = deg2rad, rad2deg


@planned
def unwrap(
    p: Shaped[ArrayLike, "..."],
    discont: Shaped[ArrayLike, "..."] | None = None,
    axis: int = -1,
    period: Shaped[ArrayLike, "..."] = 2 * np.pi,
) -> Array:
    """Phases with jumps of more than half a period taken out along an axis.

    Args:
        p: phases, any shape.
        discont: jumps smaller than this stay; half the period by default.
    Raises:
        ValueError: of complex numbers.
    """
    from .calculus import diff
    from .cumulation import cumsum
    from .manipulation import concatenate

    value = to_array(promote_args_inexact("unwrap", p)[0])
    if value.dtype.kind == "c":
        raise ValueError("unwrap takes real phases: give angle of complex numbers.")
    steps = diff(value, axis=axis)
    half = period / 2
    wrapped = (steps + half) % period - half
    wrapped = where((wrapped == -half) & (steps > 0), half, wrapped)
    limit = half if discont is None else discont
    correction = where(abs(steps) < limit, 0.0, wrapped - steps)
    index = [slice(None)] * value.ndim
    index[axis] = slice(0, 1)
    first = value[tuple(index)]
    index[axis] = slice(1, None)
    rest = value[tuple(index)] + cumsum(correction, axis=axis)
    return concatenate([first, rest], axis=axis)
