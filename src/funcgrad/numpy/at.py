"""x.at[index]: arrays with some elements changed.

In: an array, an index, values that broadcast to x[index]. Out: a new array. The one idea: an
assignment is a scatter to the windows that the same index would gather from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.array import Array as ArrayValue
from ..ir import dtypes
from ..ir.cautions import caution
from ..primitives import broadcasting, movement, scatter, scatter_places
from ..typing import Array, ArrayLike
from .index_plan import plan_index
from .index_windows import windows
from .indexing import getitem, read
from .promotion import (
    check_arraylike,
    convert,
    dtype_of,
    is_list,
    is_sequence,
    promote_dtypes,
    scalar,
    shape_of,
    to_array,
)

if TYPE_CHECKING:
    from jaxtyping import Shaped


class IndexUpdateHelper:
    """What `x.at` is: takes an index."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> IndexUpdateRef:
        return IndexUpdateRef(self.array, index)

    def __repr__(self) -> str:
        return f"IndexUpdateHelper({self.array!r})"


class IndexUpdateRef:
    """What `x.at[index]` is: its methods give new arrays.

    Those that take values take arrays, numbers, and sequences of them. All take these keywords:
        indices_are_sorted: promises that the indices ascend.
        unique_indices: promises that no element is met twice.
        mode: indices out of range are dropped by default ("drop", "fill"); "clip" moves them to
            the nearest in range, "promise_in_bounds" says there are none.
        wrap_negative_indices: whether negative indices count from the end.
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: Any) -> None:
        self.array = array
        self.index = index

    def __repr__(self) -> str:
        return f"IndexUpdateRef({self.array!r}, {self.index!r})"

    def get(
        self,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        fill_value: Shaped[ArrayLike, ""] | None = None,
        wrap_negative_indices: bool = True,
    ) -> Array:
        """x[index], with a choice of what indices out of range give.

        Args:
            mode: "clip" (the default), "fill" or "promise_in_bounds".
            fill_value: what "fill" fills with: NaN, or the extreme integer by default.
        """
        plain = mode is None and wrap_negative_indices
        if plain and not (indices_are_sorted or unique_indices):
            return getitem(self.array, self.index)
        plan = plan_index(self.index, shape_of(self.array))
        return read(
            self.array,
            plan,
            mode,
            fill_value,
            indices_are_sorted,
            unique_indices,
            wrap_negative_indices,
        )

    def set(self, values: Any, **options: Any) -> Array:
        """x with x[index] = values; which of several wins is not defined."""
        return self._scattered("set", values, options)

    def add(self, values: Any, **options: Any) -> Array:
        """x with x[index] += values; all of several are added."""
        return self._scattered("add", values, options)

    def subtract(self, values: Any, **options: Any) -> Array:
        """x with x[index] -= values; all of several are subtracted."""
        return self._scattered("subtract", values, options)

    def multiply(self, values: Any, **options: Any) -> Array:
        """x with x[index] *= values; all of several are multiplied."""
        return self._scattered("multiply", values, options)

    mul = multiply

    def min(self, values: Any, **options: Any) -> Array:
        """x with x[index] = minimum(x[index], values)."""
        return self._scattered("min", values, options)

    def max(self, values: Any, **options: Any) -> Array:
        """x with x[index] = maximum(x[index], values)."""
        return self._scattered("max", values, options)

    def divide(self, values: Any, **options: Any) -> Array:
        """x with x[index] /= values."""
        from .arithmetic import divide

        return divide(self.array, self._factors(values, options))

    def power(self, values: Any, **options: Any) -> Array:
        """x with x[index] **= values."""
        from .arithmetic import power

        return power(self.array, self._factors(values, options))

    def _factors(self, values: Any, options: dict[str, Any]) -> Any:
        """Ones, with the product of the values at each index."""
        from .creation import ones_like

        values = _array_of(values)
        ones = ones_like(self.array, dtype=promote_dtypes(self.array, values)[0].dtype)
        return IndexUpdateRef(ones, self.index).multiply(values, **options)

    def apply(self, func: Callable[[Any], Any], **options: Any) -> Array:
        """x with x[index] = func(x[index]), again where an element is met several times."""

        def op(x: Any, starts: Any, updates: Any, numbers: Any, **rest: Any) -> Any:
            return scatter.scatter_apply(
                x, starts, func, numbers, update_shape=shape_of(updates), **rest
            )

        zero = convert(0, dtype_of(self.array))
        return _updated("apply", op, self.array, self.index, zero, options)

    def _scattered(self, name: str, values: Any, options: dict[str, Any]) -> Any:
        index: Any = self.index
        values = _array_of(values)
        if type(self.array) is ArrayValue:
            # The steps of a loop over elements are alike if place and value are operands.
            index = _places(index)
            if type(values) in (int, float) and dtype_of(values) == self.array.aval.dtype:
                values = to_array(values)
        return _scattered(name, self.array, index, values, **options)


def _array_of(values: Any) -> Any:
    """Sequences as arrays: they may stand for the values of an update, unlike elsewhere."""
    if not is_sequence(values):
        return values
    from .creation import asarray

    return asarray(values)


_operations: dict[str, Callable[..., Any]] = {
    "set": scatter.scatter,
    "add": scatter.scatter_add,
    "subtract": scatter.scatter_sub,
    "multiply": scatter.scatter_mul,
    "min": scatter.scatter_min,
    "max": scatter.scatter_max,
}


_arithmetic = {"add", "subtract", "multiply"}


def _places(index: Any) -> Any:
    """An index with its integers as arrays."""
    if is_list(index) or not is_sequence(index):
        return _place(index)
    return tuple([_place(entry) for entry in index])


def _place(entry: Any) -> Any:
    """An integer of an index as an array."""
    return scalar(entry, _place_dtype) if type(entry) is int and abs(entry) < 2**31 else entry


_place_dtype = np.dtype(np.int32)


@planned
def _scattered(name: str, array: Any, index: Any, values: Any, **options: Any) -> Any:
    return _updated(name, _operations[name], array, index, values, options)


def _updated(
    name: str,
    op: Callable[..., Any],
    array: Any,
    index: Any,
    values: Any,
    options: dict[str, Any],
) -> Any:
    known = {
        "indices_are_sorted",
        "unique_indices",
        "mode",
        "wrap_negative_indices",
        "out_sharding",
    }
    if not options.keys() <= known:
        raise TypeError(f"at[].{name} got unknown keywords {sorted(options.keys() - known)}.")
    check_arraylike(name, array, values)
    x, y = to_array(array), _in_dtype(array, values)
    if name in _arithmetic and dtype_of(x).kind == "b" and dtype_of(values).kind != "b":
        # Numbers are added to booleans as numbers.
        wide, given = promote_dtypes(array, values)
        return convert(_updated(name, op, wide, index, given, options), dtype_of(x))
    plan = plan_index(index, shape_of(x))
    found = windows(plan, options.get("wrap_negative_indices", True))
    y = broadcasting.broadcast_to(y, _target_shape(found.shape, shape_of(y)))
    y = y.reshape(found.shape)
    if not y.size:
        return x
    if found.new_axes:
        y = movement.squeeze(y, found.new_axes)
    if plan.lifted:
        x = broadcasting.expand_dims(x, plan.lifted)
    numbers = scatter_places.ScatterDimensionNumbers(
        found.numbers.offset_dims,
        found.numbers.collapsed_slice_dims,
        found.numbers.start_index_map,
        found.numbers.operand_batching_dims,
        found.numbers.start_indices_batching_dims,
    )
    out = op(
        x,
        found.starts,
        y,
        numbers,
        indices_are_sorted=options.get("indices_are_sorted", False) or found.ascending,
        unique_indices=options.get("unique_indices", False) or found.distinct,
        mode=options.get("mode"),
    )
    return movement.squeeze(out, plan.lifted) if plan.lifted else out


def _target_shape(shape: tuple[int, ...], own: tuple[int, ...]) -> tuple[int, ...]:
    """The shape values broadcast to; leading axes of size 1 beyond the target's are allowed."""
    extra = len(own) - len(shape)
    return (1,) * extra + shape if extra > 0 and set(own[:extra]) <= {1} else shape


def _in_dtype(x: Any, values: Any) -> Any:
    """The values in the dtype of x; a lossy conversion is announced."""
    target = dtype_of(x)
    value = to_array(values)
    if dtypes.is_key_dtype(target) or dtype_of(value) == target:
        return convert(value, target, to_array(x).weak_type)
    if dtypes.result_type(x, values) != target:
        caution(
            f"scatter inputs have incompatible types: {value.dtype.name} values do not fit an "
            f"array of {target.name} without loss. Convert them with astype({target.name!r}).",
            FutureWarning,
        )
    return value.astype(target)


def at(x: Shaped[ArrayLike, "..."]) -> IndexUpdateHelper:
    """The helper behind x.at."""
    return IndexUpdateHelper(x)
