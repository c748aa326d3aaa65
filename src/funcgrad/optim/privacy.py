"""Differentially private steps from per-example gradients: clip each, sum, add noise."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import random, tree
from .accumulation import trace
from .adding import as_key
from .base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    Params,
    ScalarOrSchedule,
    Updates,
    identity,
)
from .checks import check_not_negative, check_positive
from .clipping import per_example_global_norm_clip
from .combining import chain
from .scaling import scale_by_learning_rate


class DifferentiallyPrivateAggregateState(NamedTuple):
    """The key of the noise to come."""

    rng_key: Any


def differentially_private_aggregate(
    l2_norm_clip: Any, noise_multiplier: Any, key: Any = None, *, seed: int | None = None
) -> GradientTransformation:
    """(Σ clipped per-example gradients + N(0, (l2_norm_clip · noise_multiplier)²)) / n.

    The updates are a tree of f32[n, ...], the gradients of n examples; out comes a tree like the
    params. It is the first part of a chain.

    Args:
        l2_norm_clip: bound on the norm of one example's gradient.
        noise_multiplier: deviation of the noise over that bound.
        key: a key, or a number to make one of.
    Raises:
        ValueError: a bound that is not positive, a negative multiplier, key and seed both or
            neither given; in update, leaves without a common first axis.
    Source: Abadi et al., arXiv:1607.00133.
    """
    what = "differentially_private_aggregate"
    check_positive(what, l2_norm_clip=l2_norm_clip)
    check_not_negative(what, noise_multiplier=noise_multiplier)
    first = as_key(what, key, seed)
    deviation = l2_norm_clip * noise_multiplier

    def init(params: Params) -> DifferentiallyPrivateAggregateState:
        return DifferentiallyPrivateAggregateState(first)

    def update(
        updates: Updates, state: DifferentiallyPrivateAggregateState, params: Params = None
    ) -> tuple[Any, Any]:
        total, _ = per_example_global_norm_clip(updates, l2_norm_clip)
        leaves, treedef = tree.flatten(total)
        examples = tree.leaves(updates)[0].shape[0]
        keys = random.split(state.rng_key, len(leaves) + 1)
        noised = [
            (g + deviation * random.normal(keys[i + 1], g.shape, g.dtype)) / examples
            for i, g in enumerate(leaves)
        ]
        return tree.unflatten(treedef, noised), DifferentiallyPrivateAggregateState(keys[0])

    return GradientTransformation(init, update)


def dpsgd(
    learning_rate: ScalarOrSchedule,
    l2_norm_clip: Any,
    noise_multiplier: Any,
    seed: int,
    momentum: Any = None,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:
    """SGD on private gradients; its updates take gradients of single examples, f32[n, ...].

    Raises:
        ValueError: as `differentially_private_aggregate`, or a negative rate.
    Source: Abadi et al., arXiv:1607.00133.
    """
    return chain(
        differentially_private_aggregate(l2_norm_clip, noise_multiplier, seed=seed),
        identity() if momentum is None else trace(momentum, nesterov),
        scale_by_learning_rate(learning_rate),
    )
