"""What each table of functions is held to: transforms agree with plain calls, types with JAX's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import tree
from funcgrad.test_util import check_grads


def assert_same(got: Any, want: Any, rtol: float = 1e-9, atol: float = 1e-11) -> None:
    """Trees of equal shapes, dtypes and values."""
    ours, theirs = tree.leaves(got), tree.leaves(want)
    assert len(ours) == len(theirs)
    for x, y in zip(map(np.asarray, ours), map(np.asarray, theirs), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


def check_transforms(function: Callable[..., Any], *args: Any, order: int = 2) -> None:
    """jit and vmap agree with plain calls, and derivatives with differences, in float64."""
    arrays = [fnp.asarray(x) for x in args]
    want = function(*arrays)
    assert_same(fg.jit(function)(*arrays), want)
    scales = np.linspace(0.9, 1.1, 3)
    stacks = [np.stack([np.asarray(x) * s for s in scales]).astype(x.dtype) for x in arrays]
    rows = [function(*[fnp.asarray(x[i]) for x in stacks]) for i in range(3)]
    loop = tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *rows)
    assert_same(fg.vmap(function)(*map(fnp.asarray, stacks)), loop)
    check_grads(function, tuple(arrays), order, rtol=1e-4, atol=1e-4)
