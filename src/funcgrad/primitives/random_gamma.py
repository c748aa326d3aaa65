"""Gamma numbers as a primitive: keys and orders in, samples or their logarithms out.

Marsaglia and Tsang's rejection: with d = a - 1/3, c = 1/√(9d) and x normal, d (1 + c x)³ is kept
with a probability that makes it a gamma number of order a ≥ 1; smaller orders are raised by one
and the sample is scaled by u^(1/a). The one idea: every element draws from a key of its own, so
that elements still rejected go on alone while the others keep what they have.

A sample moves with its order at a fixed quantile: dx/da = -(∂P/∂a) / (∂P/∂x).
Source: Marsaglia & Tsang, ACM TOMS 26 (2000); Figurnov et al., arXiv:1805.08498.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.axes import to_front
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from .arithmetic import div, mul
from .comparison import eq
from .creation import full_like
from .random_bits import check_keys, example_keys
from .selection import select
from .special import erf_inv_p, random_gamma_grad
from .threefry import threefry2x32
from .transcendental import exp

Words = tuple[Any, Any]

# Their overloads leave unknown types where operands are of any type.
_where: Any = np.where
_zeros_like: Any = np.zeros_like
_arange: Any = np.arange


def split_words(keys: Words, count: int) -> list[Words]:
    """New keys of each key, all as pairs of words."""
    zero = np.uint32(0)
    return [threefry2x32(keys[0], keys[1], zero, np.uint32(i)) for i in range(count)]


def uniform_of(keys: Words, dtype: np.dtype[Any]) -> Any:
    """One uniform number in [0, 1) of each key: a random mantissa with the exponent of 1."""
    info: Any = dtypes.finfo(dtype)
    first, second = threefry2x32(keys[0], keys[1], np.uint32(0), np.uint32(0))
    word = np.dtype(f"u{info.bits // 8}")
    drawn = 8 if info.nmant < 8 else int(info.bits)
    if drawn == 64:
        raw = (first.astype(np.uint64) << np.uint64(32)) | second
    else:
        raw = (first ^ second).astype(np.dtype(f"u{drawn // 8}")).astype(word)
    one = np.ones((), dtype).view(word)
    mantissa = raw >> np.array(drawn - info.nmant, word)
    return (mantissa | one).view(dtype) - np.ones((), dtype)


def normal_of(keys: Words, dtype: np.dtype[Any]) -> Any:
    """One normal number of each key."""
    low = np.nextafter(np.array(-1, dtype), np.array(0, dtype), dtype=dtype)
    unit = uniform_of(keys, dtype) * (np.array(1, dtype) - low) + low
    return np.array(math.sqrt(2), dtype) * erf_inv_p.impl(np.maximum(unit, low))


def _propose(keys: Words, c: Any) -> tuple[Any, Any]:
    """x normal and 1 + c x, drawn again until the latter is positive."""
    x, v = _zeros_like(c), _zeros_like(c)
    left: Any = _arange(c.size)
    while left.size:
        keys, draw = split_words(keys, 2)
        x[left] = normal_of(draw, c.dtype)
        v[left] = c.dtype.type(1) + x[left] * c[left]
        again = v[left] <= 0
        keys = keys[0][again], keys[1][again]
        left = left[again]
    return x, v


def _accepted(keys: Words, d: Any, c: Any) -> Any:
    """(1 + c x)³ of the accepted proposals."""
    out: Any = _zeros_like(d)
    kind = d.dtype.type
    left: Any = _arange(d.size)
    while left.size:
        keys, for_x, for_u = split_words(keys, 3)
        x, v = _propose(for_x, c[left])
        squared, cubed = x * x, v * v * v
        u = uniform_of(for_u, d.dtype)
        out[left] = cubed
        likely = kind(0.5) * squared + d[left] * (kind(1) - cubed + np.log(cubed))
        again = (u >= kind(1) - kind(0.0331) * (squared * squared)) & (np.log(u) >= likely)
        keys = keys[0][again], keys[1][again]
        left = left[again]
    return out


def samples(keys: Words, orders: Any, log_space: bool) -> Any:
    """One gamma number (or its logarithm) of each key and order, all of one axis."""
    kind = orders.dtype.type
    large: Any = orders >= 1
    d: Any = _where(large, orders, orders + kind(1)) - kind(1 / 3)
    rest, for_boost = split_words(keys, 2)
    cubed = _accepted(rest, d, kind(1 / 3) / np.sqrt(d))
    u = uniform_of(for_boost, orders.dtype)
    if not log_space:
        return d * cubed * _where(large, kind(1), np.power(kind(1) - u, kind(1) / orders))
    exponent = np.log1p(-u)
    boost: Any = _where(large | (exponent == 0), kind(0), exponent * (kind(1) / orders))
    return np.log(d) + np.log(cubed) + boost


class RandomGamma(Primitive):
    """Gamma numbers of keys and orders; the keys' axes are the leading axes of the orders."""

    name = "random_gamma"
    composed = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        keys, orders = avals
        check_keys(self.name, keys)
        if not dtypes.issubdtype(orders.dtype, np.floating):
            raise TypeError(
                f"random_gamma takes floating orders, got {orders.long()}.\n  {user_line()}\n"
                "  Convert them with astype."
            )
        if orders.shape[: len(keys.shape)] != keys.shape:
            raise TypeError(
                f"random_gamma takes keys for the leading axes of the orders, got {keys.long()} "
                f"and {orders.long()}.\n  {user_line()}"
            )
        return orders.update(weak_type=False)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        keys, orders = arrays
        rest = orders.shape[keys.ndim :]
        index = np.arange(math.prod(rest), dtype=np.uint64)
        high, low = (index >> np.uint64(32)).astype(np.uint32), index.astype(np.uint32)
        at = (..., None)
        words = threefry2x32(keys["hi"][at], keys["lo"][at], high, low)
        flat = tuple(np.reshape(np.broadcast_to(w, keys.shape + index.shape), -1) for w in words)
        out = samples((flat[0], flat[1]), orders.reshape(-1), params["log_space"])
        return np.asarray(out, orders.dtype).reshape(orders.shape)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        orders = primals[1]
        if not params["log_space"]:
            return mul(t, random_gamma_grad(orders, out))
        # d log x = dx / x; a sample that is not representable counts as the smallest that is.
        sample = exp(out)
        tiny = full_like(sample, dtypes.finfo(aval_of(out).dtype).tiny)
        sample = select(eq(sample, full_like(sample, 0)), tiny, sample)
        return mul(t, div(random_gamma_grad(orders, sample), sample))

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        keys, orders = (to_front(x, d, axis.size) for x, d in zip(args, dims, strict=True))
        return self.bind(keys, orders, **params), 0

    def examples(self) -> Iterator[Example]:
        # The implicit derivative is not that of the rejection at a fixed key.
        orders = np.array([[0.3, 1.0, 2.5], [7.0, 0.9, 40.0]])
        for log_space in (False, True):
            params = {"log_space": log_space}
            yield Example((example_keys(()), orders), params, differentiable=())
            yield Example((example_keys((2,)), orders), params, differentiable=())
            yield Example((example_keys(()), orders[0, 0]), params, differentiable=())
            yield Example((example_keys(()), orders[:0]), params, differentiable=())


random_gamma_p = RandomGamma()
