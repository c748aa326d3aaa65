"""Matrix products: large, batched and small, skinny, transposed, of odd sizes, of integers."""

from __future__ import annotations

import numpy
from works import Work, normal

MATRIX = (((1,), (0,)), ((), ()))


def product(name, left, right, equation=None, goal=None, smooth=None):
    """The product of two shapes, by `@` or by an equation of einsum."""

    def times(np):
        return lambda a, b: np.einsum(equation, a, b) if equation else a @ b

    def torch_version(tools, a, b):
        f, x, y = times(tools.torch), tools.tensor(a), tools.tensor(b)
        return lambda: [f(x, y)]

    def numpy_version(a, b):
        # einsum of NumPy takes BLAS only where it is told to.
        import numpy

        return [numpy.einsum(equation, a, b, optimize=True) if equation else a @ b]

    operations = right[-1] if equation is None else 1
    for n in left:
        operations *= n
    return Work(
        name,
        lambda rng: (normal(rng, *left), normal(rng, *right)),
        lambda fw: times(fw.numpy),
        goal=goal,
        torch=torch_version,
        numpy=numpy_version,
        amount=operations,
        smooth=smooth,
    )


def integers(dtype, m, k, n):
    """Two matrices of integers, the ends of their dtype among them."""
    low, high = numpy.iinfo(dtype).min, numpy.iinfo(dtype).max
    return lambda rng: tuple(
        rng.integers(low, high, shape, dtype, endpoint=True) for shape in ((m, k), (k, n))
    )


def sums(fw):
    """The product of narrow integers with sums of 32 bits."""
    wide = numpy.dtype(numpy.int32)
    return lambda a, b: fw.lax.dot_general(a, b, MATRIX, preferred_element_type=wide)


def of_bytes(name, m, k, n, smooth=None):
    """The product of two matrices of int8."""
    return Work(name, integers(numpy.int8, m, k, n), sums, amount=m * k * n, smooth=smooth)


def quantised(m, k, n):
    """A layer of a quantised network: int8 inputs and weights, a scale for each column."""

    def layer(fw):
        def f(x, w, scales):
            return fw.numpy.maximum(sums(fw)(x, w).astype(numpy.float32) * scales, 0.0)

        return f

    def inputs(rng):
        return (*integers(numpy.int8, m, k, n)(rng), abs(normal(rng, n)))

    return Work(f"int8 layer {m}×{k}×{n}, scaled", inputs, layer)


def by_groups(rows, k, n, groups, gradient=False):
    """Groups of rows of a matrix, each times a matrix of its own."""

    def inputs(rng):
        sizes = rng.multinomial(rows, rng.dirichlet(numpy.ones(groups)))
        return normal(rng, rows, k), normal(rng, groups, k, n), sizes.astype(numpy.int32)

    def value(fw):
        def f(x, w, sizes):
            return fw.numpy.sum(fw.lax.ragged_dot(x, w, sizes) ** 2)

        return lambda *args: fw.grad(f, (0, 1))(*args)

    name = f"{groups} groups of {rows} rows, {k}×{n} each"
    if gradient:
        return Work(f"{name}, gradient", inputs, value)
    return Work(name, inputs, lambda fw: fw.lax.ragged_dot)


def heads(batch, rows, width, count):
    """What heads of attention look at: products of two parts of one product."""

    def scores(np, x, w):
        y = (x @ w).reshape(batch, rows, 3, count, width // count)
        return np.einsum("bthd,bshd->bhts", y[:, :, 0], y[:, :, 1])

    def torch_version(tools, x, w):
        a, b = tools.tensor(x), tools.tensor(w)
        return lambda: [scores(tools.torch, a, b)]

    return Work(
        f"scores of {count} heads out of one product, {batch}×{rows}×{width}",
        lambda rng: (normal(rng, batch, rows, width), normal(rng, width, 3 * width)),
        lambda fw: lambda x, w: scores(fw.numpy, x, w),
        torch=torch_version,
    )


def corner(n):
    """The product of a quarter of a matrix with a quarter of another."""

    def torch_version(tools, a, b):
        x, y = tools.tensor(a), tools.tensor(b)
        return lambda: [x[n:, n:] @ y[n:, :n]]

    return Work(
        f"quarters of matrices, matmul {n}³",
        lambda rng: (normal(rng, 2 * n, 2 * n), normal(rng, 2 * n, 2 * n)),
        lambda fw: lambda a, b: a[n:, n:] @ b[n:, :n],
        torch=torch_version,
    )


LARGE = "matmul 1024³"
SMOOTH = "int8 product 256³"
BATCHED = "batched matmul 256×64³"
WORKS = [
    product(LARGE, (1024, 1024), (1024, 1024), goal=1.03),
    product("matmul 1000×1023×1021", (1000, 1023), (1023, 1021), smooth=LARGE),
    product("matmul 4096×1024×1024", (4096, 1024), (1024, 1024)),
    product(BATCHED, (256, 64, 64), (256, 64, 64), goal=0.85),
    product("batched matmul 255×63³", (255, 63, 63), (255, 63, 63), smooth=BATCHED),
    product("batched matmul 4096×8³", (4096, 8, 8), (4096, 8, 8)),
    product("matmul 128³", (128, 128), (128, 128)),
    product("matmul 127³", (127, 127), (127, 127), smooth="matmul 128³"),
    product("matmul 32×256×1024", (32, 256), (256, 1024)),
    product("matmul of transposes 1024³", (1024, 1024), (1024, 1024), "ki,jk->ij"),
    product("matrix times vector 4096²", (4096, 4096), (4096,), "ij,j->i"),
    product("matmul 100,000×3×3", (100_000, 3), (3, 3)),
    corner(64),
    corner(256),
    heads(8, 128, 256, 8),
    by_groups(2048, 256, 512, 8),
    by_groups(2048, 256, 512, 8, gradient=True),
    of_bytes(SMOOTH, 256, 256, 256),
    of_bytes("int8 product 255×259×257", 255, 259, 257, smooth=SMOOTH),
    of_bytes("int8 product 1024³", 1024, 1024, 1024),
    quantised(64, 512, 512),
    Work(
        "int32 product 256³",
        integers(numpy.int32, 256, 256, 256),
        lambda fw: fw.numpy.matmul,
        numpy=numpy.matmul,
    ),
]
