"""The sine and cosine integrals, and those of Fresnel, as quotients of polynomials.

In: float64 numbers. Out: the same. The one idea: near 0 an odd or even function, far out two slowly
varying functions f and g that go round with the sine and the cosine.
Source: S. Moshier, Cephes Mathematical Library (sici, fresnl), which SciPy has too; DLMF 6.2.19-20
and 7.5.10 for the functions f and g.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import numpy as fnp
from .elements import elementwise, polynomial

Scalar = Any
Table = tuple[tuple[float, ...], tuple[float, ...]]
# Numerators and denominators, from the constant on: of Si x / x and (Ci x - γ - log x) / x² in x²,
# where x ≤ 4.
_SINE = (
    (
        1.0,
        -0.04134703162294066,
        0.0009769454381704354,
        -9.757593038436328e-06,
        4.625917144270128e-08,
        -8.391678279103039e-11,
    ),
    (
        1.0,
        0.01420852393261499,
        9.964121220438756e-05,
        4.418278428012189e-07,
        1.279978911799433e-09,
        2.0326926619595193e-12,
    ),
)
_COSINE = (
    (
        -1.0,
        0.028915965260755523,
        -0.0004740072068734079,
        3.593250514199931e-06,
        -1.3524950491579076e-08,
        2.0252400238910228e-11,
    ),
    (
        4.0,
        0.051002805623644606,
        0.00031744202477503275,
        1.2321035568588342e-06,
        3.067809975818878e-09,
        4.077460400618806e-12,
    ),
)
# Of x f and x² g in 1 / x², where x < 8 and beyond.
_F_NEAR = (
    (
        5.489002234213736e-07,
        0.00010893658065032867,
        0.006810201324725182,
        0.16700661183132304,
        1.6208328770153833,
        5.4593771716181285,
        4.236128628922166,
    ),
    (
        5.489002527562557e-07,
        0.00011003435715391573,
        0.007017106683227897,
        0.1787920529631499,
        1.867922579501842,
        7.308288225055645,
        8.16496634205391,
        1.0,
    ),
)
_G_NEAR = (
    (
        7.825790407440903e-09,
        1.9796387414096365e-06,
        0.00016199979459893403,
        0.005388686814621773,
        0.07485277376284691,
        0.3971802963923375,
        0.6113791099522193,
        0.08710016989731142,
    ),
    (
        7.825792189335346e-09,
        2.0265918208634397e-06,
        0.0001732210814741771,
        0.006223963454417684,
        0.09887717612776888,
        0.666296701268988,
        1.6440220241335535,
        1.0,
    ),
)
_F_FAR = (
    (
        9.70507110881952e-14,
        9.41779576128513e-11,
        3.200927900910049e-08,
        4.8621543082645475e-06,
        0.00034955644244785906,
        0.01160642294081244,
        0.16030015822231947,
        0.7137152741001467,
        0.4558808734704653,
    ),
    (
        9.70507110881952e-14,
        9.437205903502767e-11,
        3.21956939101046e-08,
        4.924350643178815e-06,
        0.00035869648188185157,
        0.012225359477197129,
        0.17868554533207454,
        0.9174636118736841,
        1.0,
    ),
)
_G_FAR = (
    (
        3.1404009894636335e-15,
        3.859459254302766e-12,
        1.7040445278204452e-09,
        3.471311670841167e-07,
        3.4894116550227946e-05,
        0.001717182390523479,
        0.03848787676499743,
        0.33041097930563207,
        0.6973599534432762,
    ),
    (
        3.1404009894636335e-15,
        3.878301660239547e-12,
        1.7269374896631615e-09,
        3.5704322344374083e-07,
        3.684755044425611e-05,
        0.0019028442667439953,
        0.04679131942596258,
        0.48785225869530496,
        1.6854889881101165,
        1.0,
    ),
)
# Of S(x) / x³ and C(x) / x in x⁴, where x² < 2.5625.
_FRESNEL_SINE = (
    (
        318016297876.5678,
        -44297951805.96978,
        2548908805.7337637,
        -62974148.62058625,
        708840.0452577386,
        -2991.8191940101983,
    ),
    (
        607366389490.0846,
        22441179564.534092,
        419320245.8981112,
        5173438.887700964,
        45584.78108065326,
        281.3762688899943,
        1.0,
    ),
)
_FRESNEL_COSINE = (
    (
        1.0,
        -0.20552590095501388,
        0.018884331939670384,
        -0.0006451914356839651,
        9.504280628298596e-06,
        -4.9884311457357354e-08,
    ),
    (
        1.0,
        0.04121420907221998,
        0.0008680295429417843,
        1.2226278902417902e-05,
        1.2500186247959882e-07,
        9.154392157746574e-10,
        3.99982968972496e-12,
    ),
)
# Of (1 - f) π² x⁴ and π x² g in 1 / (π x²)², beyond.
_FRESNEL_F = (
    (
        3.763297112699879e-20,
        1.3428327623306275e-16,
        1.7201074326816183e-13,
        1.0230451416490724e-10,
        3.055689837902576e-08,
        4.6361374928786735e-06,
        0.000345017939782574,
        0.011522095507358577,
        0.1434079197807589,
        0.4215435550436775,
    ),
    (
        1.2544323709001127e-20,
        4.5200143407412973e-17,
        5.887545336215784e-14,
        3.6014002958937136e-11,
        1.1269922476399903e-08,
        1.8462756734893055e-06,
        0.00015593440916415301,
        0.0064405152650885865,
        0.11688892585919138,
        0.7515863983533789,
        1.0,
    ),
)
_FRESNEL_G = (
    (
        1.8695871016278324e-22,
        8.363544356306774e-19,
        1.375554606332618e-15,
        1.0826804113902088e-12,
        4.4534441586175015e-10,
        9.828524436884223e-08,
        1.1513882611188428e-05,
        0.0006840793809153931,
        0.018764858409257526,
        0.1971028335255234,
        0.5044420736433832,
    ),
    (
        1.8695871016278324e-22,
        8.391588162831187e-19,
        1.3879653125957886e-15,
        1.1027321506624028e-12,
        4.6068072814652043e-10,
        1.0431458965757199e-07,
        1.2754507566772912e-05,
        0.0008146791071843061,
        0.02536037414203388,
        0.33774898912002,
        1.4749575992512833,
        1.0,
    ),
)


def _quotient(x: Scalar, table: Table) -> Scalar:
    top, below = table
    return polynomial(x, top) / polynomial(x, below)


# The sine and cosine integrals.


def _around(x: Scalar) -> tuple[Scalar, Scalar]:
    """f and g of x > 4, with Si x = π/2 - f cos x - g sin x and Ci x = f sin x - g cos x."""
    inverse = 1.0 / x
    square = inverse * inverse
    far = x >= 8.0
    f = fnp.where(far, _quotient(square, _F_FAR), _quotient(square, _F_NEAR))
    g = fnp.where(far, _quotient(square, _G_FAR), _quotient(square, _G_NEAR))
    return f * inverse, g * square


def _parts(x: Scalar) -> tuple[Any, Scalar, Scalar, Scalar, Scalar, Scalar]:
    """Whether |x| is small; a small number; f and g, sine and cosine of one that is not."""
    size = abs(x)
    small = size <= 4.0
    far = fnp.where(small | ~(size < fnp.inf), 8.0, size)
    f, g = _around(far)
    return small, fnp.where(small, size, 1.0), f, g, fnp.sin(far), fnp.cos(far)


@elementwise("sine_integral")
def sine_integral(x: Scalar) -> Scalar:
    """Si(x)."""
    small, near, f, g, sine, cosine = _parts(x)
    value = near * _quotient(near * near, _SINE)
    value = fnp.where(small, value, 0.5 * math.pi - f * cosine - g * sine)
    value = fnp.where(abs(x) == fnp.inf, 0.5 * math.pi, value)
    return fnp.where(fnp.isnan(x), x, fnp.copysign(value, x))


@elementwise("cosine_integral")
def cosine_integral(x: Scalar) -> Scalar:
    """Ci(|x|)."""
    small, near, f, g, sine, cosine = _parts(x)
    square = near * near
    value = float(np.euler_gamma) + fnp.log(near) + square * _quotient(square, _COSINE)
    value = fnp.where(small, value, f * sine - g * cosine)
    value = fnp.where(x == fnp.inf, 0.0, value)
    return fnp.where(fnp.isnan(x) | (x == -fnp.inf), fnp.nan, value)


# Those of Fresnel.


def _quarter_turns(x: Scalar) -> tuple[Scalar, Scalar]:
    """sin(π x²/2) and cos(π x²/2) of 0 ≤ x < 2^26, of all digits of x²."""
    # x = high + low, of 26 bits each, so that products are exact (Dekker 1971).
    wide = x * 134217729.0
    high = wide - (wide - x)
    low = x - high
    square = x * x
    lost = ((high * high - square) + 2.0 * high * low) + low * low
    angle = (0.5 * math.pi) * (fnp.fmod(square, 4.0) + lost)
    return fnp.sin(angle), fnp.cos(angle)


def _fresnel(x: Scalar) -> tuple[Any, Scalar, Scalar, Scalar, Scalar, Scalar, Scalar]:
    """Whether |x| is small; a small number; π x, f and g, sine and cosine of one that is not."""
    size = abs(x)
    small = size * size < 2.5625
    # From there on sine and cosine are less than a unit in the last place of 1/2.
    far = fnp.where(small | ~(size < 2.0**26), 2.0, size)
    whole = math.pi * far * far
    inverse = 1.0 / whole
    square = inverse * inverse
    f = 1.0 - square * _quotient(square, _FRESNEL_F)
    g = inverse * _quotient(square, _FRESNEL_G)
    return small, fnp.where(small, size, 1.0), math.pi * far, f, g, *_quarter_turns(far)


def _half(x: Scalar, value: Scalar) -> Scalar:
    """The value with the sign of x, 1/2 far out."""
    value = fnp.where(abs(x) >= 2.0**26, 0.5, value)
    return fnp.where(fnp.isnan(x), x, fnp.copysign(value, x))


@elementwise("fresnel_sine")
def fresnel_sine(x: Scalar) -> Scalar:
    """S(x)."""
    small, near, angle, f, g, sine, cosine = _fresnel(x)
    square = near * near
    value = near * square * _quotient(square * square, _FRESNEL_SINE)
    return _half(x, fnp.where(small, value, 0.5 - (f * cosine + g * sine) / angle))


@elementwise("fresnel_cosine")
def fresnel_cosine(x: Scalar) -> Scalar:
    """C(x)."""
    small, near, angle, f, g, sine, cosine = _fresnel(x)
    square = near * near
    value = near * _quotient(square * square, _FRESNEL_COSINE)
    return _half(x, fnp.where(small, value, 0.5 + (f * sine - g * cosine) / angle))
