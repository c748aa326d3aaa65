"""Loops of different widths in one kernel."""

from __future__ import annotations

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp


def test_a_value_used_by_loops_of_different_widths_is_spread_for_each() -> None:
    @fg.jit
    def f(n, c, long, short):
        scale = fnp.where(n == 0, c, 2.0 * c)
        return scale, long + scale * long, short + scale * short

    found = f(np.int32(1), np.float32(2), fnp.arange(8.0), fnp.arange(2.0))
    np.testing.assert_array_equal(found[0], 4.0)
    np.testing.assert_array_equal(found[1], 5.0 * np.arange(8))
    np.testing.assert_array_equal(found[2], 5.0 * np.arange(2))
