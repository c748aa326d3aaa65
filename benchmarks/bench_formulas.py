"""Formulas over arrays, each alone: arithmetic, small matrices, narrow numbers, random numbers."""

from __future__ import annotations

import numpy
from array_works import floats, integers, parts, together, whole, work

IMAGES, FLAT = (8, 256, 256, 3), (1_000_000,)
BYTES = {"below": 256, "dtype": numpy.uint8}


def steps(rng):
    return (numpy.linspace(-2, 2, 1000, dtype=numpy.float32),)


def divisors(rng):
    return (rng.integers(1, 100, FLAT).astype(numpy.int32),)


def rings(np, x):
    a, b = np.meshgrid(x, x)
    return np.exp(-(a * a + b * b)) * np.cos(3 * a)


def rings_in_torch(t, x):
    a, b = t.meshgrid(x, x, indexing="xy")
    return t.exp(-(a * a + b * b)) * t.cos(3 * a)


def distances(np, x, y):
    return np.sqrt(np.sum((x[:, None, :] - y[None, :, :]) ** 2, axis=-1))


def distances_in_torch(t, x, y):
    return t.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def convolved_in_torch(t, x, k):
    return t.nn.functional.conv1d(x[None, None], k.flip(0)[None, None], padding=100)[0, 0]


def halves(rng):
    return tuple(x.astype(numpy.float16) for x in floats(FLAT, FLAT)(rng))


def product(name, left, right, **options):
    """A product of matrices, or of many."""
    inputs, of = floats(left, right), lambda module, a, b: a @ b
    return work(name, inputs, of, of, **options)


def draws(name, function, torch=None):
    """Numbers that differ from library to library: only their time is compared."""

    def nothing(t, seed):
        torch(t)

    return whole(
        name,
        lambda rng: (numpy.uint32(3),),
        lambda fw, seed: function(fw.random, fw.random.key(seed)),
        torch and nothing,
        checked=lambda inputs, out: (),
    )


ARITHMETIC = [
    work("rings on a grid of 1000", steps, rings, rings_in_torch),
    work(
        "distances of 1000 and 1000 points",
        floats((1000, 3), (1000, 3)),
        distances,
        distances_in_torch,
    ),
    work(
        "convolve 1e5 with 101",
        floats((100_000,), (101,)),
        lambda np, x, k: np.convolve(x, k),
        convolved_in_torch,
    ),
    work(
        "convolve 1000 with 1000",
        floats((1000,), (1000,)),
        lambda np, x, k: np.convolve(x, k, "same"),
    ),
    work(
        "power 1e6, 2.5",
        parts(*FLAT),
        lambda np, x: x**2.5,
        lambda t, x: x**2.5,
    ),
    work(
        "division by an array, int32, 1e6",
        together(integers(*FLAT, below=1 << 20), divisors),
        lambda np, x, y: x // y,
        lambda t, x, y: x // y,
    ),
    work(
        "remainder of floats, 1e6",
        floats(FLAT),
        lambda np, x: x % 0.7,
        lambda t, x: x % 0.7,
    ),
    work(
        "round to 2 digits, 1e6",
        floats(FLAT),
        lambda np, x: np.round(x, 2),
        lambda t, x: t.round(x, decimals=2),
    ),
    work(
        "complex product and modulus, 1e6",
        floats(FLAT, FLAT),
        lambda np, x, y: abs((x + 1j * y) * (y - 1j * x)),
        lambda t, x, y: t.abs(t.complex(x, y) * t.complex(y, -x)),
    ),
    work(
        "polyval of degree 10, 1e6",
        floats((11,), FLAT),
        lambda np, p, x: np.polyval(p, x),
        tolerance=1e-2,
    ),
]
NARROW = [
    work(
        "normalized bytes, 8x256x256x3",
        integers(*IMAGES, **BYTES),
        lambda np, x: (x.astype(np.float32) / 255 - 0.5) / 0.25,
        lambda t, x: (x.float() / 255 - 0.5) / 0.25,
    ),
    work(
        "inverted bytes, 4e6",
        integers(4_000_000, **BYTES),
        lambda np, x: 255 - x,
        lambda t, x: 255 - x,
    ),
    work(
        "x·y + x of 1e6 float16",
        halves,
        lambda np, x, y: x * y + x,
        lambda t, x, y: x * y + x,
    ),
]
PRODUCTS = [
    product("points by one 3x3, 1e5", (100_000, 3), (3, 3)),
    product("products, 100000 of 3x3", (100_000, 3, 3), (100_000, 3, 3)),
    product("products, 10000 of 4x4", (10_000, 4, 4), (10_000, 4, 4)),
    product("products, 1000 of 8x8", (1000, 8, 8), (1000, 8, 8)),
    product("matrix by vector, 1000x1000", (1000, 1000), (1000,), waits=False),
    product("vector by matrix, 1000x1000", (1000,), (1000, 1000), waits=False),
    product("product 64³", (64, 64), (64, 64), waits=False),
    product("product 256³", (256, 256), (256, 256), waits=False),
    work(
        "Gram matrix of 10000x100",
        floats((10_000, 100)),
        lambda np, x: x.T @ x,
        lambda t, x: x.T @ x,
    ),
    work(
        "bilinear forms, bi,ij,bj->b",
        floats((10_000, 32), (32, 32), (10_000, 32)),
        lambda np, a, w, b: np.einsum("bi,ij,bj->b", a, w, b, optimize=True),
        lambda t, a, w, b: t.einsum("bi,ij,bj->b", a, w, b),
    ),
    work(
        "cross products, 1e5",
        floats((100_000, 3), (100_000, 3)),
        lambda np, x, y: np.cross(x, y),
        lambda t, x, y: t.linalg.cross(x, y),
    ),
    work(
        "covariance of 100x1000",
        floats((100, 1000)),
        lambda np, x: np.cov(x),
        lambda t, x: t.cov(x),
    ),
]
RANDOM = [
    draws("random numbers, 1e6", lambda r, k: r.uniform(k, FLAT), lambda t: t.rand(FLAT)),
    draws("normal numbers, 1e6", lambda r, k: r.normal(k, FLAT), lambda t: t.randn(FLAT)),
    draws(
        "integers below 10, 1e6",
        lambda r, k: r.randint(k, FLAT, 0, 10),
        lambda t: t.randint(0, 10, FLAT),
    ),
    draws(
        "permutation of 1e6",
        lambda r, k: r.permutation(k, 1_000_000),
        lambda t: t.randperm(1_000_000),
    ),
    draws(
        "classes, 10000 of 100",
        lambda r, k: r.categorical(k, numpy.zeros((10_000, 100))),
        lambda t: t.multinomial(t.ones(10_000, 100), 1),
    ),
    draws(
        "Dirichlet numbers, 10000x10",
        lambda r, k: r.dirichlet(k, numpy.ones(10), (10_000,)),
        lambda t: t._sample_dirichlet(t.ones(10_000, 10)),
    ),
    draws(
        "Poisson numbers, 1e5",
        lambda r, k: r.poisson(k, 4.0, (100_000,)),
        lambda t: t.poisson(t.full((100_000,), 4.0)),
    ),
]
WORKS = [*ARITHMETIC, *NARROW, *PRODUCTS, *RANDOM]
