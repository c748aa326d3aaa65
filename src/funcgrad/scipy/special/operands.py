"""Operands of special functions: promoted to one float dtype and rank, complex ones refused."""

from __future__ import annotations

from typing import Any

from ...core.sources import user_line
from ...ir import dtypes
from ...numpy.promotion import dtype_of, promote_args_inexact, to_array


def floats(name: str, *args: Any) -> list[Any]:
    """The arguments in one float dtype and rank.

    Raises:
        TypeError: an argument is no array and no number.
        ValueError: an argument is complex.
    """
    values = [to_array(x) for x in promote_args_inexact(name, *args)]
    if dtype_of(values[0]).kind == "c":
        raise ValueError(
            f"{name} does not support complex-valued inputs, got "
            f"{dtypes.short_name(dtype_of(values[0]))}.\n  {user_line()}\n"
            "  Take the real part, or the absolute value."
        )
    return values


def inexact(name: str, *args: Any) -> list[Any]:
    """The arguments in one float or complex dtype and rank."""
    return [to_array(x) for x in promote_args_inexact(name, *args)]
