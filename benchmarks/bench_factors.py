"""Factors of matrices, alone and in batches, and products of integers."""

from __future__ import annotations

import numpy
from works import Work, normal


def of(function):
    """A function of `numpy.linalg`, written with it as `linalg`."""
    return lambda fw: lambda *arrays: function(fw.numpy.linalg, *arrays)


def by_torch(function):
    """The same function of `torch.linalg`."""

    def made(tools, *arrays):
        data = [tools.tensor(x) for x in arrays]
        return lambda: function(tools.torch.linalg, *data)

    return made


def by_numpy(function):
    return lambda *arrays: function(numpy.linalg, *arrays)


def matrices(*shape):
    return lambda rng: (normal(rng, *shape),)


def definite(*shape):
    """Symmetric matrices with eigenvalues of 1 at least."""

    def inputs(rng):
        x = normal(rng, *shape)
        return (x @ x.swapaxes(-1, -2) + numpy.eye(shape[-1], dtype=x.dtype),)

    return inputs


def system(*shape):
    """Matrices that are far from singular, and one right side for each."""

    def inputs(rng):
        return (*definite(*shape)(rng), normal(rng, *shape[:-1], 1))

    return inputs


def work(name, inputs, function):
    # Signs of vectors are not the same everywhere: r and values are what all agree on in size.
    return Work(name, inputs, of(function), torch=by_torch(function), numpy=by_numpy(function))


def r_of(linalg, x):
    return abs(linalg.qr(x)[1])


def both_of_eigh(linalg, x):
    w, v = linalg.eigh(x)
    return w, abs(v[..., :1, :1])


def parts_of_svd(linalg, x):
    u, s, vh = linalg.svd(x, full_matrices=False)
    return s, abs(u[..., :1, :1]), abs(vh[..., :1, :1])


def slope(fw):
    def value(x):
        w, v = fw.numpy.linalg.eigh(x)
        return fw.numpy.sum(w * abs(v[0]))

    return fw.grad(value)


WORKS = [
    work("solve, 1000 of 3x3", system(1000, 3, 3), lambda linalg, a, b: linalg.solve(a, b)),
    work("solve, 200x200", system(200, 200), lambda linalg, a, b: linalg.solve(a, b)),
    work("inv, 200x200", definite(200, 200), lambda linalg, x: linalg.inv(x)),
    work("inv, 1000 of 8x8", definite(1000, 8, 8), lambda linalg, x: linalg.inv(x)),
    work("Cholesky, 1000 of 6x6", definite(1000, 6, 6), lambda linalg, x: linalg.cholesky(x)),
    work("Cholesky, 200x200", definite(200, 200), lambda linalg, x: linalg.cholesky(x)),
    work("QR, 200x100", matrices(200, 100), r_of),
    work("QR, 1000 of 16x8", matrices(1000, 16, 8), r_of),
    work("eigvalsh, 100x100", definite(100, 100), lambda linalg, x: linalg.eigvalsh(x)),
    work("eigh, 100x100", definite(100, 100), both_of_eigh),
    work("eigh, 64 of 32x32", definite(64, 32, 32), both_of_eigh),
    work("svd, 200x100", matrices(200, 100), parts_of_svd),
    work("svd, 1000 of 16x8", matrices(1000, 16, 8), parts_of_svd),
    Work("gradient of eigh, 100x100", definite(100, 100), slope, tolerance=0.02),
]
