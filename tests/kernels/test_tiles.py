"""Loads across memory: through tiles where arrays are large, and what they give is the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.config import config, enable_x64
from funcgrad.kernels.program import Launch

DTYPES = [
    np.float32,
    np.float64,
    np.int16,
    np.int8,
    np.bool_,
    np.float16,
    fnp.bfloat16,
    np.complex64,
]
SHAPES = [
    ((512, 384), (1, 0), True),
    ((8, 128, 320), (0, 2, 1), True),
    ((4, 64, 8, 128), (0, 2, 3, 1), True),
    ((511, 384), (1, 0), False),
    ((64, 32), (1, 0), False),
]


def tiles(function: Any, *args: Any) -> int:
    """How many tiles the kernels of a program have."""
    steps = fg.jit(function).lower(*args).stages.block.steps
    scratch = [b for s in steps if isinstance(s, Launch) for b in s.kernel.scratch]
    return sum(b.name.startswith("tile") for b in scratch)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "order", "large"), SHAPES, ids=str)
def test_transposed(shape: Any, order: Any, large: bool, dtype: Any) -> None:
    with enable_x64():
        x = (np.random.default_rng(0).normal(size=shape) * 50).astype(dtype)

        def function(x: Any) -> Any:
            return fnp.transpose(x, order)

        np.testing.assert_array_equal(fg.jit(function)(x), x.transpose(order))
        if dtype == np.float32:
            assert tiles(function, x) == large


@pytest.mark.parametrize(
    "dtype", [np.int8, np.bool_, np.int16, fnp.bfloat16, np.float32, np.float64]
)
def test_tiles_are_filled_by_squares(dtype: Any) -> None:
    """Rows of 16 bytes are loaded and stored whole, whatever their elements are."""
    with enable_x64():
        x = (np.random.default_rng(0).normal(size=(1024, 576)) * 50).astype(dtype)
        lowered = fg.jit(lambda x: x.T).lower(x)
        row = f"<{16 // x.itemsize} x i{8 * x.itemsize}>"
        assert f"load {row}" in lowered.stages.llvm
        assert f"store {row}" in lowered.stages.llvm
        np.testing.assert_array_equal(lowered.compile()(x), x.T)


def test_tiles_of_several_widths() -> None:
    x = np.random.default_rng(0).normal(size=(1024, 512)).astype(np.float32)
    y = (x * 50).astype(np.int8)
    found = fg.jit(lambda x, y: x.T * y.T + 1)(x, y)
    np.testing.assert_array_equal(found, x.T * y.T + 1)


def test_fused_with_what_is_around() -> None:
    x, y = (np.random.default_rng(k).normal(size=(512, 512)).astype(np.float32) for k in range(2))

    def function(x: Any, y: Any) -> Any:
        return x * 2 + x.T * y.T, fnp.tanh(y.T)[::-1]

    assert tiles(function, x, y)
    for lowering in ("fast", "python"):
        config.update("lowering", lowering)
        try:
            one, other = fg.jit(function)(x, y)
        finally:
            config.update("lowering", "fast")
        np.testing.assert_allclose(one, x * 2 + x.T * y.T, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(other, np.tanh(y.T)[::-1], rtol=1e-5, atol=1e-6)


def test_what_is_transposed_is_not_overwritten() -> None:
    x = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    given = fnp.array(x)
    found = fg.jit(lambda x: x + x.T, donate_argnums=0)(given)
    np.testing.assert_array_equal(found, x + x.T)
    found = fg.jit(lambda x, y: x + y.T, donate_argnums=0)(fnp.array(x), x)
    np.testing.assert_array_equal(found, x + x.T)
