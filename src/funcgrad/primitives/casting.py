"""Casts: another dtype for the same values, the same bits as another dtype, fewer bits.

In: one array. Out: as many elements (bitcasts between widths move a trailing axis). The one idea:
no value makes a cast fail; a float out of an integer dtype's range saturates, NaN becomes 0, and
integers wrap.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from operator import methodcaller
from typing import Any

import numpy as np

from ..core.array import Array
from ..core.axes import move_axis
from ..core.primitive import AxisData, Example, NotDifferentiable, Primitive
from ..core.sources import user_line
from ..core.trace import Tracer
from ..core.zeros import Zero, zero_tangent
from ..ir import dtypes, loops, narrow
from ..ir.avals import ShapedArray, aval_of
from ..ir.cautions import caution
from ..ir.loops import Affine, Expr, IndexTuple, Lowered, Map, Operand
from . import scalars
from .elementwise import complex_plane
from .kinds import Unary, draw, integers, reals


def cast(x: Any, dtype: np.dtype[Any]) -> Any:
    """A NumPy array in another dtype: floats saturate to integers, complex numbers lose `imag`."""
    if x.dtype == dtype:
        return x
    if x.dtype.kind in "biu" and x.dtype.isbuiltin == 1:
        return x.astype(dtype)
    x = x.astype(narrow.wide_of(x.dtype), copy=False)
    if x.dtype.kind == "c" and dtype.kind != "c":
        x = x.real
    is_float = dtypes.issubdtype(x.dtype, np.floating)
    if is_float and dtypes.issubdtype(dtype, np.integer):
        return saturate(x, dtype)
    return x.astype(dtype)


@cache
def _ends(source: np.dtype[Any], target: np.dtype[Any]) -> tuple[Any, Any]:
    """The ends of an integer dtype as floats, which may lie one above the integer ends."""
    limits = dtypes.iinfo(target)
    return source.type(int(limits.min)), source.type(int(limits.max))


def saturate(x: Any, dtype: np.dtype[Any]) -> Any:
    """Floats as integers toward zero; what is out of range becomes its end, NaN becomes 0."""
    if x.dtype.itemsize < 4:
        x = x.astype(np.float32)
    low, high = _ends(x.dtype, dtype)
    if ((x >= low) & (x < high)).all():
        return x.astype(dtype)
    above, below = x >= high, x <= low
    limits = dtypes.iinfo(dtype)
    inside = np.where(above | below | np.isnan(x), np.zeros((), x.dtype), x).astype(dtype)
    out = np.where(above, np.array(int(limits.max), dtype), inside)
    return np.where(below, np.array(int(limits.min), dtype), out)


class ConvertElementType(Unary):
    """The values of x in `new_dtype`."""

    name = "convert_element_type"
    widens = False

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        new = params["new_dtype"]
        if x.dtype not in dtypes.supported_dtypes or new not in dtypes.supported_dtypes:
            keys = dtypes.is_key_dtype(x.dtype) or dtypes.is_key_dtype(new)
            raise (ValueError if keys else TypeError)(
                f"convert_element_type cannot convert {x.long()} to {dtypes.short_name(new)}.\n"
                f"  {user_line()}\n  Only numbers and booleans convert; random.key_data gives the "
                "words of a key."
            )
        return ShapedArray(x.shape, new, params["weak_type"])

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return cast(arrays[0], params["new_dtype"])

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        (x,), dtype = avals, params["new_dtype"]
        if x.dtype == dtype or narrow.is_narrow(x.dtype) or narrow.is_narrow(dtype):
            return None
        whole = x.dtype.kind in "biu"
        if x.dtype.isbuiltin == 1 and (whole or (x.dtype.kind == "f" and dtype.kind not in "iu")):
            return methodcaller("astype", dtype)
        if x.dtype.kind != "f" or dtype.kind not in "iu" or x.dtype.itemsize < 4 or not x.size:
            return None
        low, high = _ends(x.dtype, dtype)
        least, greatest = np.minimum.reduce, np.maximum.reduce

        def converted(x: Any) -> Any:
            # Of what is NaN neither holds.
            if least(x, None) >= low and greatest(x, None) < high:
                return x.astype(dtype)
            return saturate(x, dtype)

        return converted

    def scalar(self, x: Expr, new_dtype: Any, weak_type: bool) -> Expr:
        return scalars.converted(x, new_dtype)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        out = self.bind(*primals, **params)
        (t,) = tangents
        if isinstance(t, Zero) or dtypes.tangent_dtype(params["new_dtype"]) == dtypes.float0:
            return out, zero_tangent(aval_of(out))
        return out, self.bind(t, **params)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        (x,) = args
        if dtypes.tangent_dtype(x.aval.dtype) == dtypes.float0:
            return [zero_tangent(x.aval)]
        return [self.bind(ct, new_dtype=x.aval.dtype, weak_type=x.aval.weak_type)]

    def forwards(self, eqn: Any) -> Any:
        """The operand, when its dtype is the new one."""
        return eqn.invars[0]

    def examples(self) -> Iterator[Example]:
        values = draw(reals(-3.0, 3.0), (2, 3), 3)
        for dtype in (np.float32, np.complex128, np.int32, np.uint8, np.bool_, dtypes.bfloat16):
            params = {"new_dtype": np.dtype(dtype), "weak_type": False}
            # Rounding to a narrower float swallows finite differences.
            narrow = dtype in (np.float32, dtypes.bfloat16)
            yield Example((values,), params, differentiable=() if narrow else None)
        double = np.dtype(np.float64)
        yield Example((values,), {"new_dtype": double, "weak_type": True})
        for operand in (
            draw(complex_plane, (3,), 4),
            draw(integers(-9, 9), (0, 3), 5),
            np.array(True),
        ):
            yield Example((operand,), {"new_dtype": double, "weak_type": False})


class BitcastConvertType(Primitive):
    """The bits of x read as `new_dtype`; the ratio of the widths is a trailing axis."""

    name = "bitcast_convert_type"
    widens = False
    jvp_term = NotDifferentiable("it reads bits, not values", zero=True)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        new = params["new_dtype"]
        if x.dtype == new and new in dtypes.supported_dtypes:
            return ShapedArray(x.shape, new)
        if any(narrow.bits_of(d) < 8 for d in (x.dtype, new)):
            raise TypeError(
                f"bitcast_convert_type cannot read {x.long()} as {dtypes.short_name(new)}: numbers "
                f"of less than 8 bits are stored in whole bytes.\n  {user_line()}\n"
                "  Convert with astype instead."
            )
        if any(d.kind in "bc" or d not in dtypes.supported_dtypes for d in (x.dtype, new)):
            key = any(map(dtypes.is_key_dtype, (x.dtype, new)))
            instead = "random.key_data" if key else "real and imag, or astype"
            raise (ValueError if key else TypeError)(
                f"bitcast_convert_type cannot read {x.long()} as {dtypes.short_name(new)}: only "
                f"real numbers have bits to read, other dtypes stay what they are.\n"
                f"  {user_line()}\n  Use {instead}."
            )
        return ShapedArray(self._shape(x, new), new)

    def _shape(self, x: ShapedArray, new: np.dtype[Any]) -> tuple[int, ...]:
        old_bits, new_bits = 8 * x.dtype.itemsize, 8 * new.itemsize
        if old_bits >= new_bits:
            return x.shape if old_bits == new_bits else (*x.shape, old_bits // new_bits)
        last = x.shape[-1] if x.shape else 1
        if last * old_bits != new_bits:
            raise ValueError(
                f"bitcast_convert_type cannot read {x.long()} as {new.name}: the last axis has "
                f"{last} elements of {old_bits} bits, and one element needs {new_bits} bits.\n"
                f"  {user_line()}\n  Reshape, so that the last axis has "
                f"{new_bits // old_bits} elements."
            )
        return x.shape[:-1]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (given,) = arrays
        new = params["new_dtype"]
        old_size, new_size = given.dtype.itemsize, new.itemsize
        x: Any = np.ascontiguousarray(given).reshape(given.shape)
        if old_size == new_size:
            return x.view(new)
        if old_size > new_size:
            parts = old_size // new_size
            return x.reshape(-1).view(new).reshape((*x.shape, parts))
        return x.reshape(-1).view(new).reshape(x.shape[:-1])

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        # The last axis may be the one that is read as a whole, so the batch axis goes first.
        return self.bind(move_axis(args[0], dims[0] or 0, 0), **params), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,), (out,) = operands, outs
        count = out.dtype.itemsize // x.dtype.itemsize

        def at(index: IndexTuple) -> Expr:
            if count == 0:
                return bits_taken(x.at(index[:-1]), index[-1], out.dtype)
            if count == 1:
                return scalars.as_dtype(x.at(index), out.dtype)
            lead = index if x.shape else ()
            parts = [x.at((*lead, Affine(i)) if x.shape else ()) for i in range(count)]
            return bits_joined(parts, out.dtype)

        return Map(at)

    def examples(self) -> Iterator[Example]:
        real, whole = draw(reals(-2.0, 2.0), (2, 3), 3), draw(integers(0, 99), (3, 2), 4)
        for operand, dtype in (
            (real, np.int64),
            (real, np.uint16),
            (real[0, 0], np.int32),
            (whole, np.float32),
            (whole, np.float64),
            (whole[:0], np.int8),
            (real, np.float64),
        ):
            yield Example((np.array(operand),), {"new_dtype": np.dtype(dtype)})


def bits_taken(x: Expr, which: Affine, dtype: np.dtype[Any]) -> Expr:
    """The part of the bits of x that lies at a place, in units of a narrower dtype."""
    bits = scalars.bits_of(x, "u")
    places = loops.cast(loops.value_of(which * (8 * dtype.itemsize)), bits.dtype)
    moved = loops.apply("shift_right_logical", bits, places)
    return scalars.as_dtype(loops.cast(moved, f"u{dtype.itemsize}"), dtype)


def bits_joined(parts: Sequence[Expr], dtype: np.dtype[Any]) -> Expr:
    """The bits of the parts, the lowest first, as one number of a dtype."""
    wide = np.dtype(f"u{dtype.itemsize}")
    joined: Expr | None = None
    for i, part in enumerate(parts):
        bits = loops.cast(scalars.bits_of(part, "u"), wide)
        if joined is None:
            joined = bits
            continue
        places = scalars.like(bits, 8 * part.dtype.itemsize * i)
        joined = loops.apply("or", joined, loops.apply("shift_left", bits, places))
    assert joined is not None
    return scalars.as_dtype(joined, dtype)


class ReducePrecision(Unary):
    """x rounded to a float format of few bits, to even; too large becomes inf, too small 0."""

    name = "reduce_precision"
    accepts = (np.floating,)
    linear = "joint"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        if params["exponent_bits"] < 1 or params["mantissa_bits"] < 0:
            raise ValueError(
                "reduce_precision needs exponent_bits >= 1 and mantissa_bits >= 0, got "
                f"{params['exponent_bits']} and {params['mantissa_bits']}.\n  {user_line()}"
            )
        return super().abstract_eval(*avals, **params)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        info = dtypes.finfo(x.dtype)
        return round_format(x, info, params["exponent_bits"], params["mantissa_bits"])

    scalar = staticmethod(scalars.rounded_to_format)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [self.bind(ct, **params)]

    def examples(self) -> Iterator[Example]:
        # Few significant bits: rounding is linear only where nothing is rounded.
        exact = draw(integers(-8, 8), (2, 3), 3) / 4.0
        for bits in ((11, 52), (8, 23), (5, 10)):
            params = {"exponent_bits": bits[0], "mantissa_bits": bits[1]}
            wide = bits == (11, 52)
            yield Example((exact,), params, differentiable=None if wide else ())
            yield Example((np.float32(1.2345),), params, differentiable=())


def round_format(x: Any, info: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Floats rounded to a format with these many bits, held in their own dtype."""
    bits = x.view(np.dtype(f"u{x.dtype.itemsize}"))
    kind = bits.dtype.type
    dropped = info.nmant - mantissa_bits
    sign = bits & kind(1 << (info.bits - 1))
    if dropped > 0:
        # Adding just under half of the last kept bit, or half where that bit is 1: to even.
        last_kept = (bits >> kind(dropped)) & kind(1)
        bits = (bits + last_kept + kind((1 << (dropped - 1)) - 1)) & ~kind((1 << dropped) - 1)
    out = bits.view(x.dtype)
    if exponent_bits < info.bits - 1 - info.nmant:
        bias = (1 << (exponent_bits - 1)) - 1
        size = np.abs(out).astype(np.float64)
        out = np.where(size >= 2.0 ** (bias + 1), np.array(np.inf, x.dtype), np.abs(out))
        out = np.where(size < 2.0 ** (1 - bias), np.zeros((), x.dtype), out)
        out = (out.view(bits.dtype) | sign).view(x.dtype)
    kept: Any = np.isnan(x)
    return np.where(kept, x, out)  # pyright: ignore[reportUnknownVariableType]


convert_element_type_p = ConvertElementType()
bitcast_convert_type_p = BitcastConvertType()
reduce_precision_p = ReducePrecision()


def convert_element_type(operand: Any, new_dtype: Any, weak_type: bool = False) -> Any:
    """The values of the operand in another dtype; the operand itself if nothing changes.

    Floats saturate to integers (NaN to 0), integers wrap, complex numbers lose their imaginary
    part.

    Args:
        new_dtype: a dtype, or `None` for that of the operand.
        weak_type: whether the result gives way to other dtypes.
    Raises:
        TypeError: either dtype is that of keys or float0.
    Warns:
        ComplexWarning: a complex operand becomes real.
    """
    aval = aval_of(operand)
    new = aval.dtype if new_dtype is None else _dtype_of(new_dtype)
    if new == aval.dtype and weak_type == aval.weak_type and isinstance(operand, (Array, Tracer)):
        return operand
    if aval.dtype.kind == "c" and new.kind != "c":
        caution(
            "Casting complex values to real discards the imaginary part",
            np.exceptions.ComplexWarning,
        )
    if type(operand) is int and new in dtypes.supported_dtypes:
        # Python's integers know no bound: convert the value, not its canonical dtype.
        return Array(cast(_wide(operand), new), ShapedArray((), new, weak_type))
    return convert_element_type_p.bind(operand, new_dtype=new, weak_type=weak_type)


def _wide(value: int) -> Any:
    if -(1 << 63) <= value < 1 << 63:
        return np.array(value, np.int64)
    return np.array(value, np.uint64) if 0 <= value < 1 << 64 else np.array(float(value))


def _dtype_of(dtype: Any) -> np.dtype[Any]:
    if dtypes.is_key_dtype(dtype) or dtype is dtypes.float0:
        return dtype
    return dtypes.check_user_dtype_supported(dtype, "convert_element_type")


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Any:
    """The bits of the operand read as another dtype.

    Returns:
        The operand's shape for equal widths; with a trailing axis of the ratio for a narrower
        dtype; without the last axis, which must be that ratio, for a wider one.
    Raises:
        TypeError: a boolean, complex or key dtype is involved.
        ValueError: the last axis does not make up one element.
    """
    new = dtypes.check_user_dtype_supported(new_dtype, "bitcast_convert_type")
    return bitcast_convert_type_p.bind(operand, new_dtype=new)


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """The operand rounded as if held in a float of `exponent_bits` and `mantissa_bits`.

    Raises:
        ValueError: exponent_bits < 1 or mantissa_bits < 0.
    """
    return reduce_precision_p.bind(
        operand,
        exponent_bits=operator.index(exponent_bits),
        mantissa_bits=operator.index(mantissa_bits),
    )
