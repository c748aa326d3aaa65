"""Layers made of layers: `serial`, `parallel`, `branch`, `residual`, `repeat`.

Params and state of a combinator are lists with those of its parts. A part runs under a scope and
with an error path that say where it is: `serial[2].residual.layer.dense`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import lax, random, tree
from .. import numpy as fnp
from ..api.mapping import vmap
from ..api.tracing import eval_shape
from ..control.checkpoint import checkpoint
from ..core.sources import user_line
from .layer import Layer, Network, Part, Start, add_path, as_layer, begin, part, short, stateless


def serial(*layers: Part, name: str = "serial") -> Layer:
    """Layers one after another; plain functions count as activations.

    params, state: lists with those of each layer.
    """
    whole = [as_layer(layer) for layer in layers]

    def start(key: Any, x: Any) -> tuple[list[Any], list[Any], Any]:
        params: list[Any] = []
        states: list[Any] = []
        for i, (own_key, layer) in enumerate(zip(_keys(name, key, len(whole)), whole, strict=True)):
            with part(f"{name}[{i}]", layer):
                own, state, x = begin(layer, own_key, x)
            params.append(own)
            states.append(state)
        return params, states, x

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, list[Any]]:
        _check(name, len(whole), params=params, state=state)
        states: list[Any] = []
        for i, (layer, own, old) in enumerate(zip(whole, params, state, strict=True)):
            with part(f"{name}[{i}]", layer):
                x, new = layer.apply(own, old, x, train=train)
            states.append(new)
        return x, states

    return Network(Start(start), apply, name)


def parallel(*layers: Part, name: str = "parallel") -> Layer:
    """One layer for each array of a tuple; gives the tuple of what they give."""
    whole = [as_layer(layer) for layer in layers]

    def start(key: Any, x: Any) -> tuple[list[Any], list[Any], tuple[Any, ...]]:
        _check(name, len(whole), input=x)
        found: list[tuple[Any, Any, Any]] = []
        for i, (own_key, layer) in enumerate(zip(_keys(name, key, len(whole)), whole, strict=True)):
            with part(f"{name}[{i}]", layer):
                found.append(begin(layer, own_key, x[i]))
        return [own for own, _, _ in found], [s for _, s, _ in found], tuple(y for *_, y in found)

    def apply(
        params: Any, state: Any, x: Any, *, train: bool = False
    ) -> tuple[tuple[Any, ...], list[Any]]:
        _check(name, len(whole), params=params, state=state, input=x)
        pairs: list[tuple[Any, Any]] = []
        for i, layer in enumerate(whole):
            with part(f"{name}[{i}]", layer):
                pairs.append(layer.apply(params[i], state[i], x[i], train=train))
        return tuple(y for y, _ in pairs), [new for _, new in pairs]

    return Network(Start(start), apply, name)


def branch(*layers: Part, name: str = "branch") -> Layer:
    """Several layers on the same input; gives the tuple of what they give.

    `serial(branch(a, b), concat())` is a block of Inception.
    """
    beside = parallel(*layers, name=name)

    def start(key: Any, x: Any) -> tuple[Any, Any, Any]:
        return begin(beside, key, (x,) * len(layers))

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        return beside.apply(params, state, (x,) * len(layers), train=train)

    return Network(Start(start), apply, name)


def residual(layer: Part, shortcut: Part | None = None, *, name: str = "residual") -> Layer:
    """layer(x) + shortcut(x); the shortcut is x itself when there is none.

    params, state: `{"layer": ..., "shortcut": ...}`.
    Raises:
        ValueError: the two have different shapes; they are not broadcast.
    Source: He et al., arXiv:1512.03385.
    """
    paths = {
        "layer": as_layer(layer),
        "shortcut": as_layer(shortcut) if shortcut is not None else _identity,
    }

    def start(key: Any, x: Any) -> tuple[dict[str, Any], dict[str, Any], Any]:
        params: dict[str, Any] = {}
        state: dict[str, Any] = {}
        ys: list[Any] = []
        for own_key, (step, way) in zip(_keys(name, key, 2), paths.items(), strict=True):
            with part(f"{name}.{step}", way):
                params[step], state[step], y = begin(way, own_key, x)
            ys.append(y)
        _check_same(name, *ys)
        return params, state, eval_shape(_sum, *ys)

    def apply(
        params: Any, state: Any, x: Any, *, train: bool = False
    ) -> tuple[Any, dict[str, Any]]:
        _check(name, 2, params=params, state=state)
        new: dict[str, Any] = {}
        ys: list[Any] = []
        for step, way in paths.items():
            with part(f"{name}.{step}", way):
                y, new[step] = way.apply(params[step], state[step], x, train=train)
            ys.append(y)
        _check_same(name, *ys)
        return _sum(*ys), new

    return Network(Start(start), apply, name)


def repeat(layer: Part, n: int, *, remat: bool = False, name: str = "repeat") -> Layer:
    """n layers of one form after another, by a scan: traced and compiled once.

    params, state: those of the layer, each array with an axis of n in front.

    Args:
        layer: gives the shape and dtype that it takes.
        n: how many.
        remat: keep only the input of each layer for reverse mode, and compute the rest again.
    Raises:
        ValueError: n < 1, or the layer changes shape or dtype.
    """
    one = as_layer(layer)
    if n < 1:
        raise ValueError(f"repeat needs n of at least 1, got {n}.\n  {user_line()}")

    def start(key: Any, x: Any) -> tuple[Any, Any, Any]:
        found: list[Any] = []

        def own(key: Any) -> tuple[Any, Any]:
            params, state, y = begin(one, key, x)
            found.append(y)
            return params, state

        with part(name, one):
            params, state = vmap(own)(_keys(name, key, n))
        _check_kept(name, x, found[0])
        return params, state, x

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        _check_stacked(name, n, params=params, state=state)

        def turn(x: Any, own: Any) -> tuple[Any, Any]:
            with part(name, one):
                y, new = one.apply(*own, x, train=train)
            _check_kept(name, x, y)
            return y, new

        body = checkpoint(turn) if remat else turn
        return lax.scan(body, x, (params, state), length=n)

    return Network(Start(start), apply, name)


_identity = stateless(lambda key, x: (), lambda params, x: x, "identity")


def _sum(y: Any, kept: Any) -> Any:
    return tree.map(fnp.add, y, kept)


def _keys(name: str, key: Any, n: int) -> Any:
    try:
        return random.split(key, n) if n else []
    except (TypeError, ValueError) as error:
        add_path(error, name)
        raise


def _check(name: str, n: int, **given: Any) -> None:
    """Raise ValueError when one of the given things has not a part for each layer."""
    for what, parts in given.items():
        if isinstance(parts, Sequence | dict) and len(parts) == n:  # pyright: ignore[reportUnknownArgumentType]
            continue
        has = len(parts) if isinstance(parts, Sequence | dict) else f"one, {short(parts)}"  # pyright: ignore[reportUnknownArgumentType]
        hint = (
            "Give a tuple with an array for each layer."
            if what == "input"
            else f"Give the {what} that its init returned, or that the call before gave back."
        )
        raise ValueError(f"{name} of {n} layers got {what} for {has}.\n  {user_line()}\n  {hint}")


def _check_same(name: str, y: Any, kept: Any) -> None:
    if [leaf.shape for leaf in tree.leaves(y)] != [leaf.shape for leaf in tree.leaves(kept)]:
        raise ValueError(
            f"{name} adds {short(y)} of its layer to {short(kept)} of its shortcut.\n"
            f"  {user_line()}\n  Give a shortcut layer that makes the shape of the layer."
        )


def _check_kept(name: str, x: Any, y: Any) -> None:
    if short(x) != short(y):
        raise ValueError(
            f"{name} got a layer that makes {short(y)} of {short(x)}.\n  {user_line()}\n"
            "  Repeat a layer that keeps shape and dtype."
        )


def _check_stacked(name: str, n: int, **given: Any) -> None:
    for what, stacked in given.items():
        wrong = [leaf for leaf in tree.leaves(stacked) if leaf.shape[:1] != (n,)]
        if wrong:
            raise ValueError(
                f"{name} of {n} layers got {what} with {short(wrong[0])}: its first axis is the "
                f"layer.\n  {user_line()}\n  Give the {what} that its init returned."
            )
