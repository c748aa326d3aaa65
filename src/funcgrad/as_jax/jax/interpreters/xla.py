"""`jax.interpreters.xla`: how values of Python's types become arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....core.array import to_ndarray

# What libraries enter here is kept and not asked: a class is taken in by its `__jax_array__`.
canonicalize_dtype_handlers: dict[type, Any] = {np.ndarray: to_ndarray, np.generic: to_ndarray}
