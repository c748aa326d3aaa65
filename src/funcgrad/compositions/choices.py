"""What is only said in other words: platforms, names, sorts of complex numbers, expansions.

In: operands. Out: the same values by primitives that have kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import numpy as fnp
from ..control import folds
from ..core.composed import compose
from ..ir import dtypes
from ..ir.jaxpr import Eqn
from ..primitives.complexes import complex as joined
from ..primitives.contraction import dot_general_p
from ..primitives.reduction import argmax_p
from ..primitives.sorting import sort_p

PLATFORM = "cuda"


def has_complex(eqn: Eqn) -> bool:
    """Whether an operand is complex."""
    return any(a.aval.dtype.kind == "c" for a in eqn.invars)


@compose("platform_index")
def platform_index(*, platforms: tuple[tuple[str, ...] | None, ...]) -> Any:
    """Where the platform stands that this program is for."""
    for i, names in enumerate(platforms):
        if names is None or PLATFORM in names:
            return np.int32(i)
    raise RuntimeError(
        f"platform_dependent has branches for {platforms}, and none for {PLATFORM!r}, which the "
        "program is compiled for. Give a branch for it, or a default."
    )


@compose("name")
def named(x: Any, **params: Any) -> Any:
    """The operand: names are for what saves values, which is done."""
    return x


@compose("dce_sink")
def sink(x: Any, **params: Any) -> list[Any]:
    """Nothing."""
    return []


@compose("sort", where=has_complex)
def sort(*operands: Any, num_keys: int, **params: Any) -> Any:
    """Complex operands are sorted by both parts, the real ones first."""
    parts = [[x.real, x.imag] if x.dtype.kind == "c" else [x] for x in operands]
    keys = sum(map(len, parts[:num_keys]))
    found = iter(sort_p.bind(*(x for part in parts for x in part), num_keys=keys, **params))
    return [joined(next(found), next(found)) if len(p) == 2 else next(found) for p in parts]


def _first_extreme(
    x: Any, axes: tuple[int, ...], index_dtype: Any, extreme: Any, far: float
) -> Any:
    """Where the first number lies that has a NaN; else the first of those that come last."""
    unknown = fnp.isnan(x.real) | fnp.isnan(x.imag)
    found = x.real == extreme(x.real, axes, keepdims=True)
    parts = fnp.where(found, x.imag, far)
    found = found & (parts == extreme(parts, axes, keepdims=True))
    found = fnp.where(fnp.any(unknown, axes, keepdims=True), unknown, found)
    return argmax_p.bind(found, axes=axes, index_dtype=index_dtype)


@compose("argmax", where=has_complex)
def argmax(x: Any, *, axes: tuple[int, ...], index_dtype: Any) -> Any:
    """Complex numbers are ordered by the real part, then by the other."""
    return _first_extreme(x, axes, index_dtype, fnp.max, -np.inf)


@compose("argmin", where=has_complex)
def argmin(x: Any, *, axes: tuple[int, ...], index_dtype: Any) -> Any:
    """Complex numbers are ordered by the real part, then by the other."""
    return _first_extreme(x, axes, index_dtype, fnp.min, np.inf)


@compose("dot_general", where=has_complex)
def dot_general(
    x: Any, y: Any, *, dimension_numbers: Any, preferred_element_type: Any, **params: Any
) -> Any:
    """Products of complex numbers are four of their parts: one contraction of both with both."""
    (left, right), (left_batch, right_batch) = dimension_numbers
    axes = [tuple(a + 1 for a in side) for side in (left, right, left_batch, right_batch)]
    wanted = preferred_element_type
    out = dot_general_p.bind(
        fnp.stack([x.real, x.imag]),
        fnp.stack([y.real, y.imag]),
        dimension_numbers=((axes[0], axes[1]), (axes[2], axes[3])),
        preferred_element_type=wanted and dtypes.to_floating_dtype(np.dtype(wanted)),
        **params,
    )
    # The axes of the parts are the first of the free ones of each side.
    batch, free = len(left_batch), x.ndim - len(left) - len(left_batch)
    out = fnp.moveaxis(out, (batch, batch + 1 + free), (0, 1))
    return joined(out[0, 0] - out[1, 1], out[0, 1] + out[1, 0])


@compose("symmetric_product")
def symmetric_product(a: Any, c: Any, *, alpha: float, beta: float) -> Any:
    """alpha a aᵀ + beta c."""
    dtype = a.dtype.type
    return dtype(alpha) * (a @ fnp.swapaxes(a, -1, -2)) + dtype(beta) * c


for primitive in (folds.reduce_p, folds.reduce_window_p, folds.select_and_scatter_p):
    compose(primitive.name)(primitive.expand)
