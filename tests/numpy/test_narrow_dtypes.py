"""Integers of 1, 2, 4 bits, floats of 4, 6, 8: conversions, promotion, what computes on them."""

from __future__ import annotations

import pickle

import ml_dtypes
import numpy as np
import pytest

import funcgrad as fg
from funcgrad import dtypes, lax
from funcgrad import numpy as fnp
from funcgrad.dtypes import TypePromotionError

INTEGERS = {
    **{"int1": (-1, 0), "int2": (-2, 1), "int4": (-8, 7)},
    **{"uint1": (0, 1), "uint2": (0, 3), "uint4": (0, 15)},
}
# Largest number, and what an overflow becomes.
FLOATS = {
    "float4_e2m1fn": (6.0, 6.0),
    "float6_e2m3fn": (7.5, 7.5),
    "float6_e3m2fn": (28.0, 28.0),
    "float8_e3m4": (15.5, np.inf),
    "float8_e4m3": (240.0, np.inf),
    "float8_e4m3b11fnuz": (30.0, np.nan),
    "float8_e4m3fn": (448.0, np.nan),
    "float8_e4m3fnuz": (240.0, np.nan),
    "float8_e5m2": (57344.0, np.inf),
    "float8_e5m2fnuz": (57344.0, np.nan),
    "float8_e8m0fnu": (2.0**127, np.nan),
}
ALL = [*INTEGERS, *FLOATS]
SIGNED_FLOATS = [name for name in FLOATS if name != "float8_e8m0fnu"]

every = pytest.mark.parametrize("name", ALL)
both = pytest.mark.parametrize(
    "run", [lambda f: lambda a: f(fnp.asarray(a)), fg.jit], ids=["eager", "jit"]
)
x = np.array([1, 2, 0.5, 1, 3, 1.5, 2, 0.25], np.float32)


def plain(x):
    return np.asarray(x).astype(np.float64)


@both
@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("source", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_floats_saturate_to_integers(name, source, run):
    low, high = INTEGERS[name]
    given = np.array([100, -100, np.inf, -np.inf, np.nan, 1.9, -1.9, high, low]).astype(source)
    expected = [high, low, high, low, 0, min(1, high), max(-1, low), high, low]
    with fg.enable_x64(True):
        found = run(lambda a: a.astype(name))(given)
    assert found.dtype.name == name
    np.testing.assert_array_equal(plain(found), expected)


@both
@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("source", [np.int8, np.uint8, np.int32, np.uint32])
def test_integers_wrap(name, source, run):
    bits, low = dtypes.itemsize_bits(name), INTEGERS[name][0]
    given = np.arange(100).astype(source) if source in (np.uint8, np.uint32) else np.arange(-50, 50)
    given = given.astype(source)
    found = run(lambda a: a.astype(name))(given)
    np.testing.assert_array_equal(plain(found), (given.astype(np.int64) - low) % 2**bits + low)
    back = run(lambda a: a.astype("int32"))(found)
    np.testing.assert_array_equal(back, plain(found))


@both
@pytest.mark.parametrize("name", FLOATS)
def test_floats_round_once(name, run):
    """Each number is the nearest there is: no other one lies nearer."""
    largest, beyond = FLOATS[name]
    kind = np.dtype(getattr(ml_dtypes, name))
    all_numbers = np.arange(2 ** dtypes.itemsize_bits(name), dtype=np.uint8).view(kind)
    grid = np.unique(plain(all_numbers)[np.isfinite(plain(all_numbers))])
    given = np.concatenate([x, -x, [largest, largest / 3, 0.3, 1e-3]]).astype(np.float32)
    given = given[given > 0] if name == "float8_e8m0fnu" else given
    found = plain(run(lambda a: a.astype(name))(given))
    nearest = np.abs(given[:, None].astype(np.float64) - grid).min(axis=1)
    np.testing.assert_array_equal(np.abs(given - found), nearest)
    over = plain(run(lambda a: a.astype(name))(np.float32([min(largest * 3, 3e38), np.nan])))
    np.testing.assert_equal(over[0], beyond)
    assert np.isnan(over[1]) or name.startswith(("float4", "float6"))
    every_one = np.asarray(all_numbers)
    again = run(lambda a: a.astype("float32").astype(name))(every_one)
    np.testing.assert_array_equal(plain(again), plain(every_one))


@every
def test_names_dtypes_and_printing(name):
    scalar = getattr(fnp, name)
    dtype = np.dtype(getattr(ml_dtypes, name))
    assert scalar.dtype == dtype == fnp.ones(2, name).dtype == np.dtype(getattr(dtypes, name))
    assert scalar(1).shape == () and int(scalar(1)) == (-1 if name == "int1" else 1)
    assert f"dtype={name})" in repr(fnp.ones(2, name))
    whole = name in INTEGERS
    assert dtypes.issubdtype(dtype, np.integer) == whole
    assert dtypes.issubdtype(dtype, np.floating) != whole
    assert dtypes.issubdtype(dtype, np.signedinteger) == name.startswith("int")
    assert dtypes.itemsize_bits(dtype) == int(name.split("_")[0].strip("intufloa"))
    limits = fnp.iinfo(dtype) if whole else fnp.finfo(dtype)
    assert float(limits.max) == (INTEGERS[name][1] if whole else FLOATS[name][0])
    assert f":{'iuf'['iuf'.index(name[0])]}" in str(fg.make_jaxpr(lambda a: a)(fnp.ones(2, name)))
    again = pickle.loads(pickle.dumps(fnp.ones(2, name)))
    assert again.dtype == dtype


@every
def test_promotion_is_explicit(name):
    a = fnp.ones(2, name)
    for weak in (1, True, a, *([] if name in INTEGERS else [1.5])):
        assert (a * weak).dtype == a.dtype
    wider = [fnp.float32, fnp.float16, *([fnp.int8, fnp.int32] if name in INTEGERS else [])]
    for other in (*wider, fnp.int2 if name != "int2" else fnp.int4):
        if name in FLOATS and other is fnp.int2:
            continue
        with pytest.raises(TypePromotionError, match="astype"):
            _ = a + fnp.ones(2, other)
    with pytest.raises(TypePromotionError):
        _ = a + 1j
    if name in INTEGERS:
        with pytest.raises(TypePromotionError):
            _ = a + 1.5
        assert fnp.sin(a).dtype == (a / a).dtype == np.float32
        assert a.sum().dtype == (np.uint32 if name[0] == "u" else np.int32)
    else:
        assert (a + fnp.ones(2, fnp.int8)).dtype == a.dtype
        assert fnp.sin(a).dtype == a.sum().dtype == a.dtype


OPERATIONS = {
    "add": lambda a: a + a[::-1],
    "mul": lambda a: a * a,
    "sub": lambda a: a - a[::-1],
    "floor_divide": lambda a: a // 2,
    "remainder": lambda a: a % 2,
    "compare": lambda a: a < a[::-1],
    "where": lambda a: fnp.where(a > 1, a, a * 2),
    "dot": lambda a: a @ a,
    "sort": fnp.sort,
    "argmax": fnp.argmax,
    "max": fnp.max,
    "cumsum": fnp.cumsum,
    "reshape": lambda a: a.reshape(2, 4).T,
    "take": lambda a: a[fnp.array([3, 0])],
    "set": lambda a: a.at[1].set(3),
    "concatenate": lambda a: fnp.concatenate([a, a]),
    "floor": fnp.floor,
    "isfinite": fnp.isfinite,
    "full": lambda a: fnp.full(3, 1, a.dtype),
    "iota": lambda a: lax.iota(a.dtype, 3),
    "while": lambda a: lax.fori_loop(0, 3, lambda i, c: c + a, a),
    "scan": lambda a: lax.scan(lambda c, v: (c + v, c), a[0], a)[1],
    "cond": lambda a: lax.cond(a[0] > 0, lambda v: v * v, lambda v: v, a),
    "vmap": lambda a: fg.vmap(lambda v: v * v)(a),
    "checkpoint": lambda a: fg.checkpoint(lambda v: v * v)(a),
}
NAMES = ["int4", "uint2", "float8_e4m3fn", "float4_e2m1fn", "float6_e3m2fn", "float8_e5m2"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", NAMES)
def test_operations_are_those_of_a_wider_dtype(name, operation):
    """Rounded or wrapped after each step, and the same when compiled."""
    f = OPERATIONS[operation]
    a = fnp.asarray(x).astype(name)
    found = f(a)
    np.testing.assert_array_equal(plain(fg.jit(f)(a)), plain(found))
    wide = f(a.astype("int32" if name in INTEGERS else "float32"))
    expected = wide if found.dtype.kind in "bi" and name in FLOATS else wide.astype(found.dtype)
    # Between the steps of a loop a narrow dtype rounds and wraps as well.
    if operation not in ("while", "scan", "cumsum"):
        np.testing.assert_array_equal(plain(found), plain(expected))
    assert found.shape == wide.shape


def test_wrapping_and_rounding():
    a = fnp.array([7, -8, 3], "int4")
    np.testing.assert_array_equal(plain(a + 1), [-8, -7, 4])
    np.testing.assert_array_equal(plain(a * a), [1, 0, -7])
    np.testing.assert_array_equal(plain(-a), [-7, -8, -3])
    np.testing.assert_array_equal(a.sum(), 2)
    np.testing.assert_array_equal(plain(a >> 1), [3, -4, 1])
    np.testing.assert_array_equal(plain(fnp.array([3, 12], "uint4") >> 1), [1, 6])
    b = fnp.array([17.0, 448.0], "float8_e4m3fn")
    np.testing.assert_array_equal(plain(b), [16, 448])
    np.testing.assert_array_equal(plain(b + b), [32, np.nan])
    c = fnp.array([fnp.float8_e4m3fn(0.1)] * 100)
    # Added in float32 and rounded once: steps of 8 would stand still long before 10.
    assert plain(c.sum()) == 10.0


def test_one_bit():
    """It is a sign in `int1`, whose numbers are 0 and -1."""
    a, u = fnp.array([0, -1, -1], "int1"), fnp.array([0, 1, 1], "uint1")
    for f in (lambda a: a + a[::-1], lambda a: a * a, lambda a: a & a[::-1], lambda a: ~a):
        for each, sign in ((a, -1), (u, 1)):
            wide = plain(f(each.astype("int32"))) % 2 * sign
            np.testing.assert_array_equal(plain(f(each)), wide)
            np.testing.assert_array_equal(plain(fg.jit(f)(each)), wide)
    np.testing.assert_array_equal(plain(fnp.array([False, True]).astype("int1")), [0, -1])
    np.testing.assert_array_equal(a.astype("bool"), [False, True, True])


def test_rules_that_read_bits_refuse():
    for call in (
        lambda: lax.population_count(fnp.ones(2, "int4")),
        lambda: lax.clz(fnp.ones(2, "uint4")),
        lambda: lax.shift_right_logical(fnp.ones(2, "int4"), fnp.ones(2, "int4")),
        lambda: fnp.nextafter(fnp.ones(2, "float8_e5m2"), fnp.ones(2, "float8_e5m2")),
        lambda: lax.bitcast_convert_type(fnp.ones(2, "int4"), "int8"),
    ):
        with pytest.raises(TypeError, match="stored"):
            call()
    bits = lax.bitcast_convert_type(fnp.ones(2, "float8_e4m3fn"), "uint8")
    np.testing.assert_array_equal(bits, [0x38, 0x38])
    np.testing.assert_array_equal(lax.bitcast_convert_type(bits, "float8_e4m3fn"), [1, 1])


@pytest.mark.parametrize("name", SIGNED_FLOATS)
def test_derivatives(name):
    a = fnp.asarray(x).astype(name)
    slope = fg.grad(lambda a: ((a * a).astype("float32")).sum())
    for run in (slope, fg.jit(slope)):
        assert run(a).dtype == a.dtype
        np.testing.assert_array_equal(plain(run(a)), plain((a.astype("float32") * 2).astype(name)))
    with pytest.raises(TypeError, match="real or complex|inexact|float"):
        fg.grad(lambda a: a.astype("float32").sum())(fnp.ones(2, "int4"))


def test_weights_stored_in_eight_bits():
    """What they are for: small in memory, wide when computed with."""
    w = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
    stored, v = fnp.asarray(w).astype("float8_e4m3fn"), np.ones(3, np.float32)
    f = fg.jit(lambda w, v: v @ w.astype("float32"))
    np.testing.assert_allclose(f(stored, v), v @ plain(stored), rtol=1e-6)
    assert stored.nbytes == w.nbytes // 4


@pytest.mark.parametrize("how", ["source", "python", "numpy"])
def test_every_way_to_run_a_program(how):
    def f(a, stored):
        b = a.astype(stored.dtype)
        looped = lax.fori_loop(0, 3, lambda i, c: c + b, b)
        return looped, looped.astype("float32") * 2 + stored.astype("float32")

    for name in ("int4", "float8_e5m2", "float8_e4m3fn"):
        args = x, fnp.ones(8, name)
        expected = fg.jit(f)(*args)
        try:
            fg.config.update("lowering", how)
            found = fg.jit(lambda *args: f(*args))(*args)
        finally:
            fg.config.update("lowering", "fast")
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(plain(a), plain(b))


# JAX has their names, and reads what it makes of them as booleans or not at all.
UNKNOWN_TO_XLA = ("int1", "uint1", "float6_e2m3fn", "float6_e3m2fn")
CASES = """
fnp.arange(-20, 20).astype(name)
fnp.array([1000.0, -1000.0, 0.3, 448.0, 460.0, 470.0, fnp.inf, fnp.nan, -0.0]).astype(name)
fnp.ones(3, name) + fnp.ones(3, name) * 2
fnp.array([1.0, 2.0, 3.0, -1.0]).astype(name).astype('int8')
fnp.array([1.0, 2.0, 3.0]).astype(name) * True
""".strip().splitlines()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", [name for name in ALL if name not in UNKNOWN_TO_XLA])
def test_agrees_with_jax(name, case):
    jnp = pytest.importorskip("jax.numpy", reason="JAX is the reference")
    ours, theirs = (eval(case, {"fnp": module, "name": name}) for module in (fnp, jnp))
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(plain(ours), plain(theirs))
