"""`jax.api_util`: functions on flat arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..linear_util import flatten_fun as flatten_fun
from ..linear_util import flatten_fun_nokwargs as flatten_fun_nokwargs
from ..linear_util import shaped_abstractify as shaped_abstractify
from .extend.core import DebugInfo


def safe_map(f: Callable[..., Any], *args: Sequence[Any]) -> list[Any]:
    """A function over sequences of one length, as a list.

    Raises:
        ValueError: the lengths differ.
    """
    return [f(*xs) for xs in zip(*args, strict=True)]


def debug_info(traced_for: str, fun: Any, args: Any, kwargs: Any, **_: Any) -> DebugInfo:
    """What errors say of a function that is traced: its name."""
    return DebugInfo(traced_for, getattr(fun, "__name__", "<unknown>"))
