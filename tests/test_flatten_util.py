"""ravel_pytree: a tree as a vector and back, under transforms too."""

import pickle

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.flatten_util import ravel_pytree


def test_round_trip():
    tree = {"b": fnp.arange(3.0), "a": (fnp.ones((2, 2)), 5.0), "none": None}
    vector, unravel = ravel_pytree(tree)
    np.testing.assert_array_equal(vector, [1, 1, 1, 1, 5, 0, 1, 2])
    back = unravel(vector * 2)
    assert fg.tree.structure(back) == fg.tree.structure(tree)
    np.testing.assert_array_equal(back["b"], [0, 2, 4])
    assert back["a"][0].shape == (2, 2)


def test_dtypes_are_promoted_and_restored():
    tree = [fnp.arange(2, dtype=fnp.int8), fnp.ones(1, fnp.float16), fnp.ones((), bool)]
    vector, unravel = ravel_pytree(tree)
    assert vector.dtype == np.float16
    assert [x.dtype for x in unravel(vector)] == [np.int8, np.float16, np.bool_]


def test_real_leaves_among_complex_ones():
    vector, unravel = ravel_pytree([fnp.ones(2), fnp.array([1j])])
    assert vector.dtype == np.complex64
    back = unravel(vector * 2)
    assert [x.dtype for x in back] == [np.float32, np.complex64]
    np.testing.assert_array_equal(back[0], [2, 2])


def test_empty_trees_and_empty_leaves():
    vector, unravel = ravel_pytree({})
    assert vector.shape == (0,)
    assert unravel(vector) == {}
    vector, unravel = ravel_pytree((fnp.zeros((0, 3)), 1.0))
    assert vector.shape == (1,)
    assert unravel(vector)[0].shape == (0, 3)


def test_functions_of_trees_that_are_alike_are_equal():
    made = [ravel_pytree({"a": x, "b": 1})[1] for x in (fnp.ones(3), fnp.zeros(3), fnp.zeros(2))]
    assert made[0] == made[1]
    assert hash(made[0]) == hash(made[1])
    assert made[0] != made[2]
    assert pickle.loads(pickle.dumps(made[0])) == made[0]
    traced = []

    def scaled(x, unravel):
        traced.append(1)
        return unravel(2 * x)

    jitted = fg.jit(scaled, static_argnums=1)
    for unravel in made[:2]:
        jitted(fnp.ones(4), unravel)
    assert len(traced) == 1
    assert fg.tree.leaves(made[0]) == [made[0]]


def test_of_one_dtype_vectors_of_any_are_taken_and_weak_types_are_kept():
    vector, unravel = ravel_pytree({"a": 0.5, "b": 1.0})
    assert vector.weak_type
    assert all(x.weak_type for x in unravel(vector).values())
    back = unravel(fnp.arange(2, dtype=fnp.bfloat16))
    assert [x.dtype for x in back.values()] == [fnp.bfloat16, fnp.bfloat16]
    # A number counts as an array of its dtype.
    vector, _ = ravel_pytree([1.0, fnp.ones(1, fnp.bfloat16)])
    assert vector.dtype == np.float32
    assert not vector.weak_type


def test_errors():
    _, unravel = ravel_pytree({"a": fnp.ones(3), "b": fnp.ones(0, int)})
    with pytest.raises(ValueError, match=r"shape \(4,\), but the tree has 3 elements"):
        unravel(fnp.ones(4))
    with pytest.raises(TypeError, match="int32.*float32"):
        unravel(fnp.ones(3, fnp.int32))


def test_under_grad_vmap_and_jit():
    params = {"w": fnp.ones((2, 2)), "b": fnp.zeros(2)}
    vector, unravel = ravel_pytree(params)

    def loss(v):
        p = unravel(v)
        return fnp.sum((p["w"] @ fnp.arange(2.0) + p["b"]) ** 2)

    found = fg.jit(fg.grad(loss))(vector)
    want = ravel_pytree(fg.grad(lambda p: loss(ravel_pytree(p)[0]))(params))[0]
    np.testing.assert_allclose(found, want)
    rows = fg.vmap(lambda p: ravel_pytree(p)[0])({"w": fnp.ones((3, 2)), "b": fnp.zeros(3)})
    assert rows.shape == (3, 3)
