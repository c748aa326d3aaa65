"""Siamese networks: one network for both of a pair, for `contrastive_loss` of what it gives."""

from __future__ import annotations

from typing import Any, cast

from ... import nn
from ... import numpy as fnp
from ...core.sources import user_line
from ..layer import Layer, Network, part, short, spec


def siamese(body: Layer) -> Layer:
    """A pair of batches `(a, b)` to the pair of what the body makes of them, with the same params.

    params, state: those of the body. It is applied once, to both batches joined, so that a batch
    norm in it sees both.

    Raises:
        ValueError: it is no pair, or the two differ in shape.
    Source: Bromley et al., NIPS 1993.
    """

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        with part("siamese", body):
            return body.init(key, _pair(spec(x))[0])

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        both = fnp.concatenate(_pair(x), axis=0)
        with part("siamese", body):
            y, state = body.apply(params, state, both, train=train)
        a, b = fnp.split(y, 2)
        return (a, b), state

    return Network(init, apply, "siamese")


def _pair(x: Any) -> tuple[Any, Any]:
    pair = cast("tuple[Any, ...]", x) if isinstance(x, tuple | list) else ()
    if len(pair) != 2 or pair[0].shape != pair[1].shape:
        raise ValueError(
            f"siamese takes a pair of arrays of one shape, got {short(x)}.\n  {user_line()}\n"
            "  Give a tuple (a, b)."
        )
    return pair[0], pair[1]


def embed_digits(features: int = 2) -> Layer:
    """Digits f32[n, 28, 28, 1] to points f32[n, features], the body of a `siamese`; 431,102 params.

    The network of Caffe's example `mnist_siamese`: LeNet with another end.

    Source: Hadsell et al., CVPR 2006; Caffe's example for the sizes.
    """
    return nn.serial(
        nn.conv(20, (5, 5), padding="VALID"),
        nn.max_pool((2, 2)),
        nn.conv(50, (5, 5), padding="VALID"),
        nn.max_pool((2, 2)),
        nn.flatten(),
        nn.dense(500),
        nn.relu,
        nn.dense(10),
        nn.dense(features),
        name="embed_digits",
    )


def embed_faces(features: int = 50) -> Layer:
    """Faces f32[n, 56, 46, 1] to points f32[n, features], the body of a `siamese`; 319,145 params.

    The sizes of the paper; means are taken where it has pools with a weight, and each map of the
    second convolution sees all maps of the first.

    Source: Chopra et al., CVPR 2005, section 3.
    """
    return nn.serial(
        nn.conv(15, (7, 7), padding="VALID"),
        nn.tanh,
        nn.avg_pool((2, 2)),
        nn.conv(45, (6, 6), padding="VALID"),
        nn.tanh,
        nn.avg_pool((4, 3)),
        nn.flatten(),
        nn.dense(250),
        nn.tanh,
        nn.dense(features),
        name="embed_faces",
    )
