"""Arrays from values and from shapes: array, asarray, zeros, ones, full and their kin.

In: numbers, nested sequences, NumPy arrays, values of ours. Out: Arrays, or tracers where a tracer
is among the elements. The one idea: contents nobody else can write to are shared, all else is
copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.accelerators import made_on_device
from ..control.foreign import is_foreign, ours, taken
from ..control.plans import planned
from ..core.array import Array as ArrayValue
from ..core.array import to_ndarray
from ..core.remote import RemoteArray
from ..core.shapes import ShapeDtypeStruct
from ..core.sources import user_line
from ..core.trace import Tracer, as_array
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of, canonical_shape
from ..primitives import creation as primitives
from ..primitives.broadcasting import broadcast_to, expand_dims
from ..primitives.casting import convert_element_type_p
from ..typing import Array, ArrayLike, DTypeLike, Shape
from .promotion import (
    check_arraylike,
    convert,
    extents_of,
    is_ndarray,
    is_sequence,
    requested_dtype,
    shape_of,
    unwrap,
)

if TYPE_CHECKING:
    from jaxtyping import Shaped


@made_on_device
def array(
    object: Any,
    dtype: DTypeLike | None = None,
    copy: bool = True,
    order: str | None = "K",
    ndmin: int = 0,
    *,
    device: Any = None,
) -> Array:
    """An array with the elements of `object`, in memory of its own.

    Args:
        object: a number, an array, a nested sequence of them, or an object that NumPy can read.
        dtype: dtype of the elements; the common one of `object` by default.
        copy: share memory that nobody can write to when False.
        order: "K" or "C"; arrays have no memory order to choose.
        ndmin: least number of axes; axes of size 1 are put in front.
        device: where it is made, and stays; the default device if None is given.
    Raises:
        TypeError: the elements are not numbers.
        ValueError: `object` is or holds None, or its rows differ in length.
        OverflowError: a Python int does not fit the dtype.
    """
    if order not in (None, "K", "C"):
        raise ValueError(f"array takes order='K' or 'C', got {order!r}: memory has no other order.")
    wanted = requested_dtype(dtype, "array")
    object = unwrap(object)
    out: Any
    if isinstance(object, (ArrayValue, Tracer)):
        out = object if wanted is None else convert(object, wanted)
        if copy and out is object:
            out = primitives.copy(out)
    elif is_sequence(object):
        out = _from_sequence(object, wanted)
    else:
        out = _from_other(object, wanted)
    missing = ndmin - len(shape_of(out))
    return expand_dims(out, tuple(range(missing))) if missing > 0 else out


@made_on_device
def asarray(
    a: Any,
    dtype: DTypeLike | None = None,
    order: str | None = None,
    *,
    copy: bool | None = None,
    device: Any = None,
) -> Array:
    """An array with the elements of `a`; an Array in the wanted dtype is returned itself.

    Args:
        copy: True always copies, False never does.
    Raises:
        ValueError: copy is False and a copy is needed; otherwise as `array`.
    """
    if type(a) is ArrayValue and dtype is None and not copy:
        return a
    if _may_be_foreign(a) and is_foreign(a):
        wanted = requested_dtype(dtype, "asarray")
        out = taken(a, copy)
        return out if wanted is None else convert(out, wanted)
    if copy is False:
        _check_no_copy(a, dtype)
    return array(a, dtype=dtype, copy=bool(copy), order=order, device=device)


def _check_no_copy(a: Any, dtype: Any) -> None:
    """Raise ValueError where an array of `a` in a dtype needs memory of its own."""
    reason = None
    if isinstance(a, (ArrayValue, Tracer)):
        if dtype is not None and _required(dtype, "asarray") != a.aval.dtype:
            reason = f"it is {a.aval.dtype}, not {dtype}"
    elif not (is_ndarray(a) and not a.flags.writeable and a.base is None):
        reason = "its memory can be written to"
    if reason is not None:
        raise ValueError(
            f"asarray(copy=False) got a {type(a).__name__}, which has to be copied: {reason}.\n"
            f"  {user_line()}\n  Leave copy out."
        )


def _leaves(x: Any) -> Iterator[Any]:
    if is_sequence(x):
        for element in x:
            yield from _leaves(element)
    else:
        yield unwrap(x)


_plain = frozenset({bool, int, float, complex})


def _from_sequence(x: Sequence[Any], dtype: np.dtype[Any] | None) -> Any:
    leaves = list(_leaves(x))
    if any(leaf is None for leaf in leaves):
        raise ValueError(f"None is not a valid value for array: {x!r}. Use nan, or leave it out.")
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        if dtype is None:
            dtype = dtypes.result_type(*leaves)
        return _stack_nested(x, dtype)
    if not set(map(type, leaves)) <= _plain and dtype is None and leaves:
        kinds: dict[Any, Any] = {
            type(v) if type(v) in _plain else _leaf_dtype(v): v for v in leaves
        }
        dtype = dtypes.result_type(*[_strong(k, v) for k, v in kinds.items()])
    if any(isinstance(leaf, ArrayValue) for leaf in leaves):
        x = _to_numpy_nested(x)
    return _from_other(x, dtype)


def _leaf_dtype(x: Any) -> Any:
    weak = getattr(x, "weak_type", False)
    return (np.asarray(x).dtype, weak)


def _strong(key: Any, leaf: Any) -> Any:
    """What stands for a leaf in promotion: itself when it is weak, else its canonical dtype."""
    if isinstance(key, type) or key[1]:
        return leaf
    return dtypes.canonicalize_dtype(key[0])


def _to_numpy_nested(x: Any) -> Any:
    if is_sequence(x):
        return [_to_numpy_nested(element) for element in x]
    return x.numpy() if isinstance(x, ArrayValue) else x


def _stack_nested(x: Any, dtype: np.dtype[Any]) -> Any:
    """Nested sequences that hold tracers, joined along one new axis per level."""
    from ..primitives.joining import stack

    if is_sequence(x):
        parts = [_stack_nested(element, dtype) for element in x]
        shapes = {shape_of(p) for p in parts}
        if len(shapes) > 1:
            raise ValueError(
                f"array got rows of unequal shapes {sorted(shapes)}; all rows must have one shape."
                f"\n  {user_line()}"
            )
        return stack(parts, 0)
    return convert(as_array(unwrap(x)), dtype)


def _from_other(x: Any, dtype: np.dtype[Any] | None) -> ArrayValue:
    """A value or nested sequence without tracers, by NumPy's own conversion."""
    if x is None:
        raise ValueError("None is not a valid value for array. Use nan, or leave it out.")
    plain = type(x) in _plain
    if _may_be_foreign(x) and is_foreign(x):
        out = taken(x, copy=dtype is None)
        return out if dtype is None else convert(out, dtype)
    if plain and dtype is None:
        return ArrayValue(to_ndarray(x), aval_of(x))
    if is_ndarray(x) and dtype is None:
        return ArrayValue(to_ndarray(x))
    found: Any = x if is_ndarray(x) else np.array(x)
    canonical: np.dtype[Any] = found.dtype
    if found.dtype != object or dtype is None:
        canonical = dtypes.canonicalize_dtype(found.dtype, allow_extended_dtype=True)
    target = canonical if dtype is None else dtype
    if target == found.dtype:
        return ArrayValue(found.copy() if found is x or found.base is not None else found)
    if not isinstance(x, (np.ndarray, np.generic)) and found.dtype.kind in "iuO":
        # Python ints are converted one by one: those that do not fit are an error.
        return ArrayValue(np.array(x, dtype=target))
    with np.errstate(all="ignore"):
        params = {"new_dtype": target, "weak_type": False}
        return convert_element_type_p.evaluate_here((found.astype(canonical),), params)


def _may_be_foreign(x: Any) -> bool:
    """Whether x is none of the kinds of values that are in the host's memory for certain."""
    return type(x) not in _plain and not isinstance(
        x, (ArrayValue, Tracer, np.ndarray, np.generic, list, tuple)
    )


@planned
def zeros(shape: Any, dtype: DTypeLike | None = None, *, device: Any = None) -> Array:
    """An array of zeros, float by default."""
    return full(shape, 0, float if dtype is None else dtype, device=device)


@planned
def ones(shape: Any, dtype: DTypeLike | None = None, *, device: Any = None) -> Array:
    """An array of ones, float by default."""
    return full(shape, 1, float if dtype is None else dtype, device=device)


@planned
def empty(shape: Any, dtype: DTypeLike | None = None, *, device: Any = None) -> Array:
    """An array of zeros: arrays never hold values that were not set."""
    return zeros(shape, dtype, device=device)


@made_on_device
@planned
def full(
    shape: Any,
    fill_value: Shaped[ArrayLike, "..."],
    dtype: DTypeLike | None = None,
    *,
    device: Any = None,
) -> Array:
    """An array with every element equal to `fill_value`, which broadcasts to the shape.

    Raises:
        TypeError: fill_value is no array value, or the shape is not made of integers.
        ValueError: fill_value does not broadcast to the shape.
    """
    check_arraylike("full", fill_value)
    extents = canonical_shape(shape, "full")
    if not shape_of(fill_value):
        return primitives.full(extents, fill_value, dtype)
    value = fill_value if dtype is None else convert(fill_value, _required(dtype, "full"))
    return broadcast_to(as_array(value), extents)


def _required(dtype: Any, name: str) -> np.dtype[Any]:
    return dtypes.check_user_dtype_supported(dtype, name)


@planned
def zeros_like(
    a: Any, dtype: DTypeLike | None = None, shape: Any = None, *, device: Any = None
) -> Array:
    """An array of zeros with the shape and dtype of `a`, unless others are given."""
    return full_like(a, 0, dtype, shape, device=device)


@planned
def ones_like(
    a: Any, dtype: DTypeLike | None = None, shape: Any = None, *, device: Any = None
) -> Array:
    """An array of ones with the shape and dtype of `a`, unless others are given."""
    return full_like(a, 1, dtype, shape, device=device)


def empty_like(
    prototype: Any, dtype: DTypeLike | None = None, shape: Any = None, *, device: Any = None
) -> Array:
    """An array of zeros with the shape and dtype of `prototype`, unless others are given."""
    return full_like(prototype, 0, dtype, shape, device=device)


@made_on_device
@planned
def full_like(
    a: Any,
    fill_value: Shaped[ArrayLike, "..."],
    dtype: DTypeLike | None = None,
    shape: Any = None,
    *,
    device: Any = None,
) -> Array:
    """An array with the shape and dtype of `a`, unless others are given, and one value.

    Raises:
        TypeError: `a` has no shape and dtype.
        ValueError: fill_value does not broadcast to the shape.
    """
    if not (hasattr(a, "shape") and hasattr(a, "dtype")):
        check_arraylike("full_like", a)
    if type(a) is RemoteArray and a.committed:
        like = ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type)
        return full_like(like, fill_value, dtype, shape, device=a.device)
    check_arraylike("full_like", fill_value)
    if not shape_of(fill_value):
        return primitives.full_like(a, fill_value, dtype, shape)
    aval = primitives.like_aval(a)
    extents = aval.shape if shape is None else canonical_shape(shape, "full_like")
    target = aval.dtype if dtype is None else _required(dtype, "full_like")
    return broadcast_to(as_array(convert(fill_value, target)), extents)


def copy(a: Shaped[ArrayLike, "..."], order: str | None = None) -> Array:
    """The array in memory of its own."""
    check_arraylike("copy", a)
    return array(a, copy=True, order=order or "K")


@made_on_device
@planned
def astype(
    x: Shaped[ArrayLike, "..."],
    dtype: DTypeLike | None,
    /,
    *,
    copy: bool = False,
    device: Any = None,
) -> Array:
    """The array in another dtype: floats are cut to integers and saturate, integers wrap.

    Args:
        dtype: the dtype; None is the default float.
        copy: always return memory of its own.
    """
    check_arraylike("astype", x)
    target = _required(float if dtype is None else dtype, "astype")
    value = as_array(unwrap(x))
    if target.kind == "b" and value.dtype.kind != "b":
        from ..primitives.comparison import ne

        return ne(value, convert(0, value.dtype))
    if value.dtype.kind == "c" and target.kind in "iuf":
        from .logic import real

        value = real(value)
    out = convert(value, target)
    return primitives.copy(out) if copy and out is x else out


def fromfunction(
    function: Callable[..., Any], shape: Any, *, dtype: DTypeLike = float, **kwargs: Any
) -> Any:
    """The function applied to the arrays of indices of a shape, as `indices` gives them."""
    extents = canonical_shape(shape, "fromfunction")
    axes = [primitives.broadcasted_iota(dtype, extents, i) for i in range(len(extents))]
    return function(*axes, **kwargs)


def frombuffer(buffer: Any, dtype: DTypeLike = float, count: int = -1, offset: int = 0) -> Array:
    """A one-dimensional array read from an object with the buffer protocol."""
    found: Any = np.frombuffer(buffer, np.dtype(_any(dtype)), count, offset)
    return array(found)


def _any(x: Any) -> Any:
    return x


@made_on_device
def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An array over the memory of an object with `__dlpack__`; the owner must not write to it."""
    own = ours(x, copy)
    if own is not None or is_foreign(x):
        return taken(x, copy) if own is None else own
    found = np.from_dlpack(x, copy=True if copy else None)
    view = found.view()
    view.flags.writeable = False
    canonical = dtypes.canonicalize_dtype(view.dtype)
    return ArrayValue(view.astype(canonical, copy=False), ShapedArray(view.shape, canonical))


def shape(a: Any) -> tuple[int, ...]:
    """The extents of the axes."""
    return extents_of("shape", a)


def ndim(a: Any) -> int:
    """The number of axes."""
    return len(extents_of("ndim", a))


def size(a: Any, axis: int | Shape | None = None) -> int:
    """The number of elements, or the extent of an axis (of several: their product)."""
    extents = extents_of("size", a)
    if axis is None:
        return int(np.prod(extents, dtype=np.int64))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    return int(np.prod([extents[i] for i in axes], dtype=np.int64))


def isscalar(element: Any) -> bool:
    """Whether the value is a number or an array without axes."""
    if np.isscalar(element):
        return not isinstance(element, (str, bytes))
    if isinstance(element, np.ndarray):
        return not element.ndim
    return hasattr(element, "aval") and not aval_of(element).shape
