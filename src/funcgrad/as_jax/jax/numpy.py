"""`jax.numpy`: keywords that libraries give to JAX's functions beside the public ones."""

from __future__ import annotations

from typing import Any

from ... import numpy as _fnp
from ...lax import dot_general
from ..absent import AbsentError
from .lax import dot_general as _dot_general_here

__all__ = ["einsum"]


def einsum(subscripts: Any, /, *operands: Any, _dot_general: Any = None, **options: Any) -> Any:
    """`funcgrad.numpy.einsum`.

    Args:
        _dot_general: JAX's hook for another contraction; funcgrad's own is the one there is.
    """
    options.pop("out_sharding", None)  # one device need not be told
    if _dot_general is not None and _dot_general not in (dot_general, _dot_general_here):
        raise AbsentError("jax.numpy.einsum(_dot_general=...)", "given")
    return _fnp.einsum(subscripts, *operands, **options)
