"""Loops whose carry lives in registers.

In: a scan or a while whose body computes element by element, or on few numbers. Out: kernels with
the turns inside: for each element (or vector of elements) its carry goes through all turns before
the next one begins. The one idea: where an element of the next carry depends on that element of
the last carry alone, the loop over turns and the loops over elements may change places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from typing import Any

import numpy as np

from ..ir.loops import Axis, Region
from ..ir.nests import UNBOUNDED, Advance, Buffer, For, Kernel, Node, Store, expr_cost, statements
from .chunks import buffers_of_body, chunks_of, written_in
from .collapse import collapse
from .elements import FEW, NotInPlace, Place, Simplify, Within
from .items import LibraryBuilder, Step
from .parts import NoParts
from .sharing import Shared
from .storage import storage_shape
from .turns import Parts, Turns, rewrite_all

_NANOSECONDS = 0.06
_SCALAR_NANOSECONDS = 0.5
# Turns that a loop of unknown length is thought to have.
_TURNS = 100

Shape = tuple[int, ...]


def recurrence(
    step: Step,
    wanted: Set[Buffer],
    library: LibraryBuilder,
    simplify: Simplify,
    fresh: Callable[[], str],
    in_order: bool = True,
) -> tuple[list[Kernel], dict[Buffer, Any]] | None:
    """The kernels of a loop, and constants they read; None where its carry is not in registers.

    Args:
        wanted: what is read of its outputs.
        in_order: whether a branch within that changes few of many elements is done in memory.
    """
    what = step.what
    if not isinstance(what, Region) or what.kind not in ("scan", "while"):
        return None
    parts = Parts.of(what, simplify)
    avals = [a.aval for a in parts.closed.jaxpr.outvars]
    if not avals:
        return None
    outs = [storage_shape(a)[0] for a in avals]
    used = [s for s, b in zip(outs, step.outputs, strict=True) if b in wanted]
    for shape in _leading(outs):
        constants: dict[Buffer, Any] = {}
        try:
            made = [
                _Loop(step, what, Within(axes, library, simplify, Turns, in_order), wanted, shape)
                for axes in _groups(used, shape)
            ]
        except (NotInPlace, NoParts):
            continue
        for loop in made:
            constants.update(loop.within.constants)
        return [loop.kernel(fresh()) for loop in made], constants
    return None


def _leading(outs: list[Shape]) -> Iterator[Shape]:
    """Shapes of the loops to try: all axes; none, for few numbers; the first ones of all arrays."""
    shapes = {*outs} - {()}
    if len(shapes) == 1:
        yield next(iter(shapes))
    sizes = [int(np.prod(s, dtype=np.int64)) for s in outs]
    if max(sizes) <= FEW:
        yield ()
    large = [s for s, n in zip(outs, sizes, strict=True) if n > FEW]
    depth = min(map(len, large), default=0)
    for k in reversed(range(1, depth + 1)):
        if len({s[:k] for s in large}) == 1 and {large[0][:k]} != shapes:
            yield large[0][:k]


def leads(out: Shape, shape: Shape) -> bool:
    """Whether a value has loops of a shape around."""
    return bool(shape) and out[: len(shape)] == shape


def _groups(outs: list[Shape], shape: Shape) -> list[tuple[Axis, ...]]:
    """The loops of each kernel: none for what has not all of them, all for the rest."""
    axes = tuple(Axis(n, f"i{k}") for k, n in enumerate(shape))
    apart = [()] if not all(leads(s, shape) for s in outs) else []
    return [*apart, axes] if any(leads(s, shape) for s in outs) else apart


class _Loop:
    """One kernel of a loop, with the outputs that have the same loops around."""

    def __init__(
        self, step: Step, what: Region, within: Within, wanted: Set[Buffer], shape: Shape
    ) -> None:
        self.within = within
        pairs = zip(step.inputs, step.eqn.invars, strict=True)
        given = [within.reader(b, a.aval.dtype) for b, a in pairs]
        turns = self.turns = Turns(what, given, within)
        body, count = turns.loop.body, turns.count
        self.after: list[Node] = []
        # Nothing is stored into what has no elements, but who reads it asks where it is.
        self.empty: list[Buffer] = []
        for k, target in enumerate(step.outputs):
            out = target.shape if k < count else target.shape[1:]
            if target not in wanted or bool(leads(out, shape)) != bool(within.axes):
                continue
            places: list[Place] = within.places(out)
            if not places:
                self.empty.append(target)
            for place in places:
                index = within.at(out, place)
                if k < count:
                    self.after.append(Store(target, index, turns.acc(k, place)))
                else:
                    value = turns.output(k, index)
                    body.insert(-1, Store(target, (turns.at, *index), value))
        for loop in within.loops:
            loop.finish()
            rewrite_all([turns.loop, *self.after], loop.unchanged())

    def kernel(self, name: str) -> Kernel:
        """The loops over elements, and within them the turns."""
        turns, axes = self.turns, self.within.axes
        nodes: list[Node] = [turns.loop, *self.after]
        for k, axis in enumerate(reversed(axes)):
            nodes = [For(axis, nodes, [], vector=not k, times=2 if not k else 1)]
        nodes = collapse(nodes)
        seen: set[int] = set()
        advances = [n for n in statements(turns.loop.body) if isinstance(n, Advance)]
        work = sum(expr_cost(e, seen) for n in advances for _, e in n.pairs) + 2.0
        length = turns.parts.length
        size = int(np.prod(self.within.shape, dtype=np.int64))
        each = work * (_NANOSECONDS if axes else _SCALAR_NANOSECONDS)
        cost = each * size * (length if length < UNBOUNDED else _TURNS)
        extent, grain = chunks_of(nodes, cost) if axes else (1, 1)
        written = written_in(nodes)
        Shared(written).run(nodes)
        params = [*buffers_of_body(nodes), *self.empty]
        written = [*written, *self.empty]
        return Kernel(name, params, written, [], nodes, extent, grain, None, cost, [self._note()])

    def _note(self) -> str:
        parts = self.turns.parts
        body = f"of {len(parts.closed.jaxpr.eqns)} eqns"
        if parts.holds is None:
            return f"{parts.length} turns of a scan {body}"
        return f"turns of a while {body}"
