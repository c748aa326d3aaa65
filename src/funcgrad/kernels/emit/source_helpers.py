"""Small functions that generated Python calls, as text; a module holds those it needs.

Each works on scalars of NumPy's types, and under Numba on values of the same types. What is short
to write in place (sums, comparisons, square roots) has no function here.
"""

from __future__ import annotations

import re

import numpy as np

from ...ir.loops import DType

HELPERS = {
    "minimum": '''
def minimum(x, y):
    """The smaller float; NaN if either is NaN; -0 is smaller than 0."""
    if x != x or y != y:
        return x + y
    if x == y:
        return x if np.signbit(x) else y
    return x if x < y else y
''',
    "maximum": '''
def maximum(x, y):
    """The larger float; NaN if either is NaN; 0 is larger than -0."""
    if x != x or y != y:
        return x + y
    if x == y:
        return y if np.signbit(x) else x
    return x if x > y else y
''',
    "quotient": '''
def quotient(x, y):
    """The quotient of signed integers, rounded toward zero."""
    q = x // y
    return q + 1 if q * y != x and (x < 0) != (y < 0) else q
''',
    "remainder": '''
def remainder(x, y):
    """What division leaves; it has the sign of x."""
    return x - quotient(x, y) * y
''',
    "population_count": '''
def population_count(x):
    """The number of ones among the bits of a uint64."""
    count = 0
    while x != uint64(0):
        x &= x - uint64(1)
        count += 1
    return count
''',
    "leading_zeros": '''
def leading_zeros(x, width):
    """The number of zeros in front of the first one among the last `width` bits of a uint64."""
    count = width
    while x != uint64(0):
        x >>= uint64(1)
        count -= 1
    return count
''',
    "high_product": '''
def high_product(x, y):
    """The upper 64 of the 128 bits of a product of uint64."""
    low, half = uint64(0xFFFFFFFF), uint64(32)
    a, b, c, d = x >> half, x & low, y >> half, y & low
    middle = a * d + ((b * d) >> half)
    other = b * c + (middle & low)
    return a * c + (middle >> half) + (other >> half)
''',
    "high_signed_product": '''
def high_signed_product(x, y):
    """The upper 64 of the 128 bits of a product of int64."""
    high = int64(high_product(uint64(x), uint64(y)))
    return high - (y if x < 0 else int64(0)) - (x if y < 0 else int64(0))
''',
    "larger": '''
def larger(value, place, best, best_place):
    """Whether a value wins over the best: larger, or as large and earlier; NaN is largest."""
    if best != best:
        return bool(value != value and place < best_place)
    return bool(value != value or value > best or (value == best and place < best_place))
''',
    "smaller": '''
def smaller(value, place, best, best_place):
    """Whether a value wins over the best: smaller, or as small and earlier; NaN is smallest."""
    if best != best:
        return bool(value != value and place < best_place)
    return bool(value != value or value < best or (value == best and place < best_place))
''',
    "above": '''
def above(value, best):
    """Whether a value is larger than the best so far, or the first NaN."""
    return bool(value > best or (value != value and best == best))
''',
    "below": '''
def below(value, best):
    """Whether a value is smaller than the best so far, or the first NaN."""
    return bool(value < best or (value != value and best == best))
''',
    "from_float16": '''
def from_float16(bits):
    """The float32 of a float16, which is given by its bits."""
    whole = int64(bits)
    sign, exponent, fraction = (whole & 0x8000) << 16, (whole >> 10) & 0x1F, whole & 0x3FF
    if exponent == 0:
        value = float32(fraction) * float32(2.0**-24)
        return -value if sign else value
    high = 0x7F800000 if exponent == 31 else (exponent + 112) << 23
    return uint32(sign | high | (fraction << 13)).view(float32)
''',
    "to_float16": '''
def to_float16(x):
    """The bits of the float16 that is nearest to a float32; ties go to even."""
    whole = int64(float32(x).view(uint32))
    sign, size = (whole >> 16) & 0x8000, whole & 0x7FFFFFFF
    if size > 0x7F800000:
        return uint16(sign | 0x7E00 | ((size >> 13) & 0x3FF))
    if size >= 0x47800000:
        return uint16(sign | 0x7C00)
    if size < 0x33000000:
        return uint16(sign)
    if size < 0x38800000:
        shift, full = 126 - (size >> 23), (size & 0x7FFFFF) | 0x800000
        value, rest, half = full >> shift, full & ((1 << shift) - 1), 1 << (shift - 1)
        more = rest > half or (rest == half and value & 1 == 1)
        return uint16(sign | (value + 1 if more else value))
    size -= 0x38000000
    return uint16(sign | ((size + 0xFFF + ((size >> 13) & 1)) >> 13))
''',
    "round_float16": '''
def round_float16(x):
    """The float16 nearest to a float32, as float32."""
    return from_float16(to_float16(x))
''',
    "from_bfloat16": '''
def from_bfloat16(bits):
    """The float32 of a bfloat16, which is given by its bits."""
    return uint32(int64(bits) << 16).view(float32)
''',
    "to_bfloat16": '''
def to_bfloat16(x):
    """The bits of the bfloat16 that is nearest to a float32; ties go to even."""
    whole = int64(float32(x).view(uint32))
    if x != x:
        return uint16((whole >> 16) | 0x40)
    return uint16((whole + 0x7FFF + ((whole >> 16) & 1)) >> 16)
''',
    "round_bfloat16": '''
def round_bfloat16(x):
    """The bfloat16 nearest to a float32, as float32."""
    return from_bfloat16(to_bfloat16(x))
''',
    "fma_float32": '''
def fma_float32(x, y, z):
    """x · y + z, rounded once."""
    return float32(fmaf(x, y, z))
''',
    "fma_float64": '''
def fma_float64(x, y, z):
    """x · y + z, rounded once."""
    return float64(fma(x, y, z))
''',
}

C_FUNCTIONS = {"fmaf": ("fmaf", "float32", 3), "fma": ("fma", "float64", 3)}


def saturating(dtype: DType) -> str:
    """The function `to_<dtype>`: a float as an integer, which JAX brings into its range."""
    info, name = np.iinfo(dtype), dtype.name
    low = "x < 0.0" if info.min == 0 else f"x < {float(info.min)!r}"
    return f'''
def to_{name}(x):
    """A float as {name}, rounded toward zero; NaN gives 0, what is out of range an end of it."""
    if x != x:
        return {name}(0)
    if x >= {float(int(info.max) + 1)!r}:
        return {name}({info.max})
    return {name}({info.min}) if {low} else {name}(x)
'''


def words(text: str) -> set[str]:
    """The names that a text mentions."""
    return set(re.findall(r"[A-Za-z_][A-Za-z_0-9]*", text))


def called(text: str) -> set[str]:
    """The functions that a text calls."""
    return set(re.findall(r"([A-Za-z_][A-Za-z_0-9]*)\(", text))
