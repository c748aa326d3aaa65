"""The largest eigenvalue of a linear map on trees, by iteration."""

from __future__ import annotations

from typing import Any

from .. import lax, random
from .. import numpy as fnp
from ..core.sources import user_line
from .tree import norm, scale, sub, vdot


def power_iteration(
    matrix: Any,
    *,
    v0: Any = None,
    num_iters: Any = 100,
    error_tolerance: Any = 1e-6,
    precision: Any = lax.Precision.HIGHEST,
    key: Any = None,
) -> tuple[Any, Any]:
    """The eigenvalue of largest modulus and its eigenvector, of length 1.

    Args:
        matrix: f32[n, n], or a function that applies the map to a tree.
        v0: where to begin; for a matrix a random vector by default.
        num_iters: products at most.
        error_tolerance: ends when ‖Av − λv‖ / |λ| is below.
        precision: of the products with a matrix.
        key: for the random vector; key(0) by default.
    Raises:
        ValueError: a function without v0.
    Source: Golub & Van Loan, Matrix Computations, section 8.2.1.
    """
    if callable(matrix):
        product = matrix
        if v0 is None:
            raise ValueError(
                f"power_iteration needs v0 for a function.\n  {user_line()}\n"
                "  Give a tree that the function takes, such as random numbers."
            )
    else:
        matrix = fnp.asarray(matrix)
        own = random.key(0) if key is None else key
        if v0 is None:
            v0 = random.uniform(own, matrix.shape[-1:], matrix.dtype, -1.0, 1.0)

        def product(v: Any) -> Any:
            return fnp.matmul(matrix, v, precision=precision)

    def unit(v: Any) -> Any:
        return scale(1.0 / norm(v), v)

    def far(carry: Any) -> Any:
        v, image, value, count = carry
        gap = norm(sub(image, scale(value, v)))
        return ~(fnp.abs(gap / value) < error_tolerance) & (count < num_iters)

    def closer(carry: Any) -> Any:
        _, image, _, count = carry
        v = unit(image)
        image = product(v)
        return v, image, vdot(v, image), count + 1

    v = unit(v0)
    image = product(v)
    # Of the type that the turns give it; 0 is far from any eigenvalue.
    first = fnp.zeros_like(vdot(v, image))
    _, image, value, _ = lax.while_loop(far, closer, (v, image, first, 0))
    return value, unit(image)
