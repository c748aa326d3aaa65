"""How works are written that are one function of arrays: in the words of all libraries at once."""

from __future__ import annotations

import numpy
from works import Work, normal


def work(name, inputs, function, torch=None, theirs=None, **options):
    """A function of arrays and of a module like NumPy, which comes first.

    Args:
        torch: the same of the module `torch` and tensors, where it has one.
        theirs: what NumPy does instead; False where it has nothing like it.
    """
    in_numpy = theirs or function
    return Work(
        name,
        inputs,
        lambda fw: lambda *arrays: function(fw.numpy, *arrays),
        torch=torch and by_torch(torch),
        numpy=None if theirs is False else lambda *arrays: in_numpy(numpy, *arrays),
        **options,
    )


def whole(name, inputs, function, torch=None, **options):
    """The same, of the root module, for what is not in NumPy."""
    return Work(
        name,
        inputs,
        lambda fw: lambda *arrays: function(fw, *arrays),
        torch=torch and by_torch(torch),
        **options,
    )


def by_torch(function):
    """The work in PyTorch's words: tensors are made before it is timed, places of int64."""

    def made(tools, *arrays):
        given = [tools.tensor(x) for x in arrays]
        data = [x.long() if x.dtype == tools.torch.int32 else x for x in given]
        return lambda: function(tools.torch, *data)

    return made


def floats(*shapes):
    """Normal numbers."""
    return lambda rng: tuple(normal(rng, *shape) for shape in shapes)


def parts(*shape):
    """Numbers in (0, 1)."""
    return lambda rng: (rng.random(shape, numpy.float32),)


def integers(*shape, below=100, dtype=numpy.int32):
    """Natural numbers."""
    return lambda rng: (rng.integers(0, below, shape).astype(dtype),)


def some(*shape, part=0.5):
    """Truth values, a part of which hold."""
    return lambda rng: (rng.random(shape) < part,)


def in_order(count):
    """Numbers in (0, 1), each greater than the one before."""
    return lambda rng: (numpy.sort(rng.random(count, numpy.float32)),)


def together(*makers):
    """Inputs of several kinds."""
    return lambda rng: tuple(x for make in makers for x in make(rng))
