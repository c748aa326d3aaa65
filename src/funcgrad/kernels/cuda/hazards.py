"""Where the lanes of a team must wait for each other.

In: statements in the order of the program. Out: yes or no before each. The one idea: memory that
one lane changes and another one touches needs a barrier between; the same lane touches what the
same position of loops of the same extents touches at the same place.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir.loops import Axis
from ...ir.nests import Buffer, For, Node
from .apart import Access, accesses, independent, touches

# Who makes an access that all lanes make, one that the first lane makes, one that is unknown.
_ALL = "all"
_FIRST = "first"
_ANY = "any"


class Touch(NamedTuple):
    """An access since the last barrier, and which lane makes it."""

    buffer: Buffer
    writes: bool
    who: object

    def meets(self, other: Touch) -> bool:
        """Whether two accesses may be of one element by two lanes, one of them changing it."""
        if self.buffer is not other.buffer or not (self.writes or other.writes):
            return False
        return self.who != other.who or self.who in (_ALL, _ANY)


def shared_chain(node: For) -> list[For]:
    """The loop and those right inside of it whose turns are shared out together."""
    chain = [node]
    while len(chain[-1].body) == 1 and isinstance(chain[-1].body[0], For):
        inner = chain[-1].body[0]
        if not independent(inner) or inner.axis.extent == 1:
            break
        chain.append(inner)
    return chain


def touched(node: Node, shared: bool) -> list[Touch]:
    """The accesses of a statement, or of a loop whose turns are shared out."""
    if not shared:
        return [Touch(a.buffer, a.writes, _FIRST if a.writes else _ALL) for a in accesses([node])]
    assert isinstance(node, For)
    chain = shared_chain(node)
    axes: list[Axis] = [loop.axis for loop in chain]
    extents = tuple(a.extent for a in axes)
    return [Touch(a.buffer, a.writes, _owner(a, axes, extents)) for a in accesses(chain[-1].body)]


def _owner(access: Access, axes: list[Axis], extents: tuple[int, ...]) -> object:
    place = touches(access, axes)
    return _ANY if place is None else (extents, place)


class Hazards:
    """What was touched since the lanes last waited."""

    def __init__(self, pending: list[Touch] | None = None) -> None:
        self.pending = list(pending or [])

    def needed(self, new: list[Touch]) -> bool:
        """Whether the lanes must wait before these accesses."""
        return any(a.meets(b) for a in self.pending for b in new)

    def add(self, new: list[Touch]) -> None:
        """Note accesses."""
        self.pending += new

    def clear(self) -> None:
        """All lanes have waited."""
        self.pending = []

    def copy(self) -> Hazards:
        """What was touched, kept for later."""
        return Hazards(self.pending)
