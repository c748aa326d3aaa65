"""Gathers, scatters, sorts and running sums."""

from __future__ import annotations

import numpy
from works import Work, normal


def embedding(fw):
    """The value and the gradient, as large as the table, of a weighted sum of rows."""

    def value(table, ids, t):
        return fw.numpy.sum(table[ids] * t)

    return fw.value_and_grad(value)


def embedding_numpy(table, ids, t):
    value = numpy.vdot(table[ids], t)
    grad = numpy.zeros_like(table)
    numpy.add.at(grad, ids, t)
    return [value, grad]


def embedding_torch(tools, table, ids, t):
    torch = tools.torch
    table, ids, t = tools.tensor(table).requires_grad_(True), tools.tensor(ids), tools.tensor(t)

    def call():
        value = (torch.nn.functional.embedding(ids, table) * t).sum()
        return [value, *torch.autograd.grad(value, table)]

    return call


def embedding_work(name, words, width, count, goal=None, smooth=None):
    def inputs(rng):
        table = 1 + normal(rng, words, width)
        ids = rng.integers(0, words, count).astype(numpy.int32)
        return table, ids, 1 + normal(rng, count, width)

    return Work(
        name,
        inputs,
        embedding,
        goal=goal,
        torch=embedding_torch,
        numpy=embedding_numpy,
        amount=words * width,
        smooth=smooth,
    )


def segments(name, count, classes, goal=None, smooth=None):
    def inputs(rng):
        ids = rng.integers(0, classes, count).astype(numpy.int32)
        return 1 + normal(rng, count), ids

    def torch_version(tools, x, ids):
        torch, data, where = tools.torch, tools.tensor(x), tools.tensor(ids)
        return lambda: [torch.zeros(classes).index_add_(0, where, data)]

    return Work(
        name,
        inputs,
        lambda fw: lambda x, ids: fw.numpy.zeros(classes, x.dtype).at[ids].add(x),
        goal=goal,
        torch=torch_version,
        numpy=lambda x, ids: [numpy.bincount(ids, x, classes)],
        amount=count,
        smooth=smooth,
    )


def messages(name, edges, nodes):
    """What comes to each node of a graph: an elementary function for each of its edges."""

    def inputs(rng):
        ids = rng.integers(0, nodes, (2, edges)).astype(numpy.int32)
        return rng.standard_normal(nodes).astype(numpy.float32), *ids

    def torch_version(tools, x, start, end):
        torch, data = tools.torch, tools.tensor(x)
        where = tools.tensor(start), tools.tensor(end)
        return lambda: [
            torch.zeros(nodes).index_add_(0, where[1], torch.tanh(data[where[0]] - data[where[1]]))
        ]

    def sums(fw):
        np = fw.numpy
        return lambda x, a, b: np.zeros(nodes, x.dtype).at[b].add(np.tanh(x[a] - x[b]))

    return Work(name, inputs, sums, torch=torch_version, amount=edges)


def same_name(name, what, size, goal=None, smooth=None):
    """A function that all three libraries have."""

    def torch_version(tools, x):
        torch, data = tools.torch, tools.tensor(x)
        if what == "sort":
            return lambda: [torch.sort(data).values]
        if what == "argsort":
            return lambda: [torch.argsort(data, stable=True)]
        return lambda: [getattr(torch, what)(data, 0)]

    options = {"stable": True} if what == "argsort" else {}
    return Work(
        name,
        lambda rng: (rng.random(size, numpy.float32),),
        lambda fw: lambda x: getattr(fw.numpy, what)(x),
        goal=goal,
        torch=torch_version,
        numpy=lambda x: [getattr(numpy, what)(x, **options)],
        amount=size,
        smooth=smooth,
        tolerance=3e-3,  # running sums of a million numbers in float32
    )


EMBEDDING = "embedding 50,000×128, 8,192 ids, value and gradient"
SEGMENTS = "segment_sum 1e6 → 1,000"
WORKS = [
    embedding_work(EMBEDDING, 50_000, 128, 8192, goal=0.9),
    embedding_work("embedding 49,999×127, 8,191 ids", 49_999, 127, 8191, smooth=EMBEDDING),
    segments(SEGMENTS, 1_000_000, 1000, goal=0.9),
    segments("segment_sum 999,983 → 1,009", 999_983, 1009, smooth=SEGMENTS),
    messages("messages along 100,000 edges of 2,000 nodes", 100_000, 2000),
    same_name("sort 1e6", "sort", 1_000_000, goal=0.9),
    same_name("sort 999,983", "sort", 999_983, smooth="sort 1e6"),
    same_name("argsort 1e6", "argsort", 1_000_000),
    same_name("cumsum 1e6", "cumsum", 1_000_000, goal=0.9),
    same_name("cumsum 999,983", "cumsum", 999_983, smooth="cumsum 1e6"),
]
