"""The sum of squares about the mean, with a derivative of its own.

In: real floats, the axes to fold. Out: the sum over them of (x - mean)². The one idea: what x moves
by, the mean moves with it, but the sum of all distances from the mean is zero, so the derivative is
that of a fixed mean; differentiating the formula would sum those zeros once more over all of x.
The rule computes the mean anew, so derivatives of the derivative have it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ..control.custom_jvp import custom_jvp
from ..primitives import arithmetic
from . import reductions


@partial(custom_jvp, nondiff_argnums=(1, 2))
def squares_about_mean(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The sum over axes of (x - mean)²; the mean is that over the same axes."""
    return reductions.sum(arithmetic.square(_centred(x, axes)), axes, keepdims=keepdims)


@squares_about_mean.defjvp
def _squares_about_mean_jvp(
    axes: tuple[int, ...], keepdims: bool, primals: tuple[Any], tangents: tuple[Any]
) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    slope = reductions.sum(dx * (2.0 * _centred(x, axes)), axes, keepdims=keepdims)
    return squares_about_mean(x, axes, keepdims), slope


def _centred(x: Any, axes: tuple[int, ...]) -> Any:
    return x - reductions.mean(x, axes, keepdims=True)
