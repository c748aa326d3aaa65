"""`ShapeDtypeStruct`: a shape and dtype standing for an array in abstract calls."""

from __future__ import annotations

from typing import Any

from ..ir import dtypes
from ..ir.avals import HasAval, ShapedArray, canonical_shape


class ShapeDtypeStruct(HasAval):
    """A container for the shape and dtype of an array."""

    __slots__ = ("_sharding", "aval")

    def __init__(
        self, shape: Any, dtype: Any, *, weak_type: bool = False, sharding: Any = None
    ) -> None:
        """A stand-in.

        Args:
            sharding: where such an array lies; programs lowered for it say so.
        Raises:
            ValueError: dtype is None.
        """
        if dtype is None:
            raise ValueError("ShapeDtypeStruct: dtype must be specified.")
        canonical = dtypes.canonicalize_dtype(dtype, allow_extended_dtype=True)
        self.aval = ShapedArray(canonical_shape(shape), canonical, weak_type)
        self._sharding = sharding

    @property
    def sharding(self) -> Any:
        """Where such an array lies; None if nobody said."""
        return self._sharding

    def update(self, **changes: Any) -> ShapeDtypeStruct:
        """A stand-in with another shape, dtype, weak_type or sharding.

        Raises:
            TypeError: it has no such attribute.
        """
        known: dict[str, Any] = {"shape": self.shape, "dtype": self.dtype}
        known |= {"weak_type": self.weak_type, "sharding": self.sharding}
        return ShapeDtypeStruct(**{**known, **changes})

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object: the array has no axis.")
        return self.shape[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeDtypeStruct) and (self.aval, self.sharding) == (
            other.aval,
            other.sharding,
        )

    def __hash__(self) -> int:
        return hash(self.aval)

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        place = "" if self.sharding is None else f", sharding={self.sharding!r}"
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name}{weak}{place})"
