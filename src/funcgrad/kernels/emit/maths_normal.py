"""Functions of the normal distribution, and Dawson's integral.

In: values of float32 or float64. Out: the function's value. Coefficients are fits in 40 digits and
more, with the greatest relative error of the function beside them, where no other source is named.
Sources: M. Shepherd & J. Laframboise, Chebyshev Approximation of (1 + 2x) exp(x²) erfc x (1981);
M. Wichura, Algorithm AS 241 (1988), for the inverse in float64; W. Cody, K. Paciorek & H. Thacher,
Chebyshev Approximations for Dawson's Integral (1970), for it in float64.
"""

from __future__ import annotations

import math

from .maths_exponential import (
    exp_times,
    log_near_one,
    log_of_positive,
    power_of_two,
    split_float,
)
from .maths_values import Value, double, fma, infinity, nan, polynomial, rarely, select, single

# (1 + 2x) e^(x²) erfc x in t = (x - k) / (x + k), k of `ERFCX_CENTRE`, of all x ≥ 0: 2^-24.9 and
# 2^-54.7.
ERFCX_CENTRE = {single: 2.0, double: 3.5}
ERFCX = {
    single: (
        1.2769783735275269,
        -0.09276381880044937,
        -0.1660310924053192,
        0.16405050456523895,
        -0.054211996495723724,
        -0.008024739101529121,
        0.00868925265967846,
        0.001230503199622035,
        -0.0013958050403743982,
        -0.0003709284064825624,
        0.00016084033995866776,
        6.807514728279784e-05,
    ),
    double: (
        1.2423492448711544,
        -0.1400091801376197,
        -0.010555596332218233,
        0.09751909515328808,
        -0.11508959816019439,
        0.08798315382401047,
        -0.048823325827832165,
        0.019099330953585687,
        -0.004215019909180324,
        -0.0003022679555229403,
        0.0005643844340484745,
        -0.0001215121124349477,
        -4.278234246656388e-05,
        2.4260278852593863e-05,
        2.328760355939687e-06,
        -3.8139747327270427e-06,
        -4.5354576975731976e-08,
        6.014401691944027e-07,
        -6.24681879973081e-09,
        -9.637085633008308e-08,
        -9.024492276085887e-10,
        1.3612635455636908e-08,
        6.574048756257716e-10,
        -1.1636185396717653e-09,
        -9.947070263818309e-11,
    ),
}
# Beyond, the complement of the error function is 0, and its scaled form infinite on the left.
ERFCX_END = {single: 10.2, double: 27.4}
# x with Φ(x) = p, over p - 1/2, in 0.180625 - (p - 1/2)², where that is positive.
NDTRI_NEAR = {
    single: (
        (
            3.3871328830718994,
            58.812103271484375,
            246.9588623046875,
            174.84677124023438,
            -26.40443229675293,
        ),
        (
            1.0,
            20.368640899658203,
            112.06719207763672,
            147.30470275878906,
        ),
    ),
    double: (
        (
            3.3871328727963666080,
            133.14166789178437745,
            1971.5909503065514427,
            13731.693765509461125,
            45921.953931549871457,
            67265.770927008700853,
            33430.575583588128105,
            2509.0809287301226727,
        ),
        (
            1.0,
            42.313330701600911252,
            687.18700749205790830,
            5394.1960214247511077,
            21213.794301586595867,
            39307.895800092710610,
            28729.085735721942674,
            5226.4952788528545610,
        ),
    ),
}
# -x in r = √(-log p) - 1.6, of the least p in float32 and where r ≤ 3.4 in float64.
NDTRI_FAR = {
    single: (
        (
            1.4234371185302734,
            3.116866111755371,
            1.9693244695663452,
            0.44550424814224243,
            0.02926495298743248,
        ),
        (
            1.0,
            0.9899408221244812,
            0.2822830080986023,
            0.020689068362116814,
        ),
    ),
    double: (
        (
            1.42343711074968357734,
            4.63033784615654529590,
            5.76949722146069140550,
            3.64784832476320460504,
            1.27045825245236838258,
            0.241780725177450611770,
            0.0227238449892691845833,
            0.000774545014278341407640,
        ),
        (
            1.0,
            2.05319162663775882187,
            1.67638483018380384940,
            0.689767334985100004550,
            0.148103976427480074590,
            0.0151986665636164571966,
            0.000547593808499534494600,
            1.05075007164441684324e-9,
        ),
    ),
}
# The rest in float64, in √(-log p) - 5.
NDTRI_FARTHEST = (
    (
        6.65790464350110377720,
        5.46378491116411436990,
        1.78482653991729133580,
        0.296560571828504891230,
        0.0265321895265761230930,
        0.00124266094738807843860,
        0.0000271155556874348757815,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        0.599832206555887937690,
        0.136929880922735805310,
        0.0148753612908506148525,
        0.000786869131145613259100,
        0.0000184631831751005468180,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)
# D(x) / x in x², where x < 3.25: 2^-27.4 in float32.
DAWSN_NEAR = {
    single: (
        (
            1.0,
            -0.09245427697896957,
            0.03855830430984497,
            -0.0006423325976356864,
            0.00021427073806989938,
            1.542203790450003e-06,
            4.102631123714673e-08,
        ),
        (
            1.0,
            0.574212372303009,
            0.1547001153230667,
            0.025557463988661766,
            0.0028189155273139477,
            0.00020693082478828728,
            9.441031579626724e-06,
        ),
    ),
    double: (
        (
            1.0,
            -0.09174803717734524,
            0.04226182230055466,
            -0.0008501498467244109,
            0.00035251336852028877,
            3.078283098749132e-06,
            9.531517412544844e-07,
            1.9443420417555306e-08,
            8.492622676674738e-10,
            1.1368149897175597e-11,
        ),
        (
            1.0,
            0.5749186294893204,
            0.15887424196012057,
            0.027944853119882897,
            0.003488058146571626,
            0.00032552474182605793,
            2.324902498207895e-05,
            1.2725847827318697e-06,
            5.212652810105416e-08,
            1.488646813684934e-09,
            2.403720730667626e-11,
        ),
    ),
}
# (2x D(x) - 1) x² in 1/x²: where x ≥ 3.25 in float32, for 2^-24.2 of D(x), and x < 6.25 in float64.
DAWSN_FAR = {
    single: (
        (
            0.5000000596046448,
            0.7496514320373535,
            1.9779999256134033,
            -3.495741844177246,
            476.1739501953125,
            -9725.9384765625,
            106143.3828125,
            -402497.71875,
        ),
        (1.0,),
    ),
    double: (
        (
            3.592333854409284e-11,
            -2.4027452082825098e-09,
            9.100107800763914e-08,
            -2.1464035171996896e-06,
            3.5964130479389666e-05,
            -0.0004232091144603888,
            0.003662076123295692,
            -0.021871125514203903,
            0.09415123353035344,
            -0.24475441814269785,
            0.5089551564179009,
        ),
        (
            7.184664032357345e-11,
            -4.913246913319206e-09,
            1.8910035811142186e-07,
            -4.558751532524426e-06,
            7.810255929445524e-05,
            -0.0009479967684866654,
            0.008480417185862954,
            -0.053180636700322324,
            0.2367067882282487,
            -0.6318398698733682,
            1.0,
        ),
    ),
}
# The rest in float64.
DAWSN_FARTHEST = (
    (
        -0.0004868276130204627,
        0.016483704782518965,
        -0.17285897538038814,
        0.6292352427243688,
        -0.5905928605347732,
    ),
    (
        -0.0009736552260409412,
        0.03442789240412334,
        -0.3937085822819395,
        1.7327079904594784,
        -2.698200571975449,
        1.0,
    ),
)

# The normal distribution.


def scaled_complement(x: Value) -> Value:
    """e^(x²) erfc x of x ≥ 0."""
    f = x.format
    centre = ERFCX_CENTRE[f]
    # So far out t is 1, and of infinity it would be NaN.
    near = select(x > 2.0**60, 2.0**60, x)
    t = (near - centre) / (near + centre)
    return 0.5 * polynomial(t, ERFCX[f]) / (x + 0.5)


def erfcx(x: Value) -> Value:
    """e^(x²) erfc x; on the left 2 e^(x²) less that of -x."""
    size = abs(x)
    out = scaled_complement(size)
    end = ERFCX_END[x.format]
    near = select(size > end, end, size)
    square = near * near
    # The rounding error of x² is an error of the exponent.
    great = exp_times(square, 2.0, fma(near, near, -square))
    return select(x < 0.0, great - out, out)


def log_ndtr(x: Value) -> Value:
    """log Φ(x): on the left log(erfcx(|x| / √2) / 2) - x²/2, elsewhere log(1 - Φ(-x))."""
    f = x.format
    left, size = x < 0.0, abs(x)
    scaled = 0.5 * scaled_complement(size * math.sqrt(0.5))
    end = math.sqrt(2.0) * ERFCX_END[f]
    near = select(size > end, end, size)
    half = 0.5 * near
    square = half * near
    tail = exp_times(-square, scaled, -fma(half, near, -square))
    rest = 1.0 - tail
    # What 1 - Φ(-x) lost goes into the fraction, as in `log1p`.
    lost = select(left, 0.0, -tail - (rest - 1.0))
    m, e, exponent = split_float(select(left, scaled, rest))
    scale = power_of_two((2 * f.bias - exponent).op("max", 0))
    out = log_near_one(fma(lost, scale, m - 1.0), e)
    # Of great numbers it is the zero below 0.
    return -abs(select(left, fma(-0.5 * x, x, out), out))


def ndtri(p: Value) -> Value:
    """The x with Φ(x) = p."""
    f = p.format
    centre = p - 0.5
    near = abs(centre) <= 0.425
    r = (-log_of_positive(select(centre < 0.0, p, 1.0 - p))).sqrt()
    z, far = fma(-centre, centre, 0.180625), r - 1.6
    (near_top, near_below), (far_top, far_below) = NDTRI_NEAR[f], NDTRI_FAR[f]
    top = select(near, centre * polynomial(z, near_top), polynomial(far, far_top))
    below = select(near, polynomial(z, near_below), polynomial(far, far_below))
    if f is double:
        rest, farthest = r - 5.0, r > 5.0
        farthest_top, farthest_below = NDTRI_FARTHEST
        top = rarely(farthest, polynomial(rest, farthest_top), top)
        below = rarely(farthest, polynomial(rest, farthest_below), below)
    size = top / below
    out = select(near, size, size.signed_as(centre))
    inside = (p > 0.0).op("and", p < 1.0)
    end = (p.equals(0.0)).op("or", p.equals(1.0))
    return select(inside, out, select(end, out.like(infinity).signed_as(centre), nan))


# Dawson's integral.


def dawsn(x: Value) -> Value:
    """e^(-x²) ∫₀ˣ e^(t²) dt."""
    f = x.format
    size = abs(x)
    near = size < 3.25
    square = size * size
    inverse = 1.0 / square
    (near_top, near_below), (far_top, far_below) = DAWSN_NEAR[f], DAWSN_FAR[f]
    rest, below = polynomial(inverse, far_top), polynomial(inverse, far_below)
    if f is double:
        farthest = size >= 6.25
        rest = rarely(farthest, polynomial(inverse, DAWSN_FARTHEST[0]), rest)
        below = rarely(farthest, polynomial(inverse, DAWSN_FARTHEST[1]), below)
    # 1 / 2x (1 + rest / (below x²)).
    top = select(near, size * polynomial(square, near_top), 0.5 * fma(inverse, rest, below))
    return (top / select(near, polynomial(square, near_below), size * below)).signed_as(x)
