"""What goes between the host and a GPU when a program runs, in words.

In: a program and where its arguments are. Out: lines for its page: bytes brought, bytes that stay,
and where the host waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...ir.printing import names_of
from ...ir.sources import describe
from ..explain import count, size_text
from ..notes import eqn_line
from ..program import Block, Branch, HostCall, While
from .program import CudaProgram


class Given(NamedTuple):
    """An argument: its name, its type, its bytes, and its device; "": the host's memory."""

    name: str
    type: str
    bytes: int
    place: str


def transfers(program: CudaProgram, given: Sequence[Given], device: str) -> list[str]:
    """The lines: arguments, constants, results, and where the host reads in between."""
    lines = ["transfers"]
    moved = [g for g in given if g.place != device]
    for g in moved:
        origin = g.place or "the host"
        lines.append(f"  {g.name}: {g.type}, {size_text(g.bytes)} from {origin} at every call")
    stay = [g for g in given if g.place == device]
    if stay:
        total = size_text(sum(g.bytes for g in stay))
        lines.append(f"  {count(len(stay), 'argument')} of {total} on {device} already")
    constants = sum(b.bytes for block, _ in _blocks(program.block) for b in block.constants)
    if constants:
        lines.append(f"  constants: {size_text(constants)} from the host, once")
    outputs = program.block.outputs
    total = size_text(sum(b.bytes for b in outputs))
    lines.append(f"  {count(len(outputs), 'result')} of {total}, on {device} until the host reads")
    return lines + list(_waits(program.block))


def _blocks(block: Block) -> Iterator[tuple[Block, int]]:
    yield block, 0
    for inner in block.inner():
        yield from _blocks(inner)


def _waits(block: Block) -> Iterator[str]:
    """Where the host reads while the program runs, which it waits for."""
    for inner, _ in _blocks(block):
        for step in inner.steps:
            if not isinstance(step, HostCall | While | Branch):
                continue
            if isinstance(step, HostCall) and step.native is not None:
                continue
            line = eqn_line(step.eqn, names_of(inner.jaxpr))
            where = describe(step.eqn.source)
            if isinstance(step, HostCall):
                there = size_text(sum(b.bytes for b in step.reads))
                back = size_text(sum(b.bytes for b in step.writes))
                what = f"the host waits for {there}, calls Python and brings {back}"
            elif isinstance(step, While):
                what = "each turn is decided by 1 byte"
            else:
                what = f"the branch is decided by {size_text(step.reads[0].bytes)}"
            yield f"  {what}: {line}" + (f"\n    {where}" if where else "")
