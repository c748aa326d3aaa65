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
    alike("x.mean()", ten, lambda x: x.mean()),
    alike("x @ y, 16 · 16", matrices, lambda x, y: x @ y),
    alike("x.reshape(2, 5)", ten, lambda x: x.reshape(2, 5)),
    eager("sin(x)", ten, lambda fw: fw.numpy.sin, limit=11e-6),
    eager("where(x > 0, x, y)", pair, lambda fw: lambda x, y: fw.numpy.where(x > 0, x, y)),
    eager("zeros((3, 4))", ten, lambda fw: lambda x: fw.numpy.zeros((3, 4))),
    eager("concatenate((x, y))", pair, lambda fw: lambda x, y: fw.numpy.concatenate((x, y))),
    eager("x.at[3].set(1)", ten, lambda fw: lambda x: x.at[3].set(1.0)),
    eager("var(x)", ten, lambda fw: fw.numpy.var),
    eager("asarray of NumPy's", ten, lambda fw: fw.numpy.asarray, plain=(0,)),
    eager("NumPy's of an array", ten, lambda fw: numpy.asarray),
    eager("float(x)", lambda rng: (numpy.float32(1.5),), lambda fw: float),
    eager(
        "random.split",
        lambda rng: (numpy.array([0, 7], numpy.uint32),),
        lambda fw: fw.random.split,
    ),
    eager(
        "random.normal, 10",
        lambda rng: (numpy.array([0, 7], numpy.uint32),),
        lambda fw: lambda key: fw.random.normal(key, (10,)),
    ),
    eager("grad of 2 Σ sin(x)", ten, lambda fw: fw.grad(energy(fw))),
    eager(
        "vmap of 2 Σ sin(x), 16 · 16",
        lambda rng: (normal(rng, 16, 16),),
        lambda fw: fw.vmap(energy(fw)),
    ),
]
