"""A program as eqns of one primitive, and programs of what stands between them.

In: a simplified jaxpr. Out: its results, by two functions: one for the eqns, one for the rest.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..core.array import Array
from ..core.primitive import Primitive
from ..ir.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var

# The last argument: positions of values that nobody reads any more, whose memory may be used.
Run = Callable[[ClosedJaxpr, Sequence[Any], Sequence[int]], list[Any]]
Special = Callable[[Sequence[Any], dict[str, Any], Sequence[int]], Sequence[Any]]


class Segment(NamedTuple):
    """A part of a program.

    Attributes:
        eqn: the one eqn of the primitive; None: `closed` is a program of others.
        last: what nobody reads after it.
    """

    reads: list[Atom]
    writes: list[Var]
    eqn: Eqn | None
    closed: ClosedJaxpr | None
    last: frozenset[Var]

    @property
    def body(self) -> ClosedJaxpr:
        """The program, or that of the eqn."""
        if self.closed is not None:
            return self.closed
        assert self.eqn is not None
        return self.eqn.params["jaxpr"]


_known: weakref.WeakKeyDictionary[ClosedJaxpr, list[Segment]] = weakref.WeakKeyDictionary()


def run_segments(
    closed: ClosedJaxpr,
    args: Sequence[Any],
    primitive: Primitive,
    special: Special,
    between: Run,
    donated: Sequence[int] = (),
) -> list[Any]:
    """The outputs of a program.

    Args:
        special: gives the results of an eqn of the primitive for its operands and params.
        between: runs a program of the other eqns.
        donated: arguments whose memory may be used.
    """
    found = _known.get(closed)
    if found is None:
        found = _known[closed] = segments(closed.jaxpr, primitive)
    env: dict[Var, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    env.update(zip(closed.jaxpr.invars, args, strict=True))
    ours = {closed.jaxpr.invars[k] for k in donated}

    def read(atom: Atom) -> Any:
        return atom.val if isinstance(atom, Literal) else env[atom]

    for segment in found:
        values = [read(a) for a in segment.reads]
        free = [k for k, a in enumerate(segment.reads) if a in segment.last and a in ours]
        for var in segment.last:
            del env[var]
        if segment.eqn is not None:
            outs = special(values, segment.eqn.params, free)
        else:
            assert segment.closed is not None
            outs = between(segment.closed, values, free)
        env.update(zip(segment.writes, outs, strict=True))
        ours.update(segment.writes)
    return [_array(read(a)) for a in closed.jaxpr.outvars]


def _array(value: Any) -> Any:
    return value if isinstance(value, Array) else Array(value)


def segments(jaxpr: Jaxpr, primitive: Primitive) -> list[Segment]:
    """The parts in order; what the eqns do not wait for stays behind them."""
    wanted: dict[Var, None] = {a: None for a in jaxpr.outvars if isinstance(a, Var)}
    runs: list[list[Eqn]] = [[]]
    for eqn in jaxpr.eqns:
        if eqn.primitive is primitive:
            runs += [[eqn], []]
        else:
            runs[-1].append(eqn)
    found: list[Segment] = []
    for eqns in reversed([r for r in runs if r]):
        made = {v for e in eqns for v in e.outvars}
        read = {a: None for e in eqns for a in e.invars if isinstance(a, Var) and a not in made}
        last = frozenset(a for a in read if a not in wanted)
        if eqns[0].primitive is primitive:
            (eqn,) = eqns
            found.append(Segment(list(eqn.invars), list(eqn.outvars), eqn, None, last))
        else:
            writes = [v for v in wanted if v in made]
            inner = Jaxpr([], list(read), list(writes), eqns, None, jaxpr.debug_name)
            found.append(Segment(list(read), writes, None, ClosedJaxpr(inner), last))
        wanted.update(read)
    return found[::-1]
