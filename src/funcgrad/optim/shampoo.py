"""Shampoo: one preconditioning matrix for each axis of a weight."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import lax
from .. import numpy as fnp
from .. import tree as pytree
from .accumulation import trace
from .base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    Params,
    ScalarOrSchedule,
    Updates,
    identity,
)
from .checks import check_decay_rates, check_positive
from .combining import chain
from .leaves import map_leaves
from .numerics import safe_increment, zero_count
from .scaling import scale_by_learning_rate
from .tree import zeros_like


class ScaleByShampooState(NamedTuple):
    """State of `scale_by_shampoo`.

    Attributes:
        count: step number, i32[].
        statistics: for each leaf a list with one matrix per axis, the sum of G Gᵀ over it.
        roots: their inverse roots, from the last time that they were taken.
    """

    count: Any
    statistics: Any
    roots: Any


def inverse_root(matrix: Any, order: int, eps: Any) -> Any:
    """(matrix + eps · I)^(−1/order) of a symmetric positive semi-definite matrix, f32[n, n]."""
    values, vectors = fnp.linalg.eigh(matrix)
    # Rounding leaves eigenvalues a little below 0, where a root would be NaN.
    powers = (fnp.maximum(values, 0.0) + eps) ** (-1.0 / order)
    return (vectors * powers) @ vectors.T


def _square_along(g: Any, axis: int) -> Any:
    """G Gᵀ, with G the array as a matrix of which the axis counts the rows."""
    rest = tuple(i for i in range(g.ndim) if i != axis)
    return fnp.tensordot(g, g, axes=(rest, rest))


def _along(matrix: Any, x: Any, axis: int) -> Any:
    """The matrix applied to one axis."""
    return fnp.moveaxis(fnp.tensordot(matrix, x, axes=(1, axis)), 0, axis)


def scale_by_shampoo(
    decay: Any = 1.0, eps: Any = 1e-6, update_period: int = 1, max_size: int = 1024
) -> GradientTransformation:
    """G ×₁ L₁^(−1/2k) ×₂ L₂^(−1/2k) ..., with Lᵢ ← decay · Lᵢ + G₍ᵢ₎ G₍ᵢ₎ᵀ over the k axes.

    Args:
        decay: 1 sums up as in the paper; below 1 the past fades.
        eps: added to eigenvalues.
        update_period: steps between two computations of the roots, which cost n³ for an axis of n.
        max_size: longer axes are left as they are.
    Raises:
        ValueError: decay outside [0, 1], eps, period or size not positive; in update, when the
            trees differ.
    Source: Gupta, Koren & Singer, arXiv:1802.09568.
    """
    check_decay_rates("scale_by_shampoo", closed=True, decay=decay)
    check_positive("scale_by_shampoo", eps=eps, update_period=update_period, max_size=max_size)

    def axes_of(x: Any) -> list[int]:
        return [i for i, n in enumerate(fnp.shape(x)) if n <= max_size]

    def init(params: Params) -> ScaleByShampooState:
        ones = pytree.map(
            lambda p: [fnp.eye(p.shape[i], dtype=p.dtype) for i in axes_of(p)],
            pytree.map(fnp.asarray, params),
        )
        return ScaleByShampooState(zero_count(), zeros_like(ones), ones)

    def update(
        updates: Updates, state: ScaleByShampooState, params: Params = None
    ) -> tuple[Any, ScaleByShampooState]:
        is_due = state.count % update_period == 0

        def one(g: Any, statistics: Any, roots: Any) -> tuple[Any, Any, Any]:
            sums = [
                decay * kept + _square_along(g, axis)
                for kept, axis in zip(statistics, axes_of(g), strict=True)
            ]
            roots = lax.cond(
                is_due,
                lambda: [inverse_root(s, 2 * len(sums), eps) for s in sums],
                lambda: list(roots),
            )
            for axis, root in zip(axes_of(g), roots, strict=True):
                g = _along(root, g, axis)
            return g, sums, roots

        out, statistics, roots = map_leaves(
            "scale_by_shampoo",
            one,
            updates,
            outputs=3,
            unlike=("statistics", "roots"),
            statistics=state.statistics,
            roots=state.roots,
        )
        return out, ScaleByShampooState(safe_increment(state.count), statistics, roots)

    return GradientTransformation(init, update)


def shampoo(
    learning_rate: ScalarOrSchedule,
    decay: Any = 1.0,
    eps: Any = 1e-6,
    momentum: Any = None,
    update_period: int = 1,
    max_size: int = 1024,
) -> GradientTransformationExtraArgs:
    """Steps preconditioned along each axis; see `scale_by_shampoo`.

    Args:
        momentum: of the preconditioned steps, or None.
    Source: Gupta, Koren & Singer, arXiv:1802.09568.
    """
    return chain(
        scale_by_shampoo(decay, eps, update_period, max_size),
        identity() if momentum is None else trace(momentum),
        scale_by_learning_rate(learning_rate),
    )
