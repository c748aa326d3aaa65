"""Systems with triangles as both kinds of kernels are asked to solve them, and what solves them."""

from __future__ import annotations

from typing import Any

import numpy as np

from funcgrad.kernels.library.lapack import Matrices, Triangular

from .harness import Program


def check(dtype: str, how: Any, sizes: tuple[int, int, int], build: Any, atol: float) -> None:
    """A kernel solves systems, and reads nothing of a matrix but its triangle.

    Args:
        how: left, lower, transposed, unit.
        sizes: of a system, how many right sides it has, how many systems.
        build: from a `Triangular` to the kernel.
    """
    left, lower, transposed, unit = how
    n, sides, count = sizes
    b, a = (
        np.random.default_rng(seed).normal(size=shape).astype(dtype)
        for seed, shape in enumerate(
            [(count, n, sides) if left else (count, sides, n), (count, n, n)]
        )
    )
    triangle = (np.tril if lower else np.triu)(a / n + 2 * np.eye(n, dtype=dtype))
    if unit:
        triangle[:, range(n), range(n)] = 1
    a = np.where(triangle == 0, np.asarray(np.nan, dtype), triangle)
    if unit:
        a[:, range(n), range(n)] = np.nan
    kernel = build(Triangular(Matrices(dtype, *b.shape), n, *how))
    assert kernel is not None
    x = Program(kernel)([a, b], b.shape, dtype)
    op = triangle.transpose(0, 2, 1) if transposed else triangle
    np.testing.assert_allclose(op @ x if left else x @ op, b, rtol=0, atol=atol)
