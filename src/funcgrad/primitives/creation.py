"""Arrays from nothing: iota, full, zeros; and copies.

In: shapes, dtypes, scalars. Out: arrays. The one idea: a constant array is a scalar broadcast, so
that a jaxpr shows one literal and memory holds one element.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.array import Array, to_ndarray
from ..core.primitive import AxisData, Example, NotDifferentiable, Primitive
from ..core.sources import user_line
from ..core.trace import Tracer
from ..core.zeros import provide_zeros
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of, canonical_shape
from ..ir.loops import Expr, IndexTuple, Lowered, Map, Operand, value_of
from .broadcasting import broadcast
from .kinds import Movement, draw, integers, reals
from .scalars import converted


class Iota(Primitive):
    """The index along `dimension`, as values of a dtype."""

    name = "iota"
    jvp_term = NotDifferentiable("iota has no operand", zero=True)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        dtype, shape, axis = params["dtype"], params["shape"], params["dimension"]
        if not dtypes.issubdtype(dtype, np.number):
            raise TypeError(
                f"iota does not accept dtype {dtypes.short_name(dtype)}.\n  {user_line()}\n"
                "  Give an integer, floating or complex dtype."
            )
        if not 0 <= axis < len(shape):
            raise ValueError(
                f"iota dimension must be between 0 and the rank, got dimension={axis} for "
                f"shape={shape}.\n  {user_line()}\n  Name an axis of the shape from the front."
            )
        return ShapedArray(shape, dtype)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        shape, axis, dtype = params["shape"], params["dimension"], params["dtype"]
        index: Any = np.arange(shape[axis], dtype=np.int64)
        column: Any = index.astype(dtype).reshape((-1,) + (1,) * (len(shape) - axis - 1))
        return np.broadcast_to(column, shape)

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        return self.bind(**params), None

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        axis: int = params["dimension"]
        dtype = params["dtype"]

        def at(index: IndexTuple) -> Expr:
            return converted(value_of(index[axis]), dtype)

        return Map(at)

    def examples(self) -> Iterator[Example]:
        for dtype, shape, axis in (
            (np.int32, (3,), 0),
            (np.float32, (2, 3), 0),
            (np.complex64, (2, 3), 1),
            (np.uint8, (0, 2), 1),
            (dtypes.bfloat16, (2, 4, 3), 1),
        ):
            params = {"dtype": np.dtype(dtype), "shape": shape, "dimension": axis}
            yield Example((), params)


class Copy(Movement):
    """The operand in memory of its own."""

    name = "copy"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        return avals[0]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return np.array(arrays[0], order="C")

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [ct]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        return self.bind(args[0]), dims[0]

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        return Map(operands[0].at)

    def examples(self) -> Iterator[Example]:
        yield Example((draw(reals(-1.0, 1.0), (2, 3), 5),))
        yield Example((draw(reals(-1.0, 1.0), (), 6),))
        yield Example((draw(integers(0, 9), (0, 2), 7),))


iota_p = Iota()
copy_p = Copy()


def iota(dtype: Any, size: int) -> Any:
    """The numbers 0, 1, ..., size - 1 in a dtype."""
    return broadcasted_iota(dtype, (size,), 0)


def broadcasted_iota(dtype: Any, shape: Any, dimension: int, *, out_sharding: Any = None) -> Any:
    """An array whose element at an index is that index along `dimension`.

    Raises:
        TypeError: the dtype is not numeric.
        ValueError: the dimension is not an axis of the shape.
    """
    found = dtypes.check_user_dtype_supported(dtype, "broadcasted_iota")
    extents = canonical_shape(shape, "broadcasted_iota")
    return iota_p.bind(dtype=found, shape=extents, dimension=operator.index(dimension))


def scalar_of(value: Any, dtype: np.dtype[Any], weak_type: bool) -> Any:
    """A scalar value in a dtype; a constant one is converted now, not by an eqn."""
    aval = aval_of(value)
    if aval.dtype == dtype and aval.weak_type == weak_type:
        return value if isinstance(value, (Array, Tracer)) else Array(to_ndarray(value), aval)
    if dtypes.is_key_dtype(dtype):
        return _key_of(value)
    from .casting import convert_element_type_p

    params = {"new_dtype": dtype, "weak_type": weak_type}
    if isinstance(value, Tracer):
        return convert_element_type_p.bind(value, **params)
    if isinstance(value, int) and dtype.kind in "iub":
        # A Python int wraps into the dtype asked for even where the default int is narrower.
        bits = value if dtype.kind == "b" else value & ((1 << 64) - 1)
        return Array(np.array(bits, np.uint64 if dtype.kind != "b" else bool).astype(dtype))
    return convert_element_type_p.evaluate_here((value,), params)


def _key_of(word: Any) -> Any:
    """The key both of whose words are a number's low 32 bits, as JAX fills arrays of keys."""
    from .random_bits import random_wrap_p

    return random_wrap_p.bind(broadcast(scalar_of(word, np.dtype(np.uint32), False), (2,)))


def full(shape: Any, fill_value: Any, dtype: Any = None, *, sharding: Any = None) -> Any:
    """An array with every element equal to a scalar.

    Args:
        fill_value: a scalar; it is converted to dtype when one is given.
        dtype: dtype of the result; that of fill_value by default.
    Raises:
        TypeError: fill_value is no scalar.
    """
    extents = canonical_shape(shape, "full")
    if getattr(fill_value, "shape", ()):
        raise TypeError(
            f"full must be called with a scalar fill_value, got {aval_of(fill_value).long()}.\n"
            f"  {user_line()}\n  Use broadcast_to for an array."
        )
    if dtype is None:
        aval = aval_of(fill_value)
        return broadcast(scalar_of(fill_value, aval.dtype, aval.weak_type), extents)
    return broadcast(scalar_of(fill_value, _wanted(dtype, "full"), False), extents)


def _wanted(dtype: Any, name: str) -> np.dtype[Any]:
    """The dtype a user asks an array of; that of keys is one."""
    if dtypes.is_key_dtype(dtype):
        return np.dtype(dtype)
    return dtypes.check_user_dtype_supported(dtype, name)


def full_like(
    x: Any, fill_value: Any, dtype: Any = None, shape: Any = None, sharding: Any = None
) -> Any:
    """An array of the shape and dtype of x, unless others are given, filled with a scalar.

    Raises:
        TypeError: fill_value is no scalar.
    """
    aval = like_aval(x)
    extents = aval.shape if shape is None else canonical_shape(shape, "full_like")
    if getattr(fill_value, "shape", ()):
        raise TypeError(
            f"full_like must be called with a scalar fill_value, got "
            f"{aval_of(fill_value).long()}.\n  {user_line()}\n  Use broadcast_to for an array."
        )
    found = aval.dtype if dtype is None else _wanted(dtype, "full_like")
    return broadcast(scalar_of(fill_value, found, dtype is None and aval.weak_type), extents)


def like_aval(x: Any) -> ShapedArray:
    """The aval of a value, or of a description with shape and dtype."""
    if not hasattr(x, "aval") and hasattr(x, "shape") and hasattr(x, "dtype"):
        dtype = dtypes.canonicalize_dtype(x.dtype, allow_extended_dtype=True)
        return ShapedArray(tuple(x.shape), dtype, getattr(x, "weak_type", False))
    return aval_of(x)


@provide_zeros
def zeros_like_aval(aval: ShapedArray) -> Any:
    """The array of zeros of an aval."""
    scalar = ShapedArray((), aval.dtype, aval.weak_type)
    return broadcast(Array(np.zeros((), aval.dtype), scalar), aval.shape)


def zeros_like(x: Any) -> Any:
    """The array of zeros of the shape and dtype of x."""
    return zeros_like_aval(like_aval(x))


def copy(x: Any) -> Any:
    """The array in memory of its own."""
    return copy_p.bind(x)
