"""Special functions, element by element, and gamma numbers: loops of as many turns as they need."""

from __future__ import annotations

import importlib

import numpy
from works import Work, normal


def of(name):
    """A function of `lax`."""
    return lambda fw: getattr(fw.lax, name)


def of_scipy(name):
    """A function of `scipy.special`."""
    return lambda fw: getattr(importlib.import_module(f"{fw.__name__}.scipy.special"), name)


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


def orders(rng):
    return (numpy.abs(normal(rng, 100_000)) * 4 + numpy.float32(0.1),)


def two_orders(rng):
    return (*orders(rng), *orders(rng))


def with_part(rng):
    return (*two_orders(rng), rng.uniform(0.05, 0.95, 100_000).astype(numpy.float32))


def gamma_numbers(fw):
    return lambda a: fw.random.gamma(fw.random.key(0), a)


def moved_gamma_numbers(fw):
    return fw.grad(lambda a: fw.numpy.sum(gamma_numbers(fw)(a)))


def slope_of_order(fw):
    return fw.grad(lambda a, x: fw.numpy.sum(fw.lax.igamma(a, x)))


def both_signs(rng):
    return (normal(rng, 1_000_000) * 4,)


def moderate(rng):
    """JAX's erfcx of float32 loses its digits beyond."""
    return (rng.uniform(-6, 8, 1_000_000).astype(numpy.float32),)


def parts_of_one(rng):
    return (rng.uniform(1e-6, 1 - 1e-6, 1_000_000).astype(numpy.float32),)


def third_and_orders(rng):
    return (numpy.float32(3), *(x[:10_000] for x in orders(rng)))


def scipy_work(name, function, inputs, torch=None):
    peers = {"torch": by_torch(torch)} if torch else {}
    return Work(f"{name}, 1e6", inputs, of_scipy(function), numpy=by_scipy(function), **peers)


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
    Work("gamma numbers, 1e5", orders, gamma_numbers),
    Work("derivative of gamma numbers, 1e5", orders, moved_gamma_numbers),
    Work("derivative of the gamma integral by its order, 1e5", two_orders, slope_of_order),
    Work("beta integral, 1e5", with_part, of("betainc")),
    scipy_work("erfcx", "erfcx", moderate, "erfcx"),
    scipy_work("log of the normal distribution", "log_ndtr", both_signs, "log_ndtr"),
    scipy_work("normal quantiles", "ndtri", parts_of_one, "ndtri"),
    scipy_work("Dawson's integral", "dawsn", both_signs),
    scipy_work("sine and cosine integrals", "sici", both_signs),
    scipy_work("Fresnel integrals", "fresnel", both_signs),
    Work("exponential integral of order 3, 1e4", third_and_orders, of_scipy("expn")),
    Work("zeta, 1e5", two_orders, lambda fw: lambda x, q: fw.lax.zeta(x + 1, q)),
]
