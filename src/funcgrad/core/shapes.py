"""`ShapeDtypeStruct`: a shape and dtype standing for an array in abstract calls."""

from __future__ import annotations

from typing import Any

from ..errors import InconclusiveDimensionOperation
from ..ir import dtypes
from ..ir.avals import HasAval, ShapedArray, canonical_shape
from ..ir.dimensions import has_unknown


class ShapeDtypeStruct(HasAval):
    """A container for the shape and dtype of an array."""

    __slots__ = ("_aval", "_shape", "_sharding")

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
        self._shape: Any = tuple(shape) if has_unknown(shape) else canonical_shape(shape)
        # Of a shape with unknown extents there is no aval: only the dtype of this one is looked at.
        known = () if has_unknown(self._shape) else self._shape
        self._aval = ShapedArray(known, canonical, weak_type)
        self._sharding = sharding

    @property
    def shape(self) -> Any:
        """The extents; those that depend on unknown sizes are no integers, but `Dimension`s."""
        return self._shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._shape)

    @property
    def dtype(self) -> Any:
        """The type of the elements."""
        return self._aval.dtype

    @property
    def weak_type(self) -> bool:
        """Whether the type gives way to another in an operation with it."""
        return self._aval.weak_type

    @property
    def aval(self) -> ShapedArray:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What is traced for it.

        Raises:
            InconclusiveDimensionOperation: an extent depends on unknown sizes.
        """
        if has_unknown(self._shape):
            raise InconclusiveDimensionOperation(
                f"{self!r} has extents that depend on sizes unknown. eval_shape takes such shapes; "
                "what is compiled or run needs integers."
            )
        return self._aval

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
        return isinstance(other, ShapeDtypeStruct) and (
            (self.shape, self._aval, self.sharding) == (other.shape, other._aval, other.sharding)
        )

    def __hash__(self) -> int:
        return hash((self._shape, self._aval))

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        place = "" if self.sharding is None else f", sharding={self.sharding!r}"
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name}{weak}{place})"
