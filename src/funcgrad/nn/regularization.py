"""Layers that drop at random in training: elements, or whole branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import numpy as fnp
from .. import random
from ..core.sources import user_line
from .layer import Layer, check_axes, entries


def dropout(rate: float, *, broadcast_axes: Sequence[int] = ()) -> Layer:
    """In training, each element is 0 with probability `rate`, else x / (1 − rate); otherwise x.

    state: `{"key": key}`, split at each training call. No params.

    Args:
        broadcast_axes: axes along which all are kept or dropped together; the axes of space drop
            whole channels.
    Raises:
        ValueError: a rate outside of 0 … 1.
    Source: Srivastava et al., JMLR 15 (2014).
    """
    checked_rate("dropout", rate)

    def together(rank: int) -> set[int]:
        return {axis % rank for axis in broadcast_axes}

    return _dropping("dropout", rate, together)


def drop_path(rate: float) -> Layer:
    """In training, a whole example is 0 with probability `rate`, else x / (1 − rate).

    At the end of the inner layer of a `residual` it leaves that example with its shortcut alone.

    state: `{"key": key}`, split at each training call. No params.
    Source: Huang et al., arXiv:1603.09382.
    """
    checked_rate("drop_path", rate)
    return _dropping("drop_path", rate, lambda rank: set(range(1, rank)))


def checked_rate(layer: str, rate: float) -> float:
    """The rate, if it is a share."""
    if not 0 <= rate <= 1:
        raise ValueError(
            f"{layer} needs a rate from 0 to 1, the share that is dropped; got {rate}.\n"
            f"  {user_line()}"
        )
    return float(rate)


def _dropping(layer: str, rate: float, together: Callable[[int], set[int]]) -> Layer:
    """A layer that drops; together(rank) are the axes along which one draw holds for all."""

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        # What cannot be split is no key; better now than at the first training call.
        return (), {"key": random.split(key, 1)[0]}

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        (key,) = entries(state, ("key",), layer, "state")
        check_axes(x, 1, layer, "a batch")
        if not train or rate == 0:
            return x, state
        key, own = random.split(key)
        if rate == 1:
            return fnp.zeros_like(x), {"key": key}
        joined = together(len(x.shape))
        draws = tuple(1 if i in joined else n for i, n in enumerate(x.shape))
        kept = random.bernoulli(own, 1 - rate, draws)
        return fnp.where(kept, x / (1 - rate), 0).astype(x.dtype), {"key": key}

    return Layer(init, apply, layer)
