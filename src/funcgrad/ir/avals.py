"""What is known of a value while its contents are not: shape, dtype and weakness.

In: Python scalars, NumPy arrays, anything with an `aval`. Out: `ShapedArray`. The one idea: an
aval is a small immutable key, and equal ones are one object.
"""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..locks import lock
from . import dtypes
from .sources import in_line

Shape = tuple[int, ...]


class ShapedArray:
    """Shape, dtype and weak type of an array value.

    Equal avals are one object, so they are compared and hashed by identity, which costs nothing in
    keys of caches. An aval that nobody holds is forgotten.
    """

    __slots__ = ("__weakref__", "dtype", "shape", "weak_type")

    shape: Shape
    dtype: np.dtype[Any]
    weak_type: bool

    def __new__(
        cls, shape: Shape, dtype: Any, weak_type: bool = False, sharding: None = None
    ) -> ShapedArray:
        if type(dtype).__module__ != "numpy.dtypes":
            dtype = np.dtype(dtype)
        key = (shape, dtype, weak_type)
        known = _known.get(key)
        if known is not None:
            found = known()
            if found is not None:
                return found
        new = object.__new__(cls)
        new.shape = shape
        new.dtype = dtype
        new.weak_type = weak_type
        return _remembered(key, new)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return size_of(self.shape)

    def update(
        self, shape: Shape | None = None, dtype: Any = None, weak_type: bool | None = None
    ) -> ShapedArray:
        """A copy with the given fields replaced."""
        return ShapedArray(
            self.shape if shape is None else shape,
            self.dtype if dtype is None else dtype,
            self.weak_type if weak_type is None else weak_type,
        )

    def strong(self) -> ShapedArray:
        """The same aval without weak type."""
        return ShapedArray(self.shape, self.dtype) if self.weak_type else self

    def to_tangent(self) -> ShapedArray:
        """The aval of a tangent: the same for floats and complex, `float0` for all else."""
        dtype = dtypes.tangent_dtype(self.dtype)
        return self if dtype == self.dtype else ShapedArray(self.shape, dtype)

    def to_tangent_aval(self) -> ShapedArray:
        """`to_tangent`, by the name that libraries call it."""
        return self.to_tangent()

    def at_least_vspace(self) -> ShapedArray:
        """`to_tangent`, by its former name."""
        return self.to_tangent()

    @property
    def sharding(self) -> None:
        """None: with one device an array lies on it whole."""

    def str_short(self, short_dtypes: bool = False) -> str:
        """The text by the name that libraries call it."""
        return self.short() if short_dtypes else self.long()

    def short(self) -> str:
        """Text in JAX's notation: `f32[3,4]`."""
        return f"{dtypes.short_name(self.dtype)}[{','.join(map(str, self.shape))}]"

    def long(self) -> str:
        """Text for error messages: `float32[3,4]`."""
        return f"{dtypes.long_name(self.dtype)}[{','.join(map(str, self.shape))}]"

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapedArray({self.long()}{weak})"

    def __str__(self) -> str:
        return f"{'~' if self.weak_type else ''}{self.long()}"

    def __reduce__(self) -> Any:
        return ShapedArray, (self.shape, self.dtype, self.weak_type)


_Key = tuple[Shape, Any, bool]
_known: dict[_Key, weakref.ref[ShapedArray]] = {}
_lock = lock()  # a dying aval may be forgotten while this thread remembers another


def _remembered(key: _Key, new: ShapedArray) -> ShapedArray:
    """The aval that all threads shall use for this key."""

    def forget(dead: weakref.ref[ShapedArray]) -> None:
        with _lock:
            if _known.get(key) is dead:
                del _known[key]

    with _lock:
        known = _known.get(key)
        found = known() if known is not None else None
        if found is None:
            found = new
            _known[key] = weakref.ref(new, forget)
        return found


def size_of(shape: Iterable[int]) -> int:
    """Number of elements of an array of this shape."""
    size = 1
    for extent in shape:
        size *= extent
    return size


class HasAval:
    """What is known of a value by its aval; shared by arrays, tracers and stand-ins."""

    __slots__ = ()

    aval: ShapedArray

    @property
    def sharding(self) -> Any:
        """None: a traced value is not said to be anywhere."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.aval.dtype

    @property
    def weak_type(self) -> bool:
        return self.aval.weak_type

    @property
    def ndim(self) -> int:
        return len(self.aval.shape)

    @property
    def size(self) -> int:
        return self.aval.size

    @property
    def itemsize(self) -> int:
        return self.aval.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.aval.size * self.aval.dtype.itemsize


class AnyArray(HasAval):
    """An array value: one in memory, or a tracer that stands for one.

    `funcgrad.Array` for users, for annotations and for `isinstance` inside and outside of traced
    functions. The operators and methods are installed by `funcgrad.numpy`.
    """

    __slots__ = ()
    __module__ = "funcgrad"
    __qualname__ = "Array"

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError(
            "funcgrad.Array is for annotations and isinstance: it makes no arrays. "
            "Use numpy.array, numpy.asarray or device_put."
        )

    def item(self, *args: int) -> Any:
        """The element as a Python scalar."""
        return np.asarray(self).item(*args)


AnyArray.__name__ = "Array"

_numbers = frozenset((bool, int, float, complex))
_scalar_avals: dict[tuple[type, Any], ShapedArray] = {}


def aval_of(x: Any) -> ShapedArray:
    """The aval of any value: Array, Tracer, NumPy array or scalar, Python scalar.

    Raises:
        TypeError: x is not a valid array type.
        ValueError: x is a masked array of NumPy.
    """
    kind: Any = type(x)  # pyright: ignore[reportUnknownVariableType]
    if kind in _numbers:
        key = (kind, dtypes.canonicalize_dtype(kind))
        found = _scalar_avals.get(key)
        if found is None:
            found = _scalar_avals[key] = ShapedArray((), key[1], kind is not bool)
        return found
    if kind is not np.ndarray:
        aval = getattr(x, "aval", None)
        if aval is not None:
            return aval
    if isinstance(x, (np.ndarray, np.generic)):
        array: Any = x  # pyright: ignore[reportUnknownVariableType]
        refuse_masks(array)
        return ShapedArray(
            array.shape, dtypes.canonicalize_dtype(array.dtype, allow_extended_dtype=True)
        )
    if hasattr(x, "__jax_array__"):
        return aval_of(x.__jax_array__())
    for number in (int, float, complex):
        if isinstance(x, number):  # a member of an enumeration, for one
            return aval_of(number())
    raise TypeError(
        f"Value {x!r} of type {kind.__name__} is not a valid array type. "
        f"Give an array, a NumPy array, or a Python number.{in_line()}"
    )


def refuse_masks(x: Any) -> None:
    """Raise ValueError for a masked array of NumPy: its mask would be lost."""
    # `numpy.ma` is found by what only its arrays have, so that nobody has to import it.
    if type(x) is not np.ndarray and hasattr(x, "filled"):
        raise ValueError(
            f"A masked array of NumPy, {dtypes.short_name(x.dtype)}{list(x.shape)}, is not an "
            "array here: its mask would be lost. Give x.filled(value), or x.data and the mask as "
            "two arrays."
        )


def is_value(x: Any) -> bool:
    """Whether x is something primitives accept."""
    return (
        hasattr(x, "aval")
        or isinstance(x, (np.ndarray, np.generic, bool, int, float, complex))
        or hasattr(x, "__jax_array__")
    )


def canonical_shape(shape: Any, context: str = "") -> Shape:
    """The shape as a tuple of non-negative ints.

    Raises:
        TypeError: an extent is not an integer, or negative.
        ValueError: the number of elements is no 64-bit integer.
    """
    given: Any = shape
    if isinstance(shape, tuple):
        for extent in given:
            if type(extent) is not int or extent < 0:
                break
        else:
            return _countable(given)
    try:
        result = tuple(map(operator.index, [given] if np.ndim(given) == 0 else given))
    except TypeError as error:
        name = f" for {context}" if context else ""
        raise TypeError(
            f"Shapes must be 1D sequences of concrete integers{name}, got {shape!r}. "
            "A traced value cannot be an extent; mark it static (static_argnums)."
            f"{in_line()}"
        ) from error
    if any(extent < 0 for extent in result):
        raise TypeError(f"Shape {result} has a negative extent; extents count elements.{in_line()}")
    return _countable(result)


def _countable(shape: Shape) -> Shape:
    """The shape, whose elements an array can count."""
    if math.prod(shape) >= 2**63:
        raise ValueError(
            f"Shape {shape} has {math.prod(shape)} elements: an array has less than 2**63."
        )
    return shape


def canonical_axis(axis: Any, ndim: int, name: str = "axis") -> int:
    """The axis counted from the front.

    Raises:
        TypeError: the axis is no integer.
        AxisError: the axis is out of range: a ValueError, as of JAX, and an IndexError, as the
            array API standard wants.
    """
    try:
        axis = operator.index(axis)
    except TypeError as error:
        raise TypeError(f"{name} takes an integer, got {axis!r}. {error}{in_line()}") from error
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(
            f"{name} {axis} is out of bounds for array of dimension {ndim}: "
            f"give {name} in [{-ndim}, {ndim - 1}].{in_line()}"
        )
    return axis + ndim if axis < 0 else axis
