"""fused: a computation that is one eqn, for machines that have one kernel for the whole of it.

In: a `Computation`, a hashable description with a program of other primitives. Out: its results.
The one idea: the eqn stays whole through transforms by rules of its own, and a machine without the
kernel computes the program it stands for: there simplification puts that in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ..config import config
from ..core.evaluate import eval_closed, run_numpy
from ..core.primitive import AxisData, Primitive
from ..core.staging import stage
from ..core.zeros import UndefinedPrimal, Zero
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Eqn
from ..ir.loops import Library, Lowered, Operand
from ..transforms.batch import batch_flat
from ..transforms.jvp import jvp_flat
from ..transforms.transpose import transpose_jaxpr
from .jit import simplified


class Computation:
    """What a fused eqn computes; subclasses are frozen dataclasses of what is static in it.

    Attributes:
        kernel: the name of the kernel in `kernels`, which is given the description itself.
    """

    kernel = ""

    def run(self, *args: Any) -> list[Any]:
        """The results, by other primitives."""
        raise TypeError(f"{type(self).__name__} defines no run")

    def has_kernel(self, avals: Sequence[ShapedArray]) -> bool:
        """Whether kernels of the whole are written for these operands."""
        return False

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Results and their tangents."""
        return jvp_flat(self.run, primals, tangents)

    def transpose(self, cts: Sequence[Any], args: Sequence[Any]) -> list[Any] | None:
        """Cotangents of the operands it is linear in; None: those of `run`."""
        return None

    def batch(
        self, size: int, args: Sequence[Any], dims: Sequence[int | None]
    ) -> tuple[list[Any], list[int | None]] | None:
        """Results for a batch, and their batch axes; None: those of `run`."""
        return None


@lru_cache(maxsize=256)
def _staged(
    computation: Computation, avals: tuple[ShapedArray, ...], options: tuple[Any, ...]
) -> ClosedJaxpr:
    return stage(computation.run, avals, computation.kernel)


def program(computation: Computation, avals: Sequence[ShapedArray]) -> ClosedJaxpr:
    """The program a computation stands for."""
    return _staged(computation, tuple(a.strong() for a in avals), config.signature())


class Fused(Primitive):
    """A computation as one eqn."""

    name = "fused"
    multiple_results = True
    widens = False
    cache_inference = False
    tested_in = "tests/control/test_fused.py"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return program(params["computation"], avals).out_avals

    def impl(self, *arrays: Any, **params: Any) -> list[Any]:
        avals = [ShapedArray(x.shape, x.dtype) for x in arrays]
        return run_numpy(simplified(program(params["computation"], avals)), arrays)

    def inlined(self, eqn: Eqn) -> ClosedJaxpr:
        """What simplification puts in the place of an eqn."""
        return program(eqn.params["computation"], [a.aval for a in eqn.invars])

    def is_whole(self, eqn: Eqn) -> bool:
        """Whether there are kernels of the whole eqn, on machines that have them at all."""
        return eqn.params["computation"].has_kernel([a.aval for a in eqn.invars])

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return params["computation"].jvp(primals, tangents)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        found = params["computation"].transpose(ct, args)
        if found is not None:
            return found
        linear = [isinstance(x, UndefinedPrimal) for x in args]
        avals = [x.aval if isinstance(x, UndefinedPrimal) else aval_of(x) for x in args]
        nonzero = [not isinstance(c, Zero) for c in ct]
        closed, given = transpose_jaxpr(program(params["computation"], avals), linear, nonzero)
        values = [x for x, is_linear in zip(args, linear, strict=True) if not is_linear]
        outs = iter(eval_closed(closed, *values, *(c for c in ct if not isinstance(c, Zero))))
        there = iter(given)
        return [
            (next(outs) if next(there) else Zero(x.aval)) if is_linear else None
            for x, is_linear in zip(args, linear, strict=True)
        ]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        computation: Computation = params["computation"]
        found = computation.batch(axis.size, args, dims)
        return batch_flat(computation.run, axis, args, dims) if found is None else found

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered:
        return Library(params["computation"].kernel, params["computation"])


fused_p = Fused()


def fused(computation: Computation, *args: Any) -> list[Any]:
    """The results of a computation for arrays."""
    return fused_p.bind(*args, computation=computation)
