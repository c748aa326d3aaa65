"""The gamma function and its kin: beta, digamma, zeta, incomplete integrals, binomials."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

from ... import numpy as fnp
from ...control.custom_jvp import custom_jvp
from ...core.sources import user_line
from ...core.trace import value_of
from ...numpy.promotion import dtype_of, to_array
from ...primitives import integrals
from ...primitives import special as ops
from ...typing import Array, ArrayLike
from .operands import floats, inexact

if TYPE_CHECKING:
    from jaxtyping import Shaped


def gammaln(x: Shaped[ArrayLike, "..."]) -> Array:
    """log |Γ(x)|."""
    return ops.lgamma(*floats("gammaln", x))


def gammasgn(x: Shaped[ArrayLike, "..."]) -> Array:
    """The sign of Γ(x): 1 or -1, that of x at 0, NaN at -1, -2, ..."""
    (v,) = floats("gammasgn", x)
    below = fnp.floor(v)
    negative = v < 0
    undefined = (negative & (v == below)) | fnp.isnan(v)
    minus = (negative & (below % 2 != 0)) | ((v == 0) & fnp.signbit(v))
    one = fnp.ones_like(v)
    return fnp.where(undefined, fnp.nan, fnp.where(minus, -one, one))


def loggamma(x: Shaped[ArrayLike, "..."]) -> Array:
    """log Γ(x): of complex x the branch that is continuous off the negative axis; NaN for x ≤ 0."""
    (v,) = inexact("loggamma", x)
    if dtype_of(v).kind == "c":
        return integrals.loggamma_p.bind(v)
    return fnp.where(v > 0, ops.lgamma(v), fnp.nan)


def gamma(x: Shaped[ArrayLike, "..."]) -> Array:
    """Γ(x) = ∫₀^∞ t^(x-1) e^-t dt, continued to negative and complex x."""
    (v,) = inexact("gamma", x)
    if dtype_of(v).kind == "c":
        return fnp.exp(integrals.loggamma_p.bind(v))
    return gammasgn(v) * fnp.exp(ops.lgamma(v))


def betaln(a: Shaped[ArrayLike, "*#shape"], b: Shaped[ArrayLike, "*#shape"]) -> Array:
    """log |B(a, b)|."""
    return integrals.betaln_p.bind(*floats("betaln", a, b))


def beta(a: Shaped[ArrayLike, "*#shape"], b: Shaped[ArrayLike, "*#shape"]) -> Array:
    """B(a, b) = Γ(a) Γ(b) / Γ(a + b)."""
    p, q = floats("beta", a, b)
    sign = gammasgn(p) * gammasgn(q) * gammasgn(p + q)
    return sign * fnp.exp(betaln(p, q))


def betainc(
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    x: Shaped[ArrayLike, "*#shape"],
) -> Array:
    """I_x(a, b) = 1/B(a, b) ∫₀ˣ t^(a-1) (1 - t)^(b-1) dt.

    It has derivatives with respect to all three; those to a and b twice.
    """
    return ops.betainc(*floats("betainc", a, b, x))


def gammainc(a: Shaped[ArrayLike, "*#shape"], x: Shaped[ArrayLike, "*#shape"]) -> Array:
    """P(a, x) = 1/Γ(a) ∫₀ˣ t^(a-1) e^-t dt."""
    return ops.igamma(*floats("gammainc", a, x))


def gammaincc(a: Shaped[ArrayLike, "*#shape"], x: Shaped[ArrayLike, "*#shape"]) -> Array:
    """Q(a, x) = 1 - P(a, x), without cancellation for large x."""
    return ops.igammac(*floats("gammaincc", a, x))


def digamma(x: Shaped[ArrayLike, "..."]) -> Array:
    """ψ(x), the derivative of log Γ(x)."""
    return ops.digamma(*floats("digamma", x))


def polygamma(n: Shaped[ArrayLike, "*#shape"], x: Shaped[ArrayLike, "*#shape"]) -> Array:
    """ψ⁽ⁿ⁾(x), the n-th derivative of ψ.

    Raises:
        ValueError: n is not an integer.
    """
    if dtype_of(n).kind not in "iu":
        raise ValueError(
            f"Argument `n` to polygamma must be of integer type, got {dtype_of(n)}.\n"
            f"  {user_line()}\n  Convert it with astype."
        )
    return ops.polygamma(*floats("polygamma", n, x))


def zeta(x: Shaped[ArrayLike, "*#shape"], q: Shaped[ArrayLike, "*#shape"] | None = None) -> Array:
    """ζ(x, q) = Σ (q + k)^-x over k ≥ 0, for x > 1; q is 1 by default, Riemann's function."""
    return ops.zeta(*floats("zeta", x, 1.0 if q is None else q))


def multigammaln(a: Shaped[ArrayLike, "..."], d: int) -> Array:
    """log Γ_d(a), the gamma function of d dimensions: d (d-1)/4 log π + Σ log Γ(a - j/2), j < d."""
    count = operator.index(value_of(d))
    (v,) = floats("multigammaln", a)
    halves = fnp.arange(count).astype(v.dtype) / 2
    terms = ops.lgamma(v[..., None] - halves)
    return terms.sum(axis=-1) + count * (count - 1) / 4 * math.log(math.pi)


def factorial(n: Shaped[ArrayLike, "..."], exact: bool = False) -> Array:
    """n! = Γ(n + 1), 0 for negative n.

    Raises:
        ValueError: exact is True, which needs integers of any size.
    """
    if exact:
        raise ValueError(
            f"factorial computes with floats, not exactly.\n  {user_line()}\n"
            "  Leave exact out, or use math.factorial."
        )
    (v,) = floats("factorial", n)
    return fnp.where(v < 0, 0.0, fnp.exp(ops.lgamma(v + 1)))


@custom_jvp
def _poch(z: Any, m: Any) -> Any:
    return fnp.where(m == 0, fnp.ones_like(z), gamma(z + m) / gamma(z))


@_poch.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (z, m), (dz, dm) = primals, tangents
    out = _poch(z, m)
    above = ops.digamma(z + m)
    by_z = fnp.where(m == 0, 0.0, (above - ops.digamma(z)) * out)
    return out, by_z * dz + above * out * dm


def poch(z: Shaped[ArrayLike, "*#shape"], m: Shaped[ArrayLike, "*#shape"]) -> Array:
    """Pochhammer's symbol Γ(z + m) / Γ(z)."""
    v, w = floats("poch", z, m)
    shape = fnp.broadcast_shapes(v.shape, w.shape)
    return _poch(fnp.broadcast_to(v, shape), fnp.broadcast_to(w, shape))


def comb(
    N: Shaped[ArrayLike, "*#shape"], k: Shaped[ArrayLike, "*#shape"], *, repetition: bool = False
) -> Array:
    """The number of ways to choose k of N things; 0 outside of 0 ≤ k ≤ N.

    Args:
        repetition: a thing may be chosen more than once.
    """
    things, chosen = floats("comb", N, k)
    if repetition:
        result = comb(things + chosen - 1, chosen)
        return fnp.where((chosen == 0) & (things >= 0), 1.0, result)
    valid = (chosen <= things) & (things >= 0) & (chosen >= 0)
    n, r = fnp.where(valid, things, 0.0), fnp.where(valid, chosen, 0.0)
    logarithm = ops.lgamma(n + 1) - ops.lgamma(r + 1) - ops.lgamma(n + 1 - r)
    return fnp.where(valid, fnp.exp(logarithm), 0.0)


def bernoulli(n: int) -> Array:
    """The Bernoulli numbers B₀ ... Bₙ, B₁ = -1/2, in the default float dtype.

    Raises:
        ValueError: n is negative.
    Source: B₂ₖ = (-1)^(k+1) 2 (2k)! ζ(2k) / (2π)^(2k).
    """
    count = operator.index(value_of(n))
    if count < 0:
        raise ValueError(f"n must be a non-negative integer, bernoulli got {n}.")
    first = fnp.asarray([1.0, -0.5, 1.0 / 6.0])
    if count < 3:
        return first[: count + 1]
    even = fnp.arange(2, count + 1, 2).astype(first.dtype)
    factors = -(even - 1) * even / (4 * math.pi**2)
    values = -2 * fnp.cumprod(factors) * ops.zeta(even, to_array(fnp.ones_like(even)))
    out = fnp.zeros(count + 1).at[:2].set(first[:2])
    return out.at[2::2].set(values)
