"""What a call costs: almost no work in it, one array or a tree of them."""

from __future__ import annotations

import numpy
from works import Work, map_tree, normal


def tree_torch(tools, tree):
    data = map_tree(tools.tensor, tree)
    return lambda: map_tree(lambda x: x + 1, data)


def toy(np, x):
    """Some 20 operations."""
    for _ in range(4):
        x = np.sin(x) * 0.5 + np.cos(x) * 0.25 - x * x * 0.1
    return x


def toy_torch(tools, x):
    data = tools.tensor(x)
    return lambda: [toy(tools.torch, data)]


def plus_torch(tools, x):
    data = tools.tensor(x)
    return lambda: [data + 1]


def plus(name, inputs):
    return Work(
        name,
        inputs,
        lambda fw: lambda x: x + 1,
        limit=2.5e-6,
        torch=plus_torch,
        waits=False,
    )


WORKS = [
    plus("x + 1, a scalar", lambda rng: (numpy.float32(1),)),
    plus("x + 1, 10 elements", lambda rng: (normal(rng, 10),)),
    Work(
        "x + 1, a tree of 20 arrays of 10 elements",
        lambda rng: ({f"w{k}": (normal(rng, 10), normal(rng, 10)) for k in range(10)},),
        lambda fw: lambda tree: fw.tree_util.tree_map(lambda x: x + 1, tree),
        limit=15e-6,
        torch=tree_torch,
        waits=False,
    ),
    Work(
        "20 operations on 1,000 elements",
        lambda rng: (normal(rng, 1000),),
        lambda fw: lambda x: toy(fw.numpy, x),
        torch=toy_torch,
        numpy=lambda x: [toy(numpy, x)],
        waits=False,
    ),
]
