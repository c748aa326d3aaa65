"""Ufuncs of truth and bits: comparisons, logical and bitwise functions, tests of values.

In: arrays and numbers, promoted and broadcast. Out: booleans, or integers for bitwise functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..ir import dtypes
from ..primitives import arithmetic, bits, rounding
from ..primitives import comparison as ops
from ..primitives.elementwise import constant_like
from ..typing import Array, ArrayLike
from .promotion import (
    check_arraylike,
    convert,
    dtype_of,
    kind_of,
    promote_args,
    promote_args_inexact,
    promote_shapes,
    refuse_key,
    refuse_out,
    shape_of,
    to_array,
)
from .selection import as_mask, where

if TYPE_CHECKING:
    from jaxtyping import Shaped


@planned
def equal(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x = y, element by element."""
    return ops.eq(*promote_args("equal", x, y))


@planned
def not_equal(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x ≠ y, element by element."""
    return ops.ne(*promote_args("not_equal", x, y))


def _compare(name: str, op: Callable[[Any, Any], Any], x: Any, y: Any) -> Any:
    a, b = promote_args(name, x, y)
    if kind_of(a) != "c":
        return op(a, b)
    from ..primitives import complexes

    # Complex numbers are ordered by real part, then by imaginary part, as in NumPy.
    real_a, real_b = complexes.real(a), complexes.real(b)
    tied = op(complexes.imag(a), complexes.imag(b))
    return where(ops.eq(real_a, real_b), tied, op(real_a, real_b))


@planned
def less(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x < y, element by element."""
    return _compare("less", ops.lt, x, y)


@planned
def less_equal(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x ≤ y, element by element."""
    return _compare("less_equal", ops.le, x, y)


@planned
def greater(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x > y, element by element."""
    return _compare("greater", ops.gt, x, y)


@planned
def greater_equal(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x ≥ y, element by element."""
    return _compare("greater_equal", ops.ge, x, y)


def _masks(name: str, *args: Any) -> Any:
    check_arraylike(name, *args)
    for x in args:
        refuse_key(name, x)
    return promote_shapes(name, *map(as_mask, args))


@planned
def logical_and(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """Whether both are true; what is not zero is."""
    return bits.and_(*_masks("logical_and", x, y))


@planned
def logical_or(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """Whether either is true; what is not zero is."""
    return bits.or_(*_masks("logical_or", x, y))


@planned
def logical_xor(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """Whether exactly one is true; what is not zero is."""
    return bits.xor(*_masks("logical_xor", x, y))


@planned
def logical_not(x: Shaped[ArrayLike, "..."], /) -> Array:
    """Whether x is zero or False."""
    return bits.not_(*_masks("logical_not", x))


@planned
def bitwise_and(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """The bits set in both; logical for booleans."""
    return bits.and_(*promote_args("bitwise_and", x, y))


@planned
def bitwise_or(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """The bits set in either; logical for booleans."""
    return bits.or_(*promote_args("bitwise_or", x, y))


@planned
def bitwise_xor(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """The bits set in exactly one; logical for booleans."""
    return bits.xor(*promote_args("bitwise_xor", x, y))


@planned
def bitwise_not(x: Shaped[ArrayLike, "..."], /) -> Array:
    """Every bit flipped; logical for booleans."""
    return bits.not_(*promote_args("bitwise_not", x))


invert = bitwise_invert = bitwise_not


@planned
def bitwise_count(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The number of bits set in |x|, as uint8."""
    (value,) = promote_args("bitwise_count", x)
    from .arithmetic import absolute
    from .creation import astype

    if value.dtype.kind == "b":
        return astype(value, np.uint8)
    return astype(bits.population_count(absolute(value)), np.uint8)


@planned
def left_shift(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """x · 2^y by moving bits up; 0 where y is not below the width."""
    from .promotion import promote_args_numeric

    return bits.shift_left(*promote_args_numeric("left_shift", x, y))


@planned
def right_shift(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """⌊x / 2^y⌋ by moving bits down; the sign fills in for signed integers."""
    from .promotion import promote_args_numeric

    a, b = promote_args_numeric("right_shift", x, y)
    logical = kind_of(a) == "u"
    return bits.shift_right_logical(a, b) if logical else bits.shift_right_arithmetic(a, b)


bitwise_left_shift, bitwise_right_shift = left_shift, right_shift


def _whole(x: Any, value: bool) -> Any:
    from .creation import full_like

    return full_like(x, value, dtype=bool)


@planned
def isnan(x: Shaped[ArrayLike, "..."], /) -> Array:
    """Whether x is NaN."""
    check_arraylike("isnan", x)
    value = to_array(x)
    return _whole(value, False) if kind_of(value) in "biu" else ops.ne(value, value)


@planned
def isfinite(x: Shaped[ArrayLike, "..."], /) -> Array:
    """Whether x is neither infinite nor NaN."""
    check_arraylike("isfinite", x)
    value = to_array(x)
    if kind_of(value) in "biu":
        return _whole(value, True)
    if kind_of(value) == "c":
        return bits.and_(isfinite(value.real), isfinite(value.imag))
    return rounding.is_finite(value)


@planned
def isinf(x: Shaped[ArrayLike, "..."], /) -> Array:
    """Whether x is infinite."""
    check_arraylike("isinf", x)
    value = to_array(x)
    if kind_of(value) in "biu":
        return _whole(value, False)
    if kind_of(value) == "c":
        return bits.or_(isinf(value.real), isinf(value.imag))
    return ops.eq(arithmetic.abs(value), constant_like(value, float("inf")))


def _is_one_infinity(name: str, x: Any, infinity: float) -> Any:
    check_arraylike(name, x)
    value = to_array(x)
    if kind_of(value) == "c":
        raise ValueError(f"{name} does not take complex values: their infinities have no sign.")
    if kind_of(value) in "biu":
        return _whole(value, False)
    return ops.eq(value, constant_like(value, infinity))


@planned
def isposinf(x: Shaped[ArrayLike, "..."], /, out: None = None) -> Array:
    """Whether x is positive infinity."""
    refuse_out("isposinf", out)
    return _is_one_infinity("isposinf", x, float("inf"))


@planned
def isneginf(x: Shaped[ArrayLike, "..."], /, out: None = None) -> Array:
    """Whether x is negative infinity."""
    refuse_out("isneginf", out)
    return _is_one_infinity("isneginf", x, float("-inf"))


@planned
def isclose(
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    rtol: Shaped[ArrayLike, "*#shape"] = 1e-05,
    atol: Shaped[ArrayLike, "*#shape"] = 1e-08,
    equal_nan: bool = False,
) -> Array:
    """|a - b| ≤ atol + rtol · |b|; infinities are close to themselves only."""
    a, b = map(to_array, promote_args("isclose", a, b))
    dtype = dtype_of(a)
    if dtypes.kind_of(dtype) == "b":
        a, b = a.astype(np.int32), b.astype(np.int32)
    if not dtypes.issubdtype(dtype, np.inexact):
        exact = dtypes.to_inexact_dtype(dtype_of(a))
        return abs(a.astype(exact) - b.astype(exact)) <= atol + rtol * abs(b.astype(exact))
    near = abs(a - b) <= atol + rtol * abs(b)
    finite = isfinite(a) & isfinite(b)
    close = where(finite, near, equal(a, b))
    if equal_nan:
        close = close | (isnan(a) & isnan(b))
    return close


@planned
def allclose(
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    rtol: Shaped[ArrayLike, "*#shape"] = 1e-05,
    atol: Shaped[ArrayLike, "*#shape"] = 1e-08,
    equal_nan: bool = False,
) -> Array:
    """Whether all elements are close, as in `isclose`."""
    from .reductions import all as all_of

    return all_of(isclose(a, b, rtol, atol, equal_nan))


@planned
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Array:
    """Whether shapes and all elements are equal."""
    from .creation import array, asarray
    from .reductions import all as all_of

    a1, a2 = asarray(a1), asarray(a2)
    if a1.shape != a2.shape:
        return array(False)
    same = equal(a1, a2)
    if equal_nan:
        same = same | (isnan(a1) & isnan(a2))
    return all_of(same)


@planned
def array_equiv(a1: Any, a2: Any) -> Array:
    """Whether all elements are equal after broadcasting; False if the shapes do not broadcast."""
    from .creation import array, asarray
    from .reductions import all as all_of

    a1, a2 = asarray(a1), asarray(a2)
    try:
        np.broadcast_shapes(shape_of(a1), shape_of(a2))
    except ValueError:
        return array(False)
    return all_of(equal(a1, a2))


@planned
def nan_to_num(
    x: Shaped[ArrayLike, "..."],
    copy: bool = True,
    nan: Shaped[ArrayLike, "..."] = 0.0,
    posinf: Shaped[ArrayLike, "..."] | None = None,
    neginf: Shaped[ArrayLike, "..."] | None = None,
) -> Array:
    """The values with NaN and infinities replaced: by `nan`, and the dtype's limits by default."""
    check_arraylike("nan_to_num", x)
    value = to_array(x)
    dtype = dtype_of(value)
    if dtypes.kind_of(dtype) in "biu":
        return value
    if dtypes.kind_of(dtype) == "c":
        from ..primitives import complexes

        parts = value.real, value.imag
        return complexes.complex(*[nan_to_num(p, copy, nan, posinf, neginf) for p in parts])
    info = dtypes.finfo(dtype)
    top = float(info.max) if posinf is None else posinf
    bottom = float(info.min) if neginf is None else neginf
    value = where(isnan(value), to_array(nan).astype(dtype), value)
    value = where(isposinf(value), to_array(top).astype(dtype), value)
    return where(isneginf(value), to_array(bottom).astype(dtype), value)


@planned
def real(val: Shaped[ArrayLike, "..."], /) -> Array:
    """The real part."""
    check_arraylike("real", val)
    value = to_array(val)
    if kind_of(value) != "c":
        return value
    from ..primitives import complexes

    return complexes.real(value)


@planned
def imag(val: Shaped[ArrayLike, "..."], /) -> Array:
    """The imaginary part; zeros for real values."""
    check_arraylike("imag", val)
    value = to_array(val)
    if kind_of(value) != "c":
        from .creation import zeros_like

        return zeros_like(value)
    from ..primitives import complexes

    return complexes.imag(value)


@planned
def conjugate(x: Shaped[ArrayLike, "..."], /) -> Array:
    """The complex conjugate; real values are returned as they are."""
    check_arraylike("conjugate", x)
    value = to_array(x)
    if kind_of(value) != "c":
        return value
    from ..primitives import complexes

    return complexes.conj(value)


conj = conjugate


@planned
def angle(z: Shaped[ArrayLike, "..."], deg: bool = False) -> Array:
    """The angle of complex numbers, in (-π, π], or in degrees."""
    from .elementary import arctan2, rad2deg

    (value,) = promote_args_inexact("angle", z)
    # Of integers the angle is a default float, also where the sine of theirs is narrower.
    value = convert(z, dtypes.canonicalize_dtype(float)) if kind_of(z) in "biu" else to_array(value)
    result = arctan2(imag(value), real(value))
    return rad2deg(result) if deg else result


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex."""
    return (x is not None and hasattr(x, "dtype") and x.dtype.kind == "c") or type(x) is complex


def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex."""
    return not iscomplexobj(x)


@planned
def iscomplex(x: Shaped[ArrayLike, "..."]) -> Array:
    """Whether the imaginary part is not zero."""
    part = imag(x)
    return ops.ne(part, constant_like(part, 0))


@planned
def isreal(x: Shaped[ArrayLike, "..."]) -> Array:
    """Whether the imaginary part is zero."""
    refuse_key("isreal", x)
    part = imag(x)
    return ops.eq(part, constant_like(part, 0))
