"""Names for annotations: what counts as an array, and what counts as a dtype.

`Array` and `ArrayLike` are `Any` to a type checker, because the operators of arrays are installed
at import, where a checker does not see them. At run time they are classes, for `isinstance`: a
tracer is an `Array` as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from .ir.avals import AnyArray


@runtime_checkable
class SupportsDType(Protocol):
    """Anything with a dtype."""

    @property
    def dtype(self) -> np.dtype[Any]: ...


DTypeLike: TypeAlias = str | type[Any] | np.dtype[Any] | SupportsDType
Shape: TypeAlias = Sequence[int]
Axis: TypeAlias = int | Sequence[int] | None

if TYPE_CHECKING:
    Array: TypeAlias = Any
    ArrayLike: TypeAlias = Any
else:
    Array = AnyArray
    ArrayLike = AnyArray | np.ndarray | np.bool_ | np.number | bool | int | float | complex

__all__ = ["Array", "ArrayLike", "Axis", "DTypeLike", "Shape", "SupportsDType"]
