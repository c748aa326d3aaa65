"""Special functions, element by element: the gamma family and Bessel functions."""

from __future__ import annotations

import numpy
from works import Work, normal


def of(name):
    """A function of `lax`."""
    return lambda fw: getattr(fw.lax, name)


def slope(name):
    """Its derivative."""
    return lambda fw: fw.grad(lambda x: fw.numpy.sum(getattr(fw.lax, name)(x)))


def by_torch(name):
    """PyTorch's function of a name in `torch.special`."""

    def made(tools, x):
        data, function = tools.tensor(x), getattr(tools.torch.special, name)
        return lambda: function(data)

    return made


def by_scipy(name):
    def call(x):
        import scipy.special

        return getattr(scipy.special, name)(x)

    return call


def positive(rng):
    return (numpy.abs(normal(rng, 1_000_000)) * 4 + numpy.float32(0.1),)


def both_signs(rng):
    return (normal(rng, 1_000_000) * 4,)


def work(name, function, theirs, inputs):
    peers = {"torch": by_torch(theirs), "numpy": by_scipy(theirs)}
    return Work(f"{name}, 1e6", inputs, of(function), **peers)


WORKS = [
    work("log of gamma", "lgamma", "gammaln", positive),
    work("digamma", "digamma", "digamma", positive),
    work("Bessel I0, scaled", "bessel_i0e", "i0e", both_signs),
    work("Bessel I1, scaled", "bessel_i1e", "i1e", both_signs),
    Work("derivative of log of gamma, 1e6", positive, slope("lgamma")),
    Work("derivative of digamma, 1e6", positive, slope("digamma")),
    Work("derivative of Bessel I0, scaled, 1e6", both_signs, slope("bessel_i0e")),
]
