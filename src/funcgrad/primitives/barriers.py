"""optimization_barrier: values that simplification does not look through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..core.primitive import AxisData, Example, Primitive
from ..core.trace import as_array
from ..core.zeros import UndefinedPrimal, Zero, instantiate
from ..ir.avals import ShapedArray
from ..ir.loops import Lowered, Map, Operand


class OptimizationBarrier(Primitive):
    """Gives back its operands; eqns on its two sides are never shared or merged."""

    name = "optimization_barrier"
    multiple_results = True
    can_share = False

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return list(avals)

    def impl(self, *arrays: Any, **params: Any) -> list[Any]:
        return list(arrays)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        out = self.bind(*primals, **params)
        kept = [i for i, t in enumerate(tangents) if not isinstance(t, Zero)]
        moved = dict(zip(kept, self.bind(*[tangents[i] for i in kept]), strict=True))
        return out, [moved.get(i, t) for i, t in enumerate(tangents)]

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        passed = self.bind(*[instantiate(c) for c in ct])
        pairs = zip(passed, args, strict=True)
        return [c if isinstance(x, UndefinedPrimal) else None for c, x in pairs]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        return self.bind(*args), list(dims)

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        return [Map(x.at) for x in operands]

    def examples(self) -> Iterator[Example]:
        yield Example((np.ones((2, 3)), np.arange(3.0)))
        yield Example((np.float64(2.0), np.arange(3)))


optimization_barrier_p = OptimizationBarrier()


def optimization_barrier(operand: Any) -> Any:
    """The tree itself, its leaves behind a barrier for simplification.

    Args:
        operand: a tree of arrays.
    """
    leaves, treedef = tree.flatten(operand)
    return tree.unflatten(treedef, optimization_barrier_p.bind(*map(as_array, leaves)))
