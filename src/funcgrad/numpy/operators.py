"""The operators and methods of arrays, the same on Array and Tracer.

The one inversion of the layers: `core` defines the classes, and importing `funcgrad.numpy` gives
them arithmetic. Operators return NotImplemented for operands they do not know, so that other
classes can take over.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..ir import dtypes
from ..ir.avals import AnyArray
from ..primitives.casting import bitcast_convert_type
from . import (
    arithmetic,
    contraction,
    creation,
    cumulation,
    diagonals,
    extremes,
    indexing,
    joining,
    logic,
    manipulation,
    namespace_info,
    reductions,
    rounding,
    search,
    selection,
    sorting,
)
from .at import IndexUpdateHelper
from .promotion import dtype_of

_numbers = (AnyArray, int, float, complex, np.ndarray, np.generic)


def _known(x: Any) -> bool:
    return isinstance(x, _numbers) or hasattr(x, "__jax_array__")


def _forward(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return function(self, other) if _known(other) else NotImplemented

    return method


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return function(other, self) if _known(other) else NotImplemented

    return method


_binary: dict[str, Callable[[Any, Any], Any]] = {
    "add": arithmetic.add,
    "sub": arithmetic.subtract,
    "mul": arithmetic.multiply,
    "truediv": arithmetic.divide,
    "floordiv": arithmetic.floor_divide,
    "mod": arithmetic.remainder,
    "divmod": arithmetic.divmod,
    "pow": arithmetic.power,
    "matmul": contraction.matmul,
    "and": logic.bitwise_and,
    "or": logic.bitwise_or,
    "xor": logic.bitwise_xor,
    "lshift": logic.left_shift,
    "rshift": logic.right_shift,
}
_comparisons: dict[str, Callable[[Any, Any], Any]] = {
    "eq": logic.equal,
    "ne": logic.not_equal,
    "lt": logic.less,
    "le": logic.less_equal,
    "gt": logic.greater,
    "ge": logic.greater_equal,
}


def _round(self: Any, ndigits: int | None = None) -> Any:
    rounded = rounding.round(self, ndigits or 0)
    return creation.astype(rounded, int) if ndigits is None else rounded


def _reshape(self: Any, *args: Any, order: str = "C") -> Any:
    """The elements in another shape, given as one tuple or as several ints."""
    shape = args[0] if len(args) == 1 and not isinstance(args[0], int) else args
    return manipulation.reshape(self, shape, order)


def _transpose(self: Any, *args: Any) -> Any:
    """The axes in another order, given as one tuple or as several ints."""
    if not args or (len(args) == 1 and args[0] is None):
        return manipulation.transpose(self)
    axes = args[0] if len(args) == 1 and not isinstance(args[0], int) else args
    return manipulation.transpose(self, axes)


def _flatten(self: Any, order: str = "C") -> Any:
    """The elements along one axis."""
    return manipulation.ravel(self, order)


def _astype(self: Any, dtype: Any, copy: bool = False, device: Any = None) -> Any:
    """The array in another dtype; see `numpy.astype`."""
    return creation.astype(self, dtype, copy=copy, device=device)


def _view(self: Any, dtype: Any = None, type: None = None) -> Any:
    """The same bits read as another dtype; the last axis shrinks or grows with the item size.

    Raises:
        ValueError: the last axis does not divide.
    """
    if dtype is None:
        return self
    target = dtypes.check_user_dtype_supported(dtype, "view")
    own = dtype_of(self)
    if own == target:
        return self
    if own.kind == "b":
        return _view(creation.astype(self, np.uint8), target)
    if target.kind == "b":
        return creation.astype(_view(self, np.uint8), bool)
    if own.itemsize == target.itemsize:
        return bitcast_convert_type(self, target)
    if not self.shape:
        raise ValueError(f"view cannot change the item size of a 0-d array: {own} to {target}.")
    if own.itemsize > target.itemsize:
        out = bitcast_convert_type(self, target)
        return manipulation.reshape(out, (*self.shape[:-1], -1))
    ratio = target.itemsize // own.itemsize
    if self.shape[-1] % ratio:
        raise ValueError(
            f"view as {target} needs a last axis divisible by {ratio}, got shape {self.shape}."
        )
    return bitcast_convert_type(manipulation.reshape(self, (*self.shape[:-1], -1, ratio)), target)


def _refuse_assignment(self: Any, index: Any, value: Any) -> NoReturn:
    """Arrays cannot be changed, traced or not."""
    raise TypeError(
        "Array objects are immutable: x[index] = value is refused. "
        "Use x = x.at[index].set(value), which returns a new array; for array API programs that "
        "assign, funcgrad.experimental.mutable.MutableArray(x)."
    )


def _namespace(self: Any, /, *, api_version: str | None = None) -> Any:
    """The module of the functions that go with this array."""
    namespace_info.check_version(api_version)
    return sys.modules[__name__.rpartition(".")[0]]


def _argsort(self: Any, axis: int | None = -1, **options: Any) -> Any:
    """The indices that sort along an axis; see `numpy.argsort`."""
    return sorting.argsort(self, axis, **options)


def _argpartition(self: Any, kth: int, axis: int = -1) -> Any:
    """The indices that put the kth element in its place; see `numpy.argpartition`."""
    return sorting.argpartition(self, kth, axis)


def _choose(self: Any, choices: Any, out: None = None, mode: str = "raise") -> Any:
    """The choice that each element names; see `numpy.choose`."""
    return selection.choose(self, choices, out, mode)


def _clip(self: Any, min: Any = None, max: Any = None) -> Any:
    """The values limited to [min, max]."""
    return arithmetic.clip(self, min, max)


def _compress(self: Any, condition: Any, axis: int | None = None, **options: Any) -> Any:
    """The elements along an axis where a vector of booleans holds."""
    return indexing.compress(condition, self, axis, **options)


def _copy(self: Any) -> Any:
    """The array in memory of its own."""
    return creation.copy(self)


_methods: dict[str, Callable[..., Any]] = {
    "all": reductions.all,
    "any": reductions.any,
    "argmax": extremes.argmax,
    "argmin": extremes.argmin,
    "argpartition": _argpartition,
    "argsort": _argsort,
    "astype": _astype,
    "choose": _choose,
    "clip": _clip,
    "compress": _compress,
    "conj": logic.conjugate,
    "conjugate": logic.conjugate,
    "copy": _copy,
    "cumprod": cumulation.cumprod,
    "cumsum": cumulation.cumsum,
    "diagonal": diagonals.diagonal,
    "dot": contraction.dot,
    "flatten": _flatten,
    "max": extremes.max,
    "mean": reductions.mean,
    "min": extremes.min,
    "nonzero": search.nonzero,
    "prod": reductions.prod,
    "ptp": extremes.ptp,
    "ravel": manipulation.ravel,
    "repeat": joining.repeat,
    "reshape": _reshape,
    "round": rounding.round,
    "searchsorted": search.searchsorted,
    "sort": sorting.sort,
    "squeeze": manipulation.squeeze,
    "std": reductions.std,
    "sum": reductions.sum,
    "swapaxes": manipulation.swapaxes,
    "take": indexing.take,
    "to_device": namespace_info.to_device,
    "trace": diagonals.trace,
    "transpose": _transpose,
    "var": reductions.var,
    "view": _view,
    "__getitem__": indexing.getitem,
    "__setitem__": _refuse_assignment,
    "__neg__": arithmetic.negative,
    "__pos__": arithmetic.positive,
    "__abs__": arithmetic.absolute,
    "__invert__": logic.bitwise_not,
    "__round__": _round,
    "__array_namespace__": _namespace,
}
_properties: dict[str, Callable[[Any], Any]] = {
    "T": manipulation.transpose,
    "mT": manipulation.matrix_transpose,
    "real": logic.real,
    "imag": logic.imag,
    "at": IndexUpdateHelper,
}


def install(cls: type) -> None:
    """Give the class of array values its operators, methods and properties."""
    for name, function in _binary.items():
        setattr(cls, f"__{name}__", _forward(function))
        setattr(cls, f"__r{name}__", _reflected(function))
    for name, function in _comparisons.items():
        setattr(cls, f"__{name}__", _forward(function))
    for name, function in _methods.items():
        setattr(cls, name, function)
    for name, getter in _properties.items():
        setattr(cls, name, property(getter))


install(AnyArray)
