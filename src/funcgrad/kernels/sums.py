"""Sums of matrix products, each computed into the memory of what it is added to.

In: the definitions of a jaxpr. Out: the same, in which some sums are `Products` themselves. The one
idea: of a sum of two values that nobody else reads, the second, a product, may begin with what the
first has left: one array less is written and read, and whatever follows the sum follows a product.

The order is that of the blocks of the contraction: ((first + block) + next block) + …, where NumPy
adds the whole product at once.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..ir.jaxpr import Atom, Literal, Var
from ..ir.loops import Apply, Load, Map, Region, Scatter, View, axis_index, flat_index
from ..ir.nests import offset_of
from .items import ByHand
from .products import Added, Into, Products
from .views import memory_of

if TYPE_CHECKING:
    from .items import Nest
    from .lowering import Definitions

Uses = Counter[Atom]


def add_in_place(values: Definitions) -> None:
    """Let products be added to what is there, where it dies in the sum."""
    uses: Uses = Counter(a for a in values.jaxpr.outvars if not isinstance(a, Literal))
    place: dict[Var, int] = {}
    for at, eqn in enumerate(values.jaxpr.eqns):
        uses.update(a for a in eqn.invars if not isinstance(a, Literal))
        place.update(dict.fromkeys(eqn.outvars, at))
    for eqn in values.jaxpr.eqns:
        if len(eqn.outvars) != 1 or len(eqn.invars) != 2:
            continue
        (total,) = eqn.outvars
        terms = [_alone(values, a, uses) for a in eqn.invars]
        made = [v for v in terms if v is not None and _can_add(values, v)]
        if not made or not isinstance(values.rules[total], Map):
            continue
        # The later one: the other's operands need not be kept until then.
        last = max(made, key=lambda v: place[v])
        (there,) = (v for v in terms if v is not last)
        if there is None or not _stays(values, there) or not _is_sum(values, total, last, there):
            continue
        rule: Products = values.rules[last]
        gemm, into = rule.gemm._replace(adds=True), Into(there, values.made_by[last])
        values.rules[total] = rule._replace(gemm=gemm, into=into)
        values.rules[last] = Added()


def _alone(values: Definitions, atom: Atom, uses: Uses) -> Var | None:
    """The value whose memory an operand is, if it is computed here and read nowhere else."""
    while not isinstance(atom, Literal) and uses[atom] == 1 and atom in values.rules:
        rule = values.rules[atom]
        if not isinstance(rule, View):
            return atom
        atom = values.made_by[atom].invars[rule.operand]
    return None


def _can_add(values: Definitions, var: Var) -> bool:
    """Whether a value is a product that can be added to something, and is not yet."""
    rule = values.rules[var]
    return isinstance(rule, Products) and rule.into is None and rule.gemm.given is None


def _stays(values: Definitions, var: Var) -> bool:
    """Whether a value is in memory whoever reads it, rather than part of a kernel with others."""
    rule = values.rules[var]
    return rule is None or isinstance(rule, (Products, ByHand, Region, Scatter))


def _is_sum(values: Definitions, total: Var, *terms: Var) -> bool:
    """Whether a value is the sum of two others, element by element as they lie in memory."""
    if any((v.aval.size, v.aval.dtype) != (total.aval.size, total.aval.dtype) for v in terms):
        return False
    (nest,) = values.nests(total)
    x = nest.value
    if not isinstance(x, Apply) or x.op != "add":
        return False
    return {_read(values, nest, a) for a in x.args} == {*terms}


def _read(values: Definitions, nest: Nest, x: object) -> Atom | None:
    """The value that an expression of a nest reads at its own place in memory."""
    if not isinstance(x, Load) or x.guard is not None:
        return None
    index = tuple(axis_index(a) for a in nest.kept)
    same = offset_of(x.source, x.index).same(flat_index(index, nest.target.shape))
    found = values.owner.get(x.source)
    return memory_of(values, found) if same and found is not None else None
