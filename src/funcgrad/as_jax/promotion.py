"""The promotion of arguments, under the names that `jax._src.numpy` has for it."""

from __future__ import annotations

from typing import Any

from ..numpy.promotion import check_arraylike as check_arraylike
from ..numpy.promotion import promote_args as promote_args
from ..numpy.promotion import promote_args_inexact as promote_args_inexact
from ..numpy.promotion import promote_dtypes as promote_dtypes
from ..numpy.promotion import promote_dtypes_inexact as promote_dtypes_inexact
from ..numpy.promotion import to_array

__all__ = [
    "check_arraylike",
    "ensure_arraylike",
    "promote_args",
    "promote_args_inexact",
    "promote_dtypes",
    "promote_dtypes_inexact",
]


def ensure_arraylike(fun_name: str, /, *args: Any) -> Any:
    """Arguments as arrays; one alone, or the tuple of several.

    Raises:
        TypeError: one of them is no array.
    """
    check_arraylike(fun_name, *args)
    arrays = tuple(map(to_array, args))
    return arrays[0] if len(arrays) == 1 else arrays
