"""Gather, scatters and dynamic slices: JAX's values in every mode, edges, derivatives, keys."""

import numpy as np
import pytest

from funcgrad.core.staging import stage
from funcgrad.core.zeros import instantiate
from funcgrad.ir import dtypes
from funcgrad.ir.avals import ShapedArray
from funcgrad.primitives import arithmetic, gathering, indexing, scatter
from funcgrad.primitives.gathering import Gather, GatherDimensionNumbers, GatherScatterMode
from funcgrad.primitives.scatter_places import ScatterDimensionNumbers
from funcgrad.primitives.scattering import Scatter
from funcgrad.transforms.jvp import jvp_flat

MODES = ["clip", "fill", "promise_in_bounds"]
KINDS = ["scatter", "scatter_add", "scatter_sub", "scatter_mul", "scatter_min", "scatter_max"]
ROWS = GatherDimensionNumbers((1,), (0,), (0,))
PUT_ROWS = ScatterDimensionNumbers((1,), (0,), (0,))
PUT = ScatterDimensionNumbers((), (0,), (0,))
X = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def lax():
    """JAX's functions of the same names."""
    return pytest.importorskip("jax").lax


def same(found, want):
    want = np.asarray(want)
    assert found.dtype == want.dtype
    np.testing.assert_allclose(
        np.asarray(found).astype(want.dtype), want, rtol=1e-6 if want.dtype.kind == "f" else 0
    )


def geometries(primitive):
    """Distinct (operand shape, index array, rest) of a primitive's examples."""
    found = {}
    for e in primitive.examples():
        key = (e.args[0].shape, e.args[1].shape, e.params["dimension_numbers"])
        found.setdefault(key, e)
    return list(found.values())


@pytest.mark.parametrize(
    ("mode", "dtype"),
    [
        *((mode, "float32") for mode in MODES),
        *(("fill", dtype) for dtype in ("int8", "uint16", "bool", "complex64")),
    ],
)
def test_gather_is_jaxs(lax, mode, dtype):
    for e in geometries(Gather()):
        x = (e.args[0] * 50).astype(dtype)
        index = e.args[1].astype(np.uint8 if dtype == "bool" else np.int32)
        numbers, sizes = e.params["dimension_numbers"], e.params["slice_sizes"]
        found = gathering.gather(x, index, numbers, sizes, mode=mode)
        want = lax.gather(x, index, lax.GatherDimensionNumbers(*numbers), sizes, mode=mode)
        same(found, want)


@pytest.mark.parametrize(
    ("mode", "name", "dtype"),
    [
        *(("fill", name, "float32") for name in KINDS),
        *((mode, "scatter", "float32") for mode in ("clip", "promise_in_bounds")),
        *(("fill", "scatter_add", dtype) for dtype in ("int8", "bfloat16")),
    ],
)
def test_scatters_are_jaxs(lax, mode, name, dtype):
    dtype = np.dtype(getattr(dtypes, dtype, dtype))
    for e in geometries(Scatter()):
        # Small whole numbers make every order of summation exact.
        x, y = (np.floor(e.args[i] * 3).astype(dtype) for i in (0, 2))
        index, numbers = e.args[1].astype(np.int32), e.params["dimension_numbers"]
        found = getattr(scatter, name)(x, index, y, numbers, mode=mode)
        same_numbers = lax.ScatterDimensionNumbers(*numbers)
        want = getattr(lax, name)(x, index, y, same_numbers, mode=mode)
        same(found, want)


@pytest.mark.parametrize("index", [-(2**63), -5, 4, 2**31, 2**63 - 1])
def test_indices_out_of_bounds_touch_nothing_else(index):
    at = np.array([[index]], np.int64)
    at.flags.writeable = False
    numbers = {"dimension_numbers": ROWS, "slice_sizes": (1, 3)}
    params = {**numbers, "indices_are_sorted": False, "unique_indices": False}
    clip, fill = GatherScatterMode.CLIP, GatherScatterMode.FILL_OR_DROP
    row = Gather().impl(X, at, **params, mode=clip, fill_value=None)
    np.testing.assert_array_equal(row[0], X[0 if index < 0 else 3])
    row = Gather().impl(X, at, **params, mode=fill, fill_value=7)
    np.testing.assert_array_equal(row[0], [7, 7, 7])
    if index > 0:
        row = Gather().impl(X, at.astype(np.uint64), **params, mode=fill, fill_value=7)
        np.testing.assert_array_equal(row[0], [7, 7, 7])
    for mode in (fill, GatherScatterMode.PROMISE_IN_BOUNDS):
        rest = {"mode": mode, "update_jaxpr": None, "update_consts": ()}
        rest |= {"indices_are_sorted": False, "unique_indices": False}
        out = Scatter().impl(X, at, -X[:1], dimension_numbers=PUT_ROWS, **rest)
        np.testing.assert_array_equal(out, X)


def test_one_hot_fills_with_zeros():
    out = gathering.gather(X, np.array([[1], [9]]), ROWS, (1, 3), mode="one_hot")
    np.testing.assert_array_equal(out.numpy(), [X[1], np.zeros(3)])


def test_the_last_of_several_updates_stays_and_sums_add_up():
    index = np.array([[1], [0], [1], [1]])
    y = np.array([1, 2, 3, 4], np.float32)
    zeros = np.zeros(3, np.float32)
    assert scatter.scatter(zeros, index, y, PUT).numpy().tolist() == [2, 4, 0]
    assert scatter.scatter_add(zeros, index, y, PUT).numpy().tolist() == [2, 8, 0]
    many = np.random.default_rng(0).integers(0, 50, (10_000, 1))
    found = scatter.scatter_add(np.zeros(50), many, np.ones(10_000, np.float32), PUT)
    np.testing.assert_array_equal(found.numpy(), np.bincount(many[:, 0], minlength=50))


def test_apply_again_where_indices_repeat(lax):
    index = np.array([[1], [0], [1], [7]])
    x = np.array([1, 2, 3], np.float32)
    found = scatter.scatter_apply(
        x, index, lambda v: arithmetic.mul(v, np.float32(3)), PUT, update_shape=(4,)
    )
    assert found.numpy().tolist() == [3, 18, 3]
    want = lax.scatter_apply(
        np.asarray(x), index, lambda v: v * 3, lax.ScatterDimensionNumbers(*PUT), update_shape=(4,)
    )
    same(found, want)


def test_derivative_of_set_follows_the_update_that_stays():
    index = np.array([[1], [0], [1]])
    x, y = np.array([5, 6, 7], np.float32), np.array([1, 2, 3], np.float32)
    (out,), (t,) = jvp_flat(
        lambda x, y: [scatter.scatter(x, index, y, PUT)],
        [x, y],
        [np.float32([10, 20, 30]), np.float32([1, 2, 4])],
    )
    assert np.asarray(out).tolist() == [2, 3, 7]
    assert np.asarray(instantiate(t)).tolist() == [2, 4, 30]


def test_tangents_of_equal_extrema_are_averaged(lax):
    jax = pytest.importorskip("jax")
    index = np.array([[0], [0], [1], [1]])
    x, y = np.float32([3, 1, 2]), np.float32([3, 3, 4, 4])
    dx, dy = np.float32([1, 10, 100]), np.float32([2, 4, 8, 16])
    (out,), (t,) = jvp_flat(lambda x, y: [scatter.scatter_max(x, index, y, PUT)], [x, y], [dx, dy])
    numbers = lax.ScatterDimensionNumbers(*PUT)
    want = jax.jvp(lambda x, y: lax.scatter_max(x, index, y, numbers), (x, y), (dx, dy))
    same(np.asarray(out), want[0])
    same(np.asarray(instantiate(t)), want[1])


def test_product_needs_unique_indices_for_its_updates():
    index, y = np.array([[0], [0]]), np.ones(2, np.float32)
    with pytest.raises(TypeError, match="unique_indices=True"):
        jvp_flat(lambda y: [scatter.scatter_mul(X[0], index, y, PUT)], [y], [y])


def test_keys_are_gathered_and_set():
    keys = np.array([(i, 10 * i) for i in range(5)], dtypes.key_dtype)
    taken = gathering.gather(
        keys, np.array([[3], [9]]), GatherDimensionNumbers((), (0,), (0,)), (1,), mode="fill"
    )
    assert dtypes.is_key_dtype(taken.dtype)
    assert taken.numpy()[0] == keys[3] and taken.numpy()[1]["hi"] == np.iinfo(np.uint32).max
    put = scatter.scatter(keys, np.array([[1]]), keys[4:], PUT)
    assert put.numpy()[1] == keys[4] and put.numpy()[0] == keys[0]
    moved = indexing.dynamic_update_slice(keys, keys[:2], (3,))
    np.testing.assert_array_equal(indexing.dynamic_slice(moved, (3,), (2,)).numpy(), keys[:2])


@pytest.mark.parametrize("start", [-9, -1, 0, 2, 3, 9])
def test_dynamic_slices_are_jaxs(lax, start):
    jnp = pytest.importorskip("jax.numpy")
    x, update = jnp.asarray(X), -X[:2]
    for wrap in (True, False):
        at = np.asarray(start)
        options = {"allow_negative_indices": wrap}
        same(
            indexing.dynamic_slice(X, (at, np.asarray(1)), (2, 2), **options),
            lax.dynamic_slice(x, (jnp.asarray(at), 1), (2, 2), **options),
        )
        same(
            indexing.dynamic_update_slice_in_dim(X, update, at, 0, **options),
            lax.dynamic_update_slice_in_dim(x, update, jnp.asarray(at), 0, **options),
        )
    same(
        indexing.dynamic_index_in_dim(X, start, 1, False),
        lax.dynamic_index_in_dim(x, start, 1, False),
    )
    same(
        indexing.dynamic_update_index_in_dim(X, X[:, 0], start, 1),
        lax.dynamic_update_index_in_dim(x, X[:, 0], start, 1),
    )


def test_a_narrow_negative_index_counts_from_the_end_of_a_long_axis():
    x = np.arange(1000)
    found = indexing.dynamic_index_in_dim(x, np.asarray(-1, np.int8), keepdims=False)
    assert int(found) == 999


def test_static_index_and_take(lax):
    same(indexing.index_in_dim(X, -1, 1, False), lax.index_in_dim(X, -1, 1, False))
    index = (np.array([-1, 5], np.int32), np.array([0, 2], np.int32))
    same(indexing.index_take(X, index, (0, 1)), lax.index_take(X, index, (0, 1)))
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 1"):
        indexing.index_in_dim(X, 3, 1)


ERRORS = [
    (TypeError, "sizes out of range", lambda: indexing.dynamic_slice(X, (0, 0), (5, 1))),
    (ValueError, "got 1 for float32", lambda: indexing.dynamic_slice(X, (0,), (1, 1))),
    (TypeError, "same type", lambda: indexing.dynamic_slice(X, (np.int8(0), 1), (1, 1))),
    (TypeError, "same type", lambda: indexing.dynamic_slice(X, (0.0, 0.0), (1, 1))),
    (TypeError, "dtypes and ranks", lambda: indexing.dynamic_update_slice(X, X[0], (0, 0))),
    (ValueError, "integer type", lambda: gathering.gather(X, X[:, :1], ROWS, (1, 3))),
    (ValueError, "Unknown gather mode", lambda: gathering.gather(X, X, ROWS, (1, 3), mode="wrap")),
    (TypeError, "out of range", lambda: gathering.gather(X, np.array([[0]]), ROWS, (1, 4))),
    (TypeError, "one component", lambda: gathering.gather(X, np.array([[0, 1]]), ROWS, (1, 3))),
    (
        TypeError,
        "ascending",
        lambda: gathering.gather(
            X, np.array([[0]]), GatherDimensionNumbers((1, 0), (), (0,)), (1, 3)
        ),
    ),
    (
        TypeError,
        "same dtypes",
        lambda: scatter.scatter(X, np.array([[0]]), X[:1].astype(int), PUT_ROWS),
    ),
    (
        TypeError,
        "an update for each",
        lambda: scatter.scatter(X, np.array([[0]]), X[:2], PUT_ROWS),
    ),
    (TypeError, "updates of rank 2", lambda: scatter.scatter(X, np.array([[0]]), X[0], PUT_ROWS)),
]


@pytest.mark.parametrize(("error", "match", "call"), ERRORS)
def test_errors_name_shapes_and_the_line(error, match, call):
    with pytest.raises(error, match=match) as caught:
        call()
    assert "test_indexing.py" in str(caught.value)


def test_staged_dynamic_slice_is_jaxs():
    avals = [ShapedArray((3, 4), np.float32), ShapedArray((), np.int32, weak_type=True)]
    closed = stage(lambda x, i: [indexing.dynamic_slice(x, (i, 0), (2, 2))], avals)
    names = [e.primitive.name for e in closed.eqns]
    assert names == ["lt", "convert_element_type", "add", "select_n", "dynamic_slice"]
