"""Training steps: Adam and SGD as one text for ours and JAX's, and PyTorch's own optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from works import leaves, map_tree

RATE, B1, B2, EPS = 1e-3, 0.9, 0.999, 1e-8


def adam_step(fw: Any, loss: Callable[..., Any], decay: float = 0.0) -> Callable[..., Any]:
    """A step of Adam, or of AdamW where decay is given: (state, *batch) to (state, loss)."""
    tree_map = fw.tree_util.tree_map

    def step(state, *batch):
        params, first, second, count = state
        value, grads = fw.value_and_grad(loss)(params, *batch)
        count = count + 1
        first = tree_map(lambda m, g: B1 * m + (1 - B1) * g, first, grads)
        second = tree_map(lambda v, g: B2 * v + (1 - B2) * g * g, second, grads)
        scale1, scale2 = 1 / (1 - B1**count), 1 / (1 - B2**count)

        def updated(p, m, v):
            change = m * scale1 / (fw.numpy.sqrt(v * scale2) + EPS)
            return p - RATE * (change + decay * p if decay else change)

        params = tree_map(updated, params, first, second)
        return (params, first, second, count), value

    return step


def adam_state(params: Any) -> Any:
    """The state that Adam starts from."""
    zeros = map_tree(np.zeros_like, params)
    return (params, zeros, zeros, np.float32(0))


def adam_checked(inputs: tuple[Any, ...], out: Any) -> Any:
    """The loss and the gradients, which the first moments show after one step from zero."""
    (_, first, _, _), value = out
    return [value, *(np.asarray(m) / np.float32(1 - B1) for m in leaves(first))]


def sgd_step(fw: Any, loss: Callable[..., Any]) -> Callable[..., Any]:
    """A step of gradient descent: (params, *batch) to (params, loss)."""

    def step(params, *batch):
        value, grads = fw.value_and_grad(loss)(params, *batch)
        return fw.tree_util.tree_map(lambda p, g: p - RATE * g, params, grads), value

    return step


def sgd_checked(inputs: tuple[Any, ...], out: Any) -> Any:
    """The loss and the new params."""
    params, value = out
    return [value, *leaves(params)]


def cross_entropy(fw: Any, logits: Any, y: Any) -> Any:
    """Mean negative log-likelihood of the classes y under the logits."""
    wanted = fw.nn.one_hot(y, logits.shape[-1])
    return -fw.numpy.mean(fw.numpy.sum(fw.nn.log_softmax(logits) * wanted, axis=-1))


def torch_step(
    tools: Any,
    params: Any,
    loss: Callable[..., Any],
    batch: tuple[Any, ...],
    optimizer: Callable[[Any, list[Any]], Any],
    shown: Callable[[Any], Any] = lambda grad: grad,
) -> Callable[[], Any]:
    """A step in PyTorch: params are tensors of ours, `shown` gives gradients in our layout."""
    flat = list(leaves(params))
    for p in flat:
        p.requires_grad_(True)
    updates = optimizer(tools.torch, flat)
    compiled = tools.compiled(loss)

    def call():
        updates.zero_grad(set_to_none=True)
        value = compiled(params, *batch)
        value.backward()
        updates.step()
        return [value, *(shown(p.grad) for p in flat)]

    return call


def torch_adam(torch: Any, flat: list[Any]) -> Any:
    """PyTorch's fused Adam."""
    return torch.optim.Adam(flat, lr=RATE, betas=(B1, B2), eps=EPS, fused=True)


def torch_gradient(
    tools: Any, arguments: tuple[Any, ...], f: Callable[..., Any]
) -> Callable[[], Any]:
    """Value of f and its gradient with respect to all arguments, in PyTorch."""
    for x in arguments:
        x.requires_grad_(True)
    compiled = tools.compiled(f)

    def call():
        value = compiled(*arguments)
        return [value, *tools.torch.autograd.grad(value, arguments)]

    return call
