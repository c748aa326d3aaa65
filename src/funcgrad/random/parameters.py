"""Parameters of distributions: the dtype, the shape and the arrays a sampler works with."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import aval_of, canonical_shape
from ..primitives.broadcasting import broadcast_shapes, broadcast_to
from ..primitives.casting import convert_element_type
from .uniform import check_shape


def joint_shape(name: str, shape: Any, *parameters: Any) -> tuple[int, ...]:
    """The shape asked for, or that of the parameters together when it is None.

    Raises:
        ValueError: the parameters do not broadcast to the shape.
    """
    shapes = [aval_of(p).shape for p in parameters]
    if shape is None:
        return broadcast_shapes(*shapes)
    whole = canonical_shape(shape, name)
    check_shape(name, whole, *shapes)
    return whole


def check_castable(name: str, dtype: np.dtype[Any], *parameters: Any) -> None:
    """Raise TypePromotionError when a parameter has a wider dtype than the result."""
    for parameter in parameters:
        own = aval_of(parameter).dtype
        if own != dtype and dtypes.result_type(parameter, dtype) != dtype:
            raise dtypes.TypePromotionError(
                f"in arguments to {name}, cannot safely cast a parameter of type {own} to {dtype}."
                f"\n  {user_line()}\n  Convert it with astype, or give a wider dtype."
            )


def spread(x: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """A parameter in the dtype and shape of the result."""
    return broadcast_to(convert_element_type(x, dtype), shape)
