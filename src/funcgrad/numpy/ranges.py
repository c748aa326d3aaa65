"""Arrays of evenly spaced numbers, and of indices: arange, linspace, meshgrid, indices."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.accelerators import made_on_device
from ..control.plans import planned
from ..core.trace import Tracer, value_of
from ..errors import ConcretizationTypeError
from ..ir import dtypes
from ..ir.avals import canonical_shape
from ..primitives import broadcasting
from ..primitives import creation as primitives
from ..typing import Array, ArrayLike, DTypeLike
from .creation import empty, full
from .joining import concatenate
from .promotion import (
    check_arraylike,
    convert,
    promote_dtypes_inexact,
    requested_dtype,
    scalar,
    shape_of,
    to_array,
)

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _concrete(name: str, x: Any) -> Any:
    """A Python or NumPy scalar of a concrete bound."""
    known = value_of(x)
    if isinstance(known, Tracer):
        raise ConcretizationTypeError(known, f"It arose in the `{name}` argument of arange.")
    check_arraylike("arange", known)
    if shape_of(known):
        raise TypeError(f"arange takes scalars, got shape {shape_of(known)} as {name}.")
    return np.asarray(known)[()] if hasattr(known, "shape") else known


@made_on_device
@planned
def arange(
    start: Shaped[ArrayLike, ""],
    stop: Shaped[ArrayLike, ""] | None = None,
    step: Shaped[ArrayLike, ""] | None = None,
    dtype: DTypeLike | None = None,
    *,
    device: Any = None,
) -> Array:
    """The numbers start, start + step, ... below stop; with one argument, 0, 1, ... below it.

    Args:
        start, stop, step: concrete numbers.
        dtype: dtype of the result; the common one of the numbers by default.
    Raises:
        ConcretizationTypeError: a bound is traced.
        ZeroDivisionError: the step is 0.
    """
    wanted = requested_dtype(dtype, "arange")
    given = [v for v in (start, stop, step) if v is not None]
    for name, v in (("start", start), ("stop", stop), ("step", step)):
        if v is not None:
            _concrete(name, v)
    if wanted is None:
        wanted = dtypes.to_numeric_dtype(dtypes.result_type(*given))
    if stop is None:
        first, last = 0, _concrete("stop", start)
    else:
        first, last = _concrete("start", start), _concrete("stop", stop)
    stride = 1 if step is None else _concrete("step", step)
    if stride == 0:
        raise ZeroDivisionError("arange got step=0: it would never reach stop.")
    size = max(0, math.ceil((last - first) / stride))
    result = primitives.iota_p.bind(dtype=wanted, shape=(size,), dimension=0)
    if step is not None:
        result = _multiplied(scalar(stride, wanted), result)
    return result if stop is None else _added(scalar(first, wanted), result)


def _multiplied(x: Any, y: Any) -> Any:
    from ..primitives.arithmetic import mul

    return mul(x, y)


def _added(x: Any, y: Any) -> Any:
    from ..primitives.arithmetic import add

    return add(x, y)


@made_on_device
@planned
def linspace(
    start: Shaped[ArrayLike, "*#shape"],
    stop: Shaped[ArrayLike, "*#shape"],
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: DTypeLike | None = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """`num` evenly spaced values from start to stop, along a new axis.

    Args:
        endpoint: whether stop is the last value, or would be the next.
        retstep: return (values, step).
        dtype: an integer dtype rounds down.
    Raises:
        ValueError: num is negative.
    """
    check_arraylike("linspace", start, stop)
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    wanted = requested_dtype(dtype, "linspace")
    if wanted is None:
        wanted = dtypes.to_inexact_dtype(dtypes.result_type(start, stop))
    work = dtypes.to_inexact_dtype(wanted)
    first, last = (convert(to_array(v), work) for v in (start, stop))
    shape = broadcasting.broadcast_shapes(first.shape, last.shape)
    first, last = broadcasting.broadcast_to(first, shape), broadcasting.broadcast_to(last, shape)
    gaps = num - 1 if endpoint else num
    step: Any = (last - first) / float(gaps) if gaps > 0 else full(shape, float("nan"), work)
    values = _between(first, last, num, gaps, endpoint, work)
    if axis != 0:
        values = _moved(values, axis)
    if wanted.kind in "iu" and work.kind == "f":
        from .rounding import floor

        values = floor(values)
    values = values.astype(wanted)
    return (values, step) if retstep else values


def _between(first: Any, last: Any, num: int, gaps: int, endpoint: bool, work: Any) -> Any:
    """The values along axis 0; the last one is `last` itself when it is an endpoint."""
    shape = first.shape
    if num == 0:
        return empty((0, *shape), work)
    start = first.reshape((1, *shape))
    if num == 1:
        return start
    count = num - 1 if endpoint else num
    real = dtypes.to_floating_dtype(work)
    part = primitives.iota_p.bind(dtype=real, shape=(count,), dimension=0) / float(gaps)
    part = part.reshape((count,) + (1,) * len(shape))
    values = start * (1.0 - part) + last.reshape((1, *shape)) * part
    if not endpoint:
        return values
    return concatenate([values, broadcasting.expand_dims(last, (0,))], 0)


def _moved(x: Any, axis: int) -> Any:
    from .manipulation import moveaxis

    return moveaxis(x, 0, axis)


@planned
def logspace(
    start: Shaped[ArrayLike, "*#shape"],
    stop: Shaped[ArrayLike, "*#shape"],
    num: int = 50,
    endpoint: bool = True,
    base: Shaped[ArrayLike, "..."] = 10.0,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Array:
    """base^start to base^stop in `num` steps of equal ratio; arguments as in `linspace`."""
    from .arithmetic import power

    check_arraylike("logspace", start, stop, base)
    exponents = linspace(start, stop, num, endpoint, False, None, axis)
    values = power(convert(to_array(base), exponents.dtype), exponents)
    wanted = requested_dtype(dtype, "logspace")
    return values if wanted is None else values.astype(wanted)


@planned
def geomspace(
    start: Shaped[ArrayLike, "*#shape"],
    stop: Shaped[ArrayLike, "*#shape"],
    num: int = 50,
    endpoint: bool = True,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Array:
    """start to stop in `num` steps of equal ratio; arguments as in `linspace`."""
    from .arithmetic import sign
    from .elementary import log10

    check_arraylike("geomspace", start, stop)
    first, last = map(to_array, promote_dtypes_inexact(start, stop))
    signed = sign(first)
    exponents = log10(first / signed), log10(last / signed)
    values = logspace(*exponents, num, endpoint, 10.0, None, 0)
    values = signed * values
    if axis != 0:
        values = _moved(values, axis)
    wanted = requested_dtype(dtype, "geomspace")
    return values if wanted is None else values.astype(wanted)


@planned
def meshgrid(
    *xi: Shaped[ArrayLike, "_"], copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> list[Array]:
    """Coordinate arrays of a grid from the coordinates along its axes.

    Args:
        sparse: leave the axes along which an array is constant in size 1.
        indexing: "xy" exchanges the first two axes, "ij" does not.
    Raises:
        ValueError: another indexing, or an argument that is not one-dimensional.
    """
    check_arraylike("meshgrid", *xi)
    if indexing not in ("xy", "ij"):
        raise ValueError(f"Valid values for indexing are 'xy' and 'ij', got {indexing}.")
    arrays = [to_array(x) for x in xi]
    if any(x.ndim != 1 for x in arrays):
        raise ValueError(
            f"Arguments to meshgrid must be 1D, got shapes {[x.shape for x in arrays]}."
        )
    order = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) >= 2:
        order[:2] = 1, 0
    full_shape = [0] * len(arrays)
    for x, axis in zip(arrays, order, strict=True):
        full_shape[axis] = x.shape[0]
    result: list[Any] = []
    for x, axis in zip(arrays, order, strict=True):
        shape = [n if sparse is False or i == axis else 1 for i, n in enumerate(full_shape)]
        result.append(broadcasting.broadcast_in_dim(x, shape, (axis,)))
    return result


def indices(dimensions: Sequence[int], dtype: DTypeLike | None = None, sparse: bool = False) -> Any:
    """The indices of a grid: one array for each axis, stacked, or a tuple when sparse."""
    extents = canonical_shape(dimensions, "indices")
    kind = int if dtype is None else dtype
    result: list[Any] = []
    for axis, size in enumerate(extents):
        line = primitives.iota(kind, size)
        shape = tuple(n if not sparse or i == axis else 1 for i, n in enumerate(extents))
        result.append(broadcasting.broadcast_in_dim(line, shape, (axis,)))
    if sparse:
        return tuple(result)
    if not result:
        return empty((0,), kind)
    from ..primitives.joining import stack

    return stack(result, 0)


def ix_(*args: Shaped[ArrayLike, "_"]) -> tuple[Array, ...]:
    """Vectors as index arrays of an open grid; masks become the indices where they hold.

    Raises:
        ValueError: an argument is no vector.
    """
    from .search import nonzero

    check_arraylike("ix_", *args)
    result: list[Any] = []
    for i, a in enumerate(args):
        x = to_array(a)
        if x.ndim != 1:
            raise ValueError(f"Arguments to ix_ must be 1-dimensional, got shape {x.shape}.")
        if x.dtype.kind == "b":
            (x,) = nonzero(x)
        elif not x.size:  # a list without elements is one of floats
            x = x.astype(int)
        result.append(x.reshape(tuple(-1 if j == i else 1 for j in range(len(args)))))
    return tuple(result)
