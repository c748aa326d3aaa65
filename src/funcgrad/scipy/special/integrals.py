"""Error functions, the normal distribution, integrals of exponentials and circular functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import numpy as fnp
from ...core.sources import user_line
from ...ir import dtypes
from ...numpy.promotion import check_arraylike, dtype_of, to_array
from ...primitives import integrals as ops
from ...primitives import special
from ...primitives.complexes import complex as joined
from ...typing import Array, ArrayLike
from .operands import floats, inexact

if TYPE_CHECKING:
    from jaxtyping import Shaped


def erf(x: Shaped[ArrayLike, "..."]) -> Array:
    """2/√π ∫₀ˣ e^-t² dt."""
    return special.erf(*floats("erf", x))


def erfc(x: Shaped[ArrayLike, "..."]) -> Array:
    """1 - erf(x), without cancellation for large x."""
    return special.erfc(*floats("erfc", x))


def erfcx(x: Shaped[ArrayLike, "..."]) -> Array:
    """e^x² erfc(x), of real and complex x."""
    (v,) = inexact("erfcx", x)
    if dtype_of(v).kind == "c":
        return ops.wofz_p.bind(joined(-v.imag, v.real))
    return ops.erfcx_p.bind(v)


def erfinv(x: Shaped[ArrayLike, "..."]) -> Array:
    """The y with erf(y) = x."""
    return special.erf_inv(*floats("erfinv", x))


def erfcinv(y: Shaped[ArrayLike, "..."]) -> Array:
    """The x with erfc(x) = y, exact for small y too; ±inf at 0 and 2, NaN beyond.

    Raises:
        ValueError: y is complex.
    """
    (v,) = floats("erfcinv", y)
    # The normal distribution's, of at least 32 bits: x = -Φ⁻¹(y / 2) / √2, and 0, not -0, at 1.
    wide = v.astype(np.promote_types(v.dtype, np.float32)) if v.dtype.itemsize < 4 else v
    return (0.0 - ops.ndtri_p.bind(wide * 0.5) * math.sqrt(0.5)).astype(v.dtype)


def dawsn(x: Shaped[ArrayLike, "..."]) -> Array:
    """e^-x² ∫₀ˣ e^t² dt, Dawson's integral."""
    return ops.dawsn_p.bind(*floats("dawsn", x))


def wofz(z: Shaped[ArrayLike, "..."]) -> Array:
    """e^-z² erfc(-iz), the Faddeeva function; complex."""
    (v,) = inexact("wofz", z)
    return ops.wofz_p.bind(v.astype(dtypes.to_complex_dtype(v.dtype)))


def _single_or_double(name: str, x: Any) -> Any:
    """The argument, of float32 or float64."""
    check_arraylike(name, x)
    v = to_array(x)
    if dtype_of(v) not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(
            f"{name} takes float32 or float64, x.dtype={dtype_of(v)} is not supported.\n"
            f"  {user_line()}\n  Convert it with astype."
        )
    return v


def ndtr(x: Shaped[ArrayLike, "..."]) -> Array:
    """Φ(x) = 1/√2π ∫ from -∞ to x of e^(-t²/2) dt, the normal distribution function.

    Raises:
        TypeError: x is neither float32 nor float64.
    """
    v = _single_or_double("ndtr", x)
    half = v * math.sqrt(0.5)
    size = fnp.abs(half)
    inner = 1.0 + special.erf(half)
    tail = special.erfc(size)
    return 0.5 * fnp.where(size < math.sqrt(0.5), inner, fnp.where(half > 0, 2.0 - tail, tail))


def ndtri(p: Shaped[ArrayLike, "..."]) -> Array:
    """The x with Φ(x) = p.

    Raises:
        TypeError: p is neither float32 nor float64.
    """
    return ops.ndtri_p.bind(_single_or_double("ndtri", p))


def log_ndtr(x: Shaped[ArrayLike, "..."], series_order: int = 3) -> Array:
    """log Φ(x), exact far into the left tail.

    Args:
        series_order: checked, and not needed: the function is computed to full precision.
    Raises:
        TypeError: x is neither float32 nor float64, or series_order is no int.
        ValueError: series_order is not in [0, 30].
    """
    order: Any = series_order
    if not isinstance(order, int):
        raise TypeError(f"series_order must be a Python integer, got {series_order!r}.")
    if not 0 <= series_order <= 30:
        raise ValueError(f"series_order must be non-negative and <= 30, got {series_order}.")
    return ops.log_ndtr_p.bind(_single_or_double("log_ndtr", x))


def owens_t(h: Shaped[ArrayLike, "*#shape"], a: Shaped[ArrayLike, "*#shape"]) -> Array:
    """Owen's T: 1/2π ∫₀ᵃ exp(-h²(1 + t²)/2) / (1 + t²) dt."""
    return ops.owens_t_p.bind(*floats("owens_t", h, a))


def expi(x: Shaped[ArrayLike, "..."]) -> Array:
    """Ei(x) = -∫ from -x to ∞ of e^-t / t dt."""
    return ops.expi_p.bind(*floats("expi", x))


def expn(n: Shaped[ArrayLike, "*#shape"], x: Shaped[ArrayLike, "*#shape"]) -> Array:
    """Eₙ(x) = ∫ from 1 to ∞ of e^(-xt) t^-n dt, for whole n ≥ 0 and x ≥ 0."""
    return ops.expn(*floats("expn", n, x))


def exp1(x: Shaped[ArrayLike, "..."]) -> Array:
    """E₁(x) = ∫ from x to ∞ of e^-t / t dt, for x ≥ 0."""
    (v,) = floats("exp1", x)
    return ops.expn(fnp.ones((), v.dtype), v)


def sici(x: Shaped[ArrayLike, "..."]) -> tuple[Array, Array]:
    """The sine integral ∫₀ˣ sin(t)/t dt, and the cosine integral -∫ from x to ∞ of cos(t)/t dt."""
    (v,) = floats("sici", x)
    return ops.sine_integral_p.bind(v), ops.cosine_integral_p.bind(v)


def fresnel(x: Shaped[ArrayLike, "..."]) -> tuple[Array, Array]:
    """∫₀ˣ sin(πt²/2) dt and ∫₀ˣ cos(πt²/2) dt."""
    (v,) = floats("fresnel", x)
    return ops.fresnel_sine_p.bind(v), ops.fresnel_cosine_p.bind(v)


def spence(x: Shaped[ArrayLike, "..."]) -> Array:
    """∫₁ˣ log(t) / (1 - t) dt, the dilogarithm of 1 - x.

    Raises:
        TypeError: x is neither float32 nor float64.
    """
    return ops.spence_p.bind(_single_or_double("spence", x))
