"""What a group's loops are made of while they are built: values that are there, and phases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..ir.loops import Axis, Expr
from ..ir.nests import Acc, Buffer, Node


class Made(NamedTuple):
    """What is known of a value made in the group.

    Attributes:
        value: its expression, where it can be used without memory.
        phase: the phase that makes it, `ready`: the first one that may use it from elsewhere.
        place: its buffer or row, and how many leading axes of the value the row lacks.
    """

    value: Expr | None
    phase: int
    ready: int
    place: Buffer
    dropped: int
    axes: tuple[Axis, ...]


@dataclass(eq=False)
class Phase:
    """Inner loops over `axes` around `body`; then `after`, outside of them."""

    axes: tuple[Axis, ...]
    plain: bool
    body: list[Node] = field(default_factory=lambda: [])
    accs: list[Acc] = field(default_factory=lambda: [])
    after: list[Node] = field(default_factory=lambda: [])
