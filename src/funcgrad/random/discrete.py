"""Discrete distributions: signs, geometric, Poisson, binomial and multinomial numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import aval_of, canonical_shape
from ..numpy.promotion import check_arraylike, promote_dtypes_inexact
from ..numpy.selection import where
from ..primitives.arithmetic import div, neg
from ..primitives.casting import convert_element_type
from ..primitives.comparison import lt
from ..primitives.rounding import floor
from ..primitives.transcendental import log, log1p
from ..typing import Array, ArrayLike
from .keys import KeyLike, check_key
from .parameters import joint_shape, spread
from .uniform import draw_uniform

if TYPE_CHECKING:
    from jaxtyping import Shaped

Shape = Sequence[int]


def int_dtype(name: str, dtype: Any) -> np.dtype[Any]:
    """The canonical integer dtype.

    Raises:
        ValueError: another kind of dtype.
    """
    canonical = dtypes.canonicalize_dtype(int if dtype is None else dtype)
    if not dtypes.issubdtype(canonical, np.integer):
        raise ValueError(
            f"dtype argument to `{name}` must be an int dtype, got {canonical}.\n  {user_line()}"
        )
    return canonical


@planned
def rademacher(key: KeyLike, shape: Shape = (), dtype: Any = None) -> Array:
    """-1 or 1 with equal probability.

    Args:
        dtype: of the result, any number; the default int when None.
    """
    typed, _ = check_key("rademacher", key)
    canonical = dtypes.canonicalize_dtype(int if dtype is None else dtype)
    return draw_signs(typed, canonical_shape(shape), canonical)


def draw_signs(key: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """-1 or 1 from a typed key."""
    default = dtypes.canonicalize_dtype(float)
    ones = lt(draw_uniform(key, shape, default), np.array(0.5, default))
    return convert_element_type(2 * convert_element_type(ones, dtype) - 1, dtype)


@planned
def geometric(
    key: KeyLike, p: Shaped[ArrayLike, "..."], shape: Shape | None = None, dtype: Any = None
) -> Array:
    """Geometric numbers: how many trials until the first success, of probability p each.

    Args:
        p: floats that broadcast to the shape, 0 < p < 1.
        shape: of the result; that of p when None.
        dtype: an integer dtype; the default int when None.
    Raises:
        ValueError: dtype is not an integer, or p does not fit the shape.
    """
    typed, _ = check_key("geometric", key)
    canonical = int_dtype("geometric", dtype)
    whole = joint_shape("geometric", shape, p)
    check_arraylike("geometric", p)
    (p,) = promote_dtypes_inexact(p)
    own = aval_of(p).dtype
    u = draw_uniform(typed, whole, own)
    # u = 0 has no logarithm; it is taken for 1, which leaves the other values as they are.
    u = where(u == 0, np.array(1, own), u)
    trials = floor(div(log(u), spread(log1p(neg(p)), whole, own))) + 1
    return convert_element_type(trials, canonical)
