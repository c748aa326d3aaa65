"""Elementwise families: JAX's values, dtypes and slopes, at the ends of their domains as well."""

import warnings
from functools import partial

import numpy as np
import pytest

from funcgrad import lax as ours
from funcgrad.config import enable_x64
from funcgrad.control.jitted import jit
from funcgrad.core.array import Array
from funcgrad.core.staging import stage
from funcgrad.core.zeros import UndefinedPrimal, Zero, instantiate
from funcgrad.ir import dtypes
from funcgrad.ir.avals import ShapedArray, aval_of
from funcgrad.passes.simplify import simplify
from funcgrad.primitives import arithmetic, casting, comparison, special, transcendental
from funcgrad.transforms.jvp import jvp_flat

BF16 = np.dtype(dtypes.bfloat16)
REALS = [0.0, -0.0, 0.3, -0.7, 1.0, -1.0, 1.5, -2.5, 2.5, 7.25, 0.49999997]
SPECIAL = [np.nan, np.inf, -np.inf]
COMPLEX = [0.3 + 0.4j, -0.7 + 1.1j, 1.5 - 0.2j, -0.4 - 0.9j, 1e-4 + 1e-4j, 2.0, -2.0 + 0.5j]
INTS = [0, 1, -1, 2, -3, 7, 100, -128, 127]

UNARY = (
    "neg sign floor ceil round is_finite abs square sqrt rsqrt cbrt exp exp2 log log1p expm1 sin "
    "cos tan asin acos atan sinh cosh tanh asinh acosh atanh logistic erf erfc erf_inv lgamma "
    "digamma bessel_i0e bessel_i1e reciprocal"
).split()
ANALYTIC = (
    "neg sign abs square sqrt rsqrt exp exp2 log log1p expm1 sin cos tan asin acos atan sinh cosh "
    "tanh asinh acosh atanh logistic real imag conj reciprocal"
).split()
ARITHMETIC = "add sub mul div rem max min".split()
COMPARISONS = "eq ne lt le gt ge".split()
BITWISE = "bitwise_and bitwise_or bitwise_xor".split()
SHIFTS = "shift_left shift_right_logical shift_right_arithmetic".split()
TOLERANCE = {np.dtype(np.float16): 2e-3, BF16: 2e-2, np.dtype(np.float32): 4e-6}


@pytest.fixture(scope="module")
def lax():
    """JAX's functions of the same names."""
    return pytest.importorskip("jax").lax


def grid(values):
    """Every value against every other."""
    left, right = np.meshgrid(values, values)
    return left.ravel(), right.ravel()


def assert_like(found, want, tolerance=None):
    """Compare dtype, shape and values, NaN equal to NaN."""
    assert found.dtype == want.dtype and found.shape == want.shape
    a, b = np.asarray(found), np.asarray(want)
    if a.dtype == BF16:
        a, b = a.astype(np.float32), b.astype(np.float32)
    if a.dtype.kind in "fc":
        tolerance = tolerance or TOLERANCE.get(np.dtype(found.dtype), 1e-5)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(a, b)


def derivative(fun, *primals):
    """The slope of a function along ones in every operand."""
    _, (t,) = jvp_flat(lambda *xs: [fun(*xs)], primals, [np.ones_like(p) for p in primals])
    return instantiate(t)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, BF16])
@pytest.mark.parametrize("name", UNARY)
def test_values_of_floats(lax, name, dtype):
    x = np.array(REALS + SPECIAL).astype(dtype)
    # JAX's exp2 in bfloat16 rounds x·log 2 before the exponential.
    tolerance = 4e-2 if name == "exp2" and dtype == BF16 else None
    assert_like(getattr(ours, name)(x), getattr(lax, name)(x), tolerance)


@pytest.mark.parametrize("name", ANALYTIC)
def test_values_of_complex_numbers(lax, name):
    x = np.array(COMPLEX, np.complex64)
    assert_like(getattr(ours, name)(x), getattr(lax, name)(x))


@pytest.mark.parametrize("name", [n for n in UNARY if n != "is_finite"])
def test_slopes_at_the_ends(lax, name):
    jax = pytest.importorskip("jax")
    # JAX's digamma has the slope NaN at infinity, where the limit is 0.
    ends = [np.nan, -np.inf] if name == "digamma" else SPECIAL
    x = np.array(REALS + ends, np.float32)
    want = jax.jvp(getattr(lax, name), (x,), (np.ones_like(x),))[1]
    found = derivative(getattr(ours, name), x)
    assert_like(found, want)


@pytest.mark.parametrize("name", ANALYTIC)
def test_slopes_of_complex_numbers(lax, name):
    jax = pytest.importorskip("jax")
    x = np.array([*COMPLEX, 0.0], np.complex64)
    t = np.full_like(x, 0.5 - 2j)
    want = jax.jvp(getattr(lax, name), (x,), (t,))[1]
    _, (found,) = jvp_flat(lambda v: [getattr(ours, name)(v)], [x], [t])
    assert_like(instantiate(found), want, 2e-5)


@pytest.mark.parametrize("dtype", [np.float32, BF16, np.int8, np.uint8, np.int32, np.complex64])
@pytest.mark.parametrize("name", [*ARITHMETIC, "eq", "ne"])
def test_pairs(lax, name, dtype):
    if dtype == np.complex64:
        if name == "rem":
            pytest.skip("complex numbers have no remainder")
        x, y = grid(np.array(COMPLEX, dtype))
    elif np.dtype(dtype).kind in "iu":
        x, y = (v.astype(dtype) for v in grid(np.array(INTS)))
    else:
        x, y = (v.astype(dtype) for v in grid(np.array(REALS + SPECIAL)))
    assert_like(getattr(ours, name)(x, y), getattr(lax, name)(x, y))


@pytest.mark.parametrize(
    ("name", "operands", "want"),
    [
        ("div", (np.int32(-(2**31)), np.int32(-1)), -(2**31)),
        ("rem", (np.int32(-(2**31)), np.int32(-1)), 0),
        ("div", (np.int32(5), np.int32(0)), -1),
        ("rem", (np.int32(5), np.int32(0)), 5),
        ("div", (np.uint8(5), np.uint8(0)), 255),
        ("abs", (np.int32(-(2**31)),), -(2**31)),
        ("neg", (np.uint8(1),), 255),
        ("integer_pow", (np.int8(3), 7), 2187 % 256 - 256),
    ],
)
def test_integers_wrap_and_never_raise(name, operands, want):
    assert getattr(ours, name)(*operands).item() == want


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_at_special_values(lax, name):
    for values in (np.array(REALS + SPECIAL, np.float32), np.array([True, False])):
        x, y = grid(values)
        assert_like(getattr(ours, name)(x, y), getattr(lax, name)(x, y))


def test_total_order_sorts_every_float():
    rising = np.array([-np.nan, -np.inf, -1.0, -0.0, 0.0, 1.0, np.inf, np.nan], np.float32)
    rising[0], rising[-1] = np.copysign(rising[[0, -1]], [-1, 1])
    x, y = grid(np.arange(8))
    a, b = rising[x], rising[y]
    np.testing.assert_array_equal(np.asarray(comparison.lt_to(a, b)), x < y)
    np.testing.assert_array_equal(np.asarray(comparison.le_to(a, b)), x <= y)
    np.testing.assert_array_equal(np.asarray(comparison.eq_to(a, b)), x == y)


def test_keys_compare_for_equality_only():
    keys = np.array([(1, 2), (1, 3)], dtypes.key_dtype)
    other = np.array([(1, 2), (2, 3)], dtypes.key_dtype)
    assert np.asarray(ours.eq(keys, other)).tolist() == [True, False]
    assert np.asarray(ours.ne(keys, other)).tolist() == [False, True]
    with pytest.raises(TypeError, match="lt does not accept dtype key<fry>"):
        ours.lt(keys, other)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.bool_])
@pytest.mark.parametrize("name", BITWISE + SHIFTS + ["bitwise_not", "clz", "population_count"])
def test_bits(lax, name, dtype):
    shifts_or_counts = name in SHIFTS or name in {"clz", "population_count"}
    if dtype == np.bool_ and shifts_or_counts:
        with pytest.raises(TypeError, match="does not accept dtype bool"):
            getattr(ours, name)(*[np.array(True)] * (2 if name in SHIFTS else 1))
        return
    x, y = (v.astype(dtype) for v in grid(np.array([*INTS, 31, 32, 40])))
    operands = (x, y) if name in BITWISE + SHIFTS else (x,)
    assert_like(getattr(ours, name)(*operands), getattr(lax, name)(*operands))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_nextafter(lax, dtype):
    x, y = grid(np.array(REALS + SPECIAL).astype(dtype))
    found, want = ours.nextafter(x, y), lax.nextafter(x, y)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(want))


# Ties, powers and zeros.


@pytest.mark.parametrize("name", ["max", "min"])
def test_a_tie_shares_the_slope(name):
    fun = getattr(ours, name)
    x = np.array([1.0, 2.0, 3.0], np.float32)
    y = np.float32(2.0)
    _, (t,) = jvp_flat(lambda v: [fun(v, y)], [x], [np.ones_like(x)])
    expected = [0.0, 0.5, 1.0] if name == "max" else [1.0, 0.5, 0.0]
    np.testing.assert_array_equal(np.asarray(t), expected)


POWERS = [(0.0, 0.0), (0.0, 1.0), (0.0, 2.0), (0.0, 0.5), (-1.0, 2.0), (0.0, -1.0), (2.0, 0.0)]


@pytest.mark.parametrize("i", [0, 1])
@pytest.mark.parametrize(("x", "y"), POWERS)
def test_slopes_of_powers(lax, x, y, i):
    jax = pytest.importorskip("jax")
    operands = [np.float32(x), np.float32(y)]

    def along(fun):
        return lambda v: fun(*operands[:i], v, *operands[i + 1 :])

    one = np.float32(1)
    assert_like(ours.pow(*operands), lax.pow(*operands))
    want = jax.jvp(along(lax.pow), (operands[i],), (one,))[1]
    _, (found,) = jvp_flat(lambda v: [along(ours.pow)(v)], [operands[i]], [one])
    assert_like(found, want)


@pytest.mark.parametrize("y", [-3, -1, 0, 1, 2, 5])
@pytest.mark.parametrize("name", ["pow", "integer_pow"])
def test_slopes_of_whole_powers(lax, name, y):
    jax = pytest.importorskip("jax")
    x = np.array([0.0, -0.0, 1.5, -2.0, np.inf, np.nan], np.float32)
    power = np.int32(y) if name == "pow" else y
    want = jax.jvp(lambda v: getattr(lax, name)(v, power), (x,), (np.ones_like(x),))[1]
    assert_like(getattr(ours, name)(x, power), getattr(lax, name)(x, power))
    assert_like(derivative(lambda v: getattr(ours, name)(v, power), x), want)


def test_pow_refuses_an_integer_base():
    with pytest.raises(TypeError, match="the first argument to pow must have an inexact dtype"):
        ours.pow(2, 3)
    with pytest.raises(TypeError, match="Integers cannot be raised to negative powers"):
        ours.integer_pow(2, -1)


def test_abs_has_the_slopes_of_jax_at_zero():
    for zero, slope in ((np.float32(0), 1), (np.float32(-0.0), 1), (np.complex64(0), 0)):
        assert derivative(ours.abs, zero).item() == slope


@pytest.mark.parametrize("method", list(ours.RoundingMethod))
def test_halves_round_as_asked(lax, method):
    x = np.array([*REALS, 0.5, -0.5, 3.5, 1e10], np.float32)
    found, want = ours.round(x, method), lax.round(x, lax.RoundingMethod(int(method)))
    assert_like(found, want)
    np.testing.assert_array_equal(np.signbit(np.asarray(found)), np.signbit(np.asarray(want)))


def test_complex_quotients_at_the_ends_are_those_of_jax(lax):
    jax = pytest.importorskip("jax")
    ends = (0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan)
    z = np.array([complex(a, b) for a in ends for b in ends], np.complex64)
    x, y = (v.ravel() for v in np.meshgrid(z, z))
    want = np.asarray(jax.jit(lax.div)(x, y))
    for found in (ours.div(x, y), jit(ours.div)(x, y), ours.div(x[:1], y[:1])):
        values = np.asarray(found)
        np.testing.assert_array_equal(values.real, want.real[: len(values)])
        np.testing.assert_array_equal(values.imag, want.imag[: len(values)])


# Casts.

FLOATS = [300.0, -300.0, np.nan, np.inf, -np.inf, -1.7, 1e20, -1e20, 3e9, 0.0, 127.5]


@pytest.mark.parametrize("new", [np.int8, np.uint8, np.int32, np.uint32, np.bool_, np.complex64])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, BF16, np.int32, np.complex64, np.bool_])
def test_conversions(lax, dtype, new):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if np.dtype(dtype).kind == "i":
            x = np.array([300, -300, 2**31 - 1, -(2**31), 0, 255], dtype)
        else:
            x = np.array(FLOATS).astype(dtype)
        assert_like(ours.convert_element_type(x, new), lax.convert_element_type(x, new))


def test_conversion_of_nothing_gives_the_operand():
    x = Array(np.ones(3, np.float32))
    assert casting.convert_element_type(x, np.float32) is x
    assert casting.convert_element_type(x, None) is x
    assert casting.convert_element_type(x, np.float32, weak_type=True).weak_type


def test_conversions_that_lose_or_cannot_be():
    with pytest.warns(np.exceptions.ComplexWarning, match="discards the imaginary part"):
        ours.convert_element_type(np.complex64(1 + 2j), np.float32)
    with pytest.raises(ValueError, match="cannot convert key<fry>"):
        ours.convert_element_type(np.zeros(2, dtypes.key_dtype), np.float32)
    with pytest.raises(TypeError, match="to float0"):
        ours.convert_element_type(np.float32(1), dtypes.float0)
    assert ours.convert_element_type(2**100, np.float32).item() == 2.0**100


def test_no_slope_passes_an_integer():
    whole, t = jvp_flat(lambda v: [ours.convert_element_type(v, np.int32)], [1.7], [1.0])
    assert isinstance(t[0], Zero) and t[0].dtype == dtypes.float0 and whole[0].item() == 1


@pytest.mark.parametrize(
    ("shape", "old", "new"),
    [
        ((3,), np.float32, np.int32),
        ((3,), np.float32, np.uint8),
        ((), np.float32, np.int16),
        ((5, 4), np.int8, np.float32),
        ((2,), np.int16, np.uint32),
        ((0, 2), np.int16, np.uint32),
    ],
)
def test_bitcasts(lax, shape, old, new):
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(old)
    assert_like(ours.bitcast_convert_type(x, new), lax.bitcast_convert_type(x, new))


def test_bitcasts_that_do_not_fit():
    with pytest.raises(ValueError, match="the last axis has 3 elements of 16 bits"):
        ours.bitcast_convert_type(np.zeros((2, 3), np.int16), np.float32)
    for x, new in ((np.float32(1), np.complex64), (np.bool_(True), np.uint8)):
        with pytest.raises(TypeError, match="cannot read"):
            ours.bitcast_convert_type(x, new)


@pytest.mark.parametrize("bits", [(5, 10), (8, 7), (4, 3), (8, 0), (8, 23), (2, 30)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_reduced_precision(lax, dtype, bits):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=99) * 2.0 ** rng.integers(-20, 20, 99), FLOATS, [-0.0]])
    with np.errstate(over="ignore"):
        x = x.astype(dtype)
    x = x[(np.abs(x) >= np.finfo(dtype).tiny) | (x == 0) | np.isnan(x)]
    found, want = ours.reduce_precision(x, *bits), lax.reduce_precision(x, *bits)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(want))


def test_reduced_precision_refuses_a_format_without_exponent():
    with pytest.raises(ValueError, match="exponent_bits >= 1"):
        ours.reduce_precision(1.0, 0, 3)


# Complex numbers.


def test_parts_keep_what_arithmetic_would_lose():
    z = np.asarray(ours.complex(np.float32([-0.0, np.nan]), np.float32([np.inf, -0.0])))
    assert np.signbit(z.real[0]) and z.imag[0] == np.inf and np.signbit(z.imag[1])
    assert not np.signbit(np.asarray(ours.conj(np.float32(1))).imag)


def test_parts_accept_what_jax_accepts(lax):
    for fun, x in (
        ("real", np.float32(1)),
        ("imag", np.float32(1)),
        ("conj", np.int32(1)),
        ("floor", np.int32(1)),
        ("floor", np.complex64(1)),
        ("abs", np.uint8(1)),
        ("exp", np.int32(1)),
        ("erf", np.complex64(1)),
        ("neg", np.bool_(True)),
        ("population_count", np.float32(1)),
    ):
        for module in (ours, lax):
            with pytest.raises(TypeError):
                getattr(module, fun)(x)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_transposes_of_stretched_operands(dtype):
    ct = np.arange(6, dtype=dtype).reshape(2, 3)
    row = ShapedArray((1, 3), np.dtype(dtype))
    scalar = ShapedArray((), np.dtype(dtype))
    plus, minus = arithmetic.sub_p.transpose(ct, UndefinedPrimal(row), UndefinedPrimal(scalar))
    np.testing.assert_array_equal(np.asarray(plus), ct.sum(0, keepdims=True))
    np.testing.assert_array_equal(np.asarray(minus), -ct.sum())
    scaled, none = arithmetic.mul_p.transpose(ct, UndefinedPrimal(scalar), ct)
    np.testing.assert_array_equal(np.asarray(scaled), (ct * ct).sum())
    assert none is None
    halves, none = arithmetic.div_p.transpose(ct, UndefinedPrimal(row), np.array(2, dtype))
    np.testing.assert_array_equal(np.asarray(halves), ct.sum(0, keepdims=True) / 2)
    assert none is None


def test_a_product_of_two_linear_operands_is_refused():
    x = UndefinedPrimal(ShapedArray((), np.dtype(np.float32)))
    with pytest.raises(TypeError, match="mul has no transpose rule"):
        arithmetic.mul_p.transpose(np.float32(1), x, x)


# Special functions.

SPECIALS = {
    "igamma": [(2.0, 3.0), (0.0, 1.0), (0.0, 0.0), (1.0, np.inf), (-1.0, 1.0), (50.0, 40.0)],
    "igammac": [(2.0, 3.0), (0.0, 1.0), (0.0, 0.0), (1.0, np.inf), (-1.0, 1.0), (50.0, 60.0)],
    "igamma_grad_a": [(2.0, 3.0), (0.5, 0.1), (0.0, 1.0), (1.0, 0.0), (20.0, 30.0), (-1.0, 1.0)],
    "random_gamma_grad": [(2.0, 3.0), (0.5, 0.1), (0.1, 1e-3), (20.0, 30.0), (5.0, 1.0)],
    "zeta": [(2.0, 1.0), (3.5, 0.5), (1.0, 1.0), (2.0, -0.5), (0.5, 1.0), (2.0, 0.0)],
    "polygamma": [(0.0, 2.0), (1.0, 0.5), (2.0, 0.5), (1.0, 0.0), (2.0, 0.0), (1.5, 1.0)],
    "betainc": [(1.0, 2.0, 0.3), (0.0, 1.0, 0.5), (1.0, 0.0, 0.5), (1.0, 1.0, 2.0)],
}


@pytest.mark.parametrize("name", SPECIALS)
def test_special_functions(lax, name):
    operands = np.array(SPECIALS[name], np.float32).T
    assert_like(getattr(ours, name)(*operands), getattr(lax, name)(*operands), 3e-5)


def test_slopes_by_the_order_of_the_gamma_integral():
    import scipy.special

    with enable_x64():
        a = np.array([0.1, 0.5, 3.0, 10.0, 50.0, 2000.0, 3.0, 1e-3])
        x = np.array([2.0, 0.1, 2.0, 1e-3, 60.0, 1990.0, 8.0, 1e-2])
        h = 1e-5 * a
        ends = (scipy.special.gammainc(a + k * h, x) for k in (-2, -1, 1, 2))
        low2, low, high, high2 = ends
        want = (low2 - 8 * low + 8 * high - high2) / (12 * h)
        np.testing.assert_allclose(np.asarray(special.igamma_grad_a(a, x)), want, rtol=2e-8)
        density = np.exp((a - 1) * np.log(x) - x - scipy.special.gammaln(a))
        sampled = np.asarray(special.random_gamma_grad(a, x))
        np.testing.assert_allclose(sampled * density, -want, rtol=2e-8)


@pytest.mark.parametrize(
    ("name", "args"),
    [("polygamma", (1.0, 2.0))],
)
def test_slopes_nobody_provides(name, args):
    fun = getattr(ours, name)
    with pytest.raises(ValueError, match="has no derivative with respect to"):
        jvp_flat(lambda v: [fun(v, *args[1:])], args[:1], [1.0])


# What is seen of the primitives.

JAXPRS = {
    "exp": lambda lax, x: lax.exp(x),
    "round": lambda lax, x: lax.round(x),
    "pow": lambda lax, x: lax.pow(x, 2),
    "cube": lambda lax, x: lax.integer_pow(x, 3),
    "convert": lambda lax, x: lax.convert_element_type(x, np.int32),
    "bitcast": lambda lax, x: lax.bitcast_convert_type(x, np.int32),
    "reduce_precision": lambda lax, x: lax.reduce_precision(x, 5, 10),
    "conj": lambda lax, x: lax.conj(x),
    "stop_gradient": lambda lax, x: lax.stop_gradient(x),
    "bits": lambda lax, x: lax.bitwise_and(lax.is_finite(x), lax.gt(x, x)),
}


@pytest.mark.parametrize("name", JAXPRS)
def test_jaxprs_print_as_jaxs(lax, name):
    jax = pytest.importorskip("jax")
    fun = JAXPRS[name]
    want = str(jax.make_jaxpr(partial(fun, lax))(np.float32(1)))
    found = stage(lambda x: [fun(ours, x)], [ShapedArray((), np.dtype(np.float32))])
    assert str(found).split() == want.split()


def test_weak_types():
    assert ours.add(1.0, 2.0).weak_type and ours.exp(1.0).weak_type
    assert not ours.add(1.0, np.float32(2)).weak_type
    assert not ours.eq(1.0, 2.0).weak_type
    _, (t,) = jvp_flat(lambda v: [ours.integer_pow(ours.sin(v), 3)], [1.0], [1.0])
    assert aval_of(t).weak_type


def test_accuracy_is_accepted_and_checked(lax):
    highest = ours.AccuracyMode.HIGHEST
    for name in "exp exp2 log log1p expm1 sin cos tan tanh logistic sqrt rsqrt cbrt".split():
        fun = getattr(ours, name)
        assert fun(0.7, accuracy=highest).item() == fun(0.7).item()
    # Near 1, 1 - tanh has no digits left in float32; the accurate slope keeps them.
    x = np.float32(12.0)
    slope = derivative(lambda v: ours.tanh(v, accuracy=highest), x)
    np.testing.assert_allclose(slope.item(), 4 * np.exp(-24.0), rtol=1e-5)
    with pytest.raises(ValueError, match="Tolerances must be non-negative"):
        transcendental.Tolerance()


def test_stop_gradient_keeps_values_and_trees():
    key = np.zeros(2, dtypes.key_dtype)
    tree = ours.stop_gradient({"a": 1.0, "b": [np.arange(3)], "key": key})
    assert tree["a"].item() == 1.0 and tree["key"] is key
    out, (t,) = jvp_flat(lambda v: [ours.mul(v, ours.stop_gradient(v))], [3.0], [1.0])
    assert out[0].item() == 9.0 and t.item() == 3.0


def test_eqns_that_change_nothing_are_left_out():
    aval = ShapedArray((), np.dtype(np.float32))

    def fun(x):
        same = casting.convert_element_type_p.bind(x, new_dtype=aval.dtype, weak_type=False)
        return [ours.exp(ours.integer_pow(ours.stop_gradient(same), 1))]

    assert [e.primitive.name for e in simplify(stage(fun, [aval])).jaxpr.eqns] == ["exp"]


def test_values_under_jit():
    x = np.array(REALS, np.float32)
    found = jit(lambda v: ours.rem(ours.mul(v, v, out_dtype=np.float16), np.float16(0.7)))(x)
    assert found.dtype == np.float16
    half = x.astype(np.float16)
    np.testing.assert_allclose(np.asarray(found), np.fmod(half * half, np.float16(0.7)), rtol=1e-3)


def test_operands_must_agree():
    with pytest.raises(TypeError, match="same dtypes"):
        ours.add(np.float32(1), np.int32(1))
    with pytest.raises(TypeError, match="incompatible shapes"):
        ours.add(np.zeros((2, 3)), np.zeros((2, 4)))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64])
def test_mulhi_is_the_upper_half_of_the_exact_product(dtype):
    with enable_x64():
        info = np.iinfo(dtype)
        rng = np.random.default_rng(0)
        x, y = rng.integers(info.min, info.max, (2, 50), dtype=dtype, endpoint=True)
        x[:4], y[:4] = [info.min, info.max, 0, 1], [info.min, info.max, 5, info.min]
        want = [(int(a) * int(b)) >> info.bits for a, b in zip(x, y, strict=True)]
        np.testing.assert_array_equal(ours.mulhi(x, y), np.array(want, object).astype(dtype))


def test_complex_numbers_with_nan_and_infinities_are_the_same_compiled():
    """The greater of two is one with a NaN, if there is one; 1 / x is a quotient."""
    parts = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5]
    z = np.array([complex(a, b) for a in parts for b in parts], np.complex64)
    x, y = (a.ravel() for a in np.meshgrid(z, z))
    for f, ufunc in ((ours.max, np.maximum), (ours.min, np.minimum)):
        want = ufunc(x, y)
        for found in (f(x, y), jit(f)(x, y)):
            np.testing.assert_array_equal(np.asarray(found).real, want.real)
            np.testing.assert_array_equal(np.asarray(found).imag, want.imag)
    for power in (-1, -2):
        whole = np.asarray(jit(lambda v, y=power: ours.integer_pow(v, y))(z))
        single = np.asarray(ours.integer_pow(z, power))
        np.testing.assert_array_equal(single.real, whole.real)
        np.testing.assert_array_equal(single.imag, whole.imag)
    np.testing.assert_array_equal(ours.reciprocal(np.complex64(complex(np.inf, np.nan))), 0)


def test_operands_that_are_joined_are_a_sequence():
    rows = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(ours.stack(rows), rows)
    np.testing.assert_array_equal(ours.stack(rows, axis=-1), rows.T)
    np.testing.assert_array_equal(ours.concatenate(rows, 0), rows.ravel())
    for join in (ours.stack, lambda x: ours.concatenate(x, 0)):
        for given in ({"a": rows}, None, "ab"):
            with pytest.raises(TypeError, match=r"(?s)takes a list or tuple.*test_elementwise"):
                join(given)
