"""Elementary functions as expressions: accuracy in units of the last place, and special values.

The references are NumPy's in a wider format (float64 for float32, long double for float64). An
error is |value - reference| over the distance of the floats at the reference.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special
from ml_dtypes import bfloat16

from funcgrad.kernels.emit.maths import FUNCTIONS, expand

from .expressions import count, evaluate, variable

POINTS = 3_000
Wide = Any


class Case(NamedTuple):
    """A function, where it is tried, and the greatest error allowed in float32 and float64."""

    reference: Callable[..., Any]
    ulps: tuple[float, float]
    ranges: tuple[tuple[float, float], ...]  # where float32 is tried
    wider: tuple[tuple[float, float], ...] = ()  # where float64 is tried, too


def logistic(x: Wide) -> Wide:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def special(name: str) -> Callable[..., Any]:
    """SciPy's function in float64: no wider format has it."""
    return lambda x: getattr(scipy.special, name)(x.astype(np.float64))


def erfcx(x: Wide) -> Wide:
    """By reflection left of 0, for SciPy's square rounds."""
    right = scipy.special.erfcx(np.abs(x).astype(np.float64))
    return np.where(x < 0, 2 * np.exp(x * x) - right, right)


def log_ndtr(x: Wide) -> Wide:
    """By the function above on both sides."""
    scaled, half = erfcx(np.abs(x) * np.sqrt(np.asarray(0.5, x.dtype))) / 2, x * x / 2
    left = np.where(np.isinf(x), x, np.log(scaled) - half)
    return np.where(x < 0, left, np.log1p(-np.exp(-half) * scaled))


def lgamma(x: Wide) -> Wide:
    """Of the C library: SciPy and Python lose digits near 1 and 2."""
    function = ctypes.CDLL(ctypes.util.find_library("m")).lgamma
    function.argtypes, function.restype = [ctypes.c_double], ctypes.c_double
    # Great negative numbers are whole, where glibc 2.36 gives -inf.
    return np.where(x < -(2.0**60), np.inf, [function(v) for v in x])


def digamma(x: Wide) -> Wide:
    """By reflection left of 0: SciPy loses digits near the poles, and has infinities at 0."""
    left, part = x <= 0, x - np.round(x)
    known = scipy.special.psi(np.where(left, 1 - x, x).astype(np.float64))
    angle = np.longdouble("3.14159265358979323846") * part.astype(np.longdouble)
    return np.where(left, np.where(part == 0, np.nan, known - angle / part / np.tan(angle)), known)


def rounded_away(x: Wide) -> Wide:
    whole = np.trunc(x)
    return whole + np.copysign(np.abs(x - whole) >= 0.5, x)


def sign(x: Wide) -> Wide:
    return np.copysign(np.sign(x), x)


ALL = (-np.inf, np.inf)  # every bit pattern is as likely as another
UNIT = (-1.0, 1.0)
CASES = {
    "exp": Case(np.exp, (0.95, 0.95), ((-110, 95), UNIT, ALL), ((-750, 715),)),
    "exp2": Case(np.exp2, (0.95, 0.95), ((-152, 130), UNIT, ALL), ((-1080, 1030),)),
    "expm1": Case(np.expm1, (1.5, 1.9), ((-20, 90), (-2, 2), ALL), ((-50, 712),)),
    "log": Case(np.log, (1.0, 0.9), ((0, 4), (0.6, 1.6), (0, 1e-37), ALL), ((0, 1e-307),)),
    "log1p": Case(np.log1p, (1.6, 0.95), ((-1, 3), (-0.5, 0.5), ALL)),
    "tanh": Case(np.tanh, (1.5, 1.5), ((-10, 10), UNIT, ALL), ((-20, 20),)),
    "logistic": Case(logistic, (1.75, 1.75), ((-110, 40), (-3, 3), ALL), ((-750, 60),)),
    "sin": Case(np.sin, (1.75, 2.0), ((-10, 10), (-1e5, 1e5), ALL), ((-1e9, 1e9),)),
    "cos": Case(np.cos, (1.75, 2.0), ((-10, 10), (-1e5, 1e5), ALL), ((-1e9, 1e9),)),
    "tan": Case(np.tan, (0.6, 4.0), ((-10, 10), (-1e5, 1e5), ALL), ((-1e9, 1e9),)),
    "sinh": Case(np.sinh, (1.75, 1.75), ((-91, 91), (-2, 2), ALL), ((-712, 712),)),
    "cosh": Case(np.cosh, (1.3, 1.3), ((-91, 91), (-2, 2), ALL), ((-712, 712),)),
    "asin": Case(np.arcsin, (1.75, 1.75), (UNIT, (-1e-6, 1e-6), ALL)),
    "acos": Case(np.arccos, (1.25, 1.25), (UNIT, (0.9999, 1), ALL)),
    "atan": Case(np.arctan, (1.3, 1.75), ((-5, 5), ALL)),
    "asinh": Case(np.arcsinh, (0.6, 1.75), ((-5, 5), (-1e12, 1e12), ALL)),
    "acosh": Case(np.arccosh, (0.6, 2.0), ((1, 5), (1, 1e12), ALL)),
    "atanh": Case(np.arctanh, (0.6, 2.0), (UNIT, (-1e-6, 1e-6), ALL)),
    "cbrt": Case(np.cbrt, (0.75, 0.6), ((-9, 9), (-1e-38, 1e-38), ALL), ((-1e-307, 1e-307),)),
    "rsqrt": Case(lambda x: 1 / np.sqrt(x), (1.5, 1.5), ((0, 9), ALL)),
    "sign": Case(sign, (0, 0), ((-5, 5), ALL)),
    "round_away": Case(rounded_away, (0, 0), ((-5, 5), (-500, 500), (0, 2.0**25), ALL)),
    # Relative errors of 3e-7 of float32 near ±1, of 4e-16 of float64 near 0.
    "erf": Case(special("erf"), (5.6, 2.0), ((-5, 5), UNIT, ALL)),
    # SciPy errs by 10 units in float64, and more at great arguments: see the test below.
    "erfc": Case(special("erfc"), (4.0, 14.0), ((-5, 1), UNIT, (-1e-9, 1e-9))),
    # A relative error of 5e-16 and SciPy's in float64.
    "erf_inv": Case(special("erfinv"), (4.0, 8.0), (UNIT, (0.99, 1), (-1e-9, 1e-9))),
    # SciPy errs by up to 40 units in float64; see the test of exact values below.
    "erfcx": Case(erfcx, (4.0, 10.0), ((-9, 10), (-1e-4, 1e-4), ALL), ((-26, 30),)),
    "log_ndtr": Case(log_ndtr, (5.0, 12.0), ((-12, 12), UNIT, ALL), ((-40, 37),)),
    "ndtri": Case(special("ndtri"), (4.0, 8.0), ((0, 1), (0, 1e-3), (0.999, 1), (0, np.inf), ALL)),
    "dawsn": Case(special("dawsn"), (4.0, 40.0), ((-9, 9), (-1e-4, 1e-4), ALL)),
    # Computed in float64; there see the test of exact values below, for SciPy errs as much.
    "lgamma": Case(lgamma, (0.51, 9.0), ((0, 3), (0, 40), (0, 1e6), (0, np.inf)), ((0, 1e-307),)),
    "digamma": Case(digamma, (0.51, 9.0), ((0, 3), (0, 40), (0, 1e6), (0, np.inf)), ((0, 1e-307),)),
    # SciPy errs by up to 5 units in float64, ours by 3.
    "bessel_i0e": Case(special("i0e"), (3.0, 8.0), ((-9, 9), (-60, 60), ALL)),
    "bessel_i1e": Case(special("i1e"), (3.5, 10.0), ((-9, 9), (-60, 60), (-1e-37, 1e-37), ALL)),
}
DTYPES = (np.float32, np.float64)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=("float32", "float64"))
one_operand = pytest.mark.parametrize("op", CASES)


def points(case: Case, dtype: Any) -> Any:
    """Regular and random points of each range; (0, ∞) is every positive bit pattern."""
    rng = np.random.default_rng(7)
    whole = np.dtype(f"i{np.dtype(dtype).itemsize}")
    parts: list[Any] = []
    for low, high in case.ranges + (case.wider if dtype == np.float64 else ()):
        if np.isinf(high):
            least, most = (0 if low == 0 else np.iinfo(whole).min), np.iinfo(whole).max
            parts.append(rng.integers(least, most, POINTS, whole).view(dtype))
        else:
            parts += [np.linspace(low, high, POINTS), rng.uniform(low, high, POINTS)]
    return np.concatenate([np.asarray(p, dtype) for p in parts])


def specials(dtype: Any) -> Any:
    """Signed zeros, infinities, NaN, subnormals, extremes and small integers."""
    info = np.finfo(dtype)
    sizes = [0, np.inf, info.smallest_subnormal, info.tiny / 4, info.tiny, info.max]
    values = [*sizes, 0.5, 1, 1.5, 2, 3, 4, 100, 101, 2.0**30]
    return np.array([np.nan, *values, *(-v for v in values)], dtype)


def reference_of(case: Case, *xs: Any) -> Any:
    wide = np.float64 if xs[0].dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        return np.asarray(case.reference(*(x.astype(wide) for x in xs)))


def errors(out: Any, exact: Any) -> Any:
    """Errors in units of the last place; infinite where only one is NaN or infinite."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rounded = exact.astype(out.dtype)
        off = np.abs(out.astype(exact.dtype) - exact) / np.spacing(np.abs(rounded))
    same = (out == rounded) | (np.isnan(out) & np.isnan(rounded))
    finite = np.isfinite(out) & np.isfinite(rounded)
    return np.where(finite, off, np.where(same, 0, np.inf)).astype(np.float64)


def computed(op: str, *xs: Any) -> Any:
    names = "xy"[: len(xs)]
    expression = expand(op, tuple(variable(xs[0].dtype, n) for n in names))
    assert expression is not None
    return evaluate(expression, dict(zip(names, xs, strict=True)))


@both_dtypes
@one_operand
def test_accuracy(op: str, dtype: Any) -> None:
    case = CASES[op]
    x = points(case, dtype)
    off = errors(computed(op, x), reference_of(case, x))
    worst = int(np.argmax(off))
    assert off[worst] <= case.ulps[DTYPES.index(dtype)], (x[worst], off[worst])


@both_dtypes
@one_operand
def test_special_values(op: str, dtype: Any) -> None:
    case, x = CASES[op], specials(dtype)
    out, exact = computed(op, x), reference_of(case, x)
    off = errors(out, exact)
    assert (off <= case.ulps[DTYPES.index(dtype)]).all(), x[off > 2]
    differs = (np.signbit(out) != np.signbit(exact)) & ~np.isnan(exact)
    assert not differs.any(), x[differs]


def test_great_multiples_of_half_pi() -> None:
    """The float64 nearest to a multiple of π/2 (J.-M. Muller, Elementary Functions, 2016)."""
    x = np.array([6381956970095103 * 2.0**797])
    exact = np.array([-4.68716592425462761112e-19])
    assert errors(computed("cos", x), exact) <= 2
    assert errors(computed("tan", x) * exact, np.sin(x)) <= 4


def test_erfc_of_great_arguments() -> None:
    """Values to 20 digits by mpmath."""
    exact = {
        3.0: 0.000022090496998585441373,
        4.5: 1.9661604415428874763e-10,
        6.25: 9.6722041318762539915e-19,
        9.0: 4.1370317465138102381e-37,
        13.5: 2.9494331132579882648e-81,
        20.0: 5.3958656116079009289e-176,
        26.0: 5.6631924088561428465e-296,
        27.0: 5.237048923789255685e-319,
    }
    out = computed("erfc", np.array(list(exact)))
    assert (errors(out, np.array(list(exact.values()))) <= 4).all()
    x = np.linspace(1, 11, POINTS).astype(np.float32)
    assert (errors(computed("erfc", x), scipy.special.erfc(x.astype(np.float64))) <= 4).all()


def test_erf_inv_near_one() -> None:
    """Values to 20 digits by mpmath."""
    exact = {
        0.25: 0.22531205501217810473,
        0.9995: 2.4612664571717322771,
        1 - 2.0**-24: 3.8325068569007109095,
        1 - 2.0**-40: 5.0512540852493899671,
        1 - 2.0**-53: 5.8635847487551679272,
    }
    out = computed("erf_inv", np.array(list(exact)))
    assert (errors(out, np.array(list(exact.values()))) <= 4).all()


# To 20 digits by mpmath.
NORMAL = {
    "erfcx": {
        -26.5: 1.9245531624185688092e305,
        -3.25: 77315.136403756076712,
        -0.125: 1.1582735720912206853,
        0.5: 0.61569034419292587487,
        3.5: 0.1552936556088942974,
        27.0: 0.020881607990420940674,
        1000.0: 0.0005641893014533876542,
        10000000000.0: 5.6418958354775628695e-11,
    },
    "log_ndtr": {
        -10000000000.0: -50000000000000000024.0,
        -1000.0: -500007.82669481218431,
        -37.5: -707.66898931750719107,
        -3.25: -7.4576248913741120357,
        -0.125: -0.79792614275302409024,
        0.5: -0.36894641528865639307,
        3.5: -0.00023265614137680455218,
        8.25: -7.9197263146424776546e-17,
        37.5: -4.6053530095819548438e-308,
    },
    "ndtri": {
        5e-324: -38.467405617144346251,
        1e-300: -37.047096299361199237,
        1e-20: -9.2623400897984075796,
        1.4551915228366852e-11: -6.6510353798930105467,
        0.001: -3.0902323061678135354,
        0.0625: -1.5341205443525463117,
        0.25: -0.6744897501960817432,
        0.75: 0.6744897501960817432,
        0.9375: 1.5341205443525463117,
        0.9999990463256836: 4.763001034267813957,
    },
    "dawsn": {
        1e-05: 9.9999999993333341514e-6,
        0.5: 0.42443638350202229593,
        0.924138873004592: 0.54104422463518169847,
        3.125: 0.17001871009157667536,
        3.5: 0.14962159308075648475,
        6.125: 0.082767343819290299305,
        6.5: 0.077867818986069871389,
        40.0: 0.012503909917843973199,
    },
}


@pytest.mark.parametrize("op", NORMAL)
def test_functions_of_the_normal_distribution(op: str) -> None:
    exact = NORMAL[op]
    out = computed(op, np.array(list(exact)))
    assert (errors(out, np.array(list(exact.values()))) <= 4).all()


# To 20 digits by mpmath.
LGAMMA = {
    1e-300: 690.77552789821370518,
    0.1: 2.252712651734205902,
    0.75: 0.20328095143129537148,
    1.0000000009313226: -5.3757397843110444569e-10,
    1.25: -0.098271836421813161464,
    1.9999999990686774: -3.937485951913020681e-10,
    2.75: 0.47521466691493713031,
    3.5: 1.2009736023470742248,
    4.25: 2.1144569274503714755,
    7.5: 7.5343642367587329552,
    30.0: 71.25703896716800901,
    1e10: 220258509288.81058147,
    1e305: 7.0128845336318389096e307,
    -0.5: 1.2655121234846453965,
    -1e-200: 460.51701859880913682,
    -1.75: 1.0160888092144356985,
    -3.25: -0.62315345132099864663,
    -17.125: -31.758033741522611705,
}
DIGAMMA = {
    1e-300: -9.9999999999999997494e299,
    0.1: -10.423754940411076232,
    0.75: -1.0858608797864721696,
    1.25: -0.22745353337626540809,
    1.46: -0.0015805619870834521062,
    1.4616321449683622: -9.2412655217294275168e-17,
    1.4616321449683625: 1.2245374622004069031e-16,
    2.75: 0.81890102497543259228,
    3.5: 1.1031566406452431872,
    4.25: 1.3246832187604867287,
    7.5: 1.9467574842460867881,
    30.0: 3.3844381326855248766,
    1e10: 23.02585092989045684,
    1e305: 702.28845336318393356,
    -0.5: 0.036489973978576520559,
    -1e-200: 1.0000000000000000179e200,
    -1.75: -2.3226916286143606462,
    -3.25: 4.4662758723502799671,
    -17.125: 10.453927996426354824,
}


@pytest.mark.parametrize(("op", "exact"), [("lgamma", LGAMMA), ("digamma", DIGAMMA)])
def test_the_gamma_family_in_float64(op: str, exact: dict[float, float]) -> None:
    """Of negative numbers a zero is no nearer than other numbers: the error counts beside 1."""
    x, wanted = np.array(list(exact)), np.array(list(exact.values()))
    out = computed(op, x)
    scale = np.where(x < 0, np.maximum(np.abs(wanted), 1), np.abs(wanted))
    assert (np.abs(out - wanted) <= 5 * np.spacing(scale)).all()


@both_dtypes
@pytest.mark.parametrize("op", ["lgamma", "digamma"])
def test_the_gamma_family_left_of_zero(op: str, dtype: Any) -> None:
    x = np.random.default_rng(17).uniform(-60, 0, POINTS).astype(dtype)
    out, exact = computed(op, x), reference_of(CASES[op], x)
    scale = np.maximum(np.abs(exact), 1) * np.finfo(dtype).eps
    assert (np.abs(out - exact) <= (0.51 if dtype == np.float32 else 40) * scale).all()
    poles = -np.array([0, 1, 2, 17, 1e6, 2.0**60], dtype)
    np.testing.assert_array_equal(computed(op, poles), np.inf if op == "lgamma" else np.nan)


def plane(dtype: Any) -> tuple[Any, Any]:
    """Pairs of special values, of any bits, and of moderate values."""
    rng = np.random.default_rng(11)
    whole = np.dtype(f"i{np.dtype(dtype).itemsize}")
    info, edges = np.iinfo(whole), specials(dtype)
    bits = [rng.integers(info.min, info.max, POINTS, whole).view(dtype) for _ in range(2)]
    small = [rng.uniform(-4, 4, POINTS).astype(dtype) for _ in range(2)]
    x, y = (g.ravel() for g in np.meshgrid(edges, edges))
    return np.concatenate([x, bits[0], small[0]]), np.concatenate([y, bits[1], small[1]])


@both_dtypes
def test_atan2(dtype: Any) -> None:
    y, x = plane(dtype)
    case = Case(np.arctan2, (1.75, 1.75), ())
    out, exact = computed("atan2", y, x), reference_of(case, y, x)
    assert (errors(out, exact) <= 1.75).all()
    assert (np.signbit(out) == np.signbit(exact))[~np.isnan(exact)].all()


@both_dtypes
def test_pow(dtype: Any) -> None:
    x, y = plane(dtype)
    rng = np.random.default_rng(13)
    # Bases near 1 with great exponents lose the most digits.
    near = rng.uniform(0.5, 2, POINTS).astype(dtype)
    far = np.exp(rng.uniform(-60, 60, POINTS)).astype(dtype)
    limit = 88 if dtype == np.float32 else 709
    great = [rng.uniform(-limit, limit, POINTS) / np.log(b) for b in (near, far)]
    whole = rng.integers(-30, 30, (2, POINTS)).astype(dtype)
    x = np.concatenate([x, near, far, whole[0]])
    y = np.concatenate([y, *(g.astype(dtype) for g in great), whole[1]])
    case = Case(np.power, (0.6, 1.6), ())
    out, exact = computed("pow", x, y), reference_of(case, x, y)
    assert (errors(out, exact) <= case.ulps[DTYPES.index(dtype)]).all()
    assert (np.signbit(out) == np.signbit(exact))[~np.isnan(exact)].all()


@pytest.mark.parametrize("dtype", [np.float16, bfloat16])
def test_nextafter_of_16_bits(dtype: Any) -> None:
    every = np.arange(2**16).astype(np.uint16).view(dtype)
    goals = np.array([0, -0.0, 1, -1, np.inf, -np.inf, np.nan], dtype)
    for goal in goals:
        y = np.full_like(every, goal)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out, exact = computed("nextafter", every, y), np.nextafter(every, y)
            # Of two zeros NumPy's float16 gives the first, its other formats the second, as C does.
            known = ~np.isnan(exact) & (every != y)
        assert (np.isnan(out) == np.isnan(exact)).all()
        np.testing.assert_array_equal(out[known].view(np.uint16), exact[known].view(np.uint16))


@both_dtypes
def test_nextafter(dtype: Any) -> None:
    x, y = plane(dtype)
    with np.errstate(all="ignore"):
        out, exact = computed("nextafter", x, y), np.nextafter(x, y)
    np.testing.assert_array_equal(out, exact)
    assert (np.signbit(out) == np.signbit(exact))[~np.isnan(exact)].all()


def test_every_function_is_tried() -> None:
    assert set(FUNCTIONS) == {*CASES, "atan2", "pow", "nextafter"}


def test_other_operations_and_dtypes_have_no_formula() -> None:
    assert expand("add", (variable(np.float32), variable(np.float32))) is None
    assert expand("exp", (variable(np.complex64),)) is None


@pytest.mark.parametrize(
    ("op", "most"),
    [("exp", 22), ("log", 30), ("tanh", 30), ("logistic", 24), ("sin", 22), ("cos", 22)],
)
def test_hot_functions_of_float32_are_short(op: str, most: int) -> None:
    expression = expand(op, (variable(np.float32),))
    assert expression is not None
    assert count(expression)[0] <= most


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("exponent", [-4, -2.5, -2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2, 2.5, 3.5, 4])
def test_pow_by_a_constant(exponent: float, dtype: Any) -> None:
    """By products and a root: a few ulps, and the special values of pow."""
    from funcgrad.ir.loops import const

    rng = np.random.default_rng(0)
    tiny = np.finfo(dtype).smallest_subnormal
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, -2.0, tiny, 4 * tiny, 1e30, 1e-30]
    x = np.concatenate([edges, rng.uniform(0, 100, POINTS)]).astype(dtype)
    power = expand("pow", (variable(dtype), const(exponent, dtype)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = evaluate(power, {"x": x})
        wide = np.power(x.astype(np.longdouble), np.longdouble(exponent))
        want = wide.astype(dtype)
        normal = np.isfinite(want) & (np.abs(want) >= np.finfo(dtype).tiny)
        # Where x itself is subnormal the product of a few roundings is all there is.
        normal &= (np.abs(x) >= np.finfo(dtype).tiny) & (np.isfinite(got))
        error = np.abs(got - wide)[normal] / np.spacing(np.abs(want[normal]))
    assert error.max() <= 4.5
    others = ~normal & (np.abs(x) >= np.finfo(dtype).tiny) | (x == 0) | ~np.isfinite(x)
    special = others & (~np.isfinite(want) | (want == 0))
    np.testing.assert_array_equal(got[special], want[special])
    assert np.array_equal(np.signbit(got[x == 0]), np.signbit(want[x == 0]))
