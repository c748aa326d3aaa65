"""Blocks of Transformers: attention and a net for each position, with norms and shortcuts.

A block gives what it takes with the first array changed, `(x, mask)` to `(y, mask)`, so that
blocks follow each other in `serial` and `repeat`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from .. import random
from ..core.sources import user_line
from .activations import gelu, silu
from .attention_layers import multi_head_attention
from .combinators import serial
from .layer import Layer, Network, entries, output_spec, part, short, spec
from .layer import activation as activation_layer
from .linear import dense
from .normalization import layer_norm
from .regularization import dropout as dropout_layer

Activation = Callable[[Any], Any]


def feed_forward(
    hidden: int, *, activation: Activation = gelu, bias: bool = True, dropout: float = 0.0
) -> Layer:
    """activation(x · W + b) · V + c, at each position; as many features as x.

    params, state: lists with those of the parts of a `serial`.

    Args:
        hidden: features between the two products.
        dropout: share dropped after the activation.
    Source: Vaswani et al., arXiv:1706.03762, section 3.3.
    """
    first = dense(hidden, bias=bias)
    return _sized(
        lambda n: serial(
            first, activation, *_dropped(dropout), dense(n, bias=bias), name="feed_forward"
        ),
        "feed_forward",
    )


def gated_feed_forward(
    hidden: int, *, activation: Activation = silu, bias: bool = False, dropout: float = 0.0
) -> Layer:
    """(activation(x · W) * (x · U)) · V, at each position; as many features as x.

    params: `{"gate": ..., "value": ..., "out": ...}`, each those of a `dense`.

    Args:
        hidden: features between the products.
        activation: silu makes SwiGLU, gelu GEGLU, sigmoid GLU.
        dropout: share dropped before the last product.
    Source: Shazeer, arXiv:2002.05202.
    """
    name = "gated_feed_forward"
    wide, drop = dense(hidden, bias=bias), _dropped(dropout)

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        x = spec(x)
        keys = random.split(key, 4)
        params: dict[str, Any] = {}
        for own, step in zip(keys, ("gate", "value"), strict=False):
            params[step], _ = wide.init(own, x)
        inner = output_spec(wide, params["gate"], (), x)
        params["out"], _ = dense(x.shape[-1], bias=bias).init(keys[2], inner)
        return params, drop[0].init(keys[3], inner)[1] if drop else ()

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        gate, value, out = entries(params, ("gate", "value", "out"), name, "params")
        with part(f"{name}.gate", wide):
            opened = activation(wide.apply(gate, (), x)[0])
        with part(f"{name}.value", wide):
            inner = opened * wide.apply(value, (), x)[0]
        if drop:
            inner, state = drop[0].apply((), state, inner, train=train)
        with part(f"{name}.out", wide):
            return wide.apply(out, (), inner)[0], state

    return Network(init, apply, name)


def _sized(make: Callable[[int], Layer], name: str) -> Layer:
    """A layer whose parts depend on the number of features of its input."""

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        return make(x.shape[-1]).init(key, x)

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        return make(x.shape[-1]).apply(params, state, x, train=train)

    return Network(init, apply, name)


def _dropped(rate: float) -> tuple[Layer, ...]:
    return (dropout_layer(rate),) if rate else ()


class _Step(NamedTuple):
    """One sum of a block: x + layer(norm(x)), or norm(x + layer(x)).

    Attributes:
        name: of the step, and of its entry in params and state.
        layer: takes x, or x and further arrays.
        uses: the places of these in the input of the block; None where there may be no such array.
    """

    name: str
    layer: Layer
    uses: tuple[int | None, ...] = ()


def encoder_block(
    heads: int,
    hidden: int,
    *,
    norm_first: bool = True,
    norm: Layer | None = None,
    net: Layer | None = None,
    activation: Activation = gelu,
    dropout: float = 0.0,
    **attention: Any,
) -> Layer:
    """Attention of all vectors to all, then a net for each: with a shortcut and a norm each.

    x: f32[batch, time, features], or `(x, mask)` with bool that broadcasts to [batch, heads, time,
    time], such as `padding_mask(lengths, time)`; gives `(y, mask)` then.

    params, state: `{"attention": ..., "net": ...}`, each `{"norm", "layer", "dropout"}`.

    Args:
        heads: of the attention.
        hidden: features inside the net.
        norm_first: x + f(norm(x)); else norm(x + f(x)), as in the source.
        norm: by default `layer_norm()`; `rms_norm()` is another.
        net: by default `feed_forward(hidden, activation=activation)`.
        dropout: share dropped of what is added to the shortcut.
        attention: further options of `multi_head_attention`.
    Source: Vaswani et al., arXiv:1706.03762; Xiong et al., arXiv:2002.04745 (the norm first).
    """
    steps = (
        _Step("attention", multi_head_attention(heads, **attention), (None, 1)),
        _Step("net", net or feed_forward(hidden, activation=activation, dropout=dropout)),
    )
    return _block("encoder_block", steps, norm or layer_norm(), norm_first, dropout, ("mask",))


def decoder_block(
    heads: int,
    hidden: int,
    *,
    cross: bool = False,
    norm_first: bool = True,
    norm: Layer | None = None,
    net: Layer | None = None,
    activation: Activation = gelu,
    dropout: float = 0.0,
    **attention: Any,
) -> Layer:
    """Causal attention, attention to a memory if `cross`, and a net for each vector.

    x: f32[batch, time, features], or `(x, mask)`; with `cross` `(x, memory)`, `(x, memory, mask)`
    or `(x, memory, mask, memory_mask)`. Gives the same with the first array changed.

    params, state: `{"attention": ..., "cross": ..., "net": ...}`, each `{"norm", "layer",
    "dropout"}`; `cross` where there is one.

    Args:
        heads: of the attentions.
        hidden: features inside the net.
        cross: whether there is a memory, what an encoder gives.
        norm_first: x + f(norm(x)); else norm(x + f(x)), as in the source.
        norm: by default `layer_norm()`; `rms_norm()` is another.
        net: by default `feed_forward(hidden, activation=activation)`.
        dropout: share dropped of what is added to the shortcut.
        attention: further options of `multi_head_attention` for the causal one, such as `cache`
            and `rotary`; `key_heads`, `head_features`, `bias`, `attention_dropout` and
            `weight_init` for both.
    Source: Vaswani et al., arXiv:1706.03762.
    """
    places = 2 if cross else 1
    options: dict[str, Any] = {"causal": True, **attention}
    own = multi_head_attention(heads, **options)
    steps = [_Step("attention", own, (None, places))]
    if cross:
        both = ("key_heads", "head_features", "bias", "attention_dropout", "weight_init")
        shared = {name: attention[name] for name in both if name in attention}
        steps.append(_Step("cross", multi_head_attention(heads, **shared), (1, 3)))
    steps.append(_Step("net", net or feed_forward(hidden, activation=activation, dropout=dropout)))
    extras = ("memory", "mask", "memory_mask") if cross else ("mask",)
    block = _block("decoder_block", steps, norm or layer_norm(), norm_first, dropout, extras)
    return _with_memory(block) if cross else block


def _with_memory(block: Layer) -> Layer:
    def check(x: Any) -> None:
        if not isinstance(x, tuple) or len(cast("tuple[Any, ...]", x)) < 2:
            raise ValueError(
                f"decoder_block with cross attention got {short(x)} and no memory.\n"
                f"  {user_line()}\n  Give (x, memory)."
            )

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        check(x)
        return block.init(key, x)

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        check(x)
        return block.apply(params, state, x, train=train)

    return Network(init, apply, block.name)


class _Block(NamedTuple):
    """What is static in a block; see `encoder_block`.

    Attributes:
        extras: what may come after x in the input.
    """

    name: str
    steps: Sequence[_Step]
    norm: Layer
    norm_first: bool
    drop: Layer
    extras: Sequence[str]

    def inputs(self, x: Any) -> tuple[Any, ...]:
        """x and what comes with it."""
        given = cast("tuple[Any, ...]", x) if isinstance(x, tuple) else (x,)
        if len(given) > 1 + len(self.extras):
            raise ValueError(
                f"{self.name} takes (x, {', '.join(self.extras)}), got {short(given)}.\n"
                f"  {user_line()}\n  Leave out what is not listed."
            )
        return given

    def start(self, key: Any, step: _Step, given: tuple[Any, ...]) -> tuple[Any, Any]:
        """Params and state of one step."""
        x = given[0]
        layers = (self.norm, self.drop, step.layer)
        inputs = (x, x, _taken(step, x, given))
        params: dict[str, Any] = {}
        states: dict[str, Any] = {}
        every = zip(_parts, layers, random.split(key, 3), inputs, strict=True)
        for name, layer, own, at in every:
            with part(f"{self.name}.{step.name}.{name}", layer):
                params[name], states[name] = layer.init(own, at)
        return params, states

    def add(
        self, step: _Step, params: Any, state: Any, given: tuple[Any, ...], train: bool
    ) -> tuple[Any, Any]:
        """What one step makes of x, and its new state."""
        layers = dict(zip(_parts, (self.norm, self.drop, step.layer), strict=True))
        own = dict(zip(_parts, entries(params, _parts, self.name, "params"), strict=True))
        new = dict(zip(_parts, entries(state, _parts, self.name, "state"), strict=True))

        def run(name: str, y: Any) -> Any:
            with part(f"{self.name}.{step.name}.{name}", layers[name]):
                y, new[name] = layers[name].apply(own[name], new[name], y, train=train)
            return y

        x = given[0]
        y = run("norm", x) if self.norm_first else x
        y = x + run("dropout", run("layer", _taken(step, y, given)))
        return y if self.norm_first else run("norm", y), new


_parts: Sequence[str] = ("norm", "dropout", "layer")


def _taken(step: _Step, y: Any, given: tuple[Any, ...]) -> Any:
    """The input of a step's layer: y, with the arrays that it uses."""
    if not step.uses:
        return y
    return (y, *(None if i is None or i >= len(given) else given[i] for i in step.uses))


def _block(
    name: str,
    steps: Sequence[_Step],
    norm: Layer,
    norm_first: bool,
    rate: float,
    extras: Sequence[str],
) -> Layer:
    drop = dropout_layer(rate) if rate else activation_layer(lambda x: x, "dropout")
    block = _Block(name, steps, norm, norm_first, drop, extras)
    names = [step.name for step in steps]

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        given = block.inputs(spec(x))
        params: dict[str, Any] = {}
        state: dict[str, Any] = {}
        for own, step in zip(random.split(key, len(steps)), steps, strict=True):
            params[step.name], state[step.name] = block.start(own, step, given)
        return params, state

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        given = block.inputs(x)
        new: dict[str, Any] = {}
        own = entries(params, names, name, "params")
        old = entries(state, names, name, "state")
        for step, weights, before in zip(steps, own, old, strict=True):
            y, new[step.name] = block.add(step, weights, before, given, train)
            given = (y, *given[1:])
        return given if isinstance(x, tuple) else given[0], new

    return Network(init, apply, name)
