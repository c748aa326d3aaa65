"""The protocol: `init(params) -> state`, `update(grads, state, params) -> (updates, state)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import numpy as fnp
from .. import tree


class GradientTransformation(NamedTuple):
    """A pair of pure functions.

    Attributes:
        init: `params -> state`.
        update: `(updates, state, params) -> (updates, state)`.
    """

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


def apply_updates(params: Any, updates: Any) -> Any:
    """params + updates, leaf by leaf, in the dtypes of params.

    Raises:
        ValueError: the trees differ.
    """
    return tree.map(lambda p, u: (p + u).astype(fnp.asarray(p).dtype), params, updates)


def chain(*parts: GradientTransformation) -> GradientTransformation:
    """Transformations one after another; the state is the tuple of their states."""

    def init(params: Any) -> tuple[Any, ...]:
        return tuple(part.init(params) for part in parts)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if len(state) != len(parts):
            raise ValueError(
                f"chain of {len(parts)} transformations got a state of {len(state)} parts. Give "
                "the state that its init returned."
            )
        new: list[Any] = []
        for part, own in zip(parts, state, strict=True):
            updates, own = part.update(updates, own, params)
            new.append(own)
        return updates, tuple(new)

    return GradientTransformation(init, update)


def global_norm(updates: Any) -> Any:
    """√ of the sum of squares of all leaves."""
    return fnp.sqrt(sum(fnp.sum(fnp.square(fnp.abs(x))) for x in tree.leaves(updates)))
