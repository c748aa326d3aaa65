"""Complex operations as expressions on pairs of real ones.

In: an operation of `ir.loops` and its complex operands, each as a pair (real part, imaginary
part) of float32 or float64 expressions. Out: such a pair, or one real expression for operations
with a real result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ir.loops import Expr
from . import complex_functions as functions
from . import complex_values as values
from .complex_faddeeva import faddeeva
from .complex_values import Complex
from .maths_values import Value, select

Pair = tuple[Expr, Expr]

# Comparisons.


def is_before(x: Complex, y: Complex) -> Value:
    """Whether x lies before y: by real part, then by imaginary part."""
    tail = x.re.equals(y.re).op("and", x.im < y.im)
    return (x.re < y.re).op("or", tail)


def chosen(first: Value, x: Complex, y: Complex) -> Complex:
    """x where `first` holds or x has a NaN, unless y alone has one; else y."""
    undefined = x.re.differs(x.re).op("or", x.im.differs(x.im))
    defined = y.re.equals(y.re).op("and", y.im.equals(y.im))
    first = undefined.op("or", first.op("and", defined))
    return Complex(select(first, x.re, y.re), select(first, x.im, y.im))


def greatest(x: Complex, y: Complex) -> Complex:
    """The one that lies after the other, or one with a NaN."""
    return chosen(is_before(y, x), x, y)


def least(x: Complex, y: Complex) -> Complex:
    """The one that lies before the other, or one with a NaN."""
    return chosen(is_before(x, y), x, y)


def equal(x: Complex, y: Complex) -> Value:
    """Whether both parts are equal."""
    return x.re.equals(y.re).op("and", x.im.equals(y.im))


def different(x: Complex, y: Complex) -> Value:
    """Whether a part differs."""
    return x.re.differs(y.re).op("or", x.im.differs(y.im))


def finite(x: Complex) -> Value:
    """Whether both parts are finite."""
    return x.re.op("is_finite").op("and", x.im.op("is_finite"))


def real_part(x: Complex) -> Value:
    """The real part."""
    return x.re


def imaginary_part(x: Complex) -> Value:
    """The imaginary part."""
    return x.im


COMPLEX: dict[str, Callable[..., Complex]] = {
    "add": values.plus,
    "sub": values.minus,
    "mul": values.times,
    "div": values.quotient,
    "neg": values.negative,
    "conj": values.conjugate,
    "max": greatest,
    "min": least,
    "sign": values.direction,
    "sqrt": values.root,
    "rsqrt": values.reciprocal_root,
    "exp": functions.exponential,
    "exp2": functions.exponential_of_two,
    "expm1": functions.exponential_less_one,
    "log": functions.logarithm,
    "log1p": functions.logarithm_of_one_more,
    "pow": functions.power,
    "logistic": functions.logistic,
    "sinh": functions.hyperbolic_sine,
    "cosh": functions.hyperbolic_cosine,
    "tanh": functions.hyperbolic_tangent,
    "sin": functions.sine,
    "cos": functions.cosine,
    "tan": functions.tangent,
    "asin": functions.arcsine,
    "acos": functions.arccosine,
    "atan": functions.arctangent,
    "asinh": functions.area_sine,
    "acosh": functions.area_cosine,
    "atanh": functions.area_tangent,
    "wofz": faddeeva,
}
REAL: dict[str, Callable[..., Value]] = {
    "abs": values.modulus,
    "real": real_part,
    "imag": imaginary_part,
    "eq": equal,
    "ne": different,
    "is_finite": finite,
}


def wrapped(args: tuple[Pair, ...]) -> list[Any]:
    """Pairs of expressions as complex values."""
    return [Complex(Value(re), Value(im)) for re, im in args]


def expand_complex(op: str, args: tuple[Pair, ...]) -> Pair | None:
    """The parts of an operation's complex result; None where it has no formula here.

    Args:
        op: an operation of `ir.loops.SCALAR_OPS`.
        args: its complex operands, by their parts.
    Returns:
        (real part, imaginary part).
    """
    function = COMPLEX.get(op)
    if function is None:
        return None
    out = function(*wrapped(args))
    return out.re.expr, out.im.expr


def expand_to_real(op: str, args: tuple[Pair, ...]) -> Expr | None:
    """An operation of complex operands with a real or boolean result; None where it has none."""
    function = REAL.get(op)
    return None if function is None else function(*wrapped(args)).expr
