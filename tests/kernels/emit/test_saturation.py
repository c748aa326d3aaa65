"""Floats as integers of 8 and 16 bits: toward zero, the ends beyond, NaN as 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.config import enable_x64


@pytest.mark.parametrize("source", [np.float32, np.float64, np.float16, fnp.bfloat16])
@pytest.mark.parametrize("target", [np.int8, np.uint8, np.int16, np.uint16])
def test_as_evaluated(source: Any, target: Any) -> None:
    info = np.iinfo(target)
    ends = [float(end) + step for end in (info.min, info.max) for step in (-1, -0.7, 0, 0.7, 1)]
    special = [np.nan, np.inf, -np.inf, -0.0, 1e30, -1e30, 0.999, -0.999]
    with enable_x64(), np.errstate(over="ignore"):
        spread = np.random.default_rng(0).normal(size=83) * 2 * info.max
        x = np.array([*ends, *special, *spread]).astype(source)
        expected = np.asarray(fnp.asarray(x).astype(target))
        found = fg.jit(lambda x: x.astype(target))(x)
        np.testing.assert_array_equal(np.asarray(found), expected)
        one = fg.jit(lambda x: x.astype(target))
        for value in x[:18]:
            assert one(fnp.asarray(value)) == fnp.asarray(value).astype(target)
