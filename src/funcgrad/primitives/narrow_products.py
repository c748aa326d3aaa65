"""Large products of narrow numbers, as products of the floats that their sums are made in.

In: an eqn of a contraction. Out: a program of conversions and one contraction. The one idea: a
kernel of products reads each number many times, so it pays to widen it once.
"""

from __future__ import annotations

import math

from ..ir.avals import ShapedArray
from ..ir.dtypes import DType
from ..ir.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Var
from ..ir.sources import Source
from .casting import convert_element_type_p

# Products with fewer terms are loops, which read narrow numbers as well.
_SMALL = 1 << 14


def widened(eqn: Eqn, work: DType) -> ClosedJaxpr | None:
    """The program of the same sums for an eqn that adds up in `work`.

    Returns:
        None where operands and result are of that dtype already, where it is no float, and where
        the product is small or one of a matrix and a vector.
    """
    left, right, out = (atom.aval for atom in (*eqn.invars, *eqn.outvars))
    if {left.dtype, right.dtype, out.dtype} == {work} or work.name not in ("float32", "float64"):
        return None
    numbers: tuple[tuple[tuple[int, ...], ...], ...] = eqn.params["dimension_numbers"]
    contracted, batched = numbers
    inner = math.prod([left.shape[a] for a in contracted[0]])
    batch = math.prod([left.shape[a] for a in batched[0]])
    if out.size * inner <= _SMALL or batch * inner in (left.size, right.size):
        return None
    given = [Var(x.strong()) for x in (left, right)]
    wide = [Var(ShapedArray(x.shape, work)) for x in (left, right)]
    total, result = Var(ShapedArray(out.shape, work)), Var(out)
    product = eqn.replace(
        invars=wide, outvars=[total], params={**eqn.params, "preferred_element_type": work}
    )
    eqns = [_converted(x, w, eqn.source) for x, w in zip(given, wide, strict=True)]
    eqns += [product, _converted(total, result, eqn.source)]
    return ClosedJaxpr(Jaxpr([], given, [result], eqns), ())


def _converted(x: Var, to: Var, source: Source | None) -> Eqn:
    params = {"new_dtype": to.aval.dtype, "weak_type": to.aval.weak_type}
    return Eqn([x], [to], convert_element_type_p, params, source=source)
