"""Gradients of a multilayer perceptron for each example: all of them, and clipped and summed."""

from __future__ import annotations

import numpy
from training import cross_entropy
from works import Work, labels, map_tree, normal

SIZES = (784, 256, 10)


def network(rng, sizes):
    m, n, k = sizes
    return (
        normal(rng, m, n, scale=m**-0.5),
        normal(rng, n, scale=0.1),
        normal(rng, n, k, scale=n**-0.5),
        normal(rng, k, scale=0.1),
    )


def loss(fw, params, x, y):
    """Cross-entropy of one example."""
    w1, b1, w2, b2 = params
    return cross_entropy(fw, fw.nn.relu(x @ w1 + b1) @ w2 + b2, y)


def gradients(fw):
    """The gradients of all examples, example first."""
    one = fw.grad(lambda params, x, y: loss(fw, params, x, y))
    return fw.vmap(one, in_axes=(None, 0, 0))


def clipped(fw):
    """The sum of the gradients, each scaled down to norm 1 at most."""
    np = fw.numpy

    def total(params, x, y):
        grads = gradients(fw)(params, x, y)
        squares = sum(np.sum(g.reshape(len(x), -1) ** 2, -1) for g in grads)
        scale = np.minimum(1.0, fw.lax.rsqrt(squares))
        return [np.tensordot(scale, g, 1) for g in grads]

    return total


def by_hand(params, x, y):
    """Factors of the gradients in NumPy: rows of x and hidden layer, and what comes back."""
    w1, b1, w2, b2 = params
    h = x @ w1 + b1
    numpy.maximum(h, 0, out=h)
    scores = h @ w2 + b2
    scores -= scores.max(-1, keepdims=True)
    numpy.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    scores[numpy.arange(len(y)), y] -= 1
    return h, (scores @ w2.T) * (h > 0), scores


def numpy_gradients(params, x, y):
    h, back1, back2 = by_hand(params, x, y)
    return [x[:, :, None] * back1[:, None], back1, h[:, :, None] * back2[:, None], back2]


def numpy_clipped(params, x, y):
    h, back1, back2 = by_hand(params, x, y)
    one, two = ((b * b).sum(-1) for b in (back1, back2))
    squares = one * ((x * x).sum(-1) + 1) + two * ((h * h).sum(-1) + 1)
    scale = numpy.minimum(1, squares**-0.5)[:, None]
    one, two = back1 * scale, back2 * scale
    return [x.T @ one, one.sum(0), h.T @ two, two.sum(0)]


def torch_version(tools, params, x, y):
    torch, functional = tools.torch, tools.torch.nn.functional

    def value(params, x, y):
        w1, b1, w2, b2 = params
        return functional.cross_entropy(torch.relu(x @ w1 + b1) @ w2 + b2, y)

    arguments = map_tree(tools.tensor, params), tools.tensor(x), tools.tensor(y).long()
    f = torch.func.vmap(torch.func.grad(value), in_dims=(None, 0, 0))
    return lambda: f(*arguments)


def work(name, batch, sizes, function=gradients, goal=None, smooth=None):
    def inputs(rng):
        return network(rng, sizes), normal(rng, batch, sizes[0]), labels(rng, batch, sizes[-1])

    both = function is gradients
    return Work(
        name,
        inputs,
        function,
        goal=goal,
        torch=torch_version if both else None,
        numpy=numpy_gradients if both else numpy_clipped,
        amount=batch * (sizes[0] * sizes[1] + sizes[1] * sizes[2]),
        smooth=smooth,
    )


WHOLE = "per-example gradients, MLP 784-256-10, batch 256"
WORKS = [
    work(WHOLE, 256, SIZES, goal=0.4),
    work("per-example gradients, MLP 783-255-7, batch 127", 127, (783, 255, 7), smooth=WHOLE),
    work("clipped and summed per-example gradients, batch 256", 256, SIZES, clipped),
]
