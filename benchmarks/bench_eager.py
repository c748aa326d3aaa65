"""Eager operations on small arrays, and transforms that are not jitted."""

from __future__ import annotations

import numpy
from works import Work, normal


def eager(name, inputs, function, **options):
    """A work without jit."""
    return Work(name, inputs, function, eager=True, waits=False, **options)


def ten(rng):
    return (normal(rng, 10),)


def pair(rng):
    return normal(rng, 10), normal(rng, 10)


def matrices(rng):
    return normal(rng, 16, 16), normal(rng, 16, 16)


def drawn(name, function):
    """A sampler of one who draws often: only then are there programs for random words."""

    def build(fw):
        sampler = function(fw)
        key = fw.numpy.asarray(numpy.array([0, 7], numpy.uint32))
        for _ in range(4000):
            sampler(key)
        return sampler

    return eager(name, lambda rng: (numpy.array([0, 7], numpy.uint32),), build)


def indices(rng):
    return (rng.integers(0, 5, 10).astype(numpy.int32),)


def indexed(rng):
    return (*ten(rng), *indices(rng))


def softmax(fw):
    return fw.nn.softmax


def softmax_of_tensors(tools, x):
    tensor = tools.tensor(x)
    return lambda: [tensor.softmax(0)]


def on_tensors(function):
    """The PyTorch version of a function of arrays: the same text."""
    return lambda tools, *inputs: _call(function, [tools.tensor(x) for x in inputs])


def _call(function, data):
    return lambda: [function(*data)]


def alike(name, inputs, function, **options):
    """An operation that is written alike for all libraries."""
    return eager(name, inputs, lambda fw: function, torch=on_tensors(function), **options)


def energy(fw):
    return lambda x: fw.numpy.sin(x).sum() * 2


# What NumPy takes is about a microsecond: one operation may take ten more.
WORKS = [
    alike("x + y", pair, lambda x, y: x + y, limit=11e-6),
    alike("x + 1", ten, lambda x: x + 1, limit=11e-6),
    alike("x > 0", ten, lambda x: x > 0, limit=11e-6),
    alike("x[3]", ten, lambda x: x[3], limit=11e-6),
    alike("x[2:5]", ten, lambda x: x[2:5], limit=11e-6),
    alike("x.sum()", ten, lambda x: x.sum(), limit=11e-6),
    alike("x.mean()", ten, lambda x: x.mean(), limit=11e-6),
    alike("x @ y, 16 · 16", matrices, lambda x, y: x @ y),
    alike("x.reshape(2, 5)", ten, lambda x: x.reshape(2, 5)),
    eager("sin(x)", ten, lambda fw: fw.numpy.sin, limit=11e-6),
    eager("where(x > 0, x, y)", pair, lambda fw: lambda x, y: fw.numpy.where(x > 0, x, y)),
    eager("zeros((3, 4))", ten, lambda fw: lambda x: fw.numpy.zeros((3, 4))),
    eager("concatenate((x, y))", pair, lambda fw: lambda x, y: fw.numpy.concatenate((x, y))),
    eager("x.at[3].set(1)", ten, lambda fw: lambda x: x.at[3].set(1.0)),
    eager("var(x)", ten, lambda fw: fw.numpy.var),
    alike("x.max()", ten, lambda x: x.max(), limit=11e-6),
    alike("x ** 2", ten, lambda x: x**2, limit=11e-6),
    eager("argmax(x)", ten, lambda fw: fw.numpy.argmax),
    eager("argsort(x)", ten, lambda fw: fw.numpy.argsort),
    eager("cumsum(x)", ten, lambda fw: fw.numpy.cumsum),
    eager("clip(x, 0, 1)", ten, lambda fw: lambda x: fw.numpy.clip(x, 0.0, 1.0)),
    eager("allclose(x, y)", pair, lambda fw: fw.numpy.allclose),
    eager("linspace(0, 1, 10)", ten, lambda fw: lambda x: fw.numpy.linspace(0.0, 1.0, 10)),
    eager("arange(10)", ten, lambda fw: lambda x: fw.numpy.arange(10)),
    eager("eye(10)", ten, lambda fw: lambda x: fw.numpy.eye(10)),
    eager("linalg.norm(x)", ten, lambda fw: fw.numpy.linalg.norm),
    eager("stack((x, y))", pair, lambda fw: lambda x, y: fw.numpy.stack((x, y))),
    eager("take(x, index)", indexed, lambda fw: fw.numpy.take),
    eager("astype(int32)", ten, lambda fw: lambda x: x.astype(fw.numpy.int32)),
    eager("softmax(x)", ten, softmax, torch=softmax_of_tensors),
    eager("log_softmax(x)", ten, lambda fw: fw.nn.log_softmax),
    eager("softplus(x)", ten, lambda fw: fw.nn.softplus),
    eager("gelu(x)", ten, lambda fw: fw.nn.gelu),
    eager("one_hot, 10 of 5", indices, lambda fw: lambda x: fw.nn.one_hot(x, 5)),
    eager("asarray of NumPy's", ten, lambda fw: fw.numpy.asarray, plain=(0,)),
    eager("NumPy's of an array", ten, lambda fw: numpy.asarray),
    eager("float(x)", lambda rng: (numpy.float32(1.5),), lambda fw: float),
    drawn("random.split", lambda fw: fw.random.split),
    drawn("random.fold_in", lambda fw: lambda key: fw.random.fold_in(key, 3)),
    drawn("random.normal, 10", lambda fw: lambda key: fw.random.normal(key, (10,))),
    drawn("random.uniform, 1000", lambda fw: lambda key: fw.random.uniform(key, (1000,))),
    drawn("random.randint, 10", lambda fw: lambda key: fw.random.randint(key, (10,), 0, 100)),
    drawn("random.bernoulli, 10", lambda fw: lambda key: fw.random.bernoulli(key, 0.5, (10,))),
    drawn("random.permutation, 10", lambda fw: lambda key: fw.random.permutation(key, 10)),
    eager("grad of 2 Σ sin(x)", ten, lambda fw: fw.grad(energy(fw))),
    eager(
        "vmap of 2 Σ sin(x), 16 · 16",
        lambda rng: (normal(rng, 16, 16),),
        lambda fw: fw.vmap(energy(fw)),
    ),
]
