"""`jax.numpy`: keywords that libraries give to JAX's functions beside the public ones."""

from __future__ import annotations

from typing import Any

from ... import numpy as _fnp
from ...lax import dot_general
from ...numpy.einsum import sums_of_products
from .lax import dot_general as _dot_general_here

__all__ = ["einsum"]


def einsum(subscripts: Any, /, *operands: Any, _dot_general: Any = None, **options: Any) -> Any:
    """`funcgrad.numpy.einsum`.

    Args:
        _dot_general: JAX's hook for another product of two arrays, as those of quantized layers.
    """
    options.pop("out_sharding", None)  # one device need not be told
    if _dot_general in (None, dot_general, _dot_general_here):
        return _fnp.einsum(subscripts, *operands, **options)
    named = ("optimize", "auto"), ("precision", None), ("preferred_element_type", None)
    given = [options.get(name, default) for name, default in named]
    return sums_of_products(_dot_general, subscripts, operands, *given)
