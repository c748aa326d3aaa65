"""Recurrent layers: one cell after another along time, by a scan.

In: sequences f[batch, time, features], or a pair of these and their lengths. Out: the hidden
vector at each time. The one idea: what the cell makes of its input does not depend on the step
before, so that it is one product for all times; the scan has only the product with the hidden
vector. A cell takes and gives a carry: the hidden vector, for an LSTM a pair with the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

from .. import lax, random, tree
from .. import numpy as fnp
from ..core.shapes import ShapeDtypeStruct
from ..core.sources import user_line
from ..core.trace import Tracer
from ..ir import dtypes
from .activations import tanh
from .layer import Layer, entries, param_dtype, short, spec


class Cell(NamedTuple):
    """One step of a recurrent layer.

    Attributes:
        name: of the layer.
        gates: how many vectors of the size of the hidden one the products give.
        advance: `(params, carry, products of the input) -> carry`.
        parts: how many vectors the carry has; the first is what the layer gives.
        extra: names of further biases f[features].
    """

    name: str
    gates: int
    advance: Callable[[Any, Any, Any], Any]
    parts: int = 1
    extra: tuple[str, ...] = ()


def rnn_cell(
    params: dict[str, Any], carry: Any, x: Any, activation: Callable[[Any], Any] = tanh
) -> Any:
    """activation(x · input + carry · hidden + bias), the new hidden vector.

    Args:
        params: `{"input": f32[n, features], "hidden": f32[features, features], "bias":
            f32[features]}`.
        carry: f32[..., features], the hidden vector.
        x: f32[..., n].
    Returns:
        f32[..., features].
    Source: Elman, Cognitive Science 14 (1990).
    """
    return _advance_rnn(activation, params, carry, _of_input(params, x))


def lstm_cell(params: dict[str, Any], carry: tuple[Any, Any], x: Any) -> tuple[Any, Any]:
    """(h, c): c ← σ(f) · c + σ(i) · tanh(g), h ← σ(o) · tanh(c).

    (i, f, g, o) = x · input + h · hidden + bias

    Args:
        params: `{"input": f32[n, 4 · features], "hidden": f32[features, 4 · features], "bias":
            f32[4 · features]}`.
        carry: (h, c), f32[..., features] each.
        x: f32[..., n].
    Returns:
        The new (h, c).
    Source: Hochreiter & Schmidhuber, Neural Computation 9 (1997); Gers et al. (2000) for f.
    """
    return _advance_lstm(params, carry, _of_input(params, x))


def gru_cell(params: dict[str, Any], carry: Any, x: Any) -> Any:
    """h ← (1 − σ(z)) · n + σ(z) · h, n = tanh(nₓ + σ(r) · (nₕ + candidate_bias)).

    (r, z, nₓ) = x · input + bias; r, z and nₕ get h · hidden added.

    Args:
        params: `{"input": f32[n, 3 · features], "hidden": f32[features, 3 · features], "bias":
            f32[3 · features], "candidate_bias": f32[features]}`.
        carry: f32[..., features], h.
        x: f32[..., n].
    Returns:
        f32[..., features].
    Source: Cho et al., arXiv:1406.1078; the reset gate after the product, as in cuDNN.
    """
    return _advance_gru(params, carry, _of_input(params, x))


def _of_input(params: Any, x: Any) -> Any:
    return x @ params["input"] + params["bias"]


def _advance_rnn(activation: Callable[[Any], Any], params: Any, h: Any, z: Any) -> Any:
    return activation(z + h @ params["hidden"])


def _advance_lstm(params: Any, carry: tuple[Any, Any], z: Any) -> tuple[Any, Any]:
    h, c = carry
    i, f, g, o = fnp.split(z + h @ params["hidden"], 4, axis=-1)
    c = lax.logistic(f) * c + lax.logistic(i) * tanh(g)
    return lax.logistic(o) * tanh(c), c


def _advance_gru(params: Any, h: Any, z: Any) -> Any:
    size = h.shape[-1]
    of_hidden = h @ params["hidden"]
    gates = lax.logistic(z[..., : 2 * size] + of_hidden[..., : 2 * size])
    reset, keep = gates[..., :size], gates[..., size:]
    candidate = of_hidden[..., 2 * size :] + params["candidate_bias"]
    new = tanh(z[..., 2 * size :] + reset * candidate)
    return (1 - keep) * new + keep * h


def rnn(
    features: int,
    layers: int = 1,
    *,
    bidirectional: bool = False,
    carry: bool = False,
    activation: Callable[[Any], Any] = tanh,
) -> Layer:
    """Layers of `rnn_cell` along time.

    See `lstm` for inputs, params, state and errors.

    Args:
        activation: tanh, or `nn.relu`.
    """
    cell = Cell("rnn", 1, partial(_advance_rnn, activation))
    return _recurrent(cell, features, layers, bidirectional, carry)


def lstm(
    features: int, layers: int = 1, *, bidirectional: bool = False, carry: bool = False
) -> Layer:
    """Layers of `lstm_cell` along time, each on what the one below gives.

    x: f32[batch, time, n], or a pair `(x, lengths)` with i32[batch]: steps from there on leave the
    carry as it is and give 0. y: f32[batch, time, features], both directions beside each other.

    params: a list with `{"forward": params of the cell}` for each layer, and `"backward"` too.
    state: `()`; with `carry` a list with the carry of each layer, the cell's after the last step.

    Args:
        features: size of the hidden vector.
        layers: how many.
        bidirectional: each layer runs forwards and backwards.
        carry: begin where the state says, and give the last carry as the new state: parts of one
            sequence in several calls, truncated backpropagation. Without it a call begins at 0.
    Raises:
        ValueError: no layers; `carry` with `bidirectional`; shapes that do not fit; lengths out of
            range. Under jit lengths are not known: above the time they count as the time, below 0
            as 0.
    """
    return _recurrent(Cell("lstm", 4, _advance_lstm, 2), features, layers, bidirectional, carry)


def gru(
    features: int, layers: int = 1, *, bidirectional: bool = False, carry: bool = False
) -> Layer:
    """Layers of `gru_cell` along time.

    See `lstm` for inputs, params, state and errors.
    """
    cell = Cell("gru", 3, _advance_gru, extra=("candidate_bias",))
    return _recurrent(cell, features, layers, bidirectional, carry)


def _recurrent(cell: Cell, features: int, layers: int, bidirectional: bool, carry: bool) -> Layer:
    name = cell.name
    if layers < 1:
        raise ValueError(f"{name} needs at least 1 layer, got {layers}.\n  {user_line()}")
    if bidirectional and carry:
        raise ValueError(
            f"{name} got bidirectional and carry together: the backward direction begins at the "
            f"end of a sequence, which a part of it has not.\n  {user_line()}\n"
            "  Give whole sequences without carry."
        )
    ways = ("forward", "backward") if bidirectional else ("forward",)

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        x, _ = _sequences(name, spec(x))
        dtype, width = param_dtype(x), x.shape[2]
        params: list[dict[str, Any]] = []
        for own in random.split(key, layers):
            keys = random.split(own, len(ways))
            params.append(
                {
                    way: _params(cell, k, width, features, dtype)
                    for way, k in zip(ways, keys, strict=True)
                }
            )
            width = features * len(ways)
        if not carry:
            return params, ()
        return params, [_start(cell, x.shape[0], features, dtype) for _ in params]

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        x, lengths = _sequences(name, x)
        starts = _starts(name, state, layers, x) if carry else [None] * layers
        _check_layers(name, "params", params, layers)
        ends: list[Any] = []
        for own, start in zip(params, starts, strict=True):
            ys: list[Any] = []
            for way, weights in zip(ways, entries(own, ways, name, "params"), strict=True):
                end, y = _run(cell, weights, start, x, lengths, way == "backward")
                ends.append(end)
                ys.append(y)
            x = ys[0] if len(ys) == 1 else fnp.concatenate(ys, axis=-1)
        return x, ends if carry else state

    return Layer(init, apply, name)


def _params(cell: Cell, key: Any, inputs: int, features: int, dtype: Any) -> dict[str, Any]:
    """Weights and biases from the uniform distribution on ±1/√features."""
    bound = features**-0.5
    shapes: dict[str, tuple[int, ...]] = {
        "input": (inputs, cell.gates * features),
        "hidden": (features, cell.gates * features),
        "bias": (cell.gates * features,),
        **dict.fromkeys(cell.extra, (features,)),
    }
    keys = random.split(key, len(shapes))
    return {
        name: random.uniform(own, shape, dtype, -bound, bound)
        for own, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def _start(cell: Cell, batch: int, features: int, dtype: Any) -> Any:
    zeros = fnp.zeros((batch, features), dtype)
    return zeros if cell.parts == 1 else (zeros,) * cell.parts


def _run(
    cell: Cell, params: Any, start: Any, x: Any, lengths: Any, backward: bool
) -> tuple[Any, Any]:
    """The last carry, and what one layer gives in one direction."""
    entries(params, ("input", "hidden", "bias", *cell.extra), cell.name, "params")
    if x.shape[2] != params["input"].shape[0]:
        raise ValueError(
            f"{cell.name} with input weights of {short(params['input'])} got {short(x)}: the last "
            f"axis of the input is not {params['input'].shape[0]}.\n  {user_line()}\n"
            "  Give init an input of the size that apply gets."
        )
    z = fnp.swapaxes(_of_input(params, x), 0, 1)
    if start is None:
        start = _start(cell, x.shape[0], params["hidden"].shape[0], z.dtype)
    times = fnp.arange(x.shape[1])

    def step(carry: Any, now: Any) -> tuple[Any, Any]:
        time, z = now
        new = cell.advance(params, carry, z)
        y = tree.leaves(new)[0]
        if lengths is None:
            return new, y
        there = (time < lengths)[:, None]
        kept = tree.map(lambda a, b: fnp.where(there, a, b), new, carry)
        return kept, fnp.where(there, y, fnp.zeros_like(y))

    end, ys = lax.scan(step, start, (times, z), reverse=backward)
    return end, fnp.swapaxes(ys, 0, 1)


def _sequences(name: str, x: Any) -> tuple[Any, Any]:
    """The sequences and their lengths, None where all are whole."""
    x, lengths = cast("tuple[Any, Any]", x) if isinstance(x, tuple) else (x, None)
    if len(x.shape) != 3:
        raise ValueError(
            f"{name} takes sequences [batch, time, features], got {short(x)}.\n  {user_line()}\n"
            "  Add the axes that are missing: x[None] for one sequence, x[..., None] for one "
            "feature."
        )
    if lengths is None:
        return x, None
    if lengths.shape != x.shape[:1] or not dtypes.issubdtype(lengths.dtype, np.integer):
        raise ValueError(
            f"{name} got lengths {short(lengths)} for sequences {short(x)}.\n  {user_line()}\n"
            f"  Give integers of shape {x.shape[:1]}."
        )
    if not isinstance(lengths, Tracer | ShapeDtypeStruct):
        known: Any = np.asarray(lengths)
        if known.size and (known.min() < 0 or known.max() > x.shape[1]):
            raise ValueError(
                f"{name} got lengths from {known.min()} to {known.max()} for sequences "
                f"{short(x)}.\n  {user_line()}\n  Give lengths from 0 to {x.shape[1]}."
            )
    return x, lengths


def _check_layers(name: str, what: str, given: Any, layers: int) -> None:
    if not isinstance(given, list | tuple) or len(given) != layers:  # pyright: ignore[reportUnknownArgumentType]
        raise ValueError(
            f"{name} of {layers} layers got {what} {short(given)}.\n  {user_line()}\n"
            f"  Give the {what} that its init returned, or that the call before gave back."
        )


def _starts(name: str, state: Any, layers: int, x: Any) -> list[Any]:
    _check_layers(name, "state", state, layers)
    wrong = [leaf for leaf in tree.leaves(state) if leaf.shape[0] != x.shape[0]]
    if wrong:
        raise ValueError(
            f"{name} got a state of {short(wrong[0])} for a batch {short(x)}.\n  {user_line()}\n"
            "  Give a state of the same batch: init with it, or take rows of the state."
        )
    return list(state)
