"""Functions of logarithms and exponentials: logit, x log y, entropies, logsumexp, softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import numpy as fnp
from ...control.custom_jvp import custom_jvp
from ...control.plans import planned
from ...numpy.promotion import check_arraylike, dtype_of
from ...numpy.reductions import canonical_axes, keep
from ...primitives.arithmetic import abs as magnitude
from ...primitives.rounding import sign, stop_gradient
from ...primitives.transcendental import logistic
from ...typing import Array, ArrayLike, Axis
from .operands import floats, inexact

if TYPE_CHECKING:
    from jaxtyping import Shaped


@custom_jvp
def _logit(x: Any) -> Any:
    return fnp.log(x / (1 - x))


@_logit.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return _logit(x), dx / (x * (1 - x))


@planned
def logit(x: Shaped[ArrayLike, "..."]) -> Array:
    """log(x / (1 - x)), the inverse of `expit`."""
    return _logit(*floats("logit", x))


@planned
def expit(x: Shaped[ArrayLike, "..."]) -> Array:
    """1 / (1 + e^-x)."""
    return logistic(*inexact("expit", x))


@custom_jvp
def _xlogy(x: Any, y: Any) -> Any:
    return fnp.where((x != 0) | fnp.isnan(y), x * fnp.log(y), 0.0)


@_xlogy.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    return _xlogy(x, y), dx * fnp.log(y) + dy * x / y


@custom_jvp
def _xlog1py(x: Any, y: Any) -> Any:
    return fnp.where((x != 0) | fnp.isnan(y), x * fnp.log1p(y), 0.0)


@_xlog1py.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    return _xlog1py(x, y), dx * fnp.log1p(y) + dy * x / (1 + y)


@custom_jvp
def _xlogx(x: Any) -> Any:
    return _xlogy(x, x)


@_xlogx.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return _xlogx(x), dx * (fnp.log(x) + 1)


def _together(x: Any, y: Any) -> tuple[Any, Any]:
    """Both in one shape: a rule of derivatives gives tangents of that of the result."""
    shape = fnp.broadcast_shapes(x.shape, y.shape)
    return fnp.broadcast_to(x, shape), fnp.broadcast_to(y, shape)


@planned
def xlogy(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"]) -> Array:
    """x log y, 0 where x is 0 unless y is NaN."""
    return _xlogy(*_together(*inexact("xlogy", x, y)))


@planned
def xlog1py(x: Shaped[ArrayLike, "*#shape"], y: Shaped[ArrayLike, "*#shape"]) -> Array:
    """x log(1 + y), 0 where x is 0 unless y is NaN."""
    return _xlog1py(*_together(*inexact("xlog1py", x, y)))


@planned
def entr(x: Shaped[ArrayLike, "..."]) -> Array:
    """-x log x, 0 at 0, -∞ below."""
    (v,) = floats("entr", x)
    return fnp.where(v < 0, -fnp.inf, -_xlogx(v))


@planned
def rel_entr(p: Shaped[ArrayLike, "*#shape"], q: Shaped[ArrayLike, "*#shape"]) -> Array:
    """p log(p / q); 0 where p is 0 and q ≥ 0, ∞ elsewhere outside of p > 0, q > 0."""
    a, b = _together(*floats("rel_entr", p, q))
    inside = (a > 0) & (b > 0)
    edge = (a == 0) & (b >= 0)
    safe_a, safe_b = fnp.where(inside, a, 1.0), fnp.where(inside, b, 1.0)
    value = _xlogx(safe_a) - _xlogy(safe_a, safe_b)
    return fnp.where(inside, value, fnp.where(edge, 0.0, fnp.inf))


@planned
def kl_div(p: Shaped[ArrayLike, "*#shape"], q: Shaped[ArrayLike, "*#shape"]) -> Array:
    """p log(p / q) - p + q, the terms of the divergence of Kullback and Leibler."""
    a, b = floats("kl_div", p, q)
    return rel_entr(a, b) - a + b


def _power(x: Any, lmbda: Any, log: Any) -> Any:
    zero = lmbda == 0
    safe = fnp.where(zero, 1.0, lmbda)
    return fnp.where(zero, log, fnp.expm1(safe * log) / safe)


@planned
def boxcox(x: Shaped[ArrayLike, "*#shape"], lmbda: Shaped[ArrayLike, "*#shape"]) -> Array:
    """(x^λ - 1) / λ, log x where λ is 0."""
    v, power = floats("boxcox", x, lmbda)
    return _power(v, power, fnp.log(v))


@planned
def boxcox1p(x: Shaped[ArrayLike, "*#shape"], lmbda: Shaped[ArrayLike, "*#shape"]) -> Array:
    """((1 + x)^λ - 1) / λ, log(1 + x) where λ is 0."""
    v, power = floats("boxcox1p", x, lmbda)
    return _power(v, power, fnp.log1p(v))


@planned
def logsumexp(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    b: Shaped[ArrayLike, "*#shape"] | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Any:
    """log Σ b e^a over axes, without overflow; -∞ of nothing.

    Args:
        b: factors, 1 by default; where one is 0, its element does not count.
        return_sign: return (log |Σ|, sign of Σ); else the result is NaN where Σ < 0.
        where: a mask of the elements to take.
    """
    check_arraylike("logsumexp", a, *([] if b is None else [b]))
    if where is not None:
        a = fnp.where(where, a, 0)
    x, *factors = inexact("logsumexp", a) if b is None else inexact("logsumexp", a, b)
    if factors:
        x, factor = _together(x, factors[0])
        x = fnp.where(factor != 0, x, -fnp.inf)
        factors = [factor]
    axes = canonical_axes(axis, x.ndim)
    top = fnp.max(x.real, axis=axes, keepdims=True, where=where, initial=-fnp.inf)
    top = stop_gradient(fnp.where(fnp.isfinite(top), top, 0.0))
    terms = fnp.exp(x - top.astype(x.dtype))
    for factor in factors:
        terms = terms * factor
    total = fnp.sum(terms, axis=axes, keepdims=keepdims, where=where)
    signs = sign(total)
    if return_sign or dtype_of(x).kind != "c":
        total = magnitude(total)
    top = top if keepdims else fnp.squeeze(top, axes)
    out = fnp.log(total) + top.astype(total.dtype)
    if return_sign:
        return out, signs
    if factors and dtype_of(out).kind != "c":
        out = fnp.where(signs < 0, fnp.nan, out)
    return out


def _shifted(name: str, x: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    (v,) = floats(name, x)
    axes = canonical_axes(axis, v.ndim)
    top = fnp.max(v, axis=axes, keepdims=True, initial=-fnp.inf)
    return v - stop_gradient(top), axes


@planned
def softmax(x: Shaped[ArrayLike, "..."], /, *, axis: Axis = None) -> Array:
    """e^xᵢ / Σⱼ e^xⱼ over axes, all by default."""
    shifted, axes = _shifted("softmax", x, axis)
    weights = fnp.exp(shifted)
    return weights / keep(weights.sum(axis=axes), axes, True)


@planned
def log_softmax(x: Shaped[ArrayLike, "..."], /, *, axis: Axis = None) -> Array:
    """The logarithm of `softmax`, without its loss of precision."""
    shifted, axes = _shifted("log_softmax", x, axis)
    return shifted - keep(fnp.log(fnp.exp(shifted).sum(axis=axes)), axes, True)
