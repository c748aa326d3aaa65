"""Recurrent networks: a model of characters, and one from sequence to sequence."""

from __future__ import annotations

from typing import Any

from ... import nn, random
from ... import numpy as fnp
from ...core.sources import user_line
from ..layer import Layer, Network, begin, part, short, spec


def char_lstm(vocabulary: int, hidden: int = 128, layers: int = 2, *, carry: bool = False) -> Layer:
    """Characters i32[batch, time] to logits of the next one: f32[batch, time, vocabulary].

    239,297 params for a vocabulary of 65; char-rnn counts 240,321, with a second bias in each
    layer.

    Args:
        hidden: size of the hidden vectors.
        layers: of the LSTM.
        carry: begin where the state says, and give the last carry as the new state, as in `lstm`:
            for texts in parts, and to sample character by character.
    Source: Karpathy, char-rnn (2015); Graves, arXiv:1308.0850.
    """
    return nn.serial(
        nn.activation(lambda x: nn.one_hot(x, vocabulary), "one_hot"),
        nn.lstm(hidden, layers, carry=carry),
        nn.dense(vocabulary),
        name="char_lstm",
    )


def seq2seq(source: int, target: int, features: int = 1000, layers: int = 4) -> Layer:
    """Logits of the next word of a translation, of the words before it and of the source.

    x: `(source i32[batch, s], target i32[batch, t])`, or with lengths i32[batch] of the sources as
    third; y: f32[batch, t, target words]. The last carry of an LSTM over the source is the first of
    the one over the target. No state.

    384,112,000 params for 160,000 and 80,000 words; "384M" in the paper, which reverses the source.

    params: `{"source", "encoder", "target", "decoder", "out"}`.

    Args:
        source: how many words the source language has.
        target: how many the target language has.
        features: of the embeddings and of the hidden vectors.
        layers: of each LSTM.
    Source: Sutskever et al., arXiv:1409.3215.
    """
    name = "seq2seq"
    steps = {
        "source": nn.embedding(source, features),
        "encoder": nn.lstm(features, layers, carry=True),
        "target": nn.embedding(target, features),
        "decoder": nn.lstm(features, layers, carry=True),
        "out": nn.dense(target),
    }

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        x = _source_and_target(spec(x))
        params: dict[str, Any] = {}
        y: Any = None
        for own, (step, layer) in zip(random.split(key, len(steps)), steps.items(), strict=True):
            given = {"source": x[0], "target": x[1]}.get(step, y)
            with part(f"{name}.{step}", layer):
                params[step], _, y = begin(layer, own, given)
        return params, ()

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        source, target, *lengths = _source_and_target(x)

        def run(step: str, carry: Any, y: Any) -> tuple[Any, Any]:
            with part(f"{name}.{step}", steps[step]):
                return steps[step].apply(params[step], carry, y, train=train)

        y, _ = run("source", (), source)
        zeros = fnp.zeros((y.shape[0], features), y.dtype)
        _, carry = run("encoder", [(zeros, zeros)] * layers, (y, *lengths) if lengths else y)
        y, _ = run("target", (), target)
        y, _ = run("decoder", carry, y)
        return run("out", (), y)[0], state

    return Network(init, apply, name)


def _source_and_target(x: Any) -> Any:
    if not isinstance(x, tuple) or len(x) not in (2, 3):  # pyright: ignore[reportUnknownArgumentType]
        raise ValueError(
            f"seq2seq takes (source, target) or (source, target, lengths), got {short(x)}.\n"
            f"  {user_line()}\n  Give a tuple of i32[batch, time] twice, and i32[batch]."
        )
    return x  # pyright: ignore[reportUnknownVariableType]
