"""Reductions and general folds against NumPy, by hand, and against JAX where it is installed."""

import numpy as np
import pytest

from funcgrad.config import enable_x64
from funcgrad.control.folds import reduce
from funcgrad.core.staging import stage
from funcgrad.ir import dtypes
from funcgrad.ir.avals import ShapedArray
from funcgrad.primitives import arithmetic, cumulative, reduction
from funcgrad.transforms.jvp import jvp_flat

NAMES = ("sum", "prod", "max", "min")
HALVES = (np.dtype(np.float16), np.dtype(dtypes.bfloat16))


def tangent(function, x, t):
    _, (found,) = jvp_flat(lambda v: [function(v)], [x], [t])
    return np.asarray(found)


def test_small_integers_wrap_around():
    x = np.array([100, 100, 100], np.int8)
    assert np.asarray(reduction.reduce_sum(x, (0,))) == np.int8(44)
    assert np.asarray(cumulative.cumsum(x)).tolist() == [100, -56, 44]


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precisions_add_in_float32(dtype):
    x = np.ones(5000, dtype)
    out = np.asarray(reduction.reduce_sum(x, (0,)))
    assert out.dtype == dtype
    assert out == np.asarray(5000).astype(dtype)


@pytest.mark.parametrize(
    ("name", "dtype", "want"),
    [
        ("max", np.float32, -np.inf),
        ("min", np.int8, 127),
        ("max", np.bool_, False),
        ("and", np.uint8, 255),
        ("or", np.bool_, False),
        ("sum", np.float32, 0),
        ("prod", np.int32, 1),
    ],
)
def test_an_empty_axis_gives_the_identity(name, dtype, want):
    out = getattr(reduction, f"reduce_{name}")(np.zeros((0, 2), dtype), (0,))
    assert out.dtype == dtype
    assert np.asarray(out).tolist() == [want, want]


def test_nan_comes_first():
    x = np.array([1.0, np.nan, 5.0, np.nan], np.float32)
    assert np.isnan(np.asarray(reduction.reduce_max(x, (0,))))
    assert int(reduction.argmax(x, 0, np.int32)) == 1
    assert int(reduction.argmin(x, 0, np.int32)) == 1


def test_ties_of_an_extremum_share_the_tangent():
    x = np.array([3.0, 1.0, 3.0], np.float32)
    t = np.array([1.0, 10.0, 4.0], np.float32)
    assert tangent(lambda v: reduction.reduce_max(v, (0,)), x, t) == 2.5


def test_a_product_with_zeros_has_its_derivative():
    x = np.array([2.0, 0.0, 5.0], np.float32)
    t = np.array([1.0, 1.0, 1.0], np.float32)
    assert tangent(lambda v: reduction.reduce_prod(v, (0,)), x, t) == 10.0
    assert tangent(lambda v: cumulative.cumprod(v), x, t).tolist() == [1.0, 2.0, 10.0]


def test_cumlogsumexp_from_minus_infinity_has_a_finite_tangent():
    x = np.array([-np.inf, 0.0, 0.0], np.float32)
    found = tangent(cumulative.cumlogsumexp, x, np.ones(3, np.float32))
    assert found.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: reduction.reduce_sum(x, (2,)), ValueError, r"axes \(2,\) out of range"),
        (lambda x: reduction.reduce_sum(x, (0, 0)), ValueError, "duplicate axes"),
        (lambda x: reduction.reduce_sum(x > 0, (0,)), TypeError, "does not accept dtype bool"),
        (lambda x: reduction.reduce_and(x, (0,)), TypeError, "does not accept dtype f32"),
        (lambda x: reduction.argmax(x[:0], 0, np.int32), ValueError, "empty sequence"),
        (lambda x: reduction.argmax(x, 0, np.float32), TypeError, "not an integer dtype"),
        (lambda x: cumulative.cumsum(x, -1), ValueError, "no negative axis"),
        (lambda x: cumulative.cumsum(x, 2), ValueError, "out of bounds"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(np.ones((2, 3), np.float32))


def test_a_fold_by_a_named_function_is_the_named_reduction():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    closed = stage(
        lambda v: [reduce(v, 0.0, arithmetic.add, (1,))], [ShapedArray((2, 3), np.float32)]
    )
    assert [e.primitive.name for e in closed.eqns] == ["reduce_sum"]
    assert np.asarray(reduce(x, -np.inf, arithmetic.max, (0,))).tolist() == [3.0, 4.0, 5.0]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 8])
def test_a_general_fold_keeps_the_order(count):
    x = np.arange(1, count + 1, dtype=np.float32)

    def last(a, b):
        return arithmetic.add(arithmetic.mul(a, np.float32(0)), b)

    assert float(reduce(x, np.float32(0), last, (0,))) == count


def test_a_fold_of_two_arrays_finds_an_argmax():
    from funcgrad.primitives.comparison import ge
    from funcgrad.primitives.selection import select

    def better(a, b):
        keep = ge(a[0], b[0])
        return select(keep, a[0], b[0]), select(keep, a[1], b[1])

    x = np.array([[1.0, 9.0, 3.0], [4.0, 0.0, 2.0]], np.float32)
    index = np.broadcast_to(np.arange(3, dtype=np.int32), x.shape)
    best, where = reduce((x, index), (np.float32(-np.inf), np.int32(-1)), better, (1,))
    assert np.asarray(best).tolist() == [9.0, 4.0]
    assert np.asarray(where).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("starts", "function", "error", "words"),
    [
        ((0.0,), arithmetic.add, ValueError, "structure"),
        (np.zeros(2, np.float32), arithmetic.add, ValueError, "must be scalars"),
        (np.float32(0), lambda a, b: (a, b), TypeError, "returned the structure"),
        (np.int32(0), lambda a, b: a, TypeError, "dtypes"),
    ],
)
def test_errors_of_folds(starts, function, error, words):
    with pytest.raises(error, match=words):
        reduce(np.ones(3, np.float32), starts, function, (0,))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.complex64])
@pytest.mark.parametrize("name", NAMES)
def test_against_jax(name, dtype):
    lax = pytest.importorskip("jax").lax
    if np.dtype(dtype).kind == "c" and name in ("max", "min"):
        pytest.skip("complex numbers have no order")
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(3, 4, 5)) * 4).astype(np.float64).astype(dtype)
    with enable_x64(), pytest.importorskip("jax").enable_x64(True):
        want = np.asarray(getattr(lax, f"reduce_{name}")(x, (0, 2)))
        got = np.asarray(getattr(reduction, f"reduce_{name}")(x, (0, 2)))
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        for reverse in (False, True):
            want = np.asarray(getattr(lax, f"cum{name}")(x, 1, reverse))
            got = np.asarray(getattr(cumulative, f"cum{name}")(x, 1, reverse))
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
