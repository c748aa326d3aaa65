"""Hypergeometric functions, Bessel functions of the first kind, and slopes by parameters.

In: floats of one dtype. Out: the same dtype. Values come from SciPy; the derivatives with respect
to parameters are in `parameter_slopes.py`, second ones in `parameter_curvatures.py`; third ones are
missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from ..core.primitive import Example, NotDifferentiable
from . import parameter_curvatures as curvatures
from . import parameter_slopes as slopes
from .arithmetic import add, div, mul, neg, sub
from .elementwise import constant_like
from .kinds import draw, reals
from .special import Called, Special, beta_density, digamma, zeta
from .transcendental import log, log1p

_order = reals(0.5, 2.5)


class BesselJn(Called):
    """Jₙ(x), the Bessel function of the first kind, of whole n as a float."""

    name = "bessel_jn"
    composed = True
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
            yield Example(example.args, {}, example.differentiable, 1e-5)


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
            yield Example(example.args, {}, example.differentiable, 1e-5)


class ParameterCurvature(Special):
    """A second derivative, with respect to the parameters number `which`; there is no third one."""

    composed = True
    jvp_term = NotDifferentiable("third derivatives with respect to parameters are missing")
    parameters: ClassVar[int] = 1
    # Gives the function near its operands, and how far it is analytic in its parameters.
    function: Callable[..., Any]
    reach: Callable[..., Any]
    # Where the function does not depend on its parameters, if there is such a place.
    level: Callable[..., Any] | None = None

    def impl(self, *arrays: Any, **params: Any) -> Any:
        which, reach, level = params["which"], self.reach, self.level
        return curvatures.second(self.function, which, *arrays, reach=reach, level=level)

    def examples(self) -> Iterator[Example]:
        pairs = [(i, j) for i in range(self.parameters) for j in range(i, self.parameters)]
        for k, example in enumerate(super().examples()):
            for which in pairs[: 1 if k else None]:
                yield Example(example.args, {"which": which}, ())


class ParameterSlope(Special):
    """A derivative with respect to the parameter number `which`; the last operand is a point."""

    composed = True
    parameters: ClassVar[int] = 1
    curvature: ClassVar[ParameterCurvature]
    # The derivative with respect to the point, in closed form.
    at_point: Callable[..., Any]

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        which = params["which"]
        if i == len(primals) - 1:
            return mul(t, self.at_point(which, *primals))
        pair = (min(which, i), max(which, i))
        return mul(t, self.curvature.bind(*primals, which=pair))

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            for which in range(self.parameters):
                yield Example(example.args, {"which": which}, example.differentiable, 1e-5, order=1)


class Hyp1f1Curvature(ParameterCurvature):
    """∂²M(a, b, x) with respect to a and b."""

    name = "hyp1f1_curvature"
    domains = Hyp1f1.domains
    parameters = 2
    function = staticmethod(curvatures.kummer)

    def reach(self, a: Any, b: Any, x: Any) -> Any:
        return curvatures.pole_distance(b)


class Hyp1f1Slope(ParameterSlope):
    """∂M(a, b, x)/∂a or ∂b."""

    name = "hyp1f1_slope"
    domains = Hyp1f1.domains
    parameters = 2
    curvature = Hyp1f1Curvature()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return slopes.slope(slopes.kummer, params["which"], *arrays, inside=_regular_kummer)

    def at_point(self, which: int, a: Any, b: Any, x: Any) -> Any:
        one = constant_like(a, 1)
        raised = add(a, one), add(b, one), x
        factor = div(a, b)
        # a / b times M(a + 1, b + 1, x), of which both factors change.
        change = div(one, b) if which == 0 else neg(div(factor, b))
        slope = mul(factor, hyp1f1_slope_p.bind(*raised, which=which))
        return add(mul(change, hyp1f1(*raised)), slope)


def _regular_kummer(a: Any, b: Any, x: Any) -> Any:
    return ~((b <= 0) & (np.floor(b) == b))


class Hyp2f1Curvature(ParameterCurvature):
    """∂²F(a, b; c; x) with respect to a, b and c, for x < 1."""

    name = "hyp2f1_curvature"
    domains = Hyp2f1.domains
    parameters = 3
    function = staticmethod(curvatures.gauss)

    def reach(self, a: Any, b: Any, c: Any, x: Any) -> Any:
        return np.where(x < 1, curvatures.pole_distance(c), 0.0)


class Hyp2f1Slope(ParameterSlope):
    """∂F(a, b; c; x)/∂a, ∂b or ∂c, for x < 1."""

    name = "hyp2f1_slope"
    domains = Hyp2f1.domains
    parameters = 3
    curvature = Hyp2f1Curvature()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return slopes.slope(slopes.gauss, params["which"], *arrays, inside=_regular_gauss)

    def at_point(self, which: int, a: Any, b: Any, c: Any, x: Any) -> Any:
        one = constant_like(a, 1)
        raised = add(a, one), add(b, one), add(c, one), x
        factor = div(mul(a, b), c)
        change = (div(b, c), div(a, c), neg(div(factor, c)))[which]
        slope = mul(factor, hyp2f1_slope_p.bind(*raised, which=which))
        return add(mul(change, hyp2f1(*raised)), slope)


def _regular_gauss(a: Any, b: Any, c: Any, x: Any) -> Any:
    return ~((c <= 0) & (np.floor(c) == c)) & (x < 1)


class BetaincCurvature(ParameterCurvature):
    """∂²I_x(a, b) with respect to a and b, for 0 < x < 1."""

    name = "betainc_curvature"
    domains = (_order, _order, reals(0.1, 0.9))
    parameters = 2
    function = staticmethod(curvatures.beta_integral)

    def reach(self, a: Any, b: Any, x: Any) -> Any:
        return np.where((x > 0) & (x < 1), np.minimum(a, b), 0.0)

    def level(self, a: Any, b: Any, x: Any) -> Any:
        return (a > 0) & (b > 0) & ((x == 0) | (x == 1))


class BetaincSlope(ParameterSlope):
    """∂I_x(a, b)/∂a or ∂b."""

    name = "betainc_slope"
    domains = BetaincCurvature.domains
    parameters = 2
    curvature = BetaincCurvature()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return slopes.beta_slope(params["which"], *arrays)

    def at_point(self, which: int, a: Any, b: Any, x: Any) -> Any:
        logarithm = log(x) if which == 0 else log1p(neg(x))
        change = sub(digamma(add(a, b)), digamma((a, b)[which]))
        return mul(beta_density(a, b, x), add(logarithm, change))


class ZetaCurvature(ParameterCurvature):
    """∂²ζ(x, q)/∂x² for x > 1 and q > 0."""

    name = "zeta_curvature"
    domains = (reals(1.5, 4.0), _order)
    function = staticmethod(curvatures.hurwitz)

    def reach(self, x: Any, q: Any) -> Any:
        return np.where(q > 0, x - 1, 0.0)


class ZetaSlope(ParameterSlope):
    """∂ζ(x, q)/∂x for x > 1 and q > 0."""

    name = "zeta_slope"
    domains = ZetaCurvature.domains
    curvature = ZetaCurvature()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return slopes.slope(slopes.hurwitz, 0, *arrays, inside=_converges)

    def at_point(self, which: int, x: Any, q: Any) -> Any:
        # ∂ζ(x, q)/∂q = -x ζ(x + 1, q), of which both factors change.
        raised = add(x, constant_like(x, 1))
        return neg(add(zeta(raised, q), mul(x, zeta_slope_p.bind(raised, q, which=0))))


def _converges(x: Any, q: Any) -> Any:
    return (x > 1) & (q > 0)


class IgammaCurvature(ParameterCurvature):
    """∂²P(a, x)/∂a² for a > 0 and 0 < x < ∞."""

    name = "igamma_curvature"
    domains = (_order, _order)
    function = staticmethod(curvatures.gamma_integral)

    def reach(self, a: Any, x: Any) -> Any:
        return np.where(x > 0, a, 0.0)

    def level(self, a: Any, x: Any) -> Any:
        return (a > 0) & ((x == 0) | (x == np.inf))


bessel_jn_p = BesselJn()
hyp1f1_p = Hyp1f1()
hyp2f1_p = Hyp2f1()
hyp1f1_slope_p = Hyp1f1Slope()
hyp2f1_slope_p = Hyp2f1Slope()
betainc_slope_p = BetaincSlope()
zeta_slope_p = ZetaSlope()
hyp1f1_curvature_p = Hyp1f1Slope.curvature
hyp2f1_curvature_p = Hyp2f1Slope.curvature
betainc_curvature_p = BetaincSlope.curvature
zeta_curvature_p = ZetaSlope.curvature
igamma_curvature_p = IgammaCurvature()


def bessel_jn(n: Any, x: Any) -> Any:
    """Jₙ(x); n is whole, as a float of the dtype of x."""
    return bessel_jn_p.bind(n, x)


def hyp1f1(a: Any, b: Any, x: Any) -> Any:
    """M(a, b, x), Kummer's function."""
    return hyp1f1_p.bind(a, b, x)


def hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Any:
    """F(a, b; c; x), the function of Gauss."""
    return hyp2f1_p.bind(a, b, c, x)
