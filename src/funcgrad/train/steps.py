"""The step that most training takes: a gradient, and what an optimizer makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..api.reverse import value_and_grad
from ..optim import GradientTransformation, apply_updates

Batch = Any
Metrics = Mapping[str, Any]


class Model(NamedTuple):
    """What changes in training: `params` and `state` of a network, and the optimizer's `moments`.

    `moments` is what `optimizer.init(params)` gives.
    """

    params: Any
    state: Any
    moments: Any


def gradient_step(
    loss: Callable[[Any, Any, Batch], tuple[Any, tuple[Any, Metrics]]],
    optimizer: GradientTransformation,
) -> Callable[[Model, Batch], tuple[Model, Metrics]]:
    """The step down the gradient of a loss, for `fit` or a loop of one's own.

    params ← params + update(∂loss/∂params)

    Args:
        loss: from (params, state, batch) to (value, (new state of the network, dict of scalars)).
        optimizer: of `optim`; one that clips or adds decay gets the params too.
    Returns:
        From (model, batch) to (model, metrics): the scalars with the value as "loss".
    """

    def step(model: Model, batch: Batch) -> tuple[Model, Metrics]:
        slope = value_and_grad(loss, has_aux=True)
        (value, (state, metrics)), grads = slope(model.params, model.state, batch)
        updates, moments = optimizer.update(grads, model.moments, model.params)
        params = apply_updates(model.params, updates)
        return Model(params, state, moments), {"loss": value, **metrics}

    return step
