"""Bounds on the size of updates: by element, leaf, unit, whole tree, and by example."""

from __future__ import annotations

from typing import Any

from .. import numpy as fnp
from .. import tree
from ..api.mapping import vmap
from ..core.sources import user_line
from .base import (
    EmptyState,
    GradientTransformation,
    OptState,
    Params,
    Updates,
    init_empty_state,
)
from .checks import check_not_negative, check_positive, need_params
from .leaves import map_leaves
from .numerics import abs_sq
from .tree import norm


def clip(max_delta: Any) -> GradientTransformation:
    """Each element brought into [−max_delta, max_delta]."""
    check_not_negative("clip", max_delta=max_delta)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        return tree.map(lambda u: fnp.clip(u, -max_delta, max_delta), updates), state

    return GradientTransformation(init_empty_state, update)


def clip_by_norm(max_norm: Any) -> GradientTransformation:
    """Each leaf scaled down so that its own norm is at most max_norm."""
    check_not_negative("clip_by_norm", max_norm=max_norm)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        return tree.map(lambda u: _shrink(u, global_norm(u), max_norm), updates), state

    return GradientTransformation(init_empty_state, update)


def clip_by_global_norm(max_norm: Any) -> GradientTransformation:
    """updates scaled down so that their global norm is at most max_norm.

    Source: Pascanu et al., arXiv:1211.5063.
    """
    check_not_negative("clip_by_global_norm", max_norm=max_norm)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        whole = global_norm(updates)
        return tree.map(lambda u: _shrink(u, whole, max_norm), updates), state

    return GradientTransformation(init_empty_state, update)


def global_norm(updates: Any) -> Any:
    """√ of the sum of squares of all elements of all leaves; its derivative at 0 is 0."""
    square = norm(updates, squared=True)
    is_zero = square == 0
    return fnp.where(is_zero, 0, fnp.sqrt(fnp.where(is_zero, 1, square)))


def _shrink(u: Any, length: Any, max_norm: Any) -> Any:
    # The divisor is never 0, so that the derivative is finite where nothing is clipped. A NaN or
    # an infinity in the norm goes on to every element.
    divisor = fnp.where(length < max_norm, 1.0, length).astype(fnp.asarray(u).dtype)
    return fnp.where(length < max_norm, u, u / divisor * max_norm)


def clip_by_block_rms(threshold: Any) -> GradientTransformation:
    """Each leaf divided by max(1, √mean u² / threshold)."""
    check_positive("clip_by_block_rms", threshold=threshold)

    def bounded(u: Any) -> Any:
        return u / fnp.maximum(1.0, fnp.sqrt(fnp.mean(abs_sq(u))) / threshold)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        return tree.map(bounded, updates), state

    return GradientTransformation(init_empty_state, update)


def unitwise_norm(x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """The norm of each unit of a weight, in the shape of the weight.

    Units lie along the last axis: of matrices and stacks of three axes the norm is over axis 0, of
    convolutions (four or five axes) over all but the last; vectors and scalars are one unit.

    Args:
        axis: other axes to take the norm over.
    Raises:
        ValueError: more than five axes, and no `axis`.
    """
    x = fnp.asarray(x)
    if axis is None:
        if sum(n != 1 for n in x.shape) <= 1:
            axis = tuple(range(x.ndim))
        elif x.ndim <= 3:
            axis = (0,)
        elif x.ndim <= 5:
            axis = tuple(range(x.ndim - 1))
        else:
            raise ValueError(
                f"unitwise_norm knows the units of weights of up to five axes, got shape {x.shape}."
                f"\n  {user_line()}\n  Say by `axis` what the norm goes over."
            )
    square = fnp.sum(abs_sq(x), axis=axis, keepdims=True)
    return fnp.broadcast_to(fnp.sqrt(square), x.shape)


def unitwise_clip(g_norm: Any, max_norm: Any, grad: Any, div_eps: Any = 1e-6) -> Any:
    """grad · max_norm / max(g_norm, div_eps) where g_norm is not below max_norm."""
    return fnp.where(g_norm < max_norm, grad, grad * (max_norm / fnp.maximum(g_norm, div_eps)))


def adaptive_grad_clip(
    clipping: Any, eps: Any = 1e-3, axis: int | tuple[int, ...] | None = None
) -> GradientTransformation:
    """Each unit's gradient brought to a norm of at most clipping · max(‖weights of the unit‖, eps).

    Args:
        axis: what the norms go over; see `unitwise_norm`.
    Raises:
        ValueError: in update, when params are not given or the trees differ.
    Source: Brock et al., arXiv:2102.06171.
    """
    check_positive("adaptive_grad_clip", clipping=clipping)
    check_not_negative("adaptive_grad_clip", eps=eps)

    def bounded(g: Any, p: Any) -> Any:
        bound = clipping * fnp.maximum(unitwise_norm(p, axis), eps)
        return unitwise_clip(unitwise_norm(g, axis), bound, g)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        need_params("adaptive_grad_clip", params)
        return map_leaves("adaptive_grad_clip", bounded, updates, params=params), state

    return GradientTransformation(init_empty_state, update)


def _check_batch(what: str, grads: Any) -> None:
    found = [fnp.shape(g) for g in tree.leaves(grads)]
    if not found or any(not shape or shape[0] != found[0][0] for shape in found):
        raise ValueError(
            f"{what} wants gradients of single examples, with the examples along the first axis of "
            f"every leaf; got the shapes {found}.\n  {user_line()}\n"
            "  vmap(grad(loss), in_axes=(None, 0)) makes them."
        )


def per_example_global_norm_clip(grads: Any, l2_norm_clip: Any) -> tuple[Any, Any]:
    """The sum of per-example gradients, each first scaled to a norm of at most l2_norm_clip.

    Args:
        grads: a tree of f32[n, ...], n examples.
    Returns:
        The sum, without the axis of examples, and i32[], how many examples were clipped.
    Raises:
        ValueError: leaves without a common first axis.
    Source: Abadi et al., arXiv:1607.00133.
    """
    _check_batch("per_example_global_norm_clip", grads)
    norms = vmap(norm)(grads)
    # A gradient of zeros is no reason to divide by 0; it stays as it is.
    factors = fnp.minimum(l2_norm_clip / fnp.where(norms > 0, norms, l2_norm_clip), 1.0)
    factors = fnp.where(fnp.isnan(factors), 1.0, factors)
    total = tree.map(lambda g: fnp.tensordot(factors, g, axes=1), grads)
    return total, fnp.sum(factors < 1.0)


def per_example_layer_norm_clip(
    grads: Any, global_l2_norm_clip: Any, uniform: bool = True
) -> tuple[Any, Any]:
    """The same leaf by leaf, each with its share of the bound, so that the whole keeps it.

    Args:
        grads: a tree of f32[n, ...], n examples.
        uniform: shares √(1/leaves), or by the number of elements of a leaf.
    Returns:
        The sums, and i32[] for each leaf, how many examples were clipped.
    Raises:
        ValueError: leaves without a common first axis.
    Source: McMahan et al., arXiv:1710.06963.
    """
    _check_batch("per_example_layer_norm_clip", grads)
    leaves = tree.leaves(grads)
    sizes = [1.0 if uniform else float(fnp.size(g[0])) for g in leaves]
    bounds = [global_l2_norm_clip * (size / sum(sizes)) ** 0.5 for size in sizes]
    pairs = [
        per_example_global_norm_clip(g, bound) for g, bound in zip(leaves, bounds, strict=True)
    ]
    treedef = tree.structure(grads)
    return (
        tree.unflatten(treedef, [total for total, _ in pairs]),
        tree.unflatten(treedef, [count for _, count in pairs]),
    )


AdaptiveGradClipState = EmptyState
ClipByGlobalNormState = EmptyState
ClipState = EmptyState
