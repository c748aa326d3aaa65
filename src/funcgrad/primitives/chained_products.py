"""Products of three factors in the cheaper order.

In: two eqns of contractions, one of which reads the other. Out: two eqns that give the same sums
with less work, or None. The one idea: each axis is a letter, as in `einsum`; a contraction costs
as many multiplications as the extents of all its letters multiply to, so that

    (A B) v = A (B v),    (Q K') V = Q (K' V),    sum over b of w_b x_b y_b' = X' (w Y)

take the right-hand side where it has fewer of them. What differs is rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..ir.avals import ShapedArray
from ..ir.jaxpr import Atom, Eqn, Var
from .movement import transpose_p

Letters = tuple[int, ...]


def reordered(first: Eqn, second: Eqn, at: int) -> list[Eqn] | None:
    """The eqns of a chain of two contractions in another order.

    Args:
        first: what makes the operand of `second` at the place `at`, which nobody else reads.
    Returns:
        None where dtypes or precisions differ, and where no other order saves a quarter of the
        multiplications without a larger value in between.
    """
    factors: list[Atom] = [*first.invars, second.invars[1 - at]]
    dtypes = {a.aval.dtype for a in (*factors, *first.outvars, *second.outvars)}
    if len(dtypes) != 1 or dtypes.pop().name not in ("float32", "float64", "complex64"):
        return None
    if first.params["precision"] != second.params["precision"]:
        return None
    letters, wanted = _letters(first, second, at)
    extents = {
        k: n
        for f, names in zip(factors, letters, strict=True)
        for k, n in zip(names, f.aval.shape, strict=True)
    }
    between = first.outvars[0].aval.size
    spent = _work(extents, letters[0], letters[1])
    spent += _work(extents, {*letters[0], *letters[1]} & {*letters[2], *wanted}, letters[2])
    work, late = min(_other_work(extents, letters, wanted, late) for late in (1, 0))
    early = 1 - late
    kept = {*letters[early], *wanted}
    inner = _result(letters[late], letters[2], kept)
    shape = tuple(extents[k] for k in inner)
    if 4 * work >= 3 * spent or math.prod(shape) > between:
        return None
    middle = Var(ShapedArray(shape, second.outvars[0].aval.dtype))
    made = _contraction(second, (factors[late], factors[2]), letters[late], letters[2], kept)
    pairs = [(factors[early], letters[early]), (middle, inner)]
    # The side whose letters the result begins with is the left one.
    if _result(letters[early], inner, {*wanted}) != wanted:
        pairs.reverse()
    (left, mine), (right, other) = pairs
    last = _contraction(second, (left, right), mine, other, {*wanted})
    found = _result(mine, other, {*wanted})
    return [made.replace(outvars=[middle]), *_in_order(last, found, wanted)]


def _other_work(
    extents: Mapping[int, int], letters: Sequence[Letters], wanted: Letters, late: int
) -> tuple[int, int]:
    """Multiplications where the last factor is contracted with this one first, and which it is."""
    early = 1 - late
    inner = _result(letters[late], letters[2], {*letters[early], *wanted})
    work = _work(extents, letters[late], letters[2]) + _work(extents, letters[early], inner)
    return work, late


def _letters(first: Eqn, second: Eqn, at: int) -> tuple[list[Letters], Letters]:
    """A letter for each axis of the three factors, and those of the result."""
    count = iter(range(2 * sum(a.aval.ndim for a in (*first.invars, *second.invars))))

    def named(eqn: Eqn, given: Mapping[int, Letters]) -> tuple[list[Letters], Letters]:
        numbers: tuple[tuple[Letters, Letters], ...] = eqn.params["dimension_numbers"]
        contracted, batched = numbers
        known = [dict(enumerate(given.get(side, ()))) for side in (0, 1)]
        for left, right in (*zip(*contracted, strict=True), *zip(*batched, strict=True)):
            letter = known[0].get(left, known[1].get(right))
            letter = next(count) if letter is None else letter
            known[0][left] = known[1][right] = letter
        sides: list[Letters] = []
        for atom, letters in zip(eqn.invars, known, strict=True):
            axes = range(atom.aval.ndim)
            sides.append(tuple(letters[a] if a in letters else next(count) for a in axes))
        free = [
            [k for a, k in enumerate(side) if a not in (*inner, *batch)]
            for side, inner, batch in zip(sides, contracted, batched, strict=True)
        ]
        return sides, (*[sides[0][a] for a in batched[0]], *free[0], *free[1])

    factors, product = named(first, {})
    sides, wanted = named(second, {at: product})
    return [*factors, sides[1 - at]], wanted


def _work(extents: Mapping[int, int], left: Sequence[int] | set[int], right: Letters) -> int:
    return math.prod(extents[k] for k in {*left, *right})


def _result(left: Letters, right: Letters, kept: set[int]) -> Letters:
    """The letters of a contraction that keeps some, as its result has them."""
    batch = [k for k in left if k in right and k in kept]
    free = [k for side, other in ((left, right), (right, left)) for k in side if k not in other]
    return (*batch, *free)


def _contraction(
    like: Eqn, factors: tuple[Atom, Atom], left: Letters, right: Letters, kept: set[int]
) -> Eqn:
    shared = [k for k in left if k in right]
    batch, inner = [k for k in shared if k in kept], [k for k in shared if k not in kept]
    numbers = tuple(
        tuple(tuple(side.index(k) for k in part) for side in (left, right))
        for part in (inner, batch)
    )
    params: dict[str, Any] = {**like.params, "dimension_numbers": numbers}
    return like.replace(invars=list(factors), params=params)


def _in_order(last: Eqn, found: Letters, wanted: Letters) -> list[Eqn]:
    """The last contraction, and a transposition where its axes come in another order."""
    if found == wanted:
        return [last]
    out = last.outvars[0].aval
    steps = [found.index(k) for k in wanted]
    shape = [0] * len(steps)
    for axis, step in enumerate(steps):
        shape[step] = out.shape[axis]
    turned = Var(out.update(shape=tuple(shape)))
    move = Eqn(
        [turned], last.outvars, transpose_p, {"permutation": tuple(steps)}, source=last.source
    )
    return [last.replace(outvars=[turned]), move]
