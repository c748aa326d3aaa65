"""Exponentials, logarithms, trigonometric and hyperbolic functions.

In: floats or complex numbers. Out: the same dtype; a real operand outside of a function's domain
gives NaN. The one idea: all are analytic, so a derivative is a product with the tangent, the same
for real and complex operands.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.primitive import Example
from ..ir.avals import ShapedArray
from ..ir.loops import Expr, apply
from .arithmetic import add, div, mul, neg, rsqrt, square, sub
from .elementwise import UnaryUfunc, bind_accurate, constant_like
from .kinds import Binary, Domain, draw, reals
from .powers import reciprocal
from .scalars import complex_atan2


class AccuracyMode(enum.Enum):
    """How a function is to be computed: HIGHEST also asks for derivatives without cancellation."""

    HIGHEST = 1
    DEFAULT = 2


@dataclass(frozen=True)
class Tolerance:
    """The error a function may have: absolute, relative, or in units of the last place.

    Every tolerance is met in the same way, by NumPy's function.
    """

    atol: float = 0.0
    rtol: float = 0.0
    ulps: int = 0

    def __post_init__(self) -> None:
        given = (self.atol, self.rtol, self.ulps)
        if any(t < 0 for t in given) or not any(given):
            raise ValueError(
                "Tolerances must be non-negative and one of them positive, got "
                f"atol={self.atol}, rtol={self.rtol}, ulps={self.ulps}."
            )


def one_like(x: Any) -> Any:
    """A scalar one of the dtype of x."""
    return constant_like(x, 1)


def is_highest(params: dict[str, Any]) -> bool:
    """Whether the params ask for the highest accuracy."""
    return params.get("accuracy") is AccuracyMode.HIGHEST


class Analytic(UnaryUfunc):
    """An analytic function; `slope` is its derivative."""

    accepts = (np.floating, np.complexfloating)

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        """The derivative at x, where the value is `out`."""
        raise TypeError(f"{self.name} has no derivative.")

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        return mul(t, self.slope(primals[0], out, params))

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        (low, high, _) = self.domains[0]
        yield Example((draw(Domain(low, high, np.complex128), (3,), 5),))
        yield Example((draw(self.domains[0], (0, 3), 3),))
        yield Example((np.array([0.5, 1.5], np.float32),), differentiable=())


class Accurate(Analytic):
    """An analytic function whose accuracy can be asked for."""

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        for accuracy in (AccuracyMode.HIGHEST, Tolerance(rtol=1e-6)):
            yield Example((draw(self.domains[0], (3,), 6),), {"accuracy": accuracy})


# Exponentials and logarithms.


class Exp(Accurate):
    """e^x."""

    name = "exp"
    ufunc = np.exp

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        return out


class Exp2(Accurate):
    """2^x."""

    name = "exp2"
    ufunc = np.exp2

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        return mul(constant_like(primals[0], math.log(2.0)), mul(t, out))


class Expm1(Accurate):
    """e^x - 1, without cancellation near 0."""

    name = "expm1"

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        return complex_expm1(x) if x.dtype.kind == "c" else np.expm1(x)

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        return exp(x, **params) if is_highest(params) else add(out, one_like(out))


def complex_expm1(z: Any) -> Any:
    """e^z - 1: of z = x + iy, expm1(x) cos y - 2 sin²(y / 2) + i e^x sin y.

    Where y is 0 it stays; e^-inf is 0 whatever its angle, and e^inf infinite.
    """
    x, y = z.real, z.imag
    real_line, still, endless = y == 0, x == -np.inf, (x == np.inf) & ~np.isfinite(y)
    where: Any = np.where
    re = where(endless, x, np.expm1(x) * np.cos(y) - 2 * np.sin(y / 2) ** 2)
    im = where(still, np.copysign(0, y), np.exp(x) * np.sin(y))
    out = np.empty(z.shape, z.dtype)
    out.real = where(real_line | still, np.expm1(x), re)
    out.imag = where(real_line, y, im)
    return out


class Log(Accurate):
    """The natural logarithm of x."""

    name = "log"
    domains = (reals(0.2, 3.0),)
    ufunc = np.log

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        return div(t, primals[0])


class Log1p(Accurate):
    """The natural logarithm of 1 + x, without cancellation near 0."""

    name = "log1p"
    domains = (reals(-0.6, 2.0),)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        return complex_log1p(x) if x.dtype.kind == "c" else np.log1p(x)

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        return None if avals[0].dtype.kind == "c" else np.log1p

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        return div(t, add(x, one_like(x)))


def complex_log1p(z: Any) -> Any:
    """log(1 + z), with the relative accuracy of z near 0.

    |1 + z|² - 1 = x(2 + x) + y², and log|1 + z| is half the log1p of that.
    """
    x, y = z.real, z.imag
    near = np.maximum(np.abs(x), np.abs(y)) < 0.5
    small: Any = np.where(near, z, 0)
    excess = small.real * (2 + small.real) + small.imag * small.imag
    out = np.empty(z.shape, z.dtype)
    out.real = np.where(near, np.log1p(excess) / 2, np.log(np.hypot(1 + x, y)))
    out.imag = np.arctan2(y, 1 + x)
    return out


class Logistic(Accurate):
    """1 / (1 + e^-x)."""

    name = "logistic"

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        one = np.ones((), x.dtype)
        return np.divide(one, one + np.exp(-x))

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        rest = logistic(neg(x)) if is_highest(params) else sub(one_like(out), out)
        return mul(out, rest)


# Trigonometric functions, in radians.


class Sin(Accurate):
    """The sine of x."""

    name = "sin"
    ufunc = np.sin

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        return cos(x, **params)


class Cos(Accurate):
    """The cosine of x."""

    name = "cos"
    ufunc = np.cos

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        return neg(mul(t, sin(primals[0], **params)))


class Tan(Accurate):
    """The tangent of x."""

    name = "tan"
    domains = (reals(-1.2, 1.2),)
    ufunc = np.tan

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        return add(one_like(x), square(out))


class Asin(Analytic):
    """The arcsine of x, in [-π/2, π/2]."""

    name = "asin"
    domains = (reals(-0.9, 0.9),)
    ufunc = np.arcsin

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        return rsqrt(sub(one_like(x), square(x)))


class Acos(Analytic):
    """The arccosine of x, in [0, π]."""

    name = "acos"
    domains = (reals(-0.9, 0.9),)
    ufunc = np.arccos

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        return neg(rsqrt(sub(one_like(x), square(x))))


class Atan(Analytic):
    """The arctangent of x, in [-π/2, π/2]."""

    name = "atan"
    domains = (reals(-0.9, 0.9),)
    ufunc = np.arctan

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        return div(t, add(one_like(x), square(x)))


class Atan2(Binary):
    """The angle of the point (y, x): the arctangent of x / y in the quadrant of the point."""

    name = "atan2"
    accepts = (np.floating, np.complexfloating)
    domains = (reals(0.2, 2.0), reals(-2.0, 2.0))

    def scalar(self, x: Expr, y: Expr) -> Expr:
        return complex_atan2(x, y) if x.dtype.kind == "c" else apply("atan2", x, y)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        x, y = arrays
        if x.dtype.kind != "c":
            return np.arctan2(x, y)
        unit = x.dtype.type(1j)
        return -unit * np.log((y + unit * x) / np.sqrt(x * x + y * y))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        x, y = primals
        numerator = y if i == 0 else neg(x)
        return mul(t, div(numerator, add(square(x), square(y))))

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        part = Domain(0.5, 2.0, np.complex128)
        yield Example((draw(part, (3,), 5), draw(part, (3,), 6)))
        signs = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf])
        yield Example((signs[:, None], signs[None, :]), differentiable=())


# Hyperbolic functions.


class Sinh(Analytic):
    """The hyperbolic sine of x."""

    name = "sinh"
    ufunc = np.sinh

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        return cosh(x)


class Cosh(Analytic):
    """The hyperbolic cosine of x."""

    name = "cosh"
    ufunc = np.cosh

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        return sinh(x)


class Tanh(Accurate):
    """The hyperbolic tangent of x."""

    name = "tanh"
    domains = (reals(-1.2, 1.2),)
    ufunc = np.tanh

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        if is_highest(params):
            up = logistic(mul(constant_like(x, 2), x), **params)
            down = logistic(mul(constant_like(x, -2), x), **params)
            return mul(t, mul(constant_like(x, 4), mul(up, down)))
        # (1 + out)(1 - out): 1 - out² would lose the digits of 1 - out where out is near 1.
        return mul(add(t, mul(t, out)), sub(one_like(x), out))


class Asinh(Analytic):
    """The inverse hyperbolic sine of x."""

    name = "asinh"
    domains = (reals(-0.9, 0.9),)
    ufunc = np.arcsinh

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        return rsqrt(add(square(x), one_like(x)))


class Acosh(Analytic):
    """The inverse hyperbolic cosine of x ≥ 1."""

    name = "acosh"
    domains = (reals(1.2, 3.0),)
    ufunc = np.arccosh

    def slope(self, x: Any, out: Any, params: dict[str, Any]) -> Any:
        return rsqrt(sub(square(x), one_like(x)))


class Atanh(Analytic):
    """The inverse hyperbolic tangent of x in [-1, 1]."""

    name = "atanh"
    domains = (reals(-0.9, 0.9),)
    ufunc = np.arctanh

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        return mul(reciprocal(add(one_like(x), x)), div(t, sub(one_like(x), x)))


exp_p = Exp()
exp2_p = Exp2()
log_p = Log()
log1p_p = Log1p()
expm1_p = Expm1()
logistic_p = Logistic()
sin_p = Sin()
cos_p = Cos()
tan_p = Tan()
asin_p = Asin()
acos_p = Acos()
atan_p = Atan()
atan2_p = Atan2()
sinh_p = Sinh()
cosh_p = Cosh()
tanh_p = Tanh()
asinh_p = Asinh()
acosh_p = Acosh()
atanh_p = Atanh()


def exp(x: Any, *, accuracy: Any = None) -> Any:
    """e^x."""
    return bind_accurate(exp_p, x, accuracy)


def exp2(x: Any, *, accuracy: Any = None) -> Any:
    """2^x."""
    return bind_accurate(exp2_p, x, accuracy)


def log(x: Any, *, accuracy: Any = None) -> Any:
    """The natural logarithm of x."""
    return bind_accurate(log_p, x, accuracy)


def log1p(x: Any, *, accuracy: Any = None) -> Any:
    """log(1 + x), without cancellation near 0."""
    return bind_accurate(log1p_p, x, accuracy)


def expm1(x: Any, *, accuracy: Any = None) -> Any:
    """e^x - 1, without cancellation near 0."""
    return bind_accurate(expm1_p, x, accuracy)


def logistic(x: Any, *, accuracy: Any = None) -> Any:
    """1 / (1 + e^-x)."""
    return bind_accurate(logistic_p, x, accuracy)


def sin(x: Any, *, accuracy: Any = None) -> Any:
    """The sine of x in radians."""
    return bind_accurate(sin_p, x, accuracy)


def cos(x: Any, *, accuracy: Any = None) -> Any:
    """The cosine of x in radians."""
    return bind_accurate(cos_p, x, accuracy)


def tan(x: Any, *, accuracy: Any = None) -> Any:
    """The tangent of x in radians."""
    return bind_accurate(tan_p, x, accuracy)


def asin(x: Any) -> Any:
    """The arcsine of x, in [-π/2, π/2]."""
    return asin_p.bind(x)


def acos(x: Any) -> Any:
    """The arccosine of x, in [0, π]."""
    return acos_p.bind(x)


def atan(x: Any) -> Any:
    """The arctangent of x, in [-π/2, π/2]."""
    return atan_p.bind(x)


def atan2(x: Any, y: Any) -> Any:
    """The arctangent of x / y in the quadrant of the point (y, x), in [-π, π]."""
    return atan2_p.bind(x, y)


def sinh(x: Any) -> Any:
    """The hyperbolic sine of x."""
    return sinh_p.bind(x)


def cosh(x: Any) -> Any:
    """The hyperbolic cosine of x."""
    return cosh_p.bind(x)


def tanh(x: Any, *, accuracy: Any = None) -> Any:
    """The hyperbolic tangent of x."""
    return bind_accurate(tanh_p, x, accuracy)


def asinh(x: Any) -> Any:
    """The inverse hyperbolic sine of x."""
    return asinh_p.bind(x)


def acosh(x: Any) -> Any:
    """The inverse hyperbolic cosine of x."""
    return acosh_p.bind(x)


def atanh(x: Any) -> Any:
    """The inverse hyperbolic tangent of x."""
    return atanh_p.bind(x)
