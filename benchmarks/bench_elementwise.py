"""Chains of elementwise operations and their gradients: bound by memory, or by the functions."""

from __future__ import annotations

import numpy
from works import Work, normal

COMPILED = ("torch.compile",)


def chain(fw, x):
    """tanh(x)·sigmoid(x) + exp(−x²)."""
    return fw.numpy.tanh(x) * fw.nn.sigmoid(x) + fw.numpy.exp(-x * x)


def chain_numpy(x):
    return [numpy.tanh(x) * (1 / (1 + numpy.exp(-x))) + numpy.exp(-x * x)]


def chain_torch(tools, x):
    torch, data = tools.torch, tools.tensor(x)
    f = tools.compiled(lambda x: torch.tanh(x) * torch.sigmoid(x) + torch.exp(-x * x))
    return lambda: [f(data)]


def gradient_torch(tools, x):
    torch, data = tools.torch, tools.tensor(x).requires_grad_(True)
    f = tools.compiled(lambda x: torch.tanh(x) * torch.sigmoid(x) + torch.exp(-x * x))
    ones = torch.ones_like(data)
    return lambda: torch.autograd.grad(f(data), data, ones)


def chain_works(size, words, goal=0.7, even=None):
    def inputs(rng):
        return (normal(rng, size),)

    name = "tanh·sigmoid + exp chain"
    variants = COMPILED if goal else ()
    options = {"goal": goal, "amount": float(size), "variants": variants}
    return [
        Work(
            f"{name}, {words}",
            inputs,
            lambda fw: lambda x: chain(fw, x),
            torch=chain_torch,
            numpy=chain_numpy,
            smooth=even and f"{name}, {even}",
            **options,
        ),
        Work(
            f"gradient of the {name}, {words}",
            inputs,
            lambda fw: fw.grad(lambda x: fw.numpy.sum(chain(fw, x))),
            torch=gradient_torch,
            smooth=even and f"gradient of the {name}, {even}",
            **options,
        ),
    ]


def gelu_torch(tools, x, t):
    functional = tools.torch.nn.functional
    data, weights = tools.tensor(x).requires_grad_(True), tools.tensor(t)
    f = tools.compiled(lambda x: functional.gelu(x, approximate="tanh"))

    def call():
        y = f(data)
        return [y, *tools.torch.autograd.grad(y, data, weights)]

    return call


def gelu_gradient(fw):
    """The value, and what the gradient t of the result becomes."""

    def both(x, t):
        y, back = fw.vjp(lambda x: fw.nn.gelu(x, approximate=True), x)
        return y, back(t)[0]

    return both


def gelu(name, rows, columns, goal=None, smooth=None):
    return Work(
        name,
        lambda rng: (normal(rng, rows, columns), normal(rng, rows, columns)),
        gelu_gradient,
        goal=goal,
        torch=gelu_torch,
        variants=COMPILED if goal else (),
        amount=rows * columns,
        smooth=smooth,
    )


GELU = "GELU 4096×1024, value and gradient"
WORKS = [
    *chain_works(100_000, "1e5"),
    *chain_works(10_000_000, "1e7"),
    *chain_works(99_991, "99,991", None, "1e5"),
    *chain_works(127, "127", None),
    gelu(GELU, 4096, 1024, 0.8),
    gelu("GELU 4095×1000, value and gradient", 4095, 1000, smooth=GELU),
]
