"""Products by groups: block by block, and all at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
from funcgrad import lax
from funcgrad.primitives import ragged

from .running import both


@pytest.mark.parametrize("cpu", [True, False])
@pytest.mark.parametrize("case", range(len(ragged._cases)))
def test_products_by_groups(case, cpu):
    left, right, sizes, numbers = ragged._cases[case]
    draw = np.random.default_rng(case)
    lhs, rhs = draw.normal(size=left), draw.normal(size=right)
    params = ragged.ragged_params(ragged.RaggedDotDimensionNumbers(*numbers))
    if not (lhs.size and rhs.size):
        pytest.skip("nothing is multiplied: such eqns are zeros for every machine")
    args = lhs, rhs, np.array(sizes, np.int32)
    (found,), (wanted,) = both("ragged_dot_general", *args, cpu=cpu, **params)
    np.testing.assert_allclose(found, wanted, 1e-12, 1e-12)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(-3, 90), min_size=1, max_size=6),
    rows=st.integers(1, 200),
    seed=st.integers(0, 9),
)
def test_groups_of_any_size(sizes, rows, seed):
    """Empty groups, negative sizes, groups beyond the last row, and rows beyond the last group."""
    draw = np.random.default_rng(seed)
    lhs, rhs = draw.normal(size=(rows, 5)), draw.normal(size=(len(sizes), 5, 3))
    params = ragged.ragged_params(ragged.basic_numbers)
    sizes = np.array(sizes, np.int32)
    (found,), (wanted,) = both("ragged_dot_general", lhs, rhs, sizes, cpu=True, **params)
    np.testing.assert_allclose(found, wanted, 1e-12, 1e-12)
    numbers = ragged.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), (0,), ())
    params = ragged.ragged_params(numbers)
    args = lhs, draw.normal(size=(rows, 4)), sizes
    (found,), (wanted,) = both("ragged_dot_general", *args, cpu=True, **params)
    np.testing.assert_allclose(found, wanted, 1e-12, 1e-12)


def test_numbers_of_other_groups_do_not_matter():
    """A group meets its own matrix only, whatever is in the others."""
    lhs, rhs = np.ones((40, 3), np.float32), np.ones((2, 3, 4), np.float32)
    rhs[1], lhs[-1] = np.inf, np.nan
    found = np.asarray(fg.jit(lax.ragged_dot)(lhs, rhs, np.array([30, 9])))
    np.testing.assert_array_equal(found[:30], 3)
    np.testing.assert_array_equal(found[30:39], np.inf)
    np.testing.assert_array_equal(found[39:], 0)

    def summed(lhs, other, sizes):
        numbers = lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), (0,), ())
        return lax.ragged_dot_general(lhs, other, sizes, numbers)

    found = np.asarray(fg.jit(summed)(lhs, np.ones((40, 2), np.float32), np.array([30, 9])))
    np.testing.assert_array_equal(found[0], 30)
    np.testing.assert_array_equal(found[1], 9)
