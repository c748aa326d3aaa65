"""Hypergeometric functions, Bessel functions of the first kind, and slopes by parameters.

In: floats of one dtype. Out: the same dtype. Values come from SciPy; the derivatives with respect
to parameters are in `parameter_slopes.py`, and are not differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from ..core.primitive import Example, NotDifferentiable
from . import parameter_slopes as slopes
from .arithmetic import add, div, mul, sub
from .elementwise import constant_like
from .kinds import draw, reals
from .special import Called, Special

_order = reals(0.5, 2.5)


class BesselJn(Called):
    """Jₙ(x), the Bessel function of the first kind, of whole n as a float."""

    name = "bessel_jn"
    scipy = "jv"
    domains = (reals(1.0, 1.0), reals(-4.0, 4.0))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        n, x = primals
        if i == 0:
            raise ValueError(
                "bessel_jn has no derivative with respect to its order n, which is whole. "
                "Differentiate with respect to x, or wrap n in lax.stop_gradient."
            )
        one = constant_like(n, 1)
        difference = sub(bessel_jn(sub(n, one), x), bessel_jn(add(n, one), x))
        return mul(t, mul(constant_like(x, 0.5), difference))

    def examples(self) -> Iterator[Example]:
        for shape in ((2, 3), (), (0, 2)):
            for order in (-1.0, 0.0, 3.0):
                x = draw(self.domains[1], shape, 3)
                yield Example((np.full(shape, order), x), differentiable=(1,), tolerance=1e-5)


class Hyp1f1(Called):
    """M(a, b, x) = Σ (a)ₙ xⁿ / ((b)ₙ n!), Kummer's function."""

    name = "hyp1f1"
    scipy = "hyp1f1"
    domains = (_order, _order, reals(-2.0, 2.0))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        a, b, x = primals
        if i < 2:
            return mul(t, hyp1f1_slope_p.bind(a, b, x, which=i))
        one = constant_like(a, 1)
        return mul(t, mul(div(a, b), hyp1f1(add(a, one), add(b, one), x)))

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            yield Example(example.args, {}, example.differentiable, 1e-5, order=1)
            if example.differentiable is None:
                yield Example(example.args, {}, (2,), 1e-5)


class Hyp2f1(Called):
    """F(a, b; c; x) = Σ (a)ₙ (b)ₙ xⁿ / ((c)ₙ n!), the function of Gauss."""

    name = "hyp2f1"
    scipy = "hyp2f1"
    domains = (_order, _order, _order, reals(-0.8, 0.8))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        a, b, c, x = primals
        if i < 3:
            return mul(t, hyp2f1_slope_p.bind(a, b, c, x, which=i))
        one = constant_like(a, 1)
        raised = hyp2f1(add(a, one), add(b, one), add(c, one), x)
        return mul(t, mul(div(mul(a, b), c), raised))

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            yield Example(example.args, {}, example.differentiable, 1e-5, order=1)
            if example.differentiable is None:
                yield Example(example.args, {}, (3,), 1e-5)


class ParameterSlope(Special):
    """A derivative with respect to the parameter number `which`, not differentiated again."""

    jvp_term = NotDifferentiable("the second derivative with respect to a parameter is missing")
    parameters: ClassVar[int] = 1

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            for which in range(self.parameters):
                yield Example(example.args, {"which": which}, ())


class Hyp1f1Slope(ParameterSlope):
    """∂M(a, b, x)/∂a or ∂b."""

    name = "hyp1f1_slope"
    domains = Hyp1f1.domains
    parameters = 2

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return slopes.slope(slopes.kummer, params["which"], *arrays, inside=_regular_kummer)


def _regular_kummer(a: Any, b: Any, x: Any) -> Any:
    return ~((b <= 0) & (np.floor(b) == b))


class Hyp2f1Slope(ParameterSlope):
    """∂F(a, b; c; x)/∂a, ∂b or ∂c, for x < 1."""

    name = "hyp2f1_slope"
    domains = Hyp2f1.domains
    parameters = 3

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return slopes.slope(slopes.gauss, params["which"], *arrays, inside=_regular_gauss)


def _regular_gauss(a: Any, b: Any, c: Any, x: Any) -> Any:
    return ~((c <= 0) & (np.floor(c) == c)) & (x < 1)


class BetaincSlope(ParameterSlope):
    """∂I_x(a, b)/∂a or ∂b."""

    name = "betainc_slope"
    domains = (_order, _order, reals(0.1, 0.9))
    parameters = 2

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return slopes.beta_slope(params["which"], *arrays)


class ZetaSlope(ParameterSlope):
    """∂ζ(x, q)/∂x for x > 1 and q > 0."""

    name = "zeta_slope"
    domains = (reals(1.5, 4.0), _order)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return slopes.slope(slopes.hurwitz, 0, *arrays, inside=_converges)


def _converges(x: Any, q: Any) -> Any:
    return (x > 1) & (q > 0)


bessel_jn_p = BesselJn()
hyp1f1_p = Hyp1f1()
hyp2f1_p = Hyp2f1()
hyp1f1_slope_p = Hyp1f1Slope()
hyp2f1_slope_p = Hyp2f1Slope()
betainc_slope_p = BetaincSlope()
zeta_slope_p = ZetaSlope()


def bessel_jn(n: Any, x: Any) -> Any:
    """Jₙ(x); n is whole, as a float of the dtype of x."""
    return bessel_jn_p.bind(n, x)


def hyp1f1(a: Any, b: Any, x: Any) -> Any:
    """M(a, b, x), Kummer's function."""
    return hyp1f1_p.bind(a, b, x)


def hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Any:
    """F(a, b; c; x), the function of Gauss."""
    return hyp2f1_p.bind(a, b, c, x)
