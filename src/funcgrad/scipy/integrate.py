"""Integrals of samples, under the names of `jax.scipy.integrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import numpy as fnp
from ..typing import Array, ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Shaped


def trapezoid(
    y: Shaped[ArrayLike, "..."],
    x: Shaped[ArrayLike, "..."] | None = None,
    dx: Shaped[ArrayLike, "..."] = 1.0,
    axis: int = -1,
) -> Array:
    """The integral along an axis by the trapezoidal rule: Σ ½ (y[i] + y[i+1]) (x[i+1] - x[i]).

    Args:
        y: samples.
        x: their places, a vector or of the shape of y.
        dx: distance of the samples where x is not given.

    >>> import funcgrad.numpy as fnp
    >>> from funcgrad.scipy.integrate import trapezoid
    >>> trapezoid(fnp.array([1.0, 2.0, 4.0]), dx=2.0)
    Array(9., dtype=float32)
    """
    return fnp.trapezoid(y, x, dx, axis)
