"""Trigonometric functions: x less the nearest multiple of π or π/2 takes them to a short interval.

In: values of float32 or float64, in radians. Out: the function's value. Coefficients are minimax
fits (Remez exchange in 50 digits), with the greatest relative error of the function beside them.
Source: W. J. Cody & W. Waite (1980) for moderate arguments; M. Payne & R. Hanek, Radian Reduction
for Trigonometric Functions, SIGNUM 18 (1983), for great ones.
"""

from __future__ import annotations

from .maths_values import (
    Format,
    Value,
    constant,
    double,
    fma,
    infinity,
    nan,
    polynomial,
    rarely,
    select,
    single,
    split_constant,
)

PI_TEXT = "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803"
# No part is negative: what is left of x = -0 stays -0.
PI = {f: split_constant(PI_TEXT, f, truncated=True) for f in (single, double)}
ONE_BY_PI = 0.3183098861837907
# Up to here the parts of π leave more digits than x has near a multiple of π.
MODERATE = {single: 1e5, double: 1e9}

# (sin r / r - 1) / z, z = r², where |r| ≤ π/2: 2^-27.3 and 2^-57.
SIN = {
    single: (
        -0.16666659712791443,
        0.008333069272339344,
        -0.00019809776858892292,
        2.606095677037956e-06,
    ),
    double: (
        -0.16666666666666666,
        0.008333333333333207,
        -0.00019841269841212864,
        2.7557319211651276e-06,
        -2.5052106912979256e-08,
        1.6058941473992518e-10,
        -7.643032519760396e-13,
        2.7215656194546196e-15,
    ),
}
# (tan r / r - 1) / z where |r| ≤ π/4, for float32: 2^-29.6.
TAN_SHORT = (
    0.3333334978195702,
    0.1333266237066836,
    0.054060029728003715,
    0.021281584962353814,
    0.010837417589079034,
    8.745028383347499e-05,
    0.004377328280069156,
)
# (sin r / r - 1) / z and (cos r - 1 + z/2) / z² where |r| ≤ π/4: 2^-57.8 and 2^-63.
SIN_DOUBLE = (
    -0.1666666666666663,
    0.00833333333332184,
    -0.00019841269829359257,
    2.7557313538828636e-06,
    -2.5050734445383173e-08,
    1.5895436853691706e-10,
)
COS_DOUBLE = (
    0.041666666666666595,
    -0.001388888888887334,
    2.480158728899868e-05,
    -2.7557314215748194e-07,
    2.0875705186939388e-09,
    -1.1358736962032122e-11,
)
# The bits of 1/(2π) in words of 64, after 8 and after 24 zeros.
TURN = {
    single: (0x28BE60DB939105, 0x4A7F09D5F47D4D37, 0x7036D8A5664F10E4, 0x107F9458EAF7AEF1),
    double: (
        0x28BE60DB93,
        0x91054A7F09D5F47D,
        0x4D377036D8A5664F,
        0x10E4107F9458EAF7,
        0xAEF1586DC91B8E90,
        0x9374B801924BBA82,
        0x7464873F877AC72C,
        0x4A69CFBA208D7D4B,
        0xAED1213A671C09AD,
        0x17DF904E64758E60,
        0xD4CE7D272117E2EF,
        0x7E4A0EC7FE25FFF7,
        0x816603FBCBC462D6,
        0x829B47DB4D9FB3C9,
        0xF2C26DD3D18FD9A7,
        0x97FA8B5D49EEB1FA,
        0xF97C5ECF41CE7DE2,
        0x94A4BA9AFED7EC47,
        0xE357421580CC11BF,
    ),
}
TURN_ZEROS = {single: 8, double: 24}


# Great arguments: |x| / 2π modulo 1, in integers.


def window(words: tuple[int, ...], skipped: Value, count: int) -> list[Value]:
    """The `count` words of 64 bits that follow the first `skipped` bits of a constant.

    There are 2^k + count words: each step halves the places where the window can begin.
    """
    found = [constant(w, double.integer) for w in words]
    index, step = skipped >> 6, (len(words) - count) // 2
    while step:
        later = (index & step).differs(0)
        found = [select(later, found[i + step], found[i]) for i in range(count + step)]
        step //= 2
    within = skipped & 63
    rest = 63 - within
    return [(found[i] << within) | ((found[i + 1] >> 1) >> rest) for i in range(count)]


def high_product(x: Value, y: Value) -> Value:
    """The upper 64 bits of x · y, both unsigned, x less than 2^53."""
    mask = 0xFFFFFFFF
    x_high, x_low, y_high, y_low = x >> 32, x & mask, y >> 32, y & mask
    cross = x_low * y_high
    middle = x_high * y_low + ((x_low * y_low) >> 32) + (cross & mask)
    return x_high * y_high + (cross >> 32) + (middle >> 32)


def turns(x: Value) -> tuple[Value, Value]:
    """|x| / 2π modulo 1 in units of 2^-64, and the next 64 bits, for |x| beyond `MODERATE`.

    x = m · 2^k of an integer m; bits of 1/2π that weigh 1 or more after times 2^k leave the
    product by whole turns, so it begins with the bit that weighs m/2.
    """
    f = x.format
    bits = abs(x).bits().cast(double.integer)
    skipped = (bits >> f.digits) + (TURN_ZEROS[f] - f.bias - f.digits)
    m = (bits & ((1 << f.digits) - 1)) | (1 << f.digits)
    if f is single:
        first, second = window(TURN[f], skipped, 2)
        return m * first + ((m * (second >> 32)) >> 32), constant(0, double.integer)
    first, second, third = window(TURN[f], skipped, 3)
    low, added = m * second, high_product(m, third)
    total = low + added
    carry = ((low & added) | ((low | added) & (total ^ -1))) >> 63
    return m * first + high_product(m, second) + carry, total


def great_remainder(f: Format, high: Value, low: Value, halvings: int) -> Value:
    """The part of a turn beyond the nearest multiple of 2^-halvings turns, in float64.

    Of float32 the first 64 bits suffice.
    """
    left = high << halvings
    scale = 2.0 ** -(63 + halvings)
    unit = PI[double][0] * scale
    if f is single:
        return left.cast(double.real) * unit
    left = left | (low >> (64 - halvings))
    whole = left.cast(double.real)
    tail = ((low << halvings) >> 1).cast(double.real) * 2.0**-63
    return fma(whole, unit, fma(whole, PI[double][1] * scale, tail * unit))


def with_great(x: Value, moderate: Value, great: Value) -> Value:
    """The value for moderate arguments or for great ones; NaN for infinities."""
    size = abs(x)
    great = select(size < infinity, great, nan)
    return rarely(size > MODERATE[x.format], great, moderate)


# The functions.


def nearest_multiple(x: Value, scale: float, before: float = 0.0) -> tuple[Value, Value]:
    """n = round(x · scale + before), as a float, and an integer that ends in the bits of n."""
    rounder = x.format.rounder
    shifted = fma(x, scale, before) + rounder if before else fma(x, scale, rounder)
    return shifted - rounder, shifted.bits()


def less_multiple(x: Value, n: Value, unit: tuple[float, ...]) -> Value:
    """x - n · unit, the unit given as a sum of floats: the first difference is exact."""
    for part in unit:
        x = fma(n, -part, x)
    return x


def flip_sign(x: Value, n: Value) -> Value:
    """(-1)^n x."""
    sign = n.cast(x.format.integer) << (8 * x.dtype.itemsize - 1)
    return (x.bits() ^ sign).as_float()


def sin_near_zero(r: Value) -> Value:
    """sin r where |r| ≤ π/2, of the sign of r."""
    z = r * r
    out = fma(r * z, polynomial(z, SIN[r.format]), r)
    # The sum is +0 for r = -0.
    sign = r.bits() & (1 << (8 * r.dtype.itemsize - 1))
    return (out.bits() | sign).as_float()


def sin(x: Value) -> Value:
    """The sine of x, which is (-1)^n times that of x - nπ."""
    n, bits = nearest_multiple(x, ONE_BY_PI)
    moderate = flip_sign(sin_near_zero(less_multiple(x, n, PI[x.format])), bits)
    high, low = turns(x)
    r = great_remainder(x.format, high, low, 1).cast(x.dtype).signed_by(x)
    great = flip_sign(sin_near_zero(r), (high + (1 << 62)) >> 63)
    return with_great(x, moderate, great)


def cos(x: Value) -> Value:
    """The cosine of x, which is (-1)^n sin(x - (n - 1/2)π)."""
    n, bits = nearest_multiple(x, ONE_BY_PI, 0.5)
    moderate = flip_sign(sin_near_zero(less_multiple(x, n - 0.5, PI[x.format])), bits)
    high, low = turns(x)
    high = high + (1 << 62)
    r = great_remainder(x.format, high, low, 1).cast(x.dtype)
    great = flip_sign(sin_near_zero(r), (high + (1 << 62)) >> 63)
    return with_great(x, moderate, great)


def tan_quotient(r: Value, n: Value) -> Value:
    """The tangent of r for even n, -1 / tan r for odd ones, |r| ≤ π/4."""
    z = r * r
    s = fma(r * z, polynomial(z, SIN_DOUBLE), r)
    c = fma(z * z, polynomial(z, COS_DOUBLE), fma(z, -0.5, 1.0))
    odd = (n & 1).differs(0)
    return select(odd, -c, s) / select(odd, s, c)


def tan_short(r: Value, n: Value) -> Value:
    """`tan_quotient` in float64 for a result in float32."""
    z = r * r
    t = fma(r * z, polynomial(z, TAN_SHORT), r)
    return select((n & 1).differs(0), -1.0 / t, t).cast(single.real)


def tan(x: Value) -> Value:
    """The tangent of x: t or -1 / t, where t is that of x - nπ/2."""
    near = tan_short if x.format is single else tan_quotient
    wide = x.cast(double.real)
    n, bits = nearest_multiple(wide, 2 * ONE_BY_PI)
    half_pi = tuple(p / 2 for p in PI[double])
    # Of a float32 the first two parts leave more digits than it has.
    half_pi = half_pi[:2] if x.format is single else half_pi
    moderate = near(less_multiple(wide, n, half_pi), bits)
    high, low = turns(x)
    r = great_remainder(x.format, high, low, 2).signed_by(wide)
    great = near(r, (high + (1 << 61)) >> 62)
    return with_great(x, select(x.equals(0.0), x, moderate), great)
