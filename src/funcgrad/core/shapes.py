"""`ShapeDtypeStruct`: a shape and dtype standing for an array in abstract calls."""

from __future__ import annotations

from typing import Any

from ..ir import dtypes
from ..ir.avals import HasAval, ShapedArray, canonical_shape


class ShapeDtypeStruct(HasAval):
    """A container for the shape and dtype of an array."""

    __slots__ = ("aval",)

    def __init__(
        self, shape: Any, dtype: Any, *, weak_type: bool = False, sharding: Any = None
    ) -> None:
        """A stand-in; `sharding` is accepted for the one device there is.

        Raises:
            ValueError: dtype is None.
        """
        if dtype is None:
            raise ValueError("ShapeDtypeStruct: dtype must be specified.")
        canonical = dtypes.canonicalize_dtype(dtype, allow_extended_dtype=True)
        self.aval = ShapedArray(canonical_shape(shape), canonical, weak_type)

    def update(self, **changes: Any) -> ShapeDtypeStruct:
        """A stand-in with another shape, dtype, weak_type or sharding.

        Raises:
            TypeError: it has no such attribute.
        """
        known: dict[str, Any] = {"shape": self.shape, "dtype": self.dtype}
        return ShapeDtypeStruct(**{**known, "weak_type": self.weak_type, **changes})

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object: the array has no axis.")
        return self.shape[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeDtypeStruct) and self.aval == other.aval

    def __hash__(self) -> int:
        return hash(self.aval)

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name}{weak})"
