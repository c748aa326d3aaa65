"""einops on arrays of funcgrad, traced or not.

In: the functions of einops, which ask each of their backends whether an array is its own. Out: a
backend that says yes to arrays and tracers. The one idea: einops finds backends among the
subclasses of its base class, so that one has to be made where einops is wanted, and not at
`import funcgrad`, which loads no other library.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import numpy as fnp
from ..ir.avals import AnyArray
from ..ir.dtypes import issubdtype

_registered: list[type] = []


class Operations:
    """What einops asks of a backend, done by functions of the numpy namespace."""

    framework_name = "funcgrad"

    def is_appropriate_type(self, tensor: Any) -> bool:
        """Whether the backend takes the value: arrays in memory and tracers."""
        return isinstance(tensor, AnyArray)

    def from_numpy(self, x: Any) -> Any:
        """A NumPy array as an array."""
        return fnp.asarray(x)

    def to_numpy(self, x: Any) -> np.ndarray[Any, Any]:
        """An array as a NumPy array."""
        return np.asarray(x)

    def arange(self, start: int, stop: int) -> Any:
        """The integers from start to stop."""
        return fnp.arange(start, stop)

    def stack_on_zeroth_dimension(self, tensors: Sequence[Any]) -> Any:
        """The arrays of a list along a new first axis."""
        return fnp.stack(tensors)

    def tile(self, x: Any, repeats: tuple[int, ...]) -> Any:
        """Copies along each axis."""
        return fnp.tile(x, repeats)

    def concat(self, tensors: Sequence[Any], axis: int) -> Any:
        """The arrays of a list along an axis they have."""
        return fnp.concatenate(tensors, axis=axis)

    def is_float_type(self, x: Any) -> bool:
        """Whether a mean stays in the dtype."""
        return issubdtype(x.dtype, np.inexact)

    def add_axis(self, x: Any, new_position: int) -> Any:
        """The array with an axis of size 1 more."""
        return fnp.expand_dims(x, new_position)

    def einsum(self, pattern: str, *x: Any) -> Any:
        """The sum of products that a pattern names."""
        return fnp.einsum(pattern, *x)


def register_einops() -> None:
    """Einops takes arrays from here on: `rearrange`, `reduce`, `repeat`, `pack`, `einsum`.

    To be called once, also before anything is traced; more calls change nothing. `einops.array_api`
    needs no call.

    Raises:
        ImportError: einops is not installed.
    """
    if not _registered:
        base: Any = importlib.import_module("einops._backends").AbstractBackend
        # einops finds the class as a subclass of its own, and this list keeps it alive.
        _registered.append(type("FuncgradBackend", (Operations, base), {}))
