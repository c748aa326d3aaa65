"""Loops to kernels: which loop is shared by threads, and in how many chunks.

In: the loops of a group. Out: `Kernel`s. The one idea: only a loop that holds all the work is cut;
what every chunk folds for itself is joined in order by a kernel of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..ir.loops import Axis
from ..ir.nests import Buffer, For, Kernel, Node
from .chunks import (
    SHARED_NANOSECONDS,
    WHOLE,
    Division,
    buffers_of_body,
    chunk_count,
    column_chunks,
    combined,
    divisible,
    join_in_place,
    written_in,
)
from .sharing import Shared
from .stretches import stretches


@dataclass(frozen=True)
class Cutter:
    """Makes kernels of the loops of one group.

    Attributes:
        cost: rough nanoseconds of all loops on one core.
        shared: whether all members run inside shared outer loops.
        rows: what lies on the stack.
        partials: buffers with a result a chunk, where they are joined, and by which operation.
        chunk: the axis of such buffers.
    """

    name: str
    division: Division
    cost: float
    shared: bool
    rows: list[Buffer]
    partials: list[tuple[Buffer, Buffer, str]]
    chunk: Axis

    def running(self, bodies: Sequence[list[Node]], grain: int, cost: float) -> list[Kernel]:
        """A running fold in chunks: their folds, what each of them starts from, and themselves."""
        first, between, last = bodies
        leads = [body[0] for body in (first, last) if isinstance(body[0], For)]
        notes = ("folds of chunks",), ("what is before each chunk",)
        folds = self.kernel(f"{self.name}_folds", first, cost, leads[0], grain, notes[0], True)
        starts = self.kernel(f"{self.name}_starts", between, 64.0, None, 0, notes[1])
        return [folds, starts, self.kernel(self.name, last, cost, leads[1], grain, (), True)]

    def chunked(self, body: list[Node]) -> list[Kernel]:
        """One kernel, its leading loop in chunks, and those that join partial results."""
        cost = self.cost
        loops = [n for n in body if isinstance(n, For)]
        lead = loops[-1] if loops else None
        # Loops beside each other are not to be divided: each chunk would do the others whole.
        whole = self.shared or len(loops) == 1
        if lead is not None and not (whole and divisible(lead, bool(self.partials))):
            lead = None
        if self.partials and self._is_one_chunk(lead, cost):
            for partial, target, _ in self.partials:
                join_in_place(body, partial, target, self.chunk)
            return [self.kernel(self.name, body, cost, None)]
        result = [self.kernel(self.name, body, cost, lead, by_chunk=bool(self.partials))]
        for partial, _, _ in self.partials:
            partial.shape = (self.chunk.extent, *partial.shape[1:])
        for k, together in enumerate(self._together()):
            result.append(combined(together, f"{self.name}_join{k}", self.division))
        return result

    def _together(self) -> list[list[tuple[Buffer, Buffer, str]]]:
        """The partial results that one kernel joins: on a GPU, where launches cost, all alike."""
        found: dict[object, list[tuple[Buffer, Buffer, str]]] = {}
        for k, each in enumerate(self.partials):
            found.setdefault(k if self.division.in_order else each[0].shape, []).append(each)
        return list(found.values())

    def in_stretches(self, body: list[Node]) -> list[Kernel]:
        """A kernel for each stretch of the only loop, if most of the work is in long ones."""
        cost, lead = self.cost, body[0] if body else None
        if len(body) != 1 or not isinstance(lead, For) or self.partials or self.rows:
            return []
        parts = stretches(lead)
        costs = [cost * part.axis.extent / lead.axis.extent for part in parts]
        if sum(c for c in costs if c < SHARED_NANOSECONDS) > cost / 8:
            alone = parts and cost < SHARED_NANOSECONDS
            return [self.kernel(self.name, [*parts], cost, None)] if alone else []
        return [
            self.kernel(f"{self.name}_part{k}", [part], c, part)
            for k, (part, c) in enumerate(zip(parts, costs, strict=True))
        ]

    def _is_one_chunk(self, lead: For | None, cost: float) -> bool:
        """Whether partial results can be done without: there is one chunk, folding into memory.

        On a GPU many threads share a chunk. Narrow results are folded in wider memory.
        """
        if not self.division.in_order or any(p.dtype != t.dtype for p, t, _ in self.partials):
            return False
        return lead is None or self._turns(lead, cost) >= lead.axis.extent

    def _turns(self, lead: For, cost: float) -> int:
        """How many turns of a loop are a chunk."""
        extent, columns = lead.axis.extent, self._columns(lead)
        if columns is not None:
            chunks = column_chunks(extent, *columns)
        else:
            chunks = chunk_count(cost, extent, self.division, self.partials)
        grain = max(-(-lead.axis.extent // chunks), 1)
        whole = WHOLE if grain > 4 * WHOLE and not self.division.in_order else 64
        return -(-grain // whole) * whole if lead.vector else grain

    def _columns(self, lead: For) -> tuple[int, int] | None:
        """How many columns a GPU's threads fold, each for itself, and elements of each in a turn.

        None where they do otherwise.
        """
        sizes = {p.size // p.shape[0] for p, _, _ in self.partials}
        if self.division.in_order or len(sizes) != 1 or self.rows:
            return None
        loop, inside = lead, 1
        while len(loop.body) == 1 and isinstance(loop.body[0], For):
            loop = loop.body[0]
            inside *= loop.axis.extent
        (columns,) = sizes
        if loop is lead or any(isinstance(n, For) for n in loop.body) or not columns:
            return None
        return None if inside % columns else (columns, inside // columns)

    def kernel(
        self,
        name: str,
        body: list[Node],
        cost: float,
        lead: For | None,
        grain: int = 0,
        notes: tuple[str, ...] = (),
        by_chunk: bool = False,
        copies: Buffer | None = None,
    ) -> Kernel:
        """A kernel whose loop `lead`, if there is one, is done in chunks.

        Args:
            grain: turns of a chunk; 0 where the cost decides.
            by_chunk: whether its statements ask for the number of their chunk.
            copies: what it copies, where it does nothing else.
        """
        extent = 1
        if lead is not None:
            lead.chunked = True
            extent = lead.axis.extent
        if not grain:
            grain = 1 if lead is None else self._turns(lead, cost)
        self.chunk.extent = max(-(-extent // grain), 1)
        everything = written_in(body)
        Shared(everything).run(body)
        params = [b for b in buffers_of_body(body) if b not in self.rows]
        written = [b for b in everything if b not in self.rows]
        loops = extent, grain, self.chunk if by_chunk else None
        return Kernel(name, params, written, self.rows, body, *loops, cost, [*notes], copies)
