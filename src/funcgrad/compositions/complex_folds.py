"""Folds of complex numbers whose parts depend on each other: products, and extremes.

In: complex arrays. Out: the same values by primitives that have kernels. The one idea: products
are folded in halves, each of which is one loop over pairs of parts; the extreme is the number at
the place that a search in both parts finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import numpy as fnp
from ..control.associative import associative_scan
from ..core.composed import compose
from ..ir.jaxpr import Eqn


def has_numbers(eqn: Eqn) -> bool:
    """Whether the operand is complex and not empty."""
    aval = eqn.invars[0].aval
    return aval.dtype.kind == "c" and aval.size > 0


def _rows(x: Any, axes: Sequence[int]) -> Any:
    """What is folded as the last axis."""
    kept = [n for a, n in enumerate(x.shape) if a not in axes]
    last = range(x.ndim - len(axes), x.ndim)
    return fnp.moveaxis(x, tuple(axes), tuple(last)).reshape(*kept, -1)


@compose("reduce_prod", where=has_numbers)
def reduce_prod(x: Any, *, axes: tuple[int, ...], **params: Any) -> Any:
    """The products of both halves, until one number is left."""
    x = _rows(x, axes)
    while x.shape[-1] > 1:
        half = x.shape[-1] // 2
        pairs = x[..., :half] * x[..., half : 2 * half]
        odd = x.shape[-1] % 2
        x = fnp.concatenate([pairs, x[..., 2 * half :]], -1) if odd else pairs
    return x[..., 0]


@compose("reduce_max", where=has_numbers)
def reduce_max(x: Any, *, axes: tuple[int, ...], **params: Any) -> Any:
    """The number that comes last, by the real part, then by the other; the first with a NaN."""
    return _at(x, axes, fnp.argmax)


@compose("reduce_min", where=has_numbers)
def reduce_min(x: Any, *, axes: tuple[int, ...], **params: Any) -> Any:
    """The number that comes first, by the real part, then by the other; the first with a NaN."""
    return _at(x, axes, fnp.argmin)


def _at(x: Any, axes: Sequence[int], place: Callable[..., Any]) -> Any:
    x = _rows(x, axes)
    return fnp.take_along_axis(x, place(x, -1, keepdims=True), -1)[..., 0]


def _cumulative(name: str, combine: Callable[[Any, Any], Any]) -> None:
    @compose(name, where=has_numbers)
    def run(x: Any, *, axis: int, reverse: bool) -> Any:
        return associative_scan(combine, x, reverse=reverse, axis=axis)


_cumulative("cumprod", fnp.multiply)
_cumulative("cummax", fnp.maximum)
_cumulative("cummin", fnp.minimum)
