"""`unique` with a size: the first of all values, however many there are."""

from __future__ import annotations

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

VALUES = [[1, 2, 3, 3, 4, 4], [5], [2, 2, 2], [9, 0, 9, 1, 0, 9]]


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 6, 9])
@pytest.mark.parametrize("jit", [False, True])
def test_as_many_as_asked_for(values, size, jit):
    def find(x):
        return fnp.unique(x, True, True, True, size=size, fill_value=7)

    got = (fg.jit(find) if jit else find)(fnp.asarray(values))
    wanted = np.unique(np.array(values), True, True, True)
    # Beyond the last value stands the filler, which is where the first one is and occurs nowhere.
    for found, whole, filler in zip(got, wanted, (7, wanted[1][0], None, 0), strict=True):
        if filler is None:
            np.testing.assert_array_equal(found, whole)  # of what is left out, too
        else:
            padded = np.concatenate([whole[:size], np.full(max(size - len(whole), 0), filler)])
            np.testing.assert_array_equal(found, padded)


def test_rows_without_elements():
    values, index, inverse, counts = fnp.unique(
        fnp.zeros((0, 2)), True, True, True, axis=1, size=3, fill_value=1.0
    )
    assert values.shape == (0, 3)
    assert [x.tolist() for x in (index, inverse, counts)] == [[0, 0, 0], [0, 0], [2, 0, 0]]


def test_nothing_to_choose_from():
    with pytest.raises(ValueError, match=r"shape \(0,\) has no values for size=3"):
        fnp.unique(fnp.zeros(0), size=3)
    assert fnp.unique(fnp.zeros(0), size=3, fill_value=2.0).tolist() == [2, 2, 2]
