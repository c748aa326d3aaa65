"""What the memory of a program goes to, for whoever has too little.

In: a program and the bytes it asked for. Out: the text of a MemoryError. The one idea: it is made
from the jaxpr when the error happens, so programs pay nothing for it and those that come from disk
have it too.
"""

from __future__ import annotations

import math

from ..ir.jaxpr import ClosedJaxpr, Jaxpr, subjaxprs
from ..ir.sources import Source, describe

_SHOWN = 3


def no_room(program: ClosedJaxpr, results: int, temporary: int) -> str:
    """The text of the error for a program that finds no memory.

    Args:
        results: bytes of its results.
        temporary: bytes of its values in between, which share an arena.
    """
    largest: dict[tuple[str, str], int] = {}
    for size, what, source in _values(program.jaxpr):
        largest[what, describe(source)] = size
    shown = sorted(largest.items(), key=lambda entry: -entry[1])[:_SHOWN]
    return "\n".join(
        [
            f"There is no room for a program that needs {in_bytes(results)} for its results and "
            f"{in_bytes(temporary)} for what is in between.",
            *(["  Its largest values, not all of which lie in memory, are"] if shown else []),
            *(f"    {in_bytes(size)}  {what}  {line}" for (what, line), size in shown),
            "  Make the batch smaller, save less (checkpoint), or donate arguments "
            "(donate_argnums); jit(f).lower(...).memory shows what lies where.",
        ]
    )


def _values(jaxpr: Jaxpr) -> list[tuple[int, str, Source | None]]:
    """Bytes, type and source of what the eqns make, those of inner jaxprs too."""
    found: list[tuple[int, str, Source | None]] = []
    for eqn in jaxpr.eqns:
        for var in eqn.outvars:
            size = math.prod(var.aval.shape) * var.aval.dtype.itemsize
            found.append((size, f"{var.aval.short()} = {eqn.primitive.name}", eqn.source))
        for inner in subjaxprs(eqn.params):
            found += _values(inner)
    return found


def in_bytes(size: int) -> str:
    """A number of bytes in the largest unit it reaches: `1.5 GiB`."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    unit = min(max(size.bit_length() - 1, 0) // 10, len(units) - 1)
    return f"{size / 1024**unit:.1f} {units[unit]}" if unit else f"{size} bytes"
