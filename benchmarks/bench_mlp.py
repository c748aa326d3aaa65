"""A step of Adam on a multilayer perceptron: the matrix products bound it."""

from __future__ import annotations

from itertools import pairwise

from training import (
    adam_checked,
    adam_state,
    adam_step,
    cross_entropy,
    torch_adam,
    torch_step,
)
from works import Work, labels, map_tree, normal


def layers(rng, widths):
    """Weights and biases of the layers between the widths."""
    pairs = pairwise(widths)
    return [(normal(rng, m, n, scale=m**-0.5), normal(rng, n, scale=0.1)) for m, n in pairs]


def forward(fw, params, x):
    """The logits."""
    for w, b in params[:-1]:
        x = fw.nn.relu(x @ w + b)
    w, b = params[-1]
    return x @ w + b


def step(fw):
    return adam_step(fw, lambda params, x, y: cross_entropy(fw, forward(fw, params, x), y))


def torch_loss(torch, params, x, y):
    for w, b in params[:-1]:
        x = torch.relu(torch.addmm(b, x, w))
    w, b = params[-1]
    return torch.nn.functional.cross_entropy(torch.addmm(b, x, w), y)


def torch_version(tools, state, x, y):
    params = map_tree(tools.tensor, state[0])
    batch = (tools.tensor(x), tools.tensor(y).long())
    loss = lambda params, x, y: torch_loss(tools.torch, params, x, y)  # noqa: E731
    return torch_step(tools, params, loss, batch, torch_adam)


def work(name, batch, widths, goal=None, smooth=None, variants=()):
    def inputs(rng):
        params = layers(rng, widths)
        return adam_state(params), normal(rng, batch, widths[0]), labels(rng, batch, widths[-1])

    return Work(
        name,
        inputs,
        step,
        goal=goal,
        torch=torch_version,
        carry=True,
        checked=adam_checked,
        variants=variants,
        amount=batch * sum(m * n for m, n in pairwise(widths)),
        smooth=smooth,
    )


WIDTHS = (784, 512, 512, 10)
WORKS = [
    work("MLP 784-512-512-10 Adam, batch 128", 128, WIDTHS, 0.85, variants=("torch.compile",)),
    work("MLP 784-512-512-10 Adam, batch 1,024", 1024, WIDTHS, 0.95),
    work(
        "MLP 783-511-509-7 Adam, batch 127",
        127,
        (783, 511, 509, 7),
        smooth="MLP 784-512-512-10 Adam, batch 128",
    ),
    work("MLP 784-512-512-10 Adam, batch 1", 1, WIDTHS),
]
