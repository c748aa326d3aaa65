"""Losses of adversarial networks: of the critic's scores, one value for each example.

Scores are logits of "real". A critic minimises its loss over real and generated examples, the
generator its own over generated ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import numpy as fnp
from .. import random
from ..api.reverse import grad
from .activations import softplus
from .operands import floats, paired, safe_root

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

_words = ("scores of real examples", "scores of generated ones")


def minimax_critic_loss(
    real: Float[Any, "*shape"], generated: Float[Any, "..."]
) -> Float[Any, "*shape"]:
    """−log σ(real) − log(1 − σ(generated)).

    Args:
        real: f32[...], scores of real examples.
        generated: f32[...], scores of generated ones.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes differ.
    Source: Goodfellow et al., arXiv:1406.2661, equation 1.
    """
    real, generated = paired("minimax_critic_loss", real, generated, _words)
    return softplus(-real) + softplus(generated)


def minimax_generator_loss(generated: Float[Any, "*shape"]) -> Float[Any, "*shape"]:
    """log(1 − σ(generated)): flat where the critic is sure.

    Args:
        generated: f32[...], scores of generated examples.
    Returns:
        f32[...].
    Source: Goodfellow et al., arXiv:1406.2661, equation 1.
    """
    return -softplus(floats(generated))


def non_saturating_generator_loss(generated: Float[Any, "*shape"]) -> Float[Any, "*shape"]:
    """−log σ(generated): steep where the critic is sure.

    Args:
        generated: f32[...], scores of generated examples.
    Returns:
        f32[...].
    Source: Goodfellow et al., arXiv:1406.2661, section 3.
    """
    return softplus(-floats(generated))


def least_squares_critic_loss(
    real: Float[Any, "*shape"], generated: Float[Any, "..."]
) -> Float[Any, "*shape"]:
    """½ (real − 1)² + ½ generated².

    Args:
        real: f32[...], scores of real examples.
        generated: f32[...], scores of generated ones.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes differ.
    Source: Mao et al., arXiv:1611.04076, equation 9.
    """
    real, generated = paired("least_squares_critic_loss", real, generated, _words)
    return 0.5 * fnp.square(real - 1) + 0.5 * fnp.square(generated)


def least_squares_generator_loss(generated: Float[Any, "*shape"]) -> Float[Any, "*shape"]:
    """½ (generated − 1)².

    Args:
        generated: f32[...], scores of generated examples.
    Returns:
        f32[...].
    Source: Mao et al., arXiv:1611.04076, equation 9.
    """
    return 0.5 * fnp.square(floats(generated) - 1)


def wasserstein_critic_loss(
    real: Float[Any, "*shape"], generated: Float[Any, "..."]
) -> Float[Any, "*shape"]:
    """generated − real; the critic's slope is held by `gradient_penalty`.

    Args:
        real: f32[...], scores of real examples.
        generated: f32[...], scores of generated ones.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes differ.
    Source: Arjovsky et al., arXiv:1701.07875.
    """
    real, generated = paired("wasserstein_critic_loss", real, generated, _words)
    return generated - real


def wasserstein_generator_loss(generated: Float[Any, "*shape"]) -> Float[Any, "*shape"]:
    """−generated.

    Args:
        generated: f32[...], scores of generated examples.
    Returns:
        f32[...].
    Source: Arjovsky et al., arXiv:1701.07875.
    """
    return -floats(generated)


def gradient_penalty(
    critic: Callable[[Any], Any],
    key: Shaped[Any, "..."],
    real: Float[Any, "batch *shape"],
    generated: Float[Any, "..."],
    *,
    target: float = 1.0,
) -> Float[Any, "batch"]:
    """(‖∂critic/∂x‖ − target)² at points x between real and generated examples.

    Args:
        critic: a batch to its scores f32[batch] or f32[batch, 1]; the score of one example must
            not depend on the others.
        key: draws one place between the two for each example.
        real: f32[batch, ...].
        generated: f32[batch, ...].
        target: the slope wanted.
    Returns:
        f32[batch]; weight it (10 in the source) and add it to the critic's loss.
    Raises:
        ValueError: the shapes differ.
    Source: Gulrajani et al., arXiv:1704.00028, algorithm 1.
    """
    words = ("real examples", "generated ones")
    real, generated = paired("gradient_penalty", real, generated, words)
    share = random.uniform(key, (real.shape[0], *(1,) * (real.ndim - 1)), real.dtype)
    between = share * real + (1 - share) * generated

    def total(x: Any) -> Any:
        return fnp.sum(critic(x))

    slopes = grad(total)(between)
    norms = safe_root(fnp.sum(fnp.square(slopes.reshape(slopes.shape[0], -1)), axis=1))
    return fnp.square(norms - target)
