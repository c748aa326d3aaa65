"""What other stages ask of the rules that define values.

In: a rule of `ir.loops` (`Map`, `Fold`, ...) or an index within one. Out: the rule made simpler,
how often its expression is evaluated, and by what an index is known again. The one idea: a rule is
a function from an index to an expression, so whatever is asked of it is asked without calling it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..ir.avals import ShapedArray
from ..ir.jaxpr import Var
from ..ir.loops import Affine, Const, DType, Expr, Fold, IndexTuple, Map, Scatter, cast
from .storage import storage_shape


class Chosen(NamedTuple):
    """What the result of a branch is made of.

    Attributes:
        levels: operations behind each other; of any other value one counts.
        ways: conditions it depends on, one for each arm but the last.
    """

    levels: int = 1
    ways: int = 0


PLAIN = Chosen()
# Conditions of branches in one kernel, which is written out for all their answers.
FEW_WAYS = 2


class TooManyPlaces(Exception):
    """A value is read at more places than it may be inlined at."""

    def __init__(self, var: Var) -> None:
        super().__init__(var)
        self.var = var


def index_key(index: Affine) -> Any:
    """What tells an index from others, while its expressions live."""
    dynamic = tuple((id(e), c) for e, c in index.dynamic)
    return index.const, frozenset(index.axes.items()), dynamic


def rule_shape(aval: ShapedArray) -> tuple[tuple[int, ...], DType]:
    """Shape and dtype of a value in rules: a complex number is one element there, not two."""
    return (aval.shape, aval.dtype) if aval.dtype.kind == "c" else storage_shape(aval)


def as_map(rule: Any, aval: ShapedArray) -> Any:
    """A fold of one value each is that value; of no elements there is nothing to say."""
    if not aval.size:
        return constant_map(rule_shape(aval)[1])
    if not isinstance(rule, Fold) or any(n != 1 for n in rule.extents):
        return rule
    inner = tuple(Affine() for _ in rule.extents)
    dtype = rule_shape(aval)[1]
    if rule.op.startswith("arg"):
        return constant_map(dtype)

    def at(index: IndexTuple) -> Expr:
        return cast(rule.at(index, inner), dtype)

    return Map(at)


def constant_map(dtype: DType) -> Map:
    """0 everywhere."""

    def at(index: IndexTuple) -> Expr:
        return Const(0, dtype)

    return Map(at)


def domain_of(rule: Any, var: Var) -> int:
    """How many times the expression of a rule is evaluated."""
    size = max(var.aval.size, 1)
    if isinstance(rule, (Fold, Scatter)):
        extents = 1
        for n in rule.extents:
            extents *= n
        return size * extents if isinstance(rule, Fold) else max(size, extents)
    return size
