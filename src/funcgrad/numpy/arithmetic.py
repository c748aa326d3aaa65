"""Arithmetic ufuncs: sums, products, quotients, powers, roots, extrema.

In: arrays and numbers, promoted to one dtype and broadcast. Out: arrays. Each is one primitive
where one exists; the others are short programs of them, chosen so that derivatives stay finite
where the function is smooth.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..ir import dtypes
from ..primitives import arithmetic as ops
from ..primitives import bits, comparison, powers, rounding
from ..primitives.elementwise import constant_like
from ..primitives.selection import select_n
from ..typing import Array, ArrayLike
from .promotion import (
    check_arraylike,
    convert,
    dtype_of,
    kind_of,
    promote_args,
    promote_args_inexact,
    promote_args_numeric,
    promote_shapes,
    refuse_out,
    to_array,
    unwrap,
)
from .rounding import floor, signbit
from .selection import where

if TYPE_CHECKING:
    from jaxtyping import Shaped


@planned
def add(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x + y; for booleans, x or y."""
    x, y = promote_args("add", x, y)
    return bits.or_(x, y) if kind_of(x) == "b" else ops.add(x, y)


@planned
def subtract(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x - y."""
    return ops.sub(*promote_args("subtract", x, y))


@planned
def multiply(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x · y; for booleans, x and y."""
    x, y = promote_args("multiply", x, y)
    return bits.and_(x, y) if kind_of(x) == "b" else ops.mul(x, y)


@planned
def divide(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x1 / x2, in a float or complex dtype."""
    return ops.div(*promote_args_inexact("divide", x1, x2))


def true_divide(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x1 / x2, in a float or complex dtype."""
    return ops.div(*promote_args_inexact("true_divide", x1, x2))


def _refuse_complex(name: str, x: Any) -> None:
    if kind_of(x) == "c":
        raise TypeError(
            f"{name} does not support complex input, got dtype {dtypes.short_name(dtype_of(x))}: "
            f"complex numbers are not ordered.\n  {user_line()}\n  Use divide."
        )


@planned
def floor_divide(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """⌊x1 / x2⌋, in the dtype of the operands."""
    a, b = promote_args_numeric("floor_divide", x1, x2)
    _refuse_complex("floor_divide", a)
    kind = kind_of(a)
    if kind == "u":
        return ops.div(a, b)
    if kind == "i":
        quotient = ops.div(a, b)
        signs_differ = comparison.ne(rounding.sign(a), rounding.sign(b))
        inexact = comparison.ne(ops.rem(a, b), constant_like(a, 0))
        down = ops.sub(quotient, constant_like(quotient, 1))
        return select_n(bits.and_(signs_differ, inexact), quotient, down)
    return _float_divmod(a, b)[0]


def _float_divmod(x1: Any, x2: Any) -> tuple[Any, Any]:
    """The quotient rounded down, a zero with the sign of x1 / x2, and the remainder beside it."""
    rest = ops.rem(x1, x2)
    zero = comparison.eq(x2, constant_like(x2, 0))
    # Division by zero gives the infinity or NaN of x1 / 0; its remainder is NaN.
    quotient = ops.div(where(zero, x1, ops.sub(x1, rest)), x2)
    down = bits.and_(
        comparison.ne(rest, constant_like(rest, 0)), comparison.ne(signbit(x2), signbit(rest))
    )
    quotient = select_n(down, quotient, ops.sub(quotient, constant_like(quotient, 1)))
    quotient = rounding.round(quotient)
    none = comparison.eq(quotient, constant_like(quotient, 0))
    negative_zero = comparison.ne(signbit(x1), signbit(x2))
    nothing = where(negative_zero, constant_like(quotient, -0.0), constant_like(quotient, 0))
    return where(none, nothing, quotient), _turned_to(rest, x2)


def _turned_to(rest: Any, x2: Any) -> Any:
    """A float remainder with the sign of x1 as the one with the sign of x2, zeros too."""
    down = comparison.lt(x2, constant_like(x2, 0))
    # Turned to a positive divisor, where adding 0 makes both zeros positive.
    rest = where(down, ops.neg(rest), rest)
    short = comparison.lt(rest, constant_like(rest, 0))
    rest = ops.add(rest, where(short, ops.abs(x2), constant_like(rest, 0)))
    return where(down, ops.neg(rest), rest)


@planned
def remainder(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x1 - x2 · ⌊x1 / x2⌋: the remainder with the sign of x2."""
    a, b = promote_args_numeric("remainder", x1, x2)
    _refuse_complex("remainder", a)
    zero = constant_like(a, 0)
    rest = _remainder(a, b)
    if not dtypes.issubdtype(dtype_of(rest), np.integer):
        return _turned_to(rest, b)
    nonzero = comparison.ne(rest, zero)
    signs_differ = comparison.ne(comparison.lt(rest, zero), comparison.lt(b, constant_like(b, 0)))
    return select_n(bits.and_(signs_differ, nonzero), rest, ops.add(rest, b))


mod = remainder


@planned
def fmod(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x1 - x2 · trunc(x1 / x2): the remainder with the sign of x1."""
    return _remainder(*promote_args_numeric("fmod", x1, x2))


def _remainder(a: Any, b: Any) -> Any:
    """The remainder with the sign of a; of integers, 0 where b is 0."""
    rest = ops.rem(a, b)
    if not dtypes.issubdtype(dtype_of(a), np.integer):
        return rest
    return where(comparison.eq(b, constant_like(b, 0)), constant_like(rest, 0), rest)


@planned
def divmod(
    x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /
) -> tuple[Array, Array]:
    """Quotient rounded down, and remainder: (x1 // x2, x1 % x2)."""
    a, b = promote_args_numeric("divmod", x1, x2)
    _refuse_complex("divmod", a)
    if dtypes.issubdtype(dtype_of(a), np.integer):
        return floor_divide(a, b), remainder(a, b)
    return _float_divmod(a, b)


@planned
def modf(x: Shaped[ArrayLike, "..."], /, out: None = None) -> tuple[Array, Array]:
    """Fractional and integral part, both with the sign of x."""
    refuse_out("modf", out)
    (value,) = promote_args_inexact("modf", x)
    zero = constant_like(value, 0)
    whole = select_n(comparison.ge(value, zero), rounding.ceil(value), rounding.floor(value))
    infinite = comparison.eq(ops.abs(value), constant_like(value, float("inf")))
    return where(infinite, zero, ops.sub(value, whole)), whole


@planned
def power(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x1 raised to the power x2.

    A Python integer as x2 is kept static and gives products; integers stay integers.

    Raises:
        TypeError: an integer raised to a constant negative power.
    """
    check_arraylike("power", x1, x2)
    x1, x2 = unwrap(x1), unwrap(x2)
    if isinstance(x2, int) and not isinstance(x2, bool):
        exponent = operator.index(x2)
        value = to_array(x1) if kind_of(x1) != "b" else convert(x1, np.dtype(np.int32))
        return ops.integer_pow(value, exponent)
    if kind_of(x1) in "biu" and kind_of(x2) in "biu":
        whole = promote_args_numeric("power", x1, x2)
        # uint64 and signed integers promote to a float.
        return powers.pow(*whole) if kind_of(whole[0]) == "f" else _integer_power(*whole)
    if kind_of(x2) in "iu" and dtypes.issubdtype(dtype_of(x1), np.inexact):
        dtype, weak = dtypes.result_type(x1, x2, return_weak_type_flag=True)
        return powers.pow(*promote_shapes("power", convert(x1, dtype, weak), to_array(x2)))
    return powers.pow(*promote_args("power", x1, x2))


def _integer_power(base: Any, exponent: Any) -> Any:
    """Products by squaring, one step for each bit that can matter before integers overflow."""
    zero, one = constant_like(exponent, 0), constant_like(exponent, 1)
    result: Any = where(
        bits.and_(comparison.eq(base, constant_like(base, 0)), comparison.ne(exponent, zero)),
        constant_like(base, 0),
        constant_like(base, 1),
    )
    steps = 6
    for step in range(steps):
        odd = comparison.ne(bits.and_(exponent, one), zero)
        result = where(odd, ops.mul(result, base), result)
        if step + 1 < steps:
            base = ops.mul(base, base)
            exponent = bits.shift_right_logical(exponent, one)
    return result


pow = power


@planned
def float_power(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x raised to the power y, in a float or complex dtype."""
    return powers.pow(*promote_args_inexact("float_power", x, y))


@planned
def negative(x: Shaped[ArrayLike, "..."], /) -> Array:
    """-x."""
    check_arraylike("negative", x)
    return ops.neg(to_array(x))


@planned
def positive(x: Shaped[ArrayLike, "..."], /) -> Array:
    """x itself."""
    return to_array(promote_args("positive", x)[0])


@planned
def absolute(x: Shaped[ArrayLike, "..."], /) -> Array:
    """|x|; for complex numbers, the modulus."""
    check_arraylike("absolute", x)
    value = to_array(x)
    return value if kind_of(value) in "bu" else ops.abs(value)


@planned
def abs(x: Shaped[ArrayLike, "..."], /) -> Array:
    """|x|; for complex numbers, the modulus."""
    return absolute(x)


@planned
def fabs(x: Shaped[ArrayLike, "..."], /) -> Array:
    """|x| in a float dtype.

    Raises:
        TypeError: x is complex.
    """
    (value,) = promote_args_inexact("fabs", x)
    if kind_of(value) == "c":
        raise TypeError("ufunc 'fabs' does not support complex dtypes. Use abs.")
    return ops.abs(value)


@planned
def sign(x: Shaped[ArrayLike, "..."], /) -> Array:
    """-1, 0 or 1; for complex numbers, x / |x|."""
    check_arraylike("sign", x)
    return rounding.sign(to_array(x))


@planned
def square(x: Shaped[ArrayLike, "..."], /) -> Array:
    """x²."""
    check_arraylike("square", x)
    value = to_array(x)
    # The square of a truth value is a number, as in JAX.
    return value.astype(np.int32) if kind_of(value) == "b" else ops.square(value)


@planned
def sqrt(x: Shaped[ArrayLike, "..."], /) -> Array:
    """√x; NaN for negative real x."""
    return ops.sqrt(*promote_args_inexact("sqrt", x))


@planned
def cbrt(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The real cube root."""
    return ops.cbrt(*promote_args_inexact("cbrt", x))


@planned
def reciprocal(x: Shaped[ArrayLike, "..."], /) -> Array:
    """1 / x."""
    return ops.integer_pow(promote_args_inexact("reciprocal", x)[0], -1)


@planned
def maximum(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """The greater of x and y; NaN if either is."""
    return ops.max(*promote_args("maximum", x, y))


@planned
def minimum(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """The lesser of x and y; NaN if either is."""
    return ops.min(*promote_args("minimum", x, y))


@planned
def fmax(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"]) -> Array:
    """The greater of x1 and x2; the other one if one is NaN."""
    a, b = promote_args("fmax", x1, x2)
    return where(bits.or_(_greater(a, b), comparison.ne(b, b)), a, b)


@planned
def fmin(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"]) -> Array:
    """The lesser of x1 and x2; the other one if one is NaN."""
    a, b = promote_args("fmin", x1, x2)
    return where(bits.or_(_greater(b, a), comparison.ne(b, b)), a, b)


def _greater(x: Any, y: Any) -> Any:
    from .logic import greater

    return greater(x, y)


@planned
def hypot(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """√(x1² + x2²), without overflow on the way.

    Raises:
        ValueError: an operand is complex.
    """
    a, b = promote_args_inexact("hypot", x1, x2)
    if kind_of(a) == "c":
        raise ValueError("hypot is not defined for complex numbers: give their abs.")
    a, b = ops.abs(a), ops.abs(b)
    infinity = constant_like(a, float("inf"))
    infinite = bits.or_(comparison.eq(a, infinity), comparison.eq(b, infinity))
    large, small = ops.max(a, b), ops.min(a, b)
    zero, one = constant_like(large, 0), constant_like(large, 1)
    is_zero = comparison.eq(large, zero)
    ratio = ops.div(small, where(is_zero, one, large))
    root = ops.mul(large, ops.sqrt(ops.add(one, ops.square(ratio))))
    return where(infinite, infinity, where(is_zero, large, root))


@planned
def heaviside(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """0 where x1 < 0, x2 where x1 = 0, 1 where x1 > 0."""
    a, b = promote_args_inexact("heaviside", x1, x2)
    zero = constant_like(a, 0)
    rest = where(comparison.ne(a, a), a, b)
    rest = where(comparison.gt(a, zero), constant_like(a, 1), rest)
    return where(comparison.lt(a, zero), zero, rest)


@planned
def clip(
    arr: Shaped[ArrayLike, "*#shape"] | None = None,
    /,
    min: Shaped[ArrayLike, "*#shape"] | None = None,
    max: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """The values limited to [min, max]; a bound that is None does not limit.

    Raises:
        ValueError: a complex operand.
    """
    given = [v for v in (arr, min, max) if v is not None]
    check_arraylike("clip", arr, *given[1:])
    for v in given:
        if kind_of(v) == "c":
            raise ValueError("clip does not take complex values: they are not ordered.")
    if min is not None:
        arr = maximum(min, arr)
    if max is not None:
        arr = minimum(max, arr)
    return to_array(arr)


@planned
def ldexp(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x1 · 2^x2, for integers x2.

    Raises:
        ValueError: x2 is not an integer.
    """
    check_arraylike("ldexp", x1, x2)
    if kind_of(x2) not in "biu":
        raise ValueError(f"ldexp takes integers as x2, got {dtypes.short_name(dtype_of(x2))}.")
    (mantissa,) = promote_args_inexact("ldexp", x1)
    a, e = promote_shapes("ldexp", to_array(mantissa), to_array(x2))
    # Thirds of the exponent, none of which over- or underflows alone: 0 · 2^e is 0 for every e,
    # and beyond three of the largest exponents nothing changes.
    from .elementary import exp2

    most = 3 * (int(dtypes.finfo(dtype_of(a)).maxexp) - 2)
    n = clip(convert(e, dtypes.promote_types(dtype_of(a), np.float32)), -most, most)
    third = floor(divide(n, 3))

    def factor(n: Any) -> Any:
        return exp2(convert(n, dtype_of(a)))

    first = multiply(multiply(a, factor(third)), factor(third))
    return multiply(first, factor(subtract(n, multiply(third, 2))))
