"""The variational autoencoder: a Gaussian of codes for each example, and what a code decodes to."""

from __future__ import annotations

from typing import Any

from ... import nn, random
from ... import numpy as fnp
from ..layer import Layer, entries


def vae(features: int = 784, hidden: int = 400, latent: int = 20) -> Layer:
    """f32[n, ...] to `(logits, mean, log_variance)`; 652,824 params.

    logits f32[n, features] are those of Bernoulli pixels, decoded from z ~ N(mean, variance) in
    training, from the mean otherwise; mean and log_variance f32[n, latent] are of q(z | x). Its
    loss is Σ `sigmoid_binary_cross_entropy(logits, x)` − ½ Σ (1 + log_variance − mean² − variance).

    params: the last entry's first's second is that of `vae_decoder`: `params[-1][0][1]`.
    state: the key of the draws.

    Args:
        features: how many numbers an example has.
        hidden: size of the two hidden layers.
        latent: size of the code.
    Source: Kingma & Welling, arXiv:1312.6114; sizes of PyTorch's example.
    """
    return nn.serial(
        nn.flatten(),
        nn.dense(hidden),
        nn.relu,
        nn.branch(nn.dense(latent), nn.dense(latent)),
        nn.branch(
            nn.serial(_draw(), vae_decoder(features, hidden)),
            nn.activation(lambda moments: moments[0], "mean"),
            nn.activation(lambda moments: moments[1], "log_variance"),
        ),
        name="vae",
    )


def vae_decoder(features: int = 784, hidden: int = 400) -> Layer:
    """Codes f32[n, latent] to logits f32[n, features]: the second half of `vae`."""
    return nn.serial(nn.dense(hidden), nn.relu, nn.dense(features), name="vae_decoder")


def _draw() -> Layer:
    """(mean, log variance) to mean + deviation · ε in training, ε ~ N(0, 1); else the mean."""

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        return (), {"key": random.split(key, 1)[0]}

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        mean, log_variance = x
        if not train:
            return mean, state
        (key,) = entries(state, ("key",), "draw", "state")
        key, own = random.split(key)
        noise = random.normal(own, mean.shape, mean.dtype)
        return mean + fnp.exp(log_variance / 2) * noise, {"key": key}

    return Layer(init, apply, "draw")
