"""Moving and adding batch axes, for the batch rules of every primitive.

The two movements are primitives themselves and register here at import, so that rules can name
them without importing their family.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_movement: dict[str, Callable[..., Any]] = {}


def provide_movement(name: str, function: Callable[..., Any]) -> None:
    """Register `moveaxis(x, source, target)` or `broadcast(x, size, at)`; once, at import."""
    _movement[name] = function


def move_axis(x: Any, source: int, target: int) -> Any:
    """The array with one axis moved."""
    return x if source == target else _movement["moveaxis"](x, source, target)


def broadcast_at(x: Any, size: int, at: int) -> Any:
    """The array repeated `size` times along a new axis."""
    return _movement["broadcast"](x, size, at)


def to_axis(x: Any, dim: int | None, size: int, target: int) -> Any:
    """The batch with its axis at `target`; broadcast when it has none."""
    return broadcast_at(x, size, target) if dim is None else move_axis(x, dim, target)


def to_front(x: Any, dim: int | None, size: int) -> Any:
    """The batch with its axis first; broadcast when it has none."""
    return to_axis(x, dim, size, 0)
