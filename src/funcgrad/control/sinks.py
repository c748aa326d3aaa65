"""dce_sink and rng_uniform: eqns that stay in the program, and in their number, for an effect."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..core.primitive import AxisData, Example, NotDifferentiable, Primitive
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray, canonical_shape
from ..ir.jaxpr import Effects
from ..primitives.indexing import index_in_dim
from ..primitives.joining import stack
from .callbacks import Effect

keep_effect = Effect("NoDCE", ordered=False, harmless_when_batched=True)
draw_effect = Effect("Draw", ordered=False, harmless_when_batched=True)


class DceSink(Primitive):
    """Takes a value and gives nothing; what the value needs is not removed as dead."""

    name = "dce_sink"
    multiple_results = True
    widens = False

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return []

    def effects(self, params: dict[str, Any]) -> Effects:
        return frozenset({keep_effect})

    def impl(self, *arrays: Any, **params: Any) -> list[Any]:
        return []

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return self.bind(*primals, **params), []

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [None]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        return self.bind(*args, **params), []

    def examples(self) -> Iterator[Example]:
        yield Example((np.ones((2, 3)),), {"prevent_mlir_dce": False})
        yield Example((np.int32(3),), {"prevent_mlir_dce": True})


class RngUniform(Primitive):
    """Uniform draws from one generator of the process; each run of the eqn draws anew."""

    name = "rng_uniform"
    tested_in = "tests/control/test_sinks.py"
    jvp_term = NotDifferentiable("it draws from a hidden state; shift and scale draws of [0, 1)")

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        a, b = avals
        if a.dtype != b.dtype:
            raise ValueError(
                f"rng_uniform needs bounds of one dtype, got {a.long()} and {b.long()}.\n"
                f"  {user_line()}"
            )
        if a.shape or b.shape:
            raise ValueError(
                f"rng_uniform needs scalar bounds, got {a.long()} and {b.long()}.\n  {user_line()}"
            )
        if not any(dtypes.issubdtype(a.dtype, kind) for kind in (np.floating, np.integer)):
            raise TypeError(
                f"rng_uniform draws integers or real numbers, got bounds {a.long()}.\n"
                f"  {user_line()}"
            )
        return ShapedArray(params["shape"], a.dtype, a.weak_type and b.weak_type)

    def effects(self, params: dict[str, Any]) -> Effects:
        return frozenset({draw_effect})

    def impl(self, *arrays: Any, **params: Any) -> Any:
        a, b = arrays
        shape: tuple[int, ...] = params["shape"]
        dtype: np.dtype[Any] = a.dtype
        if dtype.kind in "iu":
            # Bounds the wrong way round leave the result open; here it is the first.
            return _generator.integers(int(a), max(int(b), int(a) + 1), shape, dtype)
        drawn: Any = _generator.random(shape)
        values: Any = np.asarray(float(a) + (float(b) - float(a)) * drawn).astype(dtype)
        # Rounding to a short dtype can reach the upper bound, which is left out.
        values[values >= b] = a
        return values

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        draws = [
            self.bind(
                *[
                    x if d is None else index_in_dim(x, i, d, keepdims=False)
                    for x, d in zip(args, dims, strict=True)
                ],
                **params,
            )
            for i in range(axis.size)
        ]
        return stack(draws, 0), 0


_generator: Any = np.random.default_rng()
dce_sink_p, rng_uniform_p = DceSink(), RngUniform()


def dce_sink(val: Any, *, prevent_mlir_dce: bool = False) -> None:
    """Keep what a value needs in the program, though nothing uses the value.

    Args:
        val: a pytree of arrays.
        prevent_mlir_dce: whether compilers are bound by it too; here nothing else removes eqns.
    """
    for leaf in tree.leaves(val):
        dce_sink_p.bind(leaf, prevent_mlir_dce=prevent_mlir_dce)


def rng_uniform(a: Any, b: Any, shape: Sequence[int]) -> Any:
    """Draws from [a, b) by a generator with hidden state: no two runs give the same.

    `funcgrad.random` gives draws that can be repeated; use it wherever that matters.

    Args:
        a, b: scalars of one dtype, a real or an integer one; a < b.
        shape: of the result.
    Raises:
        ValueError: the bounds are not scalars, or differ in dtype.
        TypeError: they are neither real numbers nor integers.
    """
    extents = canonical_shape(tuple(map(operator.index, shape)), "rng_uniform")
    return rng_uniform_p.bind(a, b, shape=extents)
