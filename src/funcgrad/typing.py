"""Names for annotations: what counts as an array, and what counts as a dtype.

`Array` and `ArrayLike` are `Any` to a type checker, because the operators of arrays are installed
at import, where a checker does not see them. At run time they are the classes themselves, looked
up on first use, so that this module stands below all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np


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

    def __getattr__(name: str) -> Any:
        if name not in ("Array", "ArrayLike"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .core.array import Array
        from .core.trace import Tracer

        if name == "Array":
            return Array | Tracer
        return Array | Tracer | np.ndarray | np.bool_ | np.number | bool | int | float | complex


__all__ = ["Array", "ArrayLike", "Axis", "DTypeLike", "Shape", "SupportsDType"]
