"""Vector quantisation under the names of `jax.scipy.cluster.vq`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...core.sources import user_line
from ...numpy.promotion import check_arraylike, promote_dtypes_inexact, to_array
from ...typing import Array, ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Shaped


def vq(
    obs: Shaped[ArrayLike, "..."],
    code_book: Shaped[ArrayLike, "..."],
    check_finite: bool = True,
) -> tuple[Array, Array]:
    """The nearest code of each observation, and how far it is.

    Args:
        obs: observations [m, n], or [m] for n = 1.
        code_book: codes [k, n], or [k].
        check_finite: accepted for compatibility.
    Returns:
        Indices of codes i32[m], the first of equally near ones, and Euclidean distances [m].
    Raises:
        ValueError: ranks that differ or are above 2, or another n.

    >>> import funcgrad.numpy as fnp
    >>> from funcgrad.scipy.cluster.vq import vq
    >>> vq(fnp.array([[1.0, 1.0], [4.0, 8.0]]), fnp.array([[1.0, 2.0], [4.0, 4.0]]))
    (Array([0, 1], dtype=int32), Array([1., 4.], dtype=float32))
    """
    check_arraylike("vq", obs, code_book)
    points, codes = map(to_array, promote_dtypes_inexact(obs, code_book))
    if points.ndim != codes.ndim:
        raise ValueError(
            f"vq: Observation and code_book should have the same rank, got shapes {points.shape} "
            f"and {codes.shape}.\n  {user_line()}"
        )
    if points.ndim == 1:
        points, codes = points[:, None], codes[:, None]
    if points.ndim != 2 or points.shape[1] != codes.shape[1]:
        raise ValueError(
            f"vq takes [m, n] and [k, n], or [m] and [k], got shapes {points.shape} and "
            f"{codes.shape}.\n  {user_line()}"
        )
    distances = fnp.linalg.norm(points[:, None] - codes[None], axis=-1)
    nearest = fnp.argmin(distances, axis=-1)
    # Measured again, so that derivatives are those of one code and not of the whole table.
    return nearest, fnp.linalg.norm(points - codes[nearest], axis=-1)
