"""Rounding ufuncs, the parts of floating numbers, and their neighbours."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..ir import dtypes, narrow
from ..primitives import bits, comparison
from ..primitives import rounding as ops
from ..primitives.casting import bitcast_convert_type
from ..primitives.elementwise import constant_like
from ..primitives.selection import select_n
from ..typing import Array, ArrayLike
from .promotion import (
    check_arraylike,
    convert,
    dtype_of,
    kind_of,
    promote_args_inexact,
    refuse_out,
    to_array,
)
from .selection import where

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _is_whole(x: Any) -> bool:
    return kind_of(x) in "biu"


@planned
def floor(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The greatest integer not above x, in the dtype of x."""
    check_arraylike("floor", x)
    return to_array(x) if _is_whole(x) else ops.floor(to_array(x))


@planned
def ceil(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The least integer not below x, in the dtype of x."""
    check_arraylike("ceil", x)
    return to_array(x) if _is_whole(x) else ops.ceil(to_array(x))


@planned
def trunc(x: Shaped[ArrayLike, "..."]) -> Array:
    """The nearest integer towards zero, in the dtype of x."""
    check_arraylike("trunc", x)
    value = to_array(x)
    if _is_whole(value):
        return value
    negative = comparison.lt(value, constant_like(value, 0))
    return select_n(negative, ops.floor(value), ops.ceil(value))


fix = trunc


@planned
def rint(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The nearest integer, halves to the even one, in a float dtype."""
    check_arraylike("rint", x)
    return convert(x, dtypes.canonicalize_dtype(float)) if _is_whole(x) else round(x)


@planned
def round(a: Shaped[ArrayLike, "..."], decimals: int = 0, out: None = None) -> Array:
    """The nearest multiple of 10^-decimals, halves to the even one.

    Args:
        decimals: a Python integer; negative ones round to tens, hundreds, ...
    """
    check_arraylike("round", a)
    refuse_out("round", out)
    value = to_array(a)
    digits = operator.index(decimals)
    dtype = dtype_of(value)
    kind = kind_of(value)
    if kind in "biu":
        return value if digits >= 0 or kind == "b" else _round_integer(value, 10**-digits)
    if kind == "c":
        from ..primitives import complexes

        parts = complexes.real(value), complexes.imag(value)
        return complexes.complex(*[round(part, digits) for part in parts])
    if digits == 0:
        return ops.round(value, ops.RoundingMethod.TO_NEAREST_EVEN)
    if dtype.itemsize <= 2:
        wide = round(convert(value, np.dtype(np.float32)), digits)
        return convert(wide, dtype)
    factor = 10.0 ** abs(digits)
    if digits > 0:
        return ops.round(value * factor, ops.RoundingMethod.TO_NEAREST_EVEN) / factor
    return ops.round(value / factor, ops.RoundingMethod.TO_NEAREST_EVEN) * factor


around = round


def _round_integer(x: Any, unit: int) -> Any:
    if unit > dtypes.iinfo(dtype_of(x)).max:
        return x * 0
    quotient, rest = x // unit, x % unit
    half = unit // 2
    up = (rest > half) | ((rest == half) & (quotient % 2 == 1))
    return (quotient + where(up, 1, 0).astype(dtype_of(x))) * unit


@planned
def signbit(x: Shaped[ArrayLike, "..."], /) -> Array:
    """Whether the sign bit is set: x < 0, or x is -0.0.

    Raises:
        ValueError: of complex numbers.
    """
    check_arraylike("signbit", x)
    value = to_array(x)
    dtype = dtype_of(value)
    if narrow.is_narrow(dtype):
        value, dtype = convert(value, narrow.wide_of(dtype)), narrow.wide_of(dtype)
    if dtypes.kind_of(dtype) in "bu":
        from .creation import zeros_like

        return zeros_like(value, dtype=bool)
    if dtypes.kind_of(dtype) == "i":
        return comparison.lt(value, constant_like(value, 0))
    if dtypes.kind_of(dtype) == "c":
        raise ValueError("signbit does not take complex values.")
    return comparison.lt(_as_bits(value), constant_like(_as_bits(value), 0))


def _as_bits(x: Any) -> Any:
    return bitcast_convert_type(x, np.dtype(f"i{dtype_of(x).itemsize}"))


@planned
def copysign(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """|x1| with the sign of x2.

    Raises:
        TypeError: of complex numbers.
    """
    a, b = promote_args_inexact("copysign", x1, x2)
    a = to_array(a)
    if kind_of(a) == "c":
        raise TypeError("copysign does not support complex-valued inputs.")
    magnitude = abs(a)
    return where(signbit(b), -magnitude, magnitude)


@planned
def nextafter(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """The float next to x in the direction of y."""
    a, b = promote_args_inexact("nextafter", x, y)
    return bits.nextafter(to_array(a), to_array(b))


def spacing(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The distance from x to the next float away from zero.

    Raises:
        ValueError: of complex numbers.
    """
    (value,) = promote_args_inexact("spacing", x)
    value = to_array(value)
    if value.dtype.kind == "c":
        raise ValueError("spacing is not defined for complex numbers: give real or imag.")
    away = copysign(constant_like(value, float("inf")), value)
    return nextafter(value, away) - value


@planned
def frexp(x: Shaped[ArrayLike, "..."], /) -> tuple[Array, Array]:
    """Mantissa m in ±[0.5, 1) and exponent e, so that x = m · 2^e.

    The derivative of m is 2^-e: that of x / 2^e where e does not change.

    Raises:
        TypeError: of complex numbers.
    """
    check_arraylike("frexp", x)
    (value,) = promote_args_inexact("frexp", x)
    value = to_array(value)
    dtype = dtype_of(value)
    if dtypes.kind_of(dtype) == "c":
        raise TypeError("frexp does not support complex-valued inputs.")
    info = dtypes.finfo(dtype)
    mantissa_bits, bias = int(info.nmant), int(info.maxexp) - 1
    tiny = (abs(value) < float(info.tiny)) & (value != 0)
    # Subnormal numbers are scaled into the normal range first.
    scaled = where(tiny, value * 2.0 ** (mantissa_bits + 1), value)
    field = (_as_bits(scaled) >> mantissa_bits) & (
        (1 << (8 * dtype.itemsize - 1 - mantissa_bits)) - 1
    )
    exponent = field.astype(np.int32) - bias + 1

    def power_of_two(k: Any) -> Any:
        return bitcast_convert_type((k + bias).astype(field.dtype) << mantissa_bits, dtype)

    # Two factors, since 2^-e alone may be too small for a normal number; both products are exact.
    half = exponent >> 1
    mantissa = scaled * power_of_two(-half) * power_of_two(half - exponent)
    exponent = exponent - where(tiny, mantissa_bits + 1, 0).astype(np.int32)
    special = (value == 0) | ~ops.is_finite(value)
    return where(special, value, mantissa), where(special, 0, exponent).astype(np.int32)
