"""Matrix products: large, batched and small, skinny, transposed, of odd sizes."""

from __future__ import annotations

from works import Work, normal


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


LARGE = "matmul 1024³"
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
]
