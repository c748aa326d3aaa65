"""Movements, joins, creation and choices: JAX's values, its error classes, and PRNG keys."""

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import lax as ours
from funcgrad.core.array import Array
from funcgrad.core.staging import stage
from funcgrad.ir import dtypes
from funcgrad.ir.avals import ShapedArray, aval_of
from funcgrad.primitives import broadcasting, creation, joining, movement, selection, slicing

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
KEYS = np.array([(i, 10 * i) for i in range(6)], dtypes.key_dtype).reshape(2, 3)

CALLS = [
    ("broadcast_in_dim", (X, (3, 2, 4, 5), (1, 0, 2))),
    ("broadcast_in_dim", (np.float32(2), (), ())),
    ("broadcast", (X, (2, 1))),
    ("broadcast_to_rank", (X, 5)),
    ("reshape", (X, (4, 6))),
    ("reshape", (X, (6, 4), (2, 0, 1))),
    ("transpose", (X, (2, 0, 1))),
    ("squeeze", (X[:, :1], (-2,))),
    ("expand_dims", (X, (0, -1, 2))),
    ("rev", (X, (0, 2))),
    ("concatenate", ([X, X[:, :1], X[:, :0]], 1)),
    ("split", (X, (1, 0, 3), -1)),
    ("pad", (X, np.float32(9), ((1, -1, 2), (-2, 3, 0), (0, 0, 1)))),
    ("pad", (X[0, 0], np.float32(9), ((-6, 3, 2),))),
    ("pad", (X[0, 0], np.float32(9), ((3, -6, 2),))),
    ("pad", (X[0, 0, :0], np.float32(9), ((2, 1, 3),))),
    ("slice", (X, (0, 1, 1), (2, 3, 4), (1, 2, 2))),
    ("slice", (X, (1, 3, 0), (1, 3, 4))),
    ("slice_in_dim", (X, 1, -1, 2, 2)),
    ("tile", (X, (1, 0, 3))),
]


@pytest.fixture
def lax():
    """JAX's functions of the same names."""
    return pytest.importorskip("jax").lax


def on_jax(args):
    """The arguments with NumPy arrays put on JAX's device."""
    jnp = pytest.importorskip("jax.numpy")
    return [jnp.asarray(a) if isinstance(a, np.ndarray) else a for a in args]


@pytest.mark.parametrize(("name", "args"), CALLS)
def test_values_are_jaxs(lax, name, args):
    found, want = getattr(ours, name)(*args), getattr(lax, name)(*on_jax(args))
    if not isinstance(found, (list, tuple)):
        found, want = [found], [want]
    for a, b in zip(found, want, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("low", [-4, -1, 0, 2])
@pytest.mark.parametrize("high", [-3, 0, 1])
@pytest.mark.parametrize("interior", [0, 1, 3])
def test_pad_in_every_direction(lax, low, high, interior):
    x = np.arange(1, 6)
    if low + high + 5 + 4 * interior < 0:
        with pytest.raises(ValueError, match=r"negative extents"):
            slicing.pad(x, 0, ((low, high, interior),))
        return
    want = lax.pad(x.astype(np.int32), np.int32(0), ((low, high, interior),))
    found = slicing.pad(x.astype(np.int32), np.int32(0), ((low, high, interior),))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(want))


ERRORS = [
    (TypeError, "float32\\[2,3,4\\] \\(24 elements\\) the shape \\(5,\\)", "reshape", (X, (5,))),
    (TypeError, "negative extent", "reshape", (X, (-1, 4))),
    (TypeError, "permutation", "reshape", (X, (24,), (0, 0, 1))),
    (TypeError, "permutation \\(0,\\)", "transpose", (X, (0,))),
    (TypeError, "stretch", "broadcast_in_dim", (X, (2, 3, 5), (0, 1, 2))),
    (TypeError, "one for each axis", "broadcast_in_dim", (X, (2, 3, 4), (0,))),
    (TypeError, "outside", "broadcast_in_dim", (X, (2, 3, 4), (0, 1, 3))),
    (TypeError, "duplicate", "broadcast_in_dim", (X[:, :2, :2], (2, 2, 2), (0, 1, 1))),
    (ValueError, "axis 7 is out of bounds", "expand_dims", (X, (7,))),
    (ValueError, "repeated axis", "expand_dims", (X, (0, 0))),
    (ValueError, "size 1", "squeeze", (X, (0,))),
    (TypeError, "in \\[0, 3\\)", "rev", (X, (3,))),
    (TypeError, "float32\\[2,3,4\\], int32\\[1\\]", "concatenate", ([X, np.int32([1])], 0)),
    (TypeError, "one rank", "concatenate", ([X, X[0]], 0)),
    (TypeError, "out of bounds", "concatenate", ([X, X], 3)),
    (TypeError, "other axes", "concatenate", ([X, X[:, 1:]], 0)),
    (ValueError, "no operands", "concatenate", ([], 0)),
    (ValueError, "sum 2", "split", (X, (1, 1), 1)),
    (TypeError, "same dtype", "pad", (X, 0, ((0, 0, 0),) * 3)),
    (ValueError, "scalar", "pad", (X, X, ((0, 0, 0),) * 3)),
    (ValueError, "one \\(low", "pad", (X, np.float32(0), ())),
    (ValueError, "interior", "pad", (X, np.float32(0), ((0, 0, -1),) * 3)),
    (TypeError, "limit_indices \\(2, 4, 4\\)", "slice", (X, (0, 0, 0), (2, 4, 4))),
    (TypeError, "positive stride", "slice", (X, (0, 0, 0), (2, 3, 4), (0, 1, 1))),
    (TypeError, "counts", "tile", (X, (1,))),
    (ValueError, "3 against 4", "broadcast_shapes", ((3, 1), (4, 1))),
]


@pytest.mark.parametrize(("error", "match", "name", "args"), ERRORS)
def test_errors_name_shapes_and_the_line(error, match, name, args):
    with pytest.raises(error, match=match) as caught:
        getattr(ours, name)(*args)
    if "out of bounds for array" not in str(caught.value):
        assert "test_movement.py" in str(caught.value)


def test_broadcast_shapes():
    assert broadcasting.broadcast_shapes((3, 1), (1, 4), (5, 1, 1)) == (5, 3, 4)
    assert broadcasting.broadcast_shapes((0, 1), (3,)) == (0, 3)
    assert broadcasting.broadcast_shapes((), (2,)) == (2,)


def test_what_moves_nothing_is_returned_as_it_is():
    x = movement.reshape(X, (24,))
    assert movement.reshape(x, (24,)) is x
    assert movement.transpose(x, (0,)) is x
    assert broadcasting.broadcast(x, ()) is x
    assert movement.squeeze(x, ()) is x


def test_results_are_views_where_they_can_be():
    x = movement.reshape(X, (4, 6))
    for y in (movement.transpose(x, (1, 0)), slicing.slice_in_dim(x, 1, 3), movement.rev(x, (0,))):
        assert np.shares_memory(x.numpy(), y.numpy())
        assert not y.numpy().flags.writeable


def test_keys_move_like_numbers():
    flat = KEYS.reshape(-1)
    moved = joining.concatenate([movement.rev(flat, (0,)), flat[:1]], 0)
    assert dtypes.is_key_dtype(moved.dtype)
    np.testing.assert_array_equal(moved.numpy(), np.concatenate([flat[::-1], flat[:1]]))
    stretched = broadcasting.broadcast_in_dim(KEYS, (2, 3, 2), (0, 1))
    np.testing.assert_array_equal(stretched.numpy()[..., 1], KEYS)
    padded = slicing.pad(flat, KEYS[0, 0], ((1, 0, 1),))
    np.testing.assert_array_equal(padded.numpy()[1::2], flat)
    chosen = selection.select_n(np.array([0, 1, 1, 0, 0, 1], bool), flat, flat[::-1].copy())
    assert chosen.numpy()[1] == flat[4] and chosen.numpy()[3] == flat[3]


def test_creation(lax):
    assert creation.iota("int32", 3).numpy().tolist() == [0, 1, 2]
    grid = creation.broadcasted_iota(np.float32, (2, 3), 1)
    np.testing.assert_array_equal(grid.numpy(), lax.broadcasted_iota(np.float32, (2, 3), 1))
    for fill, dtype in (
        (300, "uint8"),
        (-1, "uint8"),
        (2**40, "int32"),
        (1e10, "int32"),
        (2, None),
        (True, "float32"),
        (1.5, "bfloat16"),
    ):
        found, want = creation.full((2,), fill, dtype), lax.full((2,), fill, dtype)
        assert found.dtype == want.dtype and found.weak_type == want.weak_type
        np.testing.assert_array_equal(np.asarray(found), np.asarray(want))
    assert creation.full_like(X, 1).dtype == np.float32
    assert creation.full_like(X, 1, shape=(2,)).shape == (2,)
    assert creation.zeros_like(KEYS).dtype == dtypes.key_dtype
    copied = creation.copy(X)
    assert not np.shares_memory(copied.numpy(), X)
    with pytest.raises(TypeError, match="scalar fill_value"):
        creation.full((2,), X)
    with pytest.raises(ValueError, match="dimension=1"):
        creation.broadcasted_iota(int, (3,), 1)
    with pytest.raises(TypeError, match="bool"):
        creation.broadcasted_iota(bool, (3,), 0)


def test_choices(lax):
    cases = [np.full(5, i, np.int32) for i in range(3)]
    which = np.array([-1, 0, 1, 2, 5], np.int32)
    for count in (1, 2, 3):
        want = lax.select_n(which, *cases[:count])
        found = selection.select_n(which, *cases[:count])
        np.testing.assert_array_equal(found.numpy(), np.asarray(want))
    values = np.array([np.nan, 3, 0, 1.5], np.float32)
    for low, high in ((1, 2), (3, 2), (np.nan, 2)):
        want = lax.clamp(np.float32(low), values, np.float32(high))
        found = selection.clamp(np.float32(low), values, np.float32(high))
        np.testing.assert_array_equal(found.numpy(), np.asarray(want))
    with pytest.raises(ValueError, match="no case"):
        selection.select_n(which)
    for args, match in (
        ((np.float32(1), X, X), "boolean or integer"),
        ((np.int32(1), X, X[0]), "same shapes"),
        ((np.int32(1), X, X.astype(int)), "same dtypes"),
        ((np.zeros(2, bool), X, X), "scalar or have the same shape"),
        ((np.True_, X, X, X), "> 2 cases"),
    ):
        with pytest.raises(TypeError, match=match):
            selection.select_n(*args)
    with pytest.raises(TypeError, match=r"min\.shape"):
        selection.clamp(X[0], X, np.float32(1))


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 2), (2, 3)])
@pytest.mark.parametrize("axis", [0, -1])
def test_one_choice_a_lane_among_numbers_has_any_shape(lax, shape, axis):
    jax = pytest.importorskip("jax")
    which = np.arange(np.prod(shape)).reshape(shape) % 2 == 0
    want = jax.vmap(lambda w: lax.select(w, 4.0, 5.0), axis)(which)
    found = fg.vmap(lambda w: fg.lax.select(w, 4.0, 5.0), axis)(which)
    np.testing.assert_array_equal(found.numpy(), np.asarray(want))
    compiled = fg.jit(fg.vmap(lambda w: fg.lax.select(w, 4.0, 5.0), axis))(which)
    np.testing.assert_array_equal(compiled.numpy(), np.asarray(want))


@pytest.mark.parametrize("shape", [(3, 1), (3, 4)])
def test_choices_of_another_shape_than_arrays_are_refused_in_lanes_too(lax, shape):
    jax = pytest.importorskip("jax")
    cases = np.zeros(5, np.float32), np.ones(5, np.float32)
    for vmap, select in ((jax.vmap, lax.select), (fg.vmap, fg.lax.select)):
        with pytest.raises(TypeError, match="scalar or have the same shape"):
            vmap(lambda w, f=select: f(w, *cases))(np.ones(shape, bool))


def staged(fun, *avals):
    return [(e.primitive.name, e.params) for e in stage(lambda *xs: [fun(*xs)], avals).eqns]


def test_staged_eqns_are_jaxs():
    a = ShapedArray((3, 4), np.float32)
    assert staged(lambda: creation.full((3,), 1.0)) == [
        ("broadcast_in_dim", {"shape": (3,), "broadcast_dimensions": ()})
    ]
    assert staged(lambda x: broadcasting.expand_dims(x, (0, 1)), a) == [
        ("broadcast_in_dim", {"shape": (1, 1, 3, 4), "broadcast_dimensions": (2, 3)})
    ]
    assert staged(lambda x: movement.transpose(x, (0, 1)), a) == []
    assert staged(lambda x: slicing.slice_in_dim(x, 0, 2), a) == [
        ("slice", {"start_indices": (0, 0), "limit_indices": (2, 4), "strides": (1, 1)})
    ]
    assert staged(lambda x: movement.reshape(x, 12), a) == [
        ("reshape", {"new_sizes": (12,), "dimensions": None})
    ]


def test_weak_types_are_kept():
    weak = creation.full((2,), 1.0)
    assert isinstance(weak, Array) and weak.weak_type
    for y in (
        movement.reshape(weak, (2, 1)),
        movement.rev(weak, (0,)),
        slicing.slice_in_dim(weak, 0, 1),
    ):
        assert aval_of(y).weak_type


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_unstack_undoes_stack(axis):
    from funcgrad import lax

    parts = [np.full((2, 3), k, "float32") for k in range(4)]
    found = lax.unstack(lax.stack(parts, axis), axis)
    assert len(found) == 4
    for part, got in zip(parts, found, strict=True):
        np.testing.assert_array_equal(part, got)
    assert lax.unstack(np.zeros((3, 0)), 1) == ()
    with pytest.raises(ValueError, match="out of bounds"):
        lax.unstack(np.zeros(3), 1)
