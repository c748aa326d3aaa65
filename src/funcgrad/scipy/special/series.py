"""Bessel and hypergeometric functions, and spherical harmonics."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import numpy as fnp
from ...core.sources import user_line
from ...core.trace import Tracer, value_of
from ...errors import ConcretizationTypeError
from ...numpy.promotion import promote_dtypes_inexact, to_array
from ...primitives import hypergeometric, special
from ...typing import Array, ArrayLike
from .operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def i0(x: Shaped[ArrayLike, "..."]) -> Array:
    """I₀(x), the modified Bessel function of order 0."""
    (v,) = floats("i0", x)
    return fnp.exp(fnp.abs(v)) * special.bessel_i0e(v)


def i0e(x: Shaped[ArrayLike, "..."]) -> Array:
    """e^-|x| I₀(x)."""
    return special.bessel_i0e(*floats("i0e", x))


def i1(x: Shaped[ArrayLike, "..."]) -> Array:
    """I₁(x), the modified Bessel function of order 1."""
    (v,) = floats("i1", x)
    return fnp.exp(fnp.abs(v)) * special.bessel_i1e(v)


def i1e(x: Shaped[ArrayLike, "..."]) -> Array:
    """e^-|x| I₁(x)."""
    return special.bessel_i1e(*floats("i1e", x))


def bessel_jn(z: Shaped[ArrayLike, "..."], *, v: int, n_iter: int = 50) -> Array:
    """J₀(z) ... J_v(z), Bessel functions of the first kind, along a new first axis.

    Args:
        v: the highest order, a Python int.
        n_iter: checked, and not needed: there is no iteration.
    """
    (x,) = floats("bessel_jn", z)
    operator.index(n_iter)
    count = operator.index(value_of(v))
    orders = fnp.arange(count + 1).astype(x.dtype).reshape((-1, *(1,) * x.ndim))
    return hypergeometric.bessel_jn(orders, x[None])


def hyp1f1(
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    x: Shaped[ArrayLike, "*#shape"],
) -> Array:
    """M(a, b, x) = Σ (a)ₙ xⁿ / ((b)ₙ n!); derivatives by a and b are there twice."""
    return hypergeometric.hyp1f1(*floats("hyp1f1", a, b, x))


def hyp2f1(
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    c: Shaped[ArrayLike, "*#shape"],
    x: Shaped[ArrayLike, "*#shape"],
) -> Array:
    """F(a, b; c; x) = Σ (a)ₙ (b)ₙ xⁿ / ((c)ₙ n!); derivatives by a, b and c are there twice."""
    return hypergeometric.hyp2f1(*floats("hyp2f1", a, b, c, x))


def sph_harm_y(
    n: Shaped[ArrayLike, "*#shape"],
    m: Shaped[ArrayLike, "*#shape"],
    theta: Shaped[ArrayLike, "*#shape"],
    phi: Shaped[ArrayLike, "*#shape"],
    diff_n: int | None = None,
    n_max: int | None = None,
) -> Array:
    """The spherical harmonics √((2n+1)/4π (n-m)!/(n+m)!) Pₙᵐ(cos θ) e^(imφ).

    Args:
        n: degrees, integers ≥ 0.
        m: orders, integers with |m| ≤ n; elsewhere the result is 0.
        theta: polar angles; phi: azimuths.
        n_max: the greatest degree, needed when n is traced.
    Returns:
        complex64 or complex128.
    Raises:
        ConcretizationTypeError: n is traced and n_max is not given.
        ValueError: diff_n is given: take derivatives with grad.
    """
    if diff_n is not None:
        raise ValueError(f"sph_harm_y takes no diff_n.\n  {user_line()}\n  Use grad or jvp.")
    if n_max is None:
        known: Any = value_of(to_array(n))
        if isinstance(known, Tracer):
            raise ConcretizationTypeError(
                known, "sph_harm_y needs the greatest degree: give n_max."
            )
        n_max = int(np.max(np.asarray(known), initial=0))
    polar, azimuth = map(to_array, promote_dtypes_inexact(theta, phi))
    if not polar.ndim:
        polar = polar.reshape(1)
    degree, order = to_array(n), to_array(m)
    shape = fnp.broadcast_shapes(degree.shape, order.shape, polar.shape, azimuth.shape)
    table = _legendre(fnp.broadcast_to(polar, shape), operator.index(n_max))
    degree, order, azimuth = (fnp.broadcast_to(v, shape) for v in (degree, order, azimuth))
    size = fnp.abs(order)
    flat = table.reshape((-1, *shape))
    index = (size * (n_max + 1) + degree)[None]
    value = fnp.take_along_axis(flat, index, axis=0)[0]
    value = fnp.where(size > degree, 0.0, value)
    # Y with -m is (-1)^m times the conjugate of Y with m.
    value = value * fnp.where((order < 0) & (size % 2 == 1), -1.0, 1.0).astype(value.dtype)
    return value * fnp.exp(1j * order * azimuth)


def _legendre(theta: Any, top: int) -> Any:
    """Normalised Pₙᵐ(cos θ) for all 0 ≤ m, n ≤ top: an array [m, n, ...], 0 for m > n.

    Source: Press et al., Numerical Recipes, 3rd edition (2007), section 6.7.
    """
    x, y = fnp.cos(theta), fnp.sin(theta)
    # √(1 - x²), with its slope at 0 from the right.
    y = fnp.where(y < 0, -y, y)
    zero = fnp.zeros_like(x)
    diagonal = fnp.full_like(x, math.sqrt(0.25 / math.pi))
    rows: list[Any] = []
    for m in range(top + 1):
        if m:
            diagonal = -math.sqrt((2 * m + 1) / (2 * m)) * y * diagonal
        row = [zero] * m + [diagonal]
        for n in range(m + 1, top + 1):
            scale = math.sqrt((4 * n * n - 1) / (n * n - m * m))
            back = math.sqrt(((n - 1) ** 2 - m * m) / (4 * (n - 1) ** 2 - 1)) if n - 1 > m else 0.0
            before = row[n - 2] if n - 1 > m else zero
            row.append(scale * (x * row[n - 1] - back * before))
        rows.append(fnp.stack(row))
    return fnp.stack(rows)
