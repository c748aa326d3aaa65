"""Special functions: error function, gamma family, Bessel functions, beta integral, zeta.

In: floats of one dtype. Out: the same dtype. Values come from SciPy, which is loaded on first use;
the derivatives of the gamma integrals by their order, which SciPy lacks, are in `gamma_order.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from ..core.primitive import Example, NotDifferentiable
from ..ir import dtypes
from ..ir.avals import aval_of
from ..ir.loops import Apply, Expr, apply, cast
from ..ir.loops import select as select_one
from .arithmetic import abs, add, mul, neg, square, sub
from .elementwise import constant_like
from .gamma_order import order_slope, sample_slope
from .kinds import Elementwise, draw, reals
from .powers import reciprocal
from .rounding import sign
from .scalars import either, like
from .transcendental import exp, log, log1p

positive = reals(0.3, 4.0)
# The overloads of np.where give no type for operands of type Any.
where: Any = np.where


def scipy_special(name: str, *arrays: Any) -> Any:
    """A function of `scipy.special`, in float32 for narrower floats, in the operands' dtype."""
    import scipy.special as functions  # pyright: ignore[reportMissingTypeStubs]

    module: Any = functions
    dtype = arrays[0].dtype
    wide = np.promote_types(np.float32, dtype)
    out = getattr(module, name)(*[a.astype(wide, copy=False) for a in arrays])
    return np.asarray(out).astype(dtype, copy=False)


def called(name: str, *xs: Expr) -> Expr:
    """The call of a scalar function of `scipy.special.cython_special`, in float64."""
    wide = tuple(cast(x, np.float64) for x in xs)
    out = Apply("call", wide, np.dtype(np.float64), f"fg_special_{name}")
    return cast(out, xs[0].dtype)


class Special(Elementwise):
    """An elementwise function of floats that SciPy has under the name `scipy`."""

    accepts = (np.floating,)
    scipy: ClassVar[str]
    domains = (reals(-2.0, 2.0),)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return scipy_special(self.scipy, *arrays)

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example(tuple(draw(d, (0, 3), 3) for d in self.domains))
        narrow = tuple(draw(d, (4,), 3).astype(np.float32) for d in self.domains)
        yield Example(narrow, differentiable=())


class Called(Special):
    """A special function computed in float64, by eager and compiled programs alike."""

    def impl(self, *arrays: Any, **params: Any) -> Any:
        wide = [a.astype(np.float64, copy=False) for a in arrays]
        return scipy_special(self.scipy, *wide).astype(arrays[0].dtype, copy=False)

    def scalar(self, *xs: Expr, **params: Any) -> Expr:
        return called(self.scipy, *xs)


# The error function.


class Erf(Special):
    """2/√π ∫₀ˣ exp(-t²) dt."""

    name = "erf"
    scipy = "erf"
    factor: ClassVar[float] = 2.0 / math.sqrt(math.pi)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        return mul(constant_like(x, self.factor), mul(t, exp(neg(square(x)))))


class Erfc(Erf):
    """1 - erf(x), without cancellation for large x."""

    name = "erfc"
    scipy = "erfc"
    factor = -Erf.factor


class ErfInv(Special):
    """The x with erf(x) equal to the operand in [-1, 1]."""

    name = "erf_inv"
    scipy = "erfinv"
    domains = (reals(-0.9, 0.9),)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        half_root = constant_like(primals[0], math.sqrt(math.pi) / 2.0)
        return mul(half_root, mul(t, exp(square(out))))


# The gamma function and its derivatives.


class Lgamma(Special):
    """log |Γ(x)|."""

    name = "lgamma"
    scipy = "gammaln"
    domains = (positive,)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        # SciPy gives -inf at -inf; poles of height inf lie there as near as one likes.
        return where(np.isinf(arrays[0]), np.abs(arrays[0]), super().impl(*arrays))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        return mul(t, digamma(primals[0]))


def is_pole(x: Any) -> Any:
    """Whether NumPy floats are among 0, -1, -2, ..., the poles of Γ."""
    return (x <= 0) & (np.floor(x) == x)


class Digamma(Special):
    """ψ(x) = d/dx log Γ(x); NaN at its poles 0, -1, -2, ..."""

    name = "digamma"
    scipy = "psi"
    domains = (positive,)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        return where(is_pole(x), np.array(np.nan, x.dtype), super().impl(x))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        return mul(t, polygamma(constant_like(x, 1), x))


class Polygamma(Special):
    """ψ⁽ᵐ⁾(x) = (-1)^(m+1) m! ζ(m + 1, x), of whole m ≥ 0."""

    name = "polygamma"
    composed = True
    domains = (reals(1.0, 1.0), positive)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        m, x = arrays
        one = np.ones((), m.dtype)
        power = scipy_special("gamma", m + one) * zeta_of(m + one, x)
        odd = np.fmod(m, np.array(2, m.dtype)) == 1
        out = where(m == 0, digamma_p.impl(x), power * (2 * odd - 1))
        # At a pole of odd order the two sides go to infinities of opposite signs.
        known = (m >= 0) & (np.floor(m) == m) & (odd | ~is_pole(x))
        return where(known, out, np.array(np.nan, m.dtype)).astype(m.dtype, copy=False)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        m, x = primals
        if i == 0:
            raise ValueError(
                "polygamma has no derivative with respect to its order m, which is whole. "
                "Differentiate with respect to x, or wrap m in lax.stop_gradient."
            )
        return mul(t, polygamma(add(m, constant_like(m, 1)), x))

    def examples(self) -> Iterator[Example]:
        for shape in ((2, 3), (), (0, 2)):
            for order in (0.0, 1.0, 2.0):
                x = draw(positive, shape, 3)
                yield Example((np.full(shape, order), x), differentiable=(1,), tolerance=1e-5)
        yield Example((np.array([1.0, 2.0]), np.array(1.5)), differentiable=(1,))


def zeta_of(x: Any, q: Any) -> Any:
    """The Hurwitz zeta function of NumPy floats."""
    return scipy_special("zeta", x, q)


class Zeta(Special):
    """ζ(x, q) = Σ (q + k)^-x over k ≥ 0, for x > 1."""

    name = "zeta"
    composed = True
    scipy = "zeta"
    domains = (reals(1.5, 4.0), positive)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        x, q = primals
        if i == 0:
            from .hypergeometric import zeta_slope_p

            return mul(t, zeta_slope_p.bind(x, q, which=0))
        return mul(t, mul(neg(x), zeta(add(x, constant_like(x, 1)), q)))

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            yield Example(example.args, {}, example.differentiable, 1e-5)


class Gammainc(Special):
    """A gamma integral, regularised: `factor` is 1 below x and -1 above it."""

    domains = (positive, positive)
    factor: ClassVar[int] = 1

    def impl(self, *arrays: Any, **params: Any) -> Any:
        a, x = arrays
        undefined = (a < 0) | ((a == 0) & (x == 0))
        return where(undefined, np.array(np.nan, a.dtype), super().impl(a, x))

    def scalar(self, a: Expr, x: Expr) -> Expr:
        none = apply("and", apply("eq", a, like(a, 0.0)), apply("eq", x, like(x, 0.0)))
        undefined = either(apply("lt", a, like(a, 0.0)), none)
        return select_one(undefined, like(a, np.nan), called(self.scipy, a, x))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        a, x = primals
        slope = igamma_grad_a(a, x) if i == 0 else gamma_density(a, x)
        term = mul(t, slope)
        return term if self.factor == 1 else neg(term)

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            yield Example(example.args, {}, example.differentiable, 1e-5)


class Igamma(Gammainc):
    """P(a, x) = 1/Γ(a) ∫₀ˣ t^(a-1) e^-t dt."""

    name = "igamma"
    scipy = "gammainc"


class Igammac(Gammainc):
    """Q(a, x) = 1 - P(a, x), without cancellation for large x."""

    name = "igammac"
    scipy = "gammaincc"
    factor = -1


def gamma_density(a: Any, x: Any) -> Any:
    """x^(a-1) e^-x / Γ(a), the derivative of P(a, x) with respect to x."""
    power = mul(sub(a, constant_like(a, 1)), log(x))
    return exp(sub(sub(power, x), lgamma(a)))


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """x^(a-1) (1 - x)^(b-1) / B(a, b), the derivative of I_x(a, b) with respect to x."""
    log_beta = sub(add(lgamma(a), lgamma(b)), lgamma(add(a, b)))
    left = mul(sub(b, constant_like(b, 1)), log1p(neg(x)))
    right = mul(sub(a, constant_like(a, 1)), log(x))
    return exp(sub(add(left, right), log_beta))


class IgammaGradA(Special):
    """∂P(a, x)/∂a."""

    name = "igamma_grad_a"
    composed = True
    domains = (positive, positive)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return order_slope(*arrays)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        from .hypergeometric import igamma_curvature_p

        a, x = primals
        if i == 0:
            return mul(t, igamma_curvature_p.bind(a, x, which=(0, 0)))
        return mul(t, mul(gamma_density(a, x), sub(log(x), digamma(a))))

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            yield Example(example.args, {}, example.differentiable, 1e-5, order=1)


class RandomGammaGrad(Special):
    """da-derivative of a sample x of the gamma distribution of shape a, at a fixed quantile."""

    name = "random_gamma_grad"
    composed = True
    domains = (positive, positive)
    jvp_term = NotDifferentiable("the second derivative of a sample is not provided")

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return sample_slope(*arrays)

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            yield Example(example.args, differentiable=())


# Bessel functions and the beta integral.


class BesselI0e(Special):
    """e^-|x| I₀(x), the modified Bessel function of order 0."""

    name = "bessel_i0e"
    scipy = "i0e"

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        return mul(t, sub(bessel_i1e(x), mul(sign(x), out)))


class BesselI1e(Special):
    """e^-|x| I₁(x), the modified Bessel function of order 1."""

    name = "bessel_i1e"
    scipy = "i1e"

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        from .comparison import gt
        from .creation import full_like
        from .selection import select

        (x,) = primals
        eps = float(dtypes.finfo(aval_of(x).dtype).eps)
        # I₁(x) / x tends to 1/2 at 0, where the formula divides by zero.
        away = gt(abs(x), constant_like(x, eps))
        safe = select(away, x, full_like(x, eps))
        slope = sub(bessel_i0e(safe), mul(out, add(sign(safe), reciprocal(safe))))
        return mul(t, select(away, slope, full_like(x, 0.5)))


class RegularizedIncompleteBeta(Called):
    """I_x(a, b) = 1/B(a, b) ∫₀ˣ t^(a-1) (1 - t)^(b-1) dt."""

    name = "regularized_incomplete_beta"
    composed = True
    scipy = "betainc"
    domains = (positive, positive, reals(0.1, 0.9))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        a, b, x = primals
        if i != 2:
            from .hypergeometric import betainc_slope_p

            return mul(t, betainc_slope_p.bind(a, b, x, which=i))
        return mul(beta_density(a, b, x), t)

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            yield Example(example.args, {}, example.differentiable, 1e-5)


erf_p = Erf()
erfc_p = Erfc()
erf_inv_p = ErfInv()
lgamma_p = Lgamma()
digamma_p = Digamma()
bessel_i0e_p = BesselI0e()
bessel_i1e_p = BesselI1e()
polygamma_p = Polygamma()
igamma_p = Igamma()
igammac_p = Igammac()
igamma_grad_a_p = IgammaGradA()
random_gamma_grad_p = RandomGammaGrad()
zeta_p = Zeta()
regularized_incomplete_beta_p = RegularizedIncompleteBeta()


def erf(x: Any) -> Any:
    """The error function of x."""
    return erf_p.bind(x)


def erfc(x: Any, *, accuracy: Any = None) -> Any:
    """1 - erf(x), without cancellation for large x.

    Args:
        accuracy: taken for programs written for JAX; there is one way to compute it.
    """
    return erfc_p.bind(x)


def erf_inv(x: Any) -> Any:
    """The inverse of the error function."""
    return erf_inv_p.bind(x)


def lgamma(x: Any) -> Any:
    """log |Γ(x)|."""
    return lgamma_p.bind(x)


def digamma(x: Any) -> Any:
    """ψ(x), the derivative of log Γ(x)."""
    return digamma_p.bind(x)


def bessel_i0e(x: Any) -> Any:
    """e^-|x| I₀(x)."""
    return bessel_i0e_p.bind(x)


def bessel_i1e(x: Any) -> Any:
    """e^-|x| I₁(x)."""
    return bessel_i1e_p.bind(x)


def polygamma(m: Any, x: Any) -> Any:
    """ψ⁽ᵐ⁾(x), the m-th derivative of ψ; m is whole, as a float."""
    return polygamma_p.bind(m, x)


def igamma(a: Any, x: Any) -> Any:
    """P(a, x), the regularised gamma integral up to x."""
    return igamma_p.bind(a, x)


def igammac(a: Any, x: Any) -> Any:
    """Q(a, x) = 1 - P(a, x)."""
    return igammac_p.bind(a, x)


def igamma_grad_a(a: Any, x: Any) -> Any:
    """∂P(a, x)/∂a."""
    return igamma_grad_a_p.bind(a, x)


def random_gamma_grad(a: Any, x: Any) -> Any:
    """dx/da of a sample x of the gamma distribution of shape a."""
    return random_gamma_grad_p.bind(a, x)


def zeta(x: Any, q: Any) -> Any:
    """The Hurwitz zeta function ζ(x, q)."""
    return zeta_p.bind(x, q)


def betainc(a: Any, b: Any, x: Any) -> Any:
    """I_x(a, b), the regularised beta integral up to x."""
    return regularized_incomplete_beta_p.bind(a, b, x)
