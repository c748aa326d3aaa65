"""Windows that convolutions and pooling move over the axes between batch and channels."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..core.sources import user_line
from .layer import short

Padding = str | int | Sequence[int | tuple[int, int]]
_names = ("SAME", "SAME_LOWER", "VALID")


class Window(NamedTuple):
    """A window, checked.

    Attributes:
        layer: the name of the layer, for errors.
        size: its extents, one for each axis of space.
        strides: steps between windows.
        padding: `"SAME"`, `"SAME_LOWER"`, `"VALID"`, or pairs (before, after).
        dilation: steps between the elements of a window.
    """

    layer: str
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    def check(self, x: Any) -> None:
        """Raise ValueError when x is no batch [batch, *space, channels] for this window."""
        rank = len(self.size)
        if len(x.shape) != rank + 2:
            raise ValueError(
                f"{self.layer} with a window of {rank} axes takes inputs of {rank + 2} axes "
                f"[batch, *space, channels], got {short(x)} and a window of {self.size}.\n"
                f"  {user_line()}"
            )

    def slides(self, x: Any) -> None:
        """Raise ValueError when x is no such batch, or smaller than the window."""
        self.check(x)
        space = x.shape[1:-1]
        extents = [n + sum(pad) for n, pad in zip(space, self.pads(space), strict=True)]
        if any(n < reach for n, reach in zip(extents, self.reach(), strict=True)):
            raise ValueError(
                f"{self.layer} with a window that reaches over {self.reach()} got {short(x)}, with "
                f"its padding {tuple(extents)}: it does not fit in.\n  {user_line()}\n"
                "  Give larger inputs, more padding or a smaller window."
            )

    def pads(self, space: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """What is added before and after each axis of these extents."""
        if not isinstance(self.padding, str):
            return self.padding
        if self.padding == "VALID":
            return ((0, 0),) * len(space)
        pads: list[tuple[int, int]] = []
        for extent, reach, stride in zip(space, self.reach(), self.strides, strict=True):
            outputs = -(-extent // stride)
            total = max((outputs - 1) * stride + reach - extent, 0)
            half = total // 2
            pads.append((half, total - half) if self.padding == "SAME" else (total - half, half))
        return tuple(pads)

    def reach(self) -> tuple[int, ...]:
        """Extents of the window with the gaps of its dilation."""
        return tuple((n - 1) * d + 1 for n, d in zip(self.size, self.dilation, strict=True))

    def around(self) -> dict[str, Any]:
        """The arguments of `lax.reduce_window`, with the axes of batch and channels."""
        pads = self.padding if isinstance(self.padding, str) else ((0, 0), *self.padding, (0, 0))
        return {
            "window_dimensions": (1, *self.size, 1),
            "window_strides": (1, *self.strides, 1),
            "padding": pads,
            "window_dilation": (1, *self.dilation, 1),
        }


def window_of(
    layer: str,
    size: Sequence[int],
    strides: Sequence[int] | None,
    padding: Padding,
    dilation: Sequence[int] | None = None,
) -> Window:
    """The checked window; strides and dilation default to 1.

    Raises:
        ValueError: extents, strides or dilation below 1, unknown padding, or lengths that differ.
    """
    size = _positive(layer, "window", size, len(size))
    rank = len(size)
    steps = _positive(layer, "strides", strides, rank)
    gaps = _positive(layer, "dilation", dilation, rank)
    return Window(layer, size, steps, _padding(layer, padding, rank), gaps)


def _positive(layer: str, what: str, given: Sequence[int] | None, rank: int) -> tuple[int, ...]:
    if given is None:
        return (1,) * rank
    numbers = tuple(operator.index(n) for n in given)
    if len(numbers) != rank or not rank or min(numbers) < 1:
        raise ValueError(
            f"{layer} needs {what} of {rank or 'one or more'} positive integers, one for each axis "
            f"of the window, got {numbers}.\n  {user_line()}"
        )
    return numbers


def _padding(layer: str, padding: Padding, rank: int) -> str | tuple[tuple[int, int], ...]:
    if isinstance(padding, int):
        padding = (padding,) * rank
    if isinstance(padding, str):
        if padding.upper() in _names:
            return padding.upper()
        raise ValueError(
            f"{layer} got unknown padding {padding!r}.\n  {user_line()}\n"
            f"  Give one of {_names}, or a pair (before, after) for each axis of the window."
        )
    pairs = tuple((p, p) if isinstance(p, int) else (int(p[0]), int(p[1])) for p in padding)
    if len(pairs) != rank or min(min(pair) for pair in pairs) < 0:
        raise ValueError(
            f"{layer} needs padding of {rank} pairs (before, after) of numbers from 0 on, got "
            f"{pairs}.\n  {user_line()}"
        )
    return pairs
