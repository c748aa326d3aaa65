"""Which eqn made a NaN: what `debug_nans` and `debug_infs` do once a result has one.

In: a program, its arguments, and results among which there is a NaN. Out: FloatingPointError that
names the eqn, its scope, the user's line, and the turn of the loop. The one idea: programs run
compiled, and only results are looked at; if one is bad, the program runs once more eqn by eqn, and
the NaN is followed backwards from the result to the first eqn that has it in none of its operands.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.array import to_ndarray
from ..core.evaluate import run_numpy
from ..core.primitive import forbidden, invalid_text
from ..core.sources import current_source, describe
from ..ir.avals import ShapedArray
from ..ir.jaxpr import Atom, ClosedJaxpr, Eqn, Literal, Var
from ..ir.sources import Source
from .jit import simplified

NDArray = np.ndarray[Any, Any]
# Gives (what, program, arguments) of each program that an eqn runs; is sent the results.
Parts = Generator[tuple[str, ClosedJaxpr, list[NDArray]], list[NDArray], None]


class Found(NamedTuple):
    """The eqn that made it, None where an input had it; the values there, and the way to it."""

    eqn: Eqn | None
    reads: list[NDArray]
    writes: list[NDArray]
    way: tuple[str, ...]


def check_results(closed: ClosedJaxpr, arrays: Sequence[Any], outs: Sequence[NDArray]) -> None:
    """Raise FloatingPointError if the options forbid a value among the results of a program."""
    if not any(map(forbidden, outs)):
        return
    name = closed.jaxpr.debug_name or "a program"
    found = _search(closed, [to_ndarray(x) for x in arrays])
    _raise(found, outs, name, current_source())


def check_eqn(
    primitive: Any, params: dict[str, Any], arrays: Sequence[Any], outs: Sequence[Any]
) -> None:
    """Raise FloatingPointError if the options forbid a value among the results of control flow."""
    values = [np.asarray(x) for x in outs]
    if not any(map(forbidden, values)):
        return
    variables = [Var(ShapedArray(x.shape, x.dtype)) for x in values]
    source = current_source()
    eqn = Eqn([], variables, primitive, params, source=source)
    inputs = [np.asarray(x) for x in arrays]
    found = _within(eqn, inputs, values) if not any(map(forbidden, inputs)) else None
    _raise(found, values, primitive.name, source)


def _search(closed: ClosedJaxpr, arrays: Sequence[NDArray]) -> Found | None:
    """Where the bad results of a program come from; None if it has none eqn by eqn."""
    jaxpr = closed.jaxpr
    values: dict[Atom, NDArray] = {}
    made_by: dict[Atom, Eqn] = {}
    inputs = [*map(to_ndarray, closed.consts), *arrays]
    values.update(zip([*jaxpr.constvars, *jaxpr.invars], inputs, strict=True))

    def read(atom: Atom) -> NDArray:
        if isinstance(atom, Literal):
            return np.asarray(to_ndarray(atom.val), atom.aval.dtype)
        return values[atom]

    for eqn in jaxpr.eqns:
        if eqn.outvars:  # what only prints is not to print twice
            values.update(zip(eqn.outvars, _results(eqn, [*map(read, eqn.invars)]), strict=True))
            made_by.update(dict.fromkeys(eqn.outvars, eqn))
    at = _first(jaxpr.outvars, read)
    while at is not None:
        eqn = made_by.get(at)
        if eqn is None:
            return Found(None, [], [values[at]], ())
        before = _first(eqn.invars, read)
        if before is None:
            return _within(eqn, [*map(read, eqn.invars)], [values[v] for v in eqn.outvars])
        at = before
    return None


def _first(atoms: Sequence[Atom], read: Callable[[Atom], NDArray]) -> Atom | None:
    """The first variable with a forbidden value; constants in the program are no values of it."""
    return next((a for a in atoms if not isinstance(a, Literal) and forbidden(read(a))), None)


def _results(eqn: Eqn, reads: Sequence[NDArray]) -> list[NDArray]:
    inner = _program(eqn)
    if inner is not None:
        return run_numpy(simplified(inner), reads)
    with np.errstate(all="ignore"):
        result = eqn.rule()(*reads, **eqn.params)
    results = result if eqn.primitive.multiple_results else [result]
    return [np.asarray(x) for x in results]


def _within(eqn: Eqn, reads: list[NDArray], writes: list[NDArray]) -> Found:
    """The eqn, or the one inside of it that made the values."""
    name = eqn.primitive.name
    parts = _parts[name](reads, eqn.params) if name in _parts else None
    inner = _program(eqn)
    if inner is not None:
        parts = _once(inner, reads)
    if parts is not None:
        part = next(parts, None)
        while part is not None:
            what, closed, arrays = part
            outs = run_numpy(simplified(closed), arrays)
            if any(map(forbidden, outs)):
                found = _search(closed, arrays)
                if found is not None and found.eqn is not None:
                    return found._replace(way=(*found.way, *([what] if what else [])))
                break
            try:
                part = parts.send(outs)
            except StopIteration:
                part = None
    return Found(eqn, reads, writes, ())


def _program(eqn: Eqn) -> ClosedJaxpr | None:
    """The program that an eqn runs once on its operands, if it is such an eqn."""
    held = [p for p in eqn.params.values() if isinstance(p, ClosedJaxpr)]
    if eqn.primitive.name in _parts or len(held) != 1:
        return None
    return held[0] if len(held[0].out_avals) == len(eqn.outvars) else None


def _once(closed: ClosedJaxpr, reads: Sequence[NDArray]) -> Parts:
    yield "", closed, list(reads)


def _scan(reads: Sequence[NDArray], params: dict[str, Any]) -> Parts:
    ends = params["num_consts"], params["num_consts"] + params["num_carry"]
    consts, carry, xs = reads[: ends[0]], reads[ends[0] : ends[1]], reads[ends[1] :]
    turns = range(params["length"])
    for i in reversed(turns) if params["reverse"] else turns:
        outs = yield f"turn {i} of scan", params["jaxpr"], [*consts, *carry, *(x[i] for x in xs)]
        carry = outs[: params["num_carry"]]


def _while(reads: Sequence[NDArray], params: dict[str, Any]) -> Parts:
    ends = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    held, consts, carry = reads[: ends[0]], reads[ends[0] : ends[1]], reads[ends[1] :]
    holds = simplified(params["cond_jaxpr"])
    turn = 0
    while bool(run_numpy(holds, [*held, *carry])[0]):
        carry = yield f"turn {turn} of while", params["body_jaxpr"], [*consts, *carry]
        turn += 1


def _cond(reads: Sequence[NDArray], params: dict[str, Any]) -> Parts:
    branches: Sequence[ClosedJaxpr] = params["branches"]
    index = min(max(int(reads[0]), 0), len(branches) - 1)
    yield f"branch {index} of cond", branches[index], list(reads[1:])


_parts: dict[str, Callable[[Sequence[NDArray], dict[str, Any]], Parts]] = {
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}


def _raise(found: Found | None, outs: Sequence[NDArray], name: str, source: Source | None) -> None:
    k, bad = next((k, x) for k, x in enumerate(outs) if forbidden(x))
    if found is None or found.eqn is None:
        why = (
            "The program was given it: an argument, or a value that it captured, has it already."
            if found is not None or name in _parts
            else "Eqn by eqn in NumPy it has none: that depends on rounding, or on overflow."
        )
        raise FloatingPointError(invalid_text(name, bad, source, f"result {k}") + f"\n  {why}")
    eqn = found.eqn
    made = next(x for x in found.writes if forbidden(x))
    lines = [invalid_text(eqn.primitive.name, made, eqn.source or source)]
    lines += [f"  in {what}" for what in found.way]
    lines += [f"  operand {i}: {_told(x)}" for i, x in enumerate(found.reads)]
    called = describe(source)
    if called and called != describe(eqn.source):
        lines.append(f"  called from {called}")
    raise FloatingPointError("\n".join(lines))


def _told(x: NDArray) -> str:
    """An operand: its type, and the value or the range of values."""
    kind = ShapedArray(x.shape, x.dtype).long()
    if not x.size or x.dtype.kind not in "biuf":
        return kind
    wide = x.astype(np.float64)
    if x.size == 1:
        return f"{kind}, {wide.reshape(()):.6g}"
    return f"{kind}, from {wide.min():.6g} to {wide.max():.6g}"
