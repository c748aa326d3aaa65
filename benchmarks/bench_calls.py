"""What a call costs: almost no work in it; arrays, NumPy's arrays and numbers, trees of them."""

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


def tree_and_batch(fw):
    return lambda tree, x: fw.tree_util.tree_map(lambda w: w + x, tree)


def tree_and_batch_torch(tools, tree, x):
    data = map_tree(tools.tensor, tree)
    return lambda: map_tree(lambda w: w + tools.torch.from_numpy(x), data)


def scaled_torch(tools, x, scale):
    data = tools.tensor(x)
    return lambda: [data * scale]


def chosen(fw):
    ways = [lambda x: x, lambda x: x * 2, lambda x: x + 1]
    return lambda i, x: fw.lax.switch(i, ways, x)


def given(name, inputs, function, plain, torch=None):
    """A call of which some arguments are NumPy's or Python's."""
    options = {"plain": plain, "torch": torch, "waits": False, "goal": 0.5}
    return Work(name, inputs, function, **options)


def plus_one(fw):
    return lambda x: x + 1


MIXED = [
    given("x + 1, 10 elements of NumPy's", lambda rng: (normal(rng, 10),), plus_one, (0,)),
    given(
        "x + 1, 10 elements of NumPy's, float64",
        lambda rng: (rng.standard_normal(10),),
        plus_one,
        (0,),
    ),
    given(
        "x + 1, every second element of NumPy's",
        lambda rng: (normal(rng, 20)[::2],),
        plus_one,
        (0,),
    ),
    given("x + 1, a Python number", lambda rng: (0.5,), plus_one, (0,)),
    given("x + 1, a number of NumPy's", lambda rng: (numpy.float32(0.5),), plus_one, (0,)),
    given(
        "x · 0.1, 10 elements and a Python number",
        lambda rng: (normal(rng, 10), 0.1),
        lambda fw: lambda x, scale: x * scale,
        (1,),
        scaled_torch,
    ),
    given(
        "a tree of 20 arrays, and one of NumPy's",
        lambda rng: (
            {f"w{k}": (normal(rng, 10), normal(rng, 10)) for k in range(10)},
            normal(rng, 10),
        ),
        tree_and_batch,
        (1,),
        tree_and_batch_torch,
    ),
    given(
        "switch by a number of NumPy's, 10 elements",
        lambda rng: (numpy.int32(1), normal(rng, 10)),
        chosen,
        (0,),
    ),
]

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
    *MIXED,
]
