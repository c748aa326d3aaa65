"""Pooling kernels against the NumPy rules, over shapes, paddings and dilations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad
import funcgrad.numpy as jnp
from funcgrad import lax
from funcgrad.core.evaluate import run_numpy
from funcgrad.kernels.library import pool
from funcgrad.kernels.runtime import toolchain
from funcgrad.primitives.comparison import ge_p, le_p
from funcgrad.primitives.windows import (
    reduce_window_max_p,
    reduce_window_min_p,
    reduce_window_sum_p,
    select_and_scatter_add_p,
    window_params,
)

from .harness import Program

reductions = {"max": reduce_window_max_p, "min": reduce_window_min_p, "add": reduce_window_sum_p}


def values(shape: Any, dtype: Any, seed: int = 0) -> np.ndarray:
    """Few different values, so that windows have several winners; some infinite, some NaN."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-4, 5, shape).astype(dtype)
    x[rng.random(shape) < 0.05] = -np.inf
    x[rng.random(shape) < 0.03] = np.nan
    return x


def check(shape: Any, params: dict[str, Any], dtype: Any = np.float32, op: str = "max") -> None:
    x = values(shape, dtype)
    if op == "add":
        x = np.nan_to_num(x, nan=1.5, neginf=2.0)
    kernel = pool.build(pool.spec_of(op, shape, x.dtype, params), toolchain.machine())
    expected = reductions[op].impl(x, **params)
    assert kernel is not None
    found = Program(kernel)([x], expected.shape, dtype)
    np.testing.assert_array_equal(found, expected)


def check_scatter(
    shape: Any, params: dict[str, Any], dtype: Any = np.float32, largest: bool = True
) -> None:
    x = values(shape, dtype)
    counts = reduce_window_max_p.impl(x, **params).shape
    source = np.random.default_rng(3).integers(-9, 10, counts).astype(dtype)
    op = "scatter_max" if largest else "scatter_min"
    kernel = pool.build(pool.spec_of(op, shape, x.dtype, params), toolchain.machine())
    assert kernel is not None
    found = Program(kernel)([source, x], shape, dtype)
    select = ge_p if largest else le_p
    expected = select_and_scatter_add_p.impl(source, x, select_prim=select, **params)
    np.testing.assert_array_equal(found, expected)


cases: dict[str, tuple[Any, dict[str, Any]]] = {
    "channels last": ((2, 8, 6, 40), window_params((2, 8, 6, 40), (1, 2, 2, 1), (1, 2, 2, 1))),
    "odd channels": (
        (2, 7, 6, 13),
        window_params((2, 7, 6, 13), (1, 3, 2, 1), (1, 2, 1, 1), "SAME"),
    ),
    "rows last": ((2, 3, 9, 21), window_params((2, 3, 9, 21), (1, 1, 2, 2), (1, 1, 2, 2))),
    "overlapping rows": ((3, 9, 37), window_params((3, 9, 37), (1, 3, 3), (1, 1, 1), "SAME")),
    "overlapping": ((3, 9, 37), window_params((3, 9, 37), (1, 3, 3), (1, 2, 2), "SAME")),
    "sparse rows": ((3, 9, 37), window_params((3, 9, 37), (1, 2, 2), (1, 3, 3))),
    "everything": ((2, 7, 7, 16), window_params((2, 7, 7, 16), (1, 7, 7, 1))),
    "one row": ((9,), window_params((9,), (3,), (2,), ((2, 2),))),
    "mostly padding": ((2, 2), window_params((2, 2), (2, 3), (1, 1), ((4, 3), (5, 4)))),
    "cut": ((5, 9), window_params((5, 9), (2, 2), (1, 2), ((-1, 2), (-2, -1)))),
    "dilated windows": (
        (2, 9, 9, 5),
        window_params((2, 9, 9, 5), (1, 2, 3, 1), None, "SAME", None, (1, 3, 2, 1)),
    ),
    "three axes": ((2, 5, 4, 6), window_params((2, 5, 4, 6), (1, 2, 3, 2))),
    "no windows": ((2, 3, 4), window_params((2, 3, 4), (1, 1, 1))),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op", reductions)
@pytest.mark.parametrize("name", cases)
def test_reductions(name: str, op: str, dtype: Any) -> None:
    check(*cases[name], dtype, op)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", cases)
def test_gradients_of_extrema(name: str, dtype: Any) -> None:
    check_scatter(*cases[name], dtype, largest=dtype is np.float32)


@pytest.mark.parametrize("shape", [(2, 4, 3, 5), (2, 3, 4)])
def test_gradient_of_sums(shape: Any) -> None:
    window = (1, 2, 3, 1) if len(shape) == 4 else (1, 2, 3)
    base = (1, 2, 2, 1) if len(shape) == 4 else (1, 2, 2)
    pads = tuple((w - 1, w) if w > 1 else (0, 0) for w in window)
    check(shape, window_params(shape, window, None, pads, base), np.float32, "add")


@st.composite
def windows(draw: st.DrawFn) -> tuple[Any, dict[str, Any]]:
    shape, window, strides, pads, base, dilation = [], [], [], [], [], []
    busy = draw(st.integers(1, 3))
    lead, behind = draw(st.integers(0, 2)), draw(st.integers(0, 1))
    for i in range(lead + busy + behind):
        size = draw(st.integers(1, 12))
        w, s, b, d, low, high = 1, 1, 1, 1, 0, 0
        if lead <= i < lead + busy:
            w, s = draw(st.integers(1, 4)), draw(st.integers(1, 3))
            if draw(st.booleans()):
                b = draw(st.integers(1, 3))
            else:
                d = draw(st.integers(1, 3))
            low, high = draw(st.integers(-1, 4)), draw(st.integers(-1, 4))
            high += max(0, (w - 1) * d + 1 - (size - 1) * b - 1 - low - high)
        for x, value in zip(
            (shape, window, strides, pads, base, dilation),
            (size, w, s, (low, high), b, d),
            strict=True,
        ):
            x.append(value)
    return tuple(shape), window_params(shape, window, strides, pads, base, dilation)


@settings(max_examples=60, deadline=None)
@given(windows(), st.sampled_from(["max", "add", "scatter"]))
def test_random_windows(case: Any, op: str) -> None:
    shape, params = case
    if op != "scatter":
        check(shape, params, np.float32, op)
    elif all(b == 1 for b in params["base_dilation"]):
        check_scatter(shape, params)


def test_what_is_left_to_the_compiler() -> None:
    params = window_params((4, 4), (2, 2))
    machine = toolchain.machine()
    assert pool.build(pool.spec_of("max", (4, 4), "int32", params), machine) is None
    both = window_params((4, 4), (2, 2), None, "VALID", (2, 2), (2, 2))
    assert pool.build(pool.spec_of("add", (4, 4), "float32", both), machine) is None
    empty = window_params((1, 4), (2, 2))
    assert pool.build(pool.spec_of("add", (1, 4), "float32", empty), machine) is None


def lenet_loss(params: Any, x: Any, labels: Any) -> Any:
    for kernel in params[:2]:
        x = lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = lax.reduce_window_max_p.bind(
            jnp.maximum(x, 0), **window_params(x.shape, (1, 2, 2, 1), (1, 2, 2, 1))
        )
    x = lax.reduce_window_sum_p.bind(x, **window_params(x.shape, (1, 2, 2, 1)))
    logits = jnp.tanh(x.reshape(x.shape[0], -1) @ params[2])
    return jnp.mean((logits - labels) ** 2)


def test_programs_with_pools() -> None:
    """A small network and its gradient, compiled, against the NumPy rules."""
    rng = np.random.default_rng(0)
    shapes = [(3, 3, 1, 4), (3, 3, 4, 8), (72, 5), (2, 16, 16, 1), (2, 5)]
    *params, x, labels = (0.3 * rng.standard_normal(s).astype(np.float32) for s in shapes)
    f = funcgrad.jit(funcgrad.value_and_grad(lenet_loss))
    args = params, x, labels
    value, gradients = f(*args)
    closed = funcgrad.make_jaxpr(funcgrad.value_and_grad(lenet_loss))(*args)
    expected = run_numpy(closed, [*params, x, labels])
    for found, wanted in zip([value, *gradients], expected, strict=True):
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=2e-5, atol=1e-6)
    llvm = f.lower(*args).stages.llvm
    assert "@pool(" in llvm
    assert "@pool_scatter(" in llvm
