"""Complex operations on pairs against NumPy's in a wider format, and on cuts and at special points.

An error is |value - reference| / |reference| over the distance of 1 to the next float.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

from funcgrad.kernels.emit.complex_pairs import COMPLEX, REAL, expand_complex, expand_to_real
from funcgrad.kernels.emit.maths import FUNCTIONS
from funcgrad.primitives.elementwise import complex_quotient

from .expressions import evaluate, variable

POINTS = 2_000
DTYPES = (np.float32, np.float64)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=("float32", "float64"))


def logistic(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


UNARY = {
    "neg": (np.negative, 0),
    "conj": (np.conj, 0),
    "sign": (np.sign, 4),
    "sqrt": (np.sqrt, 4),
    "rsqrt": (lambda z: 1 / np.sqrt(z), 6),
    "exp": (np.exp, 3),
    "exp2": (np.exp2, 6),
    "expm1": (np.expm1, 8),
    "log": (np.log, 4),
    "log1p": (np.log1p, 4),
    "logistic": (logistic, 8),
    "sinh": (np.sinh, 4),
    "cosh": (np.cosh, 4),
    "tanh": (np.tanh, 10),
    "sin": (np.sin, 4),
    "cos": (np.cos, 4),
    "tan": (np.tan, 10),
    "asin": (np.arcsin, 6),
    "acos": (np.arccos, 6),
    "atan": (np.arctan, 6),
    "asinh": (np.arcsinh, 6),
    "acosh": (np.arccosh, 6),
    "atanh": (np.arctanh, 6),
}
BINARY = {
    "add": (np.add, 2),
    "sub": (np.subtract, 2),
    "mul": (np.multiply, 3),
    "div": (np.divide, 5),
    "max": (np.maximum, 0),
    "min": (np.minimum, 0),
}


def complex_of(re: Any, im: Any) -> Any:
    out = np.empty(np.shape(re), np.result_type(re, np.complex64))
    out.real, out.imag = re, im
    return out


def computed(op: str, *zs: Any) -> Any:
    """The value of an operation by its expansion."""
    part = zs[0].real.dtype
    names = ["ab", "cd"][: len(zs)]
    pairs = tuple((variable(part, n[0]), variable(part, n[1])) for n in names)
    values = {
        n: v for z, k in zip(zs, names, strict=True) for n, v in zip(k, parts(z), strict=True)
    }
    real = expand_to_real(op, pairs)
    if real is not None:
        return evaluate(real, values)
    pair = expand_complex(op, pairs)
    assert pair is not None
    return complex_of(*(np.broadcast_to(evaluate(e, values), zs[0].shape) for e in pair))


def parts(z: Any) -> tuple[Any, Any]:
    return np.ascontiguousarray(z.real), np.ascontiguousarray(z.imag)


def points(dtype: Any, seed: int) -> Any:
    """Moderate points, points near 0, and points near 1."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.uniform(-8, 1.2, POINTS))
    turns = np.exp(1j * rng.uniform(-np.pi, np.pi, POINTS))
    near = 1 + 1e-3 * (rng.normal(size=POINTS) + 1j * rng.normal(size=POINTS))
    z = np.concatenate([sizes * turns, near])
    return z.astype(np.result_type(dtype, np.complex64))


def wider(z: Any) -> Any:
    return z.astype(np.complex128 if z.dtype == np.complex64 else np.clongdouble)


def worst_error(out: Any, exact: Any, dtype: Any) -> float:
    return float(np.max(np.abs(out - exact) / np.abs(exact)) / np.finfo(dtype).eps)


@both_dtypes
@pytest.mark.parametrize("op", UNARY)
def test_unary(op: str, dtype: Any) -> None:
    reference, most = UNARY[op]
    z = points(dtype, 1)
    assert worst_error(computed(op, z), reference(wider(z)), dtype) <= most


@both_dtypes
@pytest.mark.parametrize("op", BINARY)
def test_binary(op: str, dtype: Any) -> None:
    reference, most = BINARY[op]
    x, y = points(dtype, 1), points(dtype, 2)[::-1]
    exact = reference(wider(x), wider(y))
    scale = np.abs(wider(x)) if op in ("add", "sub") else np.abs(exact)
    off = np.abs(computed(op, x, y) - exact) / np.maximum(scale, np.abs(exact))
    assert float(np.max(off)) <= most * np.finfo(dtype).eps


def iso_c_quotient(z: Any, w: Any) -> complex:
    """The quotient of ISO C, annex G.5.1, transcribed; of finite numbers Smith's, as NumPy's is."""
    a, b, c, d = map(float, (z.real, z.imag, w.real, w.imag))
    inf, copysign, isinf = np.inf, np.copysign, np.isinf
    with np.errstate(all="ignore"):
        smith = np.divide(z, w) if w != 0 else complex(np.nan, np.nan)
        x, y = float(smith.real), float(smith.imag)
        if not (np.isnan(x) and np.isnan(y)):
            return complex(x, y)
        if w == 0 and not (np.isnan(a) and np.isnan(b)):
            return complex(copysign(inf, c) * a, copysign(inf, c) * b)
        if isinf(z) and np.isfinite(w):
            a, b = copysign(float(isinf(a)), a), copysign(float(isinf(b)), b)
            return complex(inf * (a * c + b * d), inf * (b * c - a * d))
        if isinf(w) and np.isfinite(z):
            c, d = copysign(float(isinf(c)), c), copysign(float(isinf(d)), d)
            return complex(0.0 * (a * c + b * d), 0.0 * (b * c - a * d))
    return complex(x, y)


@both_dtypes
def test_quotients_at_zeros_and_infinities(dtype: Any) -> None:
    ends = (0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan)
    z = np.array([complex(a, b) for a in ends for b in ends])
    x, y = (v.astype(np.result_type(dtype, np.complex64)) for v in np.meshgrid(z, z))
    x, y = x.ravel(), y.ravel()
    want = np.array([iso_c_quotient(v, w) for v, w in zip(x, y, strict=True)])
    with np.errstate(all="ignore"):
        single = complex_quotient(x, y)
    for found in (computed("div", x, y), single):
        for got, exact in zip(parts(found), parts(want), strict=True):
            np.testing.assert_allclose(got, exact, rtol=2 * np.finfo(dtype).eps)


@both_dtypes
def test_pow(dtype: Any) -> None:
    x, y = points(dtype, 1), points(dtype, 2)[::-1]
    # The exponent of e is as great as |y log x|, and so is the error.
    exponent = np.abs(wider(y) * np.log(wider(x)))
    exact = np.power(wider(x), wider(y))
    off = np.abs(computed("pow", x, y) - exact) / np.abs(exact) / (1 + exponent)
    assert float(np.max(off)) <= 6 * np.finfo(dtype).eps
    zero, one = np.zeros(2, x.dtype), np.ones(2, x.dtype)
    assert (computed("pow", zero, zero) == 1).all()
    assert (computed("pow", zero, one) == 0).all()


@both_dtypes
def test_real_results(dtype: Any) -> None:
    x, y = points(dtype, 1), points(dtype, 2)
    y[::2] = x[::2]
    assert worst_error(computed("abs", x), np.abs(wider(x)), dtype) <= 2
    np.testing.assert_array_equal(computed("eq", x, y), x == y)
    np.testing.assert_array_equal(computed("ne", x, y), x != y)
    np.testing.assert_array_equal(computed("real", x), x.real)
    np.testing.assert_array_equal(computed("imag", x), x.imag)
    x[::3] = complex_of(np.array(np.inf), np.array(1.0))
    np.testing.assert_array_equal(computed("is_finite", x), np.isfinite(x))


@both_dtypes
@pytest.mark.parametrize("op", ["sqrt", "log", "asin", "acos", "atan", "asinh", "acosh", "atanh"])
def test_sides_of_the_cuts(op: str, dtype: Any) -> None:
    """The sign of a zero says on which side of a cut a point lies."""
    ends = np.array([-3.0, -0.5, 0.5, 3.0, -3.0, -0.5, 0.5, 3.0], dtype)
    zeros = np.array([0.0] * 4 + [-0.0] * 4, dtype)
    for z in (complex_of(ends, zeros), complex_of(zeros, ends)):
        out, exact = computed(op, z), UNARY[op][0](wider(z))
        np.testing.assert_allclose(out, exact, rtol=10 * float(np.finfo(dtype).eps))


@both_dtypes
def test_great_and_small_numbers(dtype: Any) -> None:
    info = np.finfo(dtype)
    great, small = float(info.max) / 4, float(info.tiny) * 4
    z = np.array([3 + 4j, 4 - 3j, -4 + 3j])
    for scale in (great / 4, small):
        x = (z * scale).astype(np.result_type(dtype, np.complex64))
        exact = wider(x)
        for op, reference in {"abs": np.abs, "sqrt": np.sqrt, "log": np.log}.items():
            assert worst_error(computed(op, x), reference(exact), dtype) <= 4
        assert worst_error(computed("div", x, x), np.ones(3), dtype) <= 4


@both_dtypes
@pytest.mark.parametrize("op", ["exp", "expm1", "sinh", "cosh", "sin", "cos"])
def test_a_product_overflows_rather_than_its_factors(op: str, dtype: Any) -> None:
    """e^x is beyond the format here, and e^x cos y within it."""
    greatest = np.longdouble(np.finfo(dtype).max)
    most = float(np.log(greatest))
    re, im = np.meshgrid(np.array([1, 2, 3]) + most, np.array([1.5, -1.55, 1.57, 1e-3]))
    z = complex_of(re.ravel().astype(dtype), im.ravel().astype(dtype))
    z = z * z.dtype.type(-1j) if op in ("sin", "cos") else z
    out, exact = computed(op, z), UNARY[op][0](wider(z))
    for part, want in zip(parts(out), parts(exact), strict=True):
        near = np.abs(want) < greatest / 2
        np.testing.assert_allclose(part[near], want[near], rtol=20 * float(np.finfo(dtype).eps))
        assert np.isinf(part[np.abs(want) > greatest * 2]).all()
    assert np.isfinite(parts(out)).any()


@both_dtypes
@pytest.mark.parametrize("op", ["sqrt", "rsqrt", "sign"])
def test_greatest_and_subnormal_numbers(op: str, dtype: Any) -> None:
    info = np.finfo(dtype)
    ends = np.array([info.max, -info.max, info.smallest_subnormal * 9], dtype)
    re, im = (a.ravel() for a in np.meshgrid(ends, ends))
    z = complex_of(re, im)
    assert worst_error(computed(op, z), UNARY[op][0](wider(z)), dtype) <= 6


@both_dtypes
def test_inverse_tangents_beside_their_poles(dtype: Any) -> None:
    heights = np.array([1e-9, 1e-17, 9e-18, 1e-30, 1e-37], dtype)
    z = complex_of(np.repeat(np.array([1, -1], dtype), 5), np.tile(heights, 2))
    for op, at in {"atanh": z, "atan": z * z.dtype.type(1j)}.items():
        assert worst_error(computed(op, at), UNARY[op][0](wider(at)), dtype) <= 4


@both_dtypes
def test_powers_of_zero(dtype: Any) -> None:
    y = np.array([0, 2, 1 + 3j, -1, 1j]).astype(np.result_type(dtype, np.complex64))
    want = np.array([1, 0, 0, complex(np.nan, np.nan), complex(np.nan, np.nan)])
    np.testing.assert_array_equal(computed("pow", np.zeros_like(y), y), want)


@both_dtypes
def test_infinities(dtype: Any) -> None:
    inf = np.inf
    z = complex_of(np.array([inf, -inf, 1, 1, inf], dtype), np.array([1, 1, inf, -inf, inf], dtype))
    with np.errstate(all="ignore"):
        for op, reference in {"abs": np.abs, "sqrt": np.sqrt, "log": np.log}.items():
            for out, exact in zip(parts(computed(op, z)), parts(reference(z)), strict=True):
                np.testing.assert_allclose(out, exact, rtol=1e-6)
        z = complex_of(np.array([40, -40, -inf], dtype), np.array([1, 2, 1], dtype))
        np.testing.assert_allclose(computed("tanh", z).real, [1, -1, -1])
        np.testing.assert_allclose(computed("exp", z)[2], 0)
        np.testing.assert_allclose(computed("logistic", z)[2], 0)
        np.testing.assert_allclose(computed("logistic", z)[:2], logistic(z[:2]), rtol=1e-5)


def faddeeva_points(dtype: Any) -> Any:
    """In the plane, and near its axes, where one of both parts is small."""
    draw = np.random.default_rng(23)
    x = np.concatenate([draw.uniform(-12, 12, 600), draw.normal(size=300), [0.0, -0.0, 0.0, 30.0]])
    near = 10 ** draw.uniform(-14, 1, 300)
    y = np.concatenate([draw.uniform(-8, 12, 600), near, [0.0, 2.0, -3.0, 0.0]])
    return complex_of(x.astype(dtype), y.astype(dtype))


@both_dtypes
def test_the_faddeeva_function(dtype: Any) -> None:
    z = faddeeva_points(dtype)
    out, exact = computed("wofz", z), scipy.special.wofz(wider(z).astype(np.complex128))
    # SciPy's own error is up to 1e-13 of a part.
    most = 1e-12 if dtype == np.float64 else 4 * np.finfo(dtype).eps
    for part in (np.real, np.imag):
        np.testing.assert_allclose(part(out), part(exact), most, 1e-300 if most < 1e-9 else 1e-37)


@both_dtypes
def test_the_faddeeva_function_at_infinity(dtype: Any) -> None:
    inf, big = np.inf, np.finfo(dtype).max
    x, y = (
        np.array([0, 0, 3, inf, big, np.nan, 0, big], dtype),
        np.array([inf, big, inf, 3, 0, 1, -1, big], dtype),
    )
    z = complex_of(x, y)
    out, exact = computed("wofz", z), scipy.special.wofz(z.astype(np.complex128))
    for part in (np.real, np.imag):
        np.testing.assert_allclose(part(out), part(exact).astype(dtype), 1e-6)


def test_every_operation_is_tried() -> None:
    assert set(COMPLEX) == {*UNARY, *BINARY, "pow", "wofz"}
    assert set(REAL) == {"abs", "real", "imag", "eq", "ne", "is_finite"}
    assert set(FUNCTIONS) - set(COMPLEX) - {"sqrt"} == {
        *("atan2", "cbrt", "erf", "erfc", "erf_inv", "nextafter", "round_away"),
        *("lgamma", "digamma", "bessel_i0e", "bessel_i1e", "erfcx", "log_ndtr", "ndtri", "dawsn"),
    }


def test_other_operations_have_no_formula() -> None:
    pair = (variable(np.float32), variable(np.float32))
    assert expand_complex("erf", (pair,)) is None
    assert expand_to_real("exp", (pair,)) is None
