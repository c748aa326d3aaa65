"""Gamma numbers of keys and orders, by rejection.

In: keys and orders. Out: the numbers that the CPU draws. The one idea: elements draw from keys of
their own, so each goes on until it is accepted, as a loop of its own thread.
Source: Marsaglia & Tsang, ACM TOMS 26 (2000).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from .. import numpy as fnp
from .. import random
from ..api.mapping import vmap
from ..control.loops import while_loop
from ..core.composed import compose


@compose("random_gamma")
def random_gamma(keys: Any, orders: Any, *, log_space: bool) -> Any:
    """One number of each order; the keys' axes are the leading axes of the orders."""
    each = math.prod(orders.shape[keys.ndim :])
    own = vmap(partial(random.split, num=each))(keys.reshape(-1)).reshape(-1)
    drawn = vmap(partial(_sample, log_space=log_space))(own, orders.reshape(-1))
    return drawn.reshape(orders.shape)


def _sample(key: Any, order: Any, log_space: bool) -> Any:
    kind = order.dtype.type
    large = order >= 1
    d = fnp.where(large, order, order + kind(1)) - kind(1 / 3)
    rest, for_boost = random.split(key, 2)
    cubed = _accepted(rest, d, kind(1 / 3) / fnp.sqrt(d))
    u = random.uniform(for_boost, (), order.dtype)
    if not log_space:
        return d * cubed * fnp.where(large, kind(1), (kind(1) - u) ** (kind(1) / order))
    exponent = fnp.log1p(-u)
    boost = fnp.where(large | (exponent == 0), kind(0), exponent * (kind(1) / order))
    return fnp.log(d) + fnp.log(cubed) + boost


def _propose(key: Any, c: Any) -> tuple[Any, Any]:
    """x normal and 1 + c x, drawn again until the latter is positive."""

    def turn(state: Any) -> Any:
        key, _, _ = state
        key, draw = random.split(key, 2)
        x = random.normal(draw, (), c.dtype)
        return key, x, 1 + x * c

    return while_loop(lambda s: s[2] <= 0, turn, (key, fnp.zeros_like(c), fnp.zeros_like(c)))[1:]


def _accepted(key: Any, d: Any, c: Any) -> Any:
    """(1 + c x)³ of the accepted proposal."""
    kind = c.dtype.type

    def rejected(state: Any) -> Any:
        _, squared, cubed, u = state
        likely = kind(0.5) * squared + d * (kind(1) - cubed + fnp.log(cubed))
        return (u >= kind(1) - kind(0.0331) * (squared * squared)) & (fnp.log(u) >= likely)

    def turn(state: Any) -> Any:
        key, for_x, for_u = random.split(state[0], 3)
        x, v = _propose(for_x, c)
        return key, x * x, v * v * v, random.uniform(for_u, (), c.dtype)

    # Rejected by both tests: the first turn is made.
    start = (key, fnp.ones_like(c), fnp.ones_like(c), fnp.full_like(c, 2))
    return while_loop(rejected, turn, start)[2]
