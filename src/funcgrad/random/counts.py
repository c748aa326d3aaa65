"""Counts of random events: Poisson, binomial and multinomial numbers.

Small means count waiting times, large ones use transformed rejection; both loops run until every
element is done, and `select` picks for each element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.loops import while_loop
from ..control.scan import scan
from ..ir.avals import aval_of, canonical_shape
from ..numpy.arithmetic import clip
from ..numpy.promotion import check_arraylike, promote_dtypes_inexact
from ..numpy.selection import where
from ..primitives.arithmetic import abs, sqrt
from ..primitives.bits import bitwise_not
from ..primitives.broadcasting import broadcast_to
from ..primitives.casting import convert_element_type
from ..primitives.creation import full
from ..primitives.cumulative import cumsum
from ..primitives.movement import moveaxis
from ..primitives.random_bits import random_split_p
from ..primitives.reduction import reduce_or
from ..primitives.rounding import ceil, floor
from ..primitives.special import lgamma
from ..primitives.transcendental import log, log1p
from ..typing import Array, ArrayLike
from .approximate import check_method, draw_poisson_quickly
from .discrete import int_dtype
from .keys import KeyLike, check_key
from .parameters import joint_shape, spread
from .uniform import draw_uniform, float_dtype, split_key

if TYPE_CHECKING:
    from jaxtyping import Shaped

Shape = Sequence[int]

# (k + 1/2) log(k + 1) and so on leave this remainder of log k!, for k = 0 ... 9.
_stirling_remainders = (
    0.0810614667953272,
    0.0413406959554092,
    0.0276779256849983,
    0.02079067210376509,
    0.0166446911898211,
    0.0138761288230707,
    0.0118967099458917,
    0.0104112652619720,
    0.00925546218271273,
    0.00833056343336287,
)


def _any(x: Any) -> Any:
    return reduce_or(x, tuple(range(aval_of(x).ndim)))


def poisson(
    key: KeyLike,
    lam: Shaped[ArrayLike, "..."],
    shape: Shape | None = None,
    dtype: Any = None,
    *,
    method: str = "exact",
) -> Array:
    """Poisson numbers: λ^k e^-λ / k!.

    Args:
        key: a single key.
        lam: means λ ≥ 0 that broadcast to the shape.
        shape: of the result; that of lam when None.
        dtype: an integer dtype; the default int when None.
        method: "exact"; or "approximate", without loops and quicker, with 1e-4 of the mass at most
            elsewhere.
    Returns:
        integers; of the exact method -1 where λ is NaN, the largest one where λ is infinite.
    Raises:
        ValueError: dtype is not an integer, method is another, or lam does not fit the shape.
    Source: Knuth, TAOCP 2, 3.4.1; Hörmann, Insurance: Mathematics and Economics 12 (1993), PTRS.
    """
    typed, _ = check_key("poisson", key)
    canonical = int_dtype("poisson", dtype)
    if check_method("poisson", method):
        own = aval_of(lam).shape
        whole = own if shape is None else canonical_shape(shape, "poisson")
        return draw_poisson_quickly(typed, lam, whole, canonical)
    whole = joint_shape("poisson", shape, lam)
    lam = spread(lam, whole, np.dtype(np.float32))
    small = (lam != lam) | (lam < 10)
    # The loop not meant for an element gets a mean it is done with quickly.
    counted = _poisson_by_waiting(typed, where(small, lam, np.float32(0)), canonical)
    unbounded = lam == np.inf
    large = where(small | unbounded, np.float32(1e5), lam)
    rejected = _poisson_by_rejection(typed, large, canonical)
    most = np.array(np.iinfo(canonical).max, canonical)
    out = where(small, counted, where(unbounded, most, rejected))
    return where(lam == 0, np.zeros((), canonical), out)


def _poisson_by_waiting(key: Any, lam: Any, dtype: np.dtype[Any]) -> Any:
    """How many uniform factors until the product falls below e^-λ, less one."""
    shape = aval_of(lam).shape

    def going(carry: Any) -> Any:
        return _any(carry[2] > -lam)

    def step(carry: Any) -> Any:
        count, key, log_product = carry
        key, draw = split_key(key)
        count = where(log_product > -lam, count + np.ones((), dtype), count)
        return count, key, log_product + log(draw_uniform(draw, shape, np.dtype(np.float32)))

    start = full(shape, 0, dtype), key, full(shape, 0, np.float32)
    return while_loop(going, step, start)[0] - np.ones((), dtype)


def _poisson_by_rejection(key: Any, lam: Any, dtype: np.dtype[Any]) -> Any:
    """Transformed rejection with squeeze, for λ ≥ 10."""
    shape, kind = aval_of(lam).shape, aval_of(lam).dtype
    log_lam = log(lam)
    b = 0.931 + 2.53 * sqrt(lam)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    squeeze = 0.9277 - 3.6224 / (b - 2)

    def step(carry: Any) -> Any:
        found, accepted, key = carry
        key, first, second = split_key(key, 3)
        u = draw_uniform(first, shape, kind) - 0.5
        v = draw_uniform(second, shape, kind)
        edge = 0.5 - abs(u)
        k = floor((2 * a / edge + b) * u + lam + 0.43)
        height = log(v * inverse_alpha / (a / (edge * edge) + b))
        likely = height <= -lam + k * log_lam - lgamma(k + 1)
        outside = (k < 0) | ((edge < 0.013) & (v > edge))
        accept = ((edge >= 0.07) & (v <= squeeze)) | (bitwise_not(outside) & likely)
        return where(accept, k, found), accepted | accept, key

    start = full(shape, -1, kind), full(shape, False, bool), key
    found = while_loop(lambda carry: _any(bitwise_not(carry[1])), step, start)[0]
    return convert_element_type(found, dtype)


def binomial(
    key: KeyLike,
    n: Shaped[ArrayLike, "*#shape"],
    p: Shaped[ArrayLike, "*#shape"],
    shape: Shape | None = None,
    dtype: Any = None,
) -> Array:
    """Binomial numbers: how many of n trials succeed, with probability p each.

    Args:
        key: a single key.
        n, p: floats or integers that broadcast to the shape; n is rounded down.
        shape: of the result; that of n and p when None.
        dtype: a floating dtype; the default float when None.
    Returns:
        whole numbers; NaN where n or p is NaN or negative.
    Raises:
        ValueError: dtype is not floating, or a parameter does not fit the shape.
    Source: Hörmann, Journal of Statistical Computation and Simulation 46 (1993), BTRS.
    """
    typed, _ = check_key("binomial", key)
    check_arraylike("binomial", n, p)
    canonical = float_dtype("binomial", dtype)
    return _draw_binomial(typed, n, p, joint_shape("binomial", shape, n, p), canonical)


def _draw_binomial(key: Any, n: Any, p: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    (p,) = promote_dtypes_inexact(p)
    kind = aval_of(p).dtype
    count, p = spread(n, shape, kind), broadcast_to(p, shape)
    rare = p < 0.5
    q = where(rare, p, 1 - p)
    bad_count, bad_q = (count != count) | (count < 0), (q != q) | (q < 0)
    unbounded = count == np.inf
    q = where(bad_q, np.array(0.01, kind), q)
    # A count without bound is not drawn: its result is known.
    waits = bad_count | (count * q <= 10) | unbounded
    count = floor(count)
    few = where(waits & bitwise_not(unbounded), count, np.array(0, kind))
    counted = _binomial_by_waiting(key, few, q, dtype)
    many, even = np.array(1e4, kind), np.array(0.5, kind)
    rejected = _binomial_by_rejection(key, where(waits, many, count), where(waits, even, q), dtype)
    out = where(waits, counted, rejected)
    out = where(unbounded, np.array(np.inf, dtype), out)
    out = where(rare | unbounded, out, convert_element_type(count, dtype) - out)
    return where(bad_count | bad_q, np.array(np.nan, dtype), out)


def _binomial_by_waiting(key: Any, count: Any, q: Any, dtype: np.dtype[Any]) -> Any:
    """How many geometric waiting times fit into the trials."""
    shape, kind = aval_of(q).shape, aval_of(q).dtype
    log_failure = log1p(-q)

    def step(carry: Any) -> Any:
        successes, trials, key = carry
        draw, key = split_key(key)
        successes = where(trials <= count, successes + 1, successes)
        wait = ceil(log(draw_uniform(draw, shape, kind)) / log_failure)
        return successes, trials + wait, key

    start = full(shape, 0, kind), full(shape, 0, kind), key
    found = while_loop(lambda carry: _any(carry[1] <= count), step, start)[0]
    return convert_element_type(found - 1, dtype)


def _stirling_remainder(k: Any) -> Any:
    """log k! less Stirling's formula: tabulated below 10, by its series above."""
    kind = aval_of(k).dtype
    square = (k + 1) * (k + 1)
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)
    for i, remainder in enumerate(_stirling_remainders):
        series = where(floor(k) == i, np.array(remainder, kind), series)
    return series


def _binomial_by_rejection(key: Any, count: Any, q: Any, dtype: np.dtype[Any]) -> Any:
    """Transformed rejection with squeeze, for count · q > 10."""
    shape, kind = aval_of(q).shape, aval_of(q).dtype
    deviation = sqrt(count * q * (1 - q))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * q
    center = count * q + 0.5
    squeeze = 0.92 - 4.2 / b
    odds = q / (1 - q)
    alpha = (2.83 + 5.1 / b) * deviation
    mode = floor((count + 1) * q)

    def log_ratio(k: Any) -> Any:
        """Log of the probability of k over that of the mode."""
        return (
            (mode + 0.5) * log((mode + 1) / (odds * (count - mode + 1)))
            + (count + 1) * log((count - mode + 1) / (count - k + 1))
            + (k + 0.5) * log(odds * (count - k + 1) / (k + 1))
            + _stirling_remainder(mode)
            + _stirling_remainder(count - mode)
            - _stirling_remainder(k)
            - _stirling_remainder(count - k)
        )

    def step(carry: Any) -> Any:
        found, accepted, key = carry
        key, first, second = split_key(key, 3)
        u = draw_uniform(first, shape, kind) - 0.5
        v = draw_uniform(second, shape, kind)
        edge = 0.5 - abs(u)
        k = floor((2 * a / edge + b) * u + center)
        outside = (k < 0) | (k > count)
        likely = log(v * alpha / (a / (edge * edge) + b)) <= log_ratio(k)
        accept = ((edge >= 0.07) & (v <= squeeze)) | (bitwise_not(outside) & likely)
        return where(accept, k, found), accepted | accept, key

    start = full(shape, -1, kind), full(shape, False, bool), key
    found = while_loop(lambda carry: _any(bitwise_not(carry[1])), step, start)[0]
    return convert_element_type(found, dtype)


def multinomial(
    key: KeyLike,
    n: Shaped[ArrayLike, "*#batch"],
    p: Shaped[ArrayLike, "*#batch k"],
    *,
    shape: Shape | None = None,
    dtype: Any = None,
    unroll: Any = 1,
) -> Array:
    """Multinomial counts: how n trials fall into categories of probabilities p.

    Args:
        key: a single key.
        n: trials, shape [...].
        p: probabilities, shape [..., k].
        shape: of the result without its last axis; that of p without its last when None.
        unroll: of the scan over the categories.
    Raises:
        ValueError: n or p does not broadcast to the shape.
    """
    typed, _ = check_key("multinomial", key)
    check_arraylike("multinomial", n, p)
    n, p = promote_dtypes_inexact(n, p)
    canonical = float_dtype("multinomial", dtype)
    lead, k = aval_of(p).shape[:-1], aval_of(p).shape[-1]
    whole = (*(lead if shape is None else canonical_shape(shape, "multinomial")), k)
    weights = moveaxis(broadcast_to(p, whole), len(whole) - 1, 0)
    left = cumsum(weights, 0, reverse=True)
    ratios = weights / where(left == 0, 1, left)

    def step(remainder: Any, inputs: Any) -> Any:
        ratio, key = inputs
        kind = aval_of(remainder).dtype
        drawn = _draw_binomial(key, remainder, clip(ratio, 0, 1), whole[:-1], kind)
        return remainder - drawn, drawn

    keys = random_split_p.bind(typed, shape=(whole[-1],))
    counts = scan(step, broadcast_to(n, whole[:-1]), (ratios, keys), unroll=unroll)[1]
    return convert_element_type(moveaxis(counts, 0, len(whole) - 1), canonical)
