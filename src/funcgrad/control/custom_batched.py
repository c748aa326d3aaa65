"""The reverse rule of a custom_vjp function on batches.

In: the pullback of one element and the batch axes of residuals, outputs and inputs. Out: a
pullback on batches. The one idea: an input that is the same for the whole batch gets the sum of
the cotangents of all elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.axes import to_axis
from ..core.zeros import Zero
from ..ir.avals import aval_of
from ..primitives.reduction import reduce_sum
from .custom_calls import batch_under

Dims = Sequence[int | None]


def batched_pullback(
    trace: Any,
    pull: Callable[..., list[Any]],
    res_dims: Dims,
    out_dims: Dims,
    primals: Sequence[Any],
    in_dims: Dims,
) -> Callable[[Sequence[Any], Sequence[Any]], list[Any]]:
    """A function from residuals and cotangents of outputs to cotangents of inputs, on batches."""
    out_dims, in_dims = list(out_dims), list(in_dims)
    in_zeros = [Zero(aval_of(p).to_tangent()) for p in primals]
    size = trace.axis.size

    def run_pull(residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        count = len(residuals)
        found_zero: list[bool] = []
        given = [(ct, d) for ct, d in zip(cts, out_dims, strict=True) if not isinstance(ct, Zero)]

        def run(*values: Any) -> list[Any]:
            rest = iter(values[count:])
            elements = [
                element(ct, d) if isinstance(ct, Zero) else next(rest)
                for ct, d in zip(cts, out_dims, strict=True)
            ]
            found = pull(values[:count], elements)
            found_zero[:] = [isinstance(g, Zero) for g in found]
            return [g for g in found if not isinstance(g, Zero)]

        values = [*residuals, *[ct for ct, _ in given]]
        dims = [*res_dims, *[d for _, d in given]]
        found = iter(zip(*batch_under(trace, run, values, dims), strict=True))
        return [
            zero if is_zero else gathered(*next(found), d, size)
            for zero, is_zero, d in zip(in_zeros, found_zero, in_dims, strict=True)
        ]

    return run_pull


def element(zero: Zero, dim: int | None) -> Zero:
    """The zero of one element."""
    shape = zero.aval.shape
    return zero if dim is None else Zero(zero.aval.update(shape=shape[:dim] + shape[dim + 1 :]))


def gathered(ct: Any, dim: int | None, in_dim: int | None, size: int) -> Any:
    """The cotangent of an input whose batch axis is `in_dim`."""
    if in_dim is not None:
        return to_axis(ct, dim, size, in_dim)
    return ct if dim is None else reduce_sum(ct, (dim,))
