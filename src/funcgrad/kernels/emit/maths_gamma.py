"""The logarithm of the gamma function, and its derivative.

In: values of float32 or float64. Out: the function's value, computed in float64, for near a zero
no other digits are left. Few steps of Γ(x + 1) = x Γ(x) take a small argument to an interval of
length 1, and a great one has Stirling's series. Coefficients are minimax fits in 50 digits, with
the greatest relative error of the function beside them. Source: DLMF 5.5.1, 5.5.3, 5.11.1, 5.11.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from .maths_circular import sin_near_zero
from .maths_exponential import log
from .maths_values import (
    Format,
    Value,
    double,
    fma,
    infinity,
    nan,
    polynomial,
    rarely,
    select,
    single,
)

PI = 3.141592653589793
# log Γ(2 + f) / f where |f| ≤ 1/2: 2^-34.9 and 2^-55.6.
LGAMMA_NEAR = {
    single: (
        0.42278433510635405,
        0.32246703366128876,
        -0.06735230274527897,
        0.02058078916639075,
        -0.007385491361037305,
        0.0028909441753010635,
        -0.0011935239043061102,
        0.0005057214863761375,
        -0.00021872515580683853,
        0.00011488968652215551,
        -5.621841949279609e-05,
    ),
    double: (
        0.42278433509846713,
        0.3224670334241133,
        -0.06735230105319576,
        0.020580808427765968,
        -0.00738555102892518,
        0.0028905103318414595,
        -0.0011927539013293278,
        0.0005096694951166865,
        -0.00022315497226718672,
        9.945794415184505e-05,
        -4.4923771871337113e-05,
        2.050354411565359e-05,
        -9.456079144303628e-06,
        4.393520580567547e-06,
        -1.9748259572593345e-06,
        8.999017656541511e-07,
        -5.806125539156237e-07,
        2.977062863130958e-07,
    ),
}
# y (log Γ(y) - (y - 1/2) (log y - 1)) - y log √(2π/e) in 1 / y², from `LGAMMA_FAR` on: 2^-32 and
# 2^-60.5 of log Γ.
LGAMMA_FAR = {single: 2.5, double: 4.5}
STIRLING = {
    single: (
        0.08333329775255947,
        -0.00277603744980429,
        0.0007639750242593161,
        -0.0003676479640397133,
    ),
    double: (
        0.0833333333333309,
        -0.0027777777763887475,
        0.000793650508058358,
        -0.0005952086039730856,
        0.0008400070878671588,
        -0.0018548683893558876,
        0.005010726016151145,
        -0.009980307351586488,
    ),
}
LOG_SCALE = 0.41893853320467274
# ψ(3/2 + u) / (3/2 + u - its zero) where |u| ≤ 1/2: 2^-33 and 2^-58.
PSI_ZERO = (1.4616321449683622, 9.549995429965697e-17)
PSI_NEAR = {
    single: (
        0.9510558760436921,
        -0.4236274185814032,
        0.24054247903419382,
        -0.14840522265015396,
        0.09498908298785563,
        -0.061912678956140305,
        0.04075182260190426,
        -0.027102678247843067,
        0.018012718516250355,
        -0.011092849683080781,
        0.0073092431221832305,
        -0.007701713226945294,
        0.005231396951252404,
    ),
    double: (
        0.9510558760318328,
        -0.4236274212814606,
        0.24054248424078722,
        -0.1484049230538803,
        0.09498872445284962,
        -0.06192213327554178,
        0.04076083394339976,
        -0.026975796657659177,
        0.01790724823533887,
        -0.011908220152470403,
        0.00792702333118346,
        -0.005279936644855145,
        0.003518088668073437,
        -0.0023454997625087805,
        0.001563503633719687,
        -0.0010364324078925486,
        0.0006902811854535957,
        -0.0004860333480388641,
        0.00032588314354401127,
        -0.0001446587619930186,
        9.329177154403614e-05,
        -0.00017833148906475232,
        0.00012117526837964894,
    ),
}
# y² (log y - 1 / 2y - ψ(y)) in 1 / y², from `PSI_FAR` on: 2^-34.5 and 2^-62 of ψ.
PSI_FAR = {single: 2.0, double: 4.0}
PSI_SERIES = {
    single: (
        0.08333331326076837,
        -0.008331915909154268,
        0.003932032798830033,
        -0.003699786473690243,
        0.004030184932310928,
        -0.0027016243752063527,
    ),
    double: (
        0.08333333333333176,
        -0.00833333333220344,
        0.0039682536750242844,
        -0.0041666279223817795,
        0.007572738032871177,
        -0.020942642317776573,
        0.07834101555575271,
        -0.32855478806510025,
        1.161925027711052,
        -2.254688273973358,
    ),
}


def chosen(y: Value, cases: Sequence[tuple[float, Value | float]], last: Value) -> Value:
    """The value of the first bound that exceeds y; the last one for great y and for NaN."""
    out = last
    for bound, value in reversed(cases):
        out = select(y < bound, value, out)
    return out


def lgamma_of_positive(y: Value, quality: Format) -> Value:
    """log Γ(y) of float64, y ≥ 0, as good as a format needs."""
    down = y - 1.0
    products = (y * (y + 1.0), y, y.like(1.0), down, down * (y - 2.0))
    offsets = (y, down, y - 2.0, y - 3.0, y - 4.0)
    bounds = [b for b in (0.5, 1.5, 2.5, 3.5, 4.5) if b <= LGAMMA_FAR[quality]]
    count = len(bounds)
    steps = list(zip(bounds, products, strict=False))
    places = list(zip(bounds[:-1], offsets, strict=False))
    logarithm = log(chosen(y, steps, y))
    f = chosen(y, places, offsets[count - 1])
    near = f * polynomial(f, LGAMMA_NEAR[quality])
    near = near + select(y < 1.5, -logarithm, logarithm)
    inverse = 1.0 / y
    rest = fma(inverse, polynomial(inverse * inverse, STIRLING[quality]), LOG_SCALE)
    far = fma(y - 0.5, logarithm - 1.0, rest)
    return select(y < LGAMMA_FAR[quality], near, far)


def lgamma(x: Value) -> Value:
    """log |Γ(x)|; infinite at the poles 0, -1, -2, ... and at both infinities.

    Of a negative x = -a it is log(π / (a |sin πa|)) - log Γ(a).
    """
    wide = x.cast(double.real)
    size = abs(wide)
    out = lgamma_of_positive(size, x.format)
    part = size - size.op("round")
    reflected = -log(abs(sin_near_zero(PI * part)) * (1.0 / PI)) - log(size) - out
    out = rarely(wide < 0.0, select(part.equals(0.0), infinity, reflected), out)
    return select(size.equals(infinity), size, out).cast(x.dtype)


def digamma_of_positive(y: Value, quality: Format) -> Value:
    """ψ(y) of float64, y > 0, as good as a format needs."""
    down = y - 1.0
    quotients = ((y.like(-1.0), y), (y.like(0.0), y), (y.like(1.0), down))
    quotients += ((fma(y, 2.0, -3.0), down * (y - 2.0)),)
    offsets = (y - 0.5, y - 1.5, y - 2.5, y - 3.5)
    bounds = [b for b in (1.0, 2.0, 3.0, 4.0) if b <= PSI_FAR[quality]]
    count = len(bounds)
    above = [(b, q[0]) for b, q in zip(bounds, quotients, strict=False)]
    below = [(b, q[1]) for b, q in zip(bounds, quotients, strict=False)]
    places = list(zip(bounds[:-1], offsets, strict=False))
    quotient = chosen(y, above, y.like(1.0)) / chosen(y, below, y)
    u = chosen(y, places, offsets[count - 1])
    high, low = PSI_ZERO
    near = fma((u + (1.5 - high)) - low, polynomial(u, PSI_NEAR[quality]), quotient)
    square = quotient * quotient
    rest = fma(quotient, -0.5, -square * polynomial(square, PSI_SERIES[quality]))
    return select(y < PSI_FAR[quality], near, log(y) + rest)


def digamma(x: Value) -> Value:
    """ψ(x); NaN at its poles 0, -1, -2, ...

    Of x ≤ 0 it is ψ(1 - x) - π cot πx.
    """
    wide = x.cast(double.real)
    left = wide <= 0.0
    out = digamma_of_positive(select(left, 1.0 - wide, wide), x.format)
    # The part of x beyond a whole number is exact, and so is what is left of 1/2.
    part = wide - wide.op("round")
    cosine = sin_near_zero(PI * (0.5 - abs(part)))
    cotangent = select(part.equals(0.0), nan, cosine / sin_near_zero(PI * part))
    return rarely(left, fma(cotangent, -PI, out), out).cast(x.dtype)
