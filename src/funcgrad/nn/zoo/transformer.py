"""Transformers: a language model in the form of GPT-2, and one that sees images as words."""

from __future__ import annotations

from functools import partial
from typing import Any

from ... import nn, random
from ... import numpy as fnp
from ..layer import Layer, Network, begin, part, spec, stateless

_draw = nn.initializers.normal(0.02)


def gpt(
    vocabulary: int = 50257,
    length: int = 1024,
    features: int = 768,
    heads: int = 12,
    layers: int = 12,
    *,
    dropout: float = 0.0,
    cache: bool = False,
) -> Layer:
    """GPT-2: words i32[batch, time] to logits of the next one, f32[batch, time, vocabulary].

    124,439,808 params as it stands. The table of words serves as last layer too.

    params: `{"words": {"weight"}, "body": [positions, dropout, blocks, norm]}`.

    Args:
        length: of the longest text.
        heads: of each attention.
        layers: blocks of attention and a net, run by a scan.
        dropout: share dropped of the embeddings, of the weights of attention, and of what is added
            to each shortcut.
        cache: keep keys and values of up to `length` words in the state, and go on from them.
    Source: Radford et al. (2019), GPT-2; Radford et al. (2018); Vaswani et al., arXiv:1706.03762.
    """
    block = nn.decoder_block(
        heads,
        4 * features,
        dropout=dropout,
        attention_dropout=dropout,
        weight_init=_draw,
        cache=length if cache else None,
    )
    body = nn.serial(
        nn.learned_positions(length, cache=cache, weight_init=_draw),
        nn.dropout(dropout),
        nn.repeat(block, layers),
        nn.layer_norm(),
    )
    return _tied(nn.embedding(vocabulary, features, weight_init=_draw), body, "gpt")


def _tied(words: Layer, body: Layer, name: str) -> Layer:
    """body(words(x)) times the transposed table of the words."""

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        x = spec(x)
        first, second = random.split(key)
        with part(f"{name}.words", words):
            own, _, y = begin(words, first, x)
        with part(f"{name}.body", body):
            rest, state = body.init(second, y)
        return {"words": own, "body": rest}, state

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        with part(f"{name}.words", words):
            y, _ = words.apply(params["words"], (), x)
        with part(f"{name}.body", body):
            y, state = body.apply(params["body"], state, y, train=train)
        return y @ params["words"]["weight"].T, state

    return Network(init, apply, name)


def vit(
    classes: int = 1000,
    *,
    size: int = 224,
    patch: int = 16,
    features: int = 192,
    heads: int = 3,
    layers: int = 12,
    dropout: float = 0.0,
) -> Layer:
    """ViT-tiny: f32[n, size, size, channels] to logits f32[n, classes]; 5,717,416 params.

    Args:
        size: extents of the images.
        patch: extents of the squares that become vectors; divides size.
        features: of each vector.
        heads: of each attention.
        layers: blocks of attention and a net, run by a scan.
        dropout: share dropped of the embeddings, and of what is added to each shortcut.
    Source: Dosovitskiy et al., arXiv:2010.11929; the tiny one of Touvron et al., arXiv:2012.12877.
    """
    block = nn.encoder_block(
        heads,
        4 * features,
        norm=nn.layer_norm(epsilon=1e-6),
        activation=partial(nn.gelu, approximate=False),
        dropout=dropout,
    )
    return nn.serial(
        nn.conv(features, (patch, patch), (patch, patch), "VALID"),
        nn.reshape(-1, features),
        _class_token(),
        nn.learned_positions((size // patch) ** 2 + 1, weight_init=_draw),
        nn.dropout(dropout),
        nn.repeat(block, layers),
        nn.layer_norm(epsilon=1e-6),
        nn.activation(lambda x: x[:, 0], "class_vector"),
        nn.dense(classes),
        name="vit",
    )


def _class_token() -> Layer:
    """One trained vector before those of each example."""

    def init(key: Any, x: Any) -> dict[str, Any]:
        return {"token": _draw(key, x.shape[-1:], x.dtype)}

    def apply(params: Any, x: Any) -> Any:
        first = fnp.broadcast_to(params["token"], (x.shape[0], 1, x.shape[-1]))
        return fnp.concatenate([first, x], axis=1)

    return stateless(init, apply, "class_token")
