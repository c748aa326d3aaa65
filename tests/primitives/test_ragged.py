"""Ragged contractions against JAX, and their errors; the rules are tested with all others."""

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import lax
from funcgrad.primitives.ragged import ragged_dot_general_p


def cases():
    with fg.enable_x64():
        return list(ragged_dot_general_p.examples())


@pytest.mark.parametrize("i", range(len(cases())))
def test_same_as_jax(i):
    jax = pytest.importorskip("jax", reason="a differential test needs the peer")
    example = cases()[i]
    args = [x.astype(np.float32) if x.dtype == np.float64 else x for x in example.args]
    numbers = example.params["ragged_dot_dimension_numbers"]
    preferred = example.params["preferred_element_type"]
    theirs = jax.lax.RaggedDotDimensionNumbers(
        numbers.dot_dimension_numbers, numbers.lhs_ragged_dimensions, numbers.rhs_group_dimensions
    )
    if not args[2].size:
        pytest.skip("JAX has no ragged contraction without groups")
    want = jax.lax.ragged_dot_general(*args, theirs, preferred_element_type=preferred)
    got = lax.ragged_dot_general(*args, numbers, preferred_element_type=preferred)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=2e-3, atol=1e-4)


def test_gradients_of_ragged_dot_are_those_of_jax():
    jax = pytest.importorskip("jax", reason="a differential test needs the peer")
    rng = np.random.default_rng(0)
    lhs, rhs = (rng.normal(size=s).astype(np.float32) for s in ((7, 3), (3, 3, 4)))
    sizes = np.array([2, 0, 4], np.int32)
    found = [
        package.grad(
            lambda a, b, dot=package.lax.ragged_dot: (dot(a, b, sizes) ** 2).sum(), (0, 1)
        )(lhs, rhs)
        for package in (fg, jax)
    ]
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-4, atol=1e-4)


def test_numbers_are_tuples_and_equal():
    numbers = lax.RaggedDotDimensionNumbers((([1], [1]), ([], [])), [0], [0])
    assert numbers == lax.RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))
    assert hash(numbers) is not None
    assert numbers.dot_dimension_numbers == (((1,), (1,)), ((), ()))


def test_what_does_not_fit_is_refused():
    lhs, rhs, sizes = np.ones((4, 2)), np.ones((2, 2, 3)), np.array([1, 2])
    numbers = (((1,), (1,)), ((), ()))

    def call(ragged, groups, sizes=sizes):
        chosen = lax.RaggedDotDimensionNumbers(numbers, ragged, groups)
        return lax.ragged_dot_general(lhs, rhs, sizes, chosen)

    with pytest.raises(TypeError, match="needs one ragged axis of lhs"):
        call((0, 1), (0,))
    with pytest.raises(TypeError, match="needs one group axis of rhs"):
        call((0,), (1,))
    with pytest.raises(TypeError, match="takes no group axis of rhs"):
        call((1,), (0,))
    with pytest.raises(TypeError, match=r"of shape \(groups,\) or \(2,\), got int32\[2,2\]"):
        call((0,), (0,), np.ones((2, 2), int))
    with pytest.raises(ValueError, match="does not support group_offset"):
        lax.ragged_dot(lhs, rhs, sizes, group_offset=np.zeros(1, int))
