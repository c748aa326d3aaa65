"""What goes between the host and a GPU when a program runs, in words.

In: a program and where its arguments are. Out: lines for its page: bytes brought, bytes that stay,
and where the host waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...core.remote import RemoteArray
from ...ir.printing import names_of
from ...ir.sources import describe
from ..explain import count, size_text
from ..notes import eqn_line
from ..program import Block, Branch, HostCall, While, all_constants
from .program import CudaProgram


class Given(NamedTuple):
    """An argument: its name, its type, its bytes, and its device; "": the host's memory."""

    name: str
    type: str
    bytes: int
    place: str


def transfers(
    program: CudaProgram, given: Sequence[Given], device: str, decides: bool
) -> list[str]:
    """The lines: arguments, constants, results, and where the host reads in between.

    Args:
        decides: whether the device chooses the ways of loops and branches, if nothing waits for
            Python.
    """
    lines = ["transfers"]
    moved = [g for g in given if g.place != device]
    for g in moved:
        origin = g.place or "the host"
        lines.append(f"  {g.name}: {g.type}, {size_text(g.bytes)} from {origin} at every call")
    stay = [g for g in given if g.place == device]
    if stay:
        total = size_text(sum(g.bytes for g in stay))
        lines.append(f"  {count(len(stay), 'argument')} of {total} on {device} already")
    lines += _constants(program.block, device)
    outputs = program.block.outputs
    total = size_text(sum(b.bytes for b in outputs))
    lines.append(f"  {count(len(outputs), 'result')} of {total}, on {device} until the host reads")
    waits = list(_waits(program.block))
    if decides and not any(calls for calls, _ in waits):
        return lines
    return lines + [line for _, line in waits]


def _constants(block: Block, device: str) -> Iterator[str]:
    """What a program has captured, by where it lies."""
    sizes: dict[str, int] = {}
    for b, value in all_constants(block).items():
        origin = str(value.device) if type(value) is RemoteArray else "the host"
        sizes[origin] = sizes.get(origin, 0) + b.bytes
    for origin, size in sizes.items():
        how = "there already" if origin == device else "once"
        yield f"  constants: {size_text(size)} from {origin}, {how}"


def _blocks(block: Block) -> Iterator[tuple[Block, int]]:
    yield block, 0
    for inner in block.inner():
        yield from _blocks(inner)


def _waits(block: Block) -> Iterator[tuple[bool, str]]:
    """Where the host reads while the program runs: whether it calls Python, and the line."""
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
                what = "the host waits for 1 byte at each turn"
            else:
                what = f"the host waits for {size_text(step.reads[0].bytes)} to choose"
            text = f"  {what}: {line}" + (f"\n    {where}" if where else "")
            yield isinstance(step, HostCall), text
