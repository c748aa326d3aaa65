"""`jax.interpreters.xla`: how values of Python's types become arrays; primitives evaluated."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....core.array import to_ndarray
from ...primitives import Primitive, lowerings

# What libraries enter here is kept and not asked: a class is taken in by its `__jax_array__`.
canonicalize_dtype_handlers: dict[type, Any] = {np.ndarray: to_ndarray, np.generic: to_ndarray}


def apply_primitive(prim: Primitive, *args: Any, **params: Any) -> Any:
    """A primitive evaluated by its lowering, which is to be a function (`mlir.lower_fun`).

    Raises:
        TypeError: it has none.
    """
    return lowerings.find(prim)(*args, **params)
