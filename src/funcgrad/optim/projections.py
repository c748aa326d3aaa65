"""Projections of a tree, as one long vector, onto convex sets and spheres: the nearest point there.

For projected gradient descent: `projection_simplex(apply_updates(params, updates))`. Derivatives
pass through; that onto the simplex is constant in the support.
"""

from __future__ import annotations

from typing import Any

from .. import flatten_util, lax
from .. import numpy as fnp
from .. import tree as pytree
from .leaves import map_leaves
from .tree import add_scale, full_like, norm, vdot
from .tree import scale as scaled


def projection_non_negative(tree: Any) -> Any:
    """max(x, 0)."""
    return pytree.map(lambda x: fnp.maximum(x, 0), tree)


def projection_box(tree: Any, lower: Any, upper: Any) -> Any:
    """x brought into [lower, upper]; each a number, or a tree that broadcasts leaf by leaf."""
    lower, upper = (
        pytree.map(lambda x, end=end: fnp.broadcast_to(end, fnp.shape(x)), tree)
        if _is_leaf(end)
        else end
        for end in (lower, upper)
    )
    names: dict[str, Any] = {"lower": lower, "upper": upper}
    return map_leaves("projection_box", fnp.clip, tree, unlike=tuple(names), **names)


def _is_leaf(x: Any) -> bool:
    return pytree.structure(x).num_nodes == 1 and pytree.structure(x).num_leaves == 1


def projection_hypercube(tree: Any, scale: Any = 1) -> Any:
    """x brought into [0, scale]."""
    return projection_box(tree, 0, scale)


def projection_simplex(tree: Any, scale: Any = 1) -> Any:
    """The nearest point with x ≥ 0 and Σ x = scale, for scale > 0.

    Source: Duchi et al., ICML 2008.
    """
    values, unravel = flatten_util.ravel_pytree(tree)
    return unravel((scale * _onto_unit_simplex(values / scale)).astype(values.dtype))


def _onto_unit_simplex(values: Any) -> Any:
    """max(x − t, 0), with the t for which they sum to 1."""
    largest = -fnp.sort(-lax.stop_gradient(values))
    sums = fnp.cumsum(largest)
    counts = fnp.arange(1, values.size + 1)
    support = fnp.count_nonzero(largest * counts > sums - 1)
    inside = lax.stop_gradient(values) >= largest[support - 1]
    # Of the elements in the support the threshold is a mean, which carries the derivative.
    threshold = (fnp.sum(fnp.where(inside, values, 0)) - 1) / fnp.sum(inside)
    return fnp.where(inside, values - threshold, 0)


def projection_l1_sphere(tree: Any, scale: Any = 1) -> Any:
    """The nearest point with Σ |x| = scale."""
    sizes = projection_simplex(pytree.map(fnp.abs, tree), scale)
    return map_leaves("projection_l1_sphere", lambda x, size: fnp.sign(x) * size, tree, sizes=sizes)


def projection_l1_ball(tree: Any, scale: Any = 1) -> Any:
    """The nearest point with Σ |x| ≤ scale."""

    def onto(tree: Any) -> Any:
        return projection_l1_sphere(tree, scale)

    def same(tree: Any) -> Any:
        return tree

    return lax.cond(norm(tree, ord=1) <= scale, same, onto, tree)


def projection_l2_sphere(tree: Any, scale: Any = 1) -> Any:
    """scale · x / ‖x‖₂; NaN of zero, to which all points are as near."""
    return scaled(scale / norm(tree), tree)


def projection_l2_ball(tree: Any, scale: Any = 1) -> Any:
    """The nearest point with ‖x‖₂ ≤ scale."""
    square = norm(tree, squared=True)
    return scaled(scale / fnp.sqrt(fnp.maximum(square, scale**2)), tree)


def projection_linf_ball(tree: Any, scale: Any = 1) -> Any:
    """The nearest point with |x| ≤ scale for all elements."""
    return projection_box(tree, full_like(tree, -scale), full_like(tree, scale))


def projection_vector(x: Any, a: Any) -> Any:
    """⟨x, a⟩ / ⟨a, a⟩ · a: the nearest point on the line of the tree a."""
    return scaled(vdot(x, a) / vdot(a, a), a)


def projection_hyperplane(x: Any, a: Any, b: Any) -> Any:
    """The nearest point with ⟨x, a⟩ = b."""
    return add_scale(x, (b - vdot(x, a)) / vdot(a, a), a)


def projection_halfspace(x: Any, a: Any, b: Any) -> Any:
    """The nearest point with ⟨x, a⟩ ≤ b."""
    return add_scale(x, fnp.minimum((b - vdot(x, a)) / vdot(a, a), 0), a)
