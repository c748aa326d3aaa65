"""The error function, its complement and its inverse.

In: values of float32 or float64. Out: the function's value. Coefficients are minimax fits in 50
digits, with the greatest relative error of the function beside them. Source: M. Shepherd & J.
Laframboise, Chebyshev Approximation of (1 + 2x) exp(x²) erfc x (1981), for the complement;
M. Giles, Approximating the erfinv Function (2010), for the variable of the inverse.
"""

from __future__ import annotations

from .maths_exponential import exp_times, log_near_one, split_float
from .maths_values import Value, double, fma, infinity, nan, polynomial, select, single

# erf x / x as a quotient of polynomials in x², where |x| ≤ 3.93: 2^-24.2.
ERF_NUMERATOR = (
    1.1283791065216064,
    0.19077622890472412,
    0.05278896912932396,
    0.0037791896611452103,
    0.00028478342574089766,
    2.041828565779724e-06,
)
ERF_DENOMINATOR = (
    1.0,
    0.502403736114502,
    0.11425409466028214,
    0.014996620826423168,
    0.001165080931968987,
    3.800127160502598e-05,
)
# erf x / x - 1 in x², where |x| ≤ 1: 2^-55.8.
ERF_NEAR = (
    0.12837916709551256,
    -0.37612638903183515,
    0.11283791670944078,
    -0.02686617064309398,
    0.005223977605970903,
    -0.0008548325922065767,
    0.00012055293355431716,
    -1.4924707965967583e-05,
    1.6447077148160795e-06,
    -1.6205890408424415e-07,
    1.3709122638408333e-08,
    -7.775953824937204e-10,
)
# (1 + 2x) e^(x²) erfc x in t = (x - k) / (x + k), k of `ERFC_CENTRE`, where x ≥ 0 until erfc x
# is 0: 2^-25.4 and 2^-54.1.
ERFC_CENTRE = {single: 2.0, double: 4.0}
ERFC_END = {single: 10.2, double: 27.4}
ERFC = {
    single: (
        1.2769783735275269,
        -0.09276413172483444,
        -0.16603004932403564,
        0.16405752301216125,
        -0.0542171336710453,
        -0.008071512915194035,
        0.008669636212289333,
        0.0013439403846859932,
        -0.001265678321942687,
        -0.00043068474042229354,
    ),
    double: (
        1.2329951186255526,
        -0.13962111684056286,
        0.01537965210262009,
        0.0680970542547339,
        -0.10103906603632055,
        0.0937328349969038,
        -0.06633036581210948,
        0.03716751556083874,
        -0.01619773405387153,
        0.0050319697697763935,
        -0.0007577733673067682,
        -0.00019925557753426736,
        0.00015062231482935177,
        -2.4402950962410517e-05,
        -1.1224884564024809e-05,
        5.717468558373563e-06,
        3.013671337341903e-07,
        -8.346911738373599e-07,
        6.281947300574678e-08,
        1.1507541560952148e-07,
        -7.833651316654817e-09,
        -1.361255285532682e-08,
        -1.7883444366278055e-09,
    ),
}
# erf⁻¹ x / x as quotients of polynomials in w = -log(1 - x²), where w ≤ 5 and 6.3: 2^-24.1 and
# 2^-51.6.
INVERSE_NEAR = {
    single: (
        (
            1.5014092922210693,
            0.5160197615623474,
            0.082913339138031,
            0.007186860777437687,
            0.00027388837770558894,
        ),
        (
            1.0,
            0.17941775918006897,
            0.028532514348626137,
            0.0014331666752696037,
            3.072859180974774e-05,
        ),
    ),
    double: (
        (
            0.8862269254527583,
            0.37351077960408635,
            0.10267171332154616,
            0.020648382783228603,
            0.003081115096126914,
            0.00034910247441818595,
            2.9429849429172756e-05,
            1.6943565937794332e-06,
            5.2141485434274686e-08,
        ),
        (
            1.0,
            0.15966239459173256,
            0.06102106825320588,
            0.007878080478806669,
            0.0011841332515783811,
            0.00011250325862257856,
            7.220412294692248e-06,
            3.8296816128650047e-07,
            3.0240259778428733e-09,
        ),
    ),
}
INVERSE_NEAR_CENTRE = {single: 2.5, double: 0.0}
# erf⁻¹ |x| in r = √(-log(1 - |x|)) for the rest, less 3 and 4: 2^-26.5 and 2^-50.1.
INVERSE_FAR = {
    single: (
        (
            2.7147610187530518,
            1.0417524576187134,
            -0.005442900117486715,
            7.17292059562169e-05,
            0.0003639497153926641,
            -0.00021320112864486873,
            8.274866559077054e-05,
            -1.6474721633130684e-05,
        ),
        (1.0,),
    ),
    double: (
        (
            3.7513593440414823,
            3.949456736079031,
            1.6595127801789349,
            0.3517056009915387,
            0.038906256607274294,
            0.002067209247031962,
            3.9067556943403096e-05,
        ),
        (
            1.0,
            0.7777457318369451,
            0.2295898912531528,
            0.03136312566402421,
            0.0019111982024834215,
            3.906608209734349e-05,
        ),
    ),
}
INVERSE_FAR_CENTRE = {single: 3.0, double: 4.0}
INVERSE_FAR_START = {single: 0.9966, double: 0.99904}


def erfc_of_positive(x: Value) -> Value:
    """The complement of the error function of x ≥ 0."""
    f = x.format
    centre, end = ERFC_CENTRE[f], ERFC_END[f]
    x = select(x > end, end, x)
    t = (x - centre) / (x + centre)
    scaled = polynomial(t, ERFC[f]) / fma(x, 2.0, 1.0)
    square = x * x
    # The rounding error of x² is an error of the exponent.
    return exp_times(-square, scaled, -fma(x, x, -square))


def erfc(x: Value) -> Value:
    """1 - erf x, without cancellation for great x."""
    out = erfc_of_positive(abs(x))
    return select(x < 0.0, 2.0 - out, out)


def erf(x: Value) -> Value:
    """The error function, 2/√π ∫₀ˣ exp(-t²) dt."""
    if x.format is single:
        x = x.clamped(-3.93, 3.93)
        z = x * x
        ratio = x * polynomial(z, ERF_NUMERATOR) / polynomial(z, ERF_DENOMINATOR)
        return ratio.clamped(-1.0, 1.0)
    size = abs(x)
    z = size * size
    near = fma(size, polynomial(z, ERF_NEAR), size)
    return select(size < 1.0, near, 1.0 - erfc_of_positive(size)).signed_as(x)


def erf_inv(x: Value) -> Value:
    """The inverse of the error function on [-1, 1]."""
    f = x.format
    size = abs(x)
    far = size > INVERSE_FAR_START[f]
    rest = 1.0 - size
    # Normal where the result is finite, and exact for great x.
    m, e, _ = split_float(select(far, rest, rest * (1.0 + size)))
    w = -log_near_one(m - 1.0, e)
    r = w.sqrt() - INVERSE_FAR_CENTRE[f]
    w = w - INVERSE_NEAR_CENTRE[f]
    near, far_terms = INVERSE_NEAR[f], INVERSE_FAR[f]
    numerator = select(far, polynomial(r, far_terms[0]), size * polynomial(w, near[0]))
    denominator = select(far, polynomial(r, far_terms[1]), polynomial(w, near[1]))
    edge = select(size.equals(1.0), infinity, x.like(nan))
    return select(size < 1.0, numerator / denominator, edge).signed_as(x)
