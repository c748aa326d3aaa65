"""Functions that are integrals of elementary ones: exponential, sine, normal, Fresnel and others.

In: floats of one dtype (complex for wofz). Out: the same dtype. Values come from SciPy, loaded on
first use; each derivative is elementary, so all orders of derivatives are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.primitive import Example, NotDifferentiable
from .arithmetic import add, div, mul, neg, square, sub
from .elementwise import constant_like
from .kinds import Domain, draw, reals
from .special import Called, Special, digamma, erf, where
from .transcendental import cos, exp, log, sin

positive = reals(0.3, 4.0)
_root_pi = math.sqrt(math.pi)


def _is_zero(x: Any) -> Any:
    from .comparison import eq

    return eq(x, constant_like(x, 0))


def _where(mask: Any, x: Any, y: Any) -> Any:
    """x where the mask holds, elsewhere y; scalars stretch."""
    from .broadcasting import broadcast_like
    from .selection import select

    return select(mask, broadcast_like(x, mask), broadcast_like(y, mask))


def _guarded(x: Any, bad: Any, value: float) -> Any:
    """x, with a harmless value where a formula cannot take it."""
    return _where(bad, constant_like(x, value), x)


class Expi(Called):
    """Ei(x) = -∫ from -x to ∞ of e^-t / t dt, its principal value."""

    name = "expi"
    composed = True
    scipy = "expi"
    domains = (positive,)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        return mul(t, div(exp(x), x))


class Expn(Special):
    """Eₙ(x) = ∫ from 1 to ∞ of e^(-xt) t^-n dt, of whole n ≥ 0 as a float, and x ≥ 0."""

    name = "expn"
    composed = True
    domains = (reals(1.0, 1.0), positive)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        n, x = np.broadcast_arrays(*arrays)
        wide = np.promote_types(np.float32, n.dtype)
        whole = np.clip(np.nan_to_num(n.astype(np.float64)), -1, 2**30).astype(np.int32)
        import scipy.special as functions  # pyright: ignore[reportMissingTypeStubs]

        module: Any = functions
        out = np.asarray(module.expn(whole, x.astype(np.float64)))
        return where((n < 0) | (x < 0) | np.isnan(x), np.nan, out).astype(wide).astype(n.dtype)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        n, x = primals
        if i == 0:
            raise ValueError(
                "expn has no derivative with respect to its order n, which is whole. "
                "Differentiate with respect to x, or wrap n in lax.stop_gradient."
            )
        # E₋₁ is elementary; the recurrence leads there from E₀.
        lowest = _is_zero(n)
        below = expn(_guarded(sub(n, constant_like(n, 1)), lowest, 0.0), x)
        elementary = div(add(exp(neg(x)), out), x)
        from .broadcasting import broadcast_like

        return neg(mul(t, _where(broadcast_like(lowest, out), elementary, below)))

    def examples(self) -> Iterator[Example]:
        for shape in ((2, 3), (), (0, 2)):
            for order in (0.0, 1.0, 2.0):
                x = draw(positive, shape, 3)
                yield Example((np.full(shape, order), x), differentiable=(1,), tolerance=1e-5)


class SineIntegral(Special):
    """Si(x) = ∫₀ˣ sin(t) / t dt."""

    name = "sine_integral"
    composed = True
    part = 0

    def impl(self, *arrays: Any, **params: Any) -> Any:
        import scipy.special as functions  # pyright: ignore[reportMissingTypeStubs]

        module: Any = functions
        (x,) = arrays
        wide = x.astype(np.promote_types(np.float32, x.dtype), copy=False)
        return np.asarray(module.sici(wide)[self.part]).astype(x.dtype, copy=False)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        small = _is_zero(x)
        safe = _guarded(x, small, 1.0)
        return mul(t, _guarded(div(sin(safe), safe), small, 1.0))


class CosineIntegral(SineIntegral):
    """Ci(x) = -∫ from x to ∞ of cos(t) / t dt, of |x|."""

    name = "cosine_integral"
    composed = True
    domains = (positive,)
    part = 1

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        out = super().impl(np.abs(x))
        return where(np.isneginf(x), np.array(np.nan, out.dtype), out)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        return mul(t, div(cos(x), x))


class FresnelSine(Special):
    """S(x) = ∫₀ˣ sin(πt²/2) dt."""

    name = "fresnel_sine"
    composed = True
    part = 0

    def impl(self, *arrays: Any, **params: Any) -> Any:
        import scipy.special as functions  # pyright: ignore[reportMissingTypeStubs]

        module: Any = functions
        (x,) = arrays
        wide = x.astype(np.promote_types(np.float32, x.dtype), copy=False)
        return np.asarray(module.fresnel(wide)[self.part]).astype(x.dtype, copy=False)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        angle = mul(constant_like(x, 0.5 * math.pi), square(x))
        return mul(t, sin(angle) if self.part == 0 else cos(angle))


class FresnelCosine(FresnelSine):
    """C(x) = ∫₀ˣ cos(πt²/2) dt."""

    name = "fresnel_cosine"
    composed = True
    part = 1


class Spence(Called):
    """∫₁ˣ log(t) / (1 - t) dt, the dilogarithm of 1 - x."""

    name = "spence"
    composed = True
    scipy = "spence"
    domains = (reals(0.3, 0.9),)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        one = constant_like(x, 1)
        at_one = _is_zero(sub(x, one))
        safe = _guarded(x, at_one, 2.0)
        return mul(t, _guarded(div(log(safe), sub(one, safe)), at_one, -1.0))


class Dawson(Special):
    """D(x) = e^-x² ∫₀ˣ e^t² dt."""

    name = "dawsn"
    scipy = "dawsn"

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        product = mul(constant_like(x, 2), mul(x, out))
        return mul(t, sub(constant_like(x, 1), product))


class Erfcx(Special):
    """e^x² erfc(x)."""

    name = "erfcx"
    scipy = "erfcx"

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        product = mul(constant_like(x, 2), mul(x, out))
        return mul(t, sub(product, constant_like(x, 2.0 / _root_pi)))


class Ndtri(Special):
    """The x with Φ(x) equal to the operand, Φ the normal distribution function."""

    name = "ndtri"
    scipy = "ndtri"
    domains = (reals(0.1, 0.9),)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        half = mul(constant_like(out, 0.5), square(out))
        return mul(t, mul(constant_like(out, math.sqrt(2.0 * math.pi)), exp(half)))


class LogNdtr(Special):
    """log Φ(x), Φ the normal distribution function, exact far into the left tail."""

    name = "log_ndtr"
    scipy = "log_ndtr"

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        half = mul(constant_like(x, 0.5), square(x))
        density = exp(neg(add(half, out)))
        return mul(t, mul(constant_like(x, 1.0 / math.sqrt(2.0 * math.pi)), density))


class OwensT(Called):
    """T(h, a) = 1/2π ∫₀ᵃ exp(-h²(1 + t²)/2) / (1 + t²) dt."""

    name = "owens_t"
    composed = True
    scipy = "owens_t"
    domains = (reals(-2.0, 2.0), reals(-2.0, 2.0))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        h, a = primals
        half = mul(constant_like(h, -0.5), square(h))
        if i == 0:
            scaled = mul(mul(a, h), constant_like(h, math.sqrt(0.5)))
            factor = constant_like(h, -0.5 / math.sqrt(2.0 * math.pi))
            return mul(t, mul(factor, mul(exp(half), erf(scaled))))
        widened = add(constant_like(a, 1), square(a))
        return mul(t, div(exp(mul(half, widened)), mul(constant_like(a, 2 * math.pi), widened)))


class Betaln(Called):
    """log |B(a, b)|, B(a, b) = ∫₀¹ t^(a-1) (1 - t)^(b-1) dt, exact for large a or b too."""

    name = "betaln"
    composed = True
    scipy = "betaln"
    domains = (positive, positive)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        both = digamma(add(*primals))
        return mul(t, sub(digamma(primals[i]), both))


class Loggamma(Special):
    """log Γ(z) of complex z, continuous off the negative real axis."""

    name = "loggamma"
    composed = True
    scipy = "loggamma"
    accepts = (np.complexfloating,)
    domains = (Domain(0.5, 2.0, np.complex128),)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        return mul(t, complex_digamma_p.bind(primals[0]))

    def examples(self) -> Iterator[Example]:
        for shape in ((2, 3), (), (0, 3)):
            yield Example((draw(self.domains[0], shape, 3),), order=1)


class ComplexDigamma(Special):
    """ψ(z) of complex z."""

    name = "complex_digamma"
    composed = True
    scipy = "psi"
    accepts = (np.complexfloating,)
    domains = (Domain(0.5, 2.0, np.complex128),)
    jvp_term = NotDifferentiable("the slope of the complex digamma function is not provided")

    def examples(self) -> Iterator[Example]:
        yield from Loggamma.examples(loggamma_p)


class Wofz(Special):
    """w(z) = e^-z² erfc(-iz), the Faddeeva function of complex z."""

    name = "wofz"
    scipy = "wofz"
    accepts = (np.complexfloating,)
    domains = (Domain(-1.0, 1.0, np.complex128),)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (z,) = primals
        product = mul(constant_like(z, 2), mul(z, out))
        return mul(t, sub(constant_like(z, 2.0j / _root_pi), product))

    def examples(self) -> Iterator[Example]:
        for shape in ((2, 3), (), (0, 3)):
            yield Example((draw(self.domains[0], shape, 3),))


expi_p = Expi()
expn_p = Expn()
sine_integral_p = SineIntegral()
cosine_integral_p = CosineIntegral()
fresnel_sine_p = FresnelSine()
fresnel_cosine_p = FresnelCosine()
spence_p = Spence()
dawsn_p = Dawson()
erfcx_p = Erfcx()
ndtri_p = Ndtri()
log_ndtr_p = LogNdtr()
owens_t_p = OwensT()
betaln_p = Betaln()
loggamma_p = Loggamma()
complex_digamma_p = ComplexDigamma()
wofz_p = Wofz()


def expn(n: Any, x: Any) -> Any:
    """Eₙ(x); n is whole, as a float of the dtype of x."""
    return expn_p.bind(n, x)
