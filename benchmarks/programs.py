"""Programs of growing size: `bench_compile` times their first calls."""

from __future__ import annotations

from works import Work, normal

SIZES = (125, 250, 500, 1000, 2000)


def mixed(fw, eqns):
    """Blocks of 10 eqns as in a network: a product, a function, a norm over the rows."""
    np = fw.numpy

    def f(x, w):
        for k in range(eqns // 10):
            y = np.tanh(x @ w + 0.01 * k)
            y = y * fw.lax.rsqrt(np.sum(y * y, -1, keepdims=True) + 0.1)
            x = y * 2 - 0.01
        return x

    return f


def elementwise(fw, eqns):
    """One chain without a reduction, of 8 eqns a link: a fuser may make a single kernel of it."""
    np = fw.numpy

    def f(x, w):
        for k in range(eqns // 8):
            y = np.maximum(x * (1 + 0.001 * k) - 0.1, x * 0.5)
            x = np.sin(y) + abs(y) * 0.25
        return x

    return f


def name(kind, eqns):
    return f"{kind} program of {eqns:,} eqns"


def inputs(rng):
    return normal(rng, 8, 16), normal(rng, 16, 16, scale=0.25)


WORKS = [
    Work(name(kind, eqns), inputs, lambda fw, make=make, eqns=eqns: make(fw, eqns), tolerance=1e-2)
    for kind, make in (("mixed", mixed), ("elementwise", elementwise))
    for eqns in SIZES
]
