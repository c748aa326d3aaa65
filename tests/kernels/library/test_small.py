"""Factors of small matrices, one in each lane: beside LAPACK's, at their edges, who is served."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.kernels.library import (
    lapack,
    lapack_spectral,
    small,
    small_cholesky,
    small_lu,
    small_qr,
)
from funcgrad.kernels.library.lapack import Matrices, Triangular

from .harness import Program
from .triangles import check

EPS = {"float32": 1e-5, "float64": 1e-13}
dtypes = st.sampled_from(["float32", "float64"])
bits = st.sampled_from([128, 256, 512])
many = st.integers(1, 40)


def normal(shape: Any, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def lu_of(x: np.ndarray, vector_bits: int = 256, by_lapack: bool = False) -> list[np.ndarray]:
    count, m, n = x.shape
    matrices = Matrices(x.dtype.name, count, m, n)
    kernel = lapack.lu(matrices) if by_lapack else small_lu.lu(matrices, vector_bits)
    assert kernel is not None
    outs = [(x.shape, x.dtype), ((count, min(m, n)), np.int32), ((count, m), np.int32)]
    return Program(kernel).several([x], outs)


@settings(max_examples=60, deadline=None)
@given(dtypes, bits, many, st.integers(1, 16), st.integers(1, 16), st.integers(0, 99))
def test_lu(dtype: str, vector_bits: int, count: int, m: int, n: int, seed: int) -> None:
    if small.lanes_of(Matrices(dtype, count, m, n), vector_bits, m, n) == 0:
        m, n = min(m, small.FEW), min(n, small.FEW)
    x = normal((count, m, n), dtype, seed)
    factor, pivots, order = lu_of(x, vector_bits)
    wanted = lu_of(x, by_lapack=True)
    np.testing.assert_array_equal(pivots, wanted[1])
    np.testing.assert_array_equal(order, wanted[2])
    lower = np.tril(factor[:, :, : min(m, n)], -1) + np.eye(m, min(m, n), dtype=dtype)
    moved = np.take_along_axis(x, order[..., None], 1)
    again = lower @ np.triu(factor[:, : min(m, n)])
    np.testing.assert_allclose(again, moved, rtol=0, atol=20 * EPS[dtype])
    assert abs(lower).max() <= 1 + np.finfo(dtype).eps


@settings(max_examples=60, deadline=None)
@given(dtypes, bits, many, st.integers(1, 16), st.integers(0, 99))
def test_cholesky(dtype: str, vector_bits: int, count: int, n: int, seed: int) -> None:
    if small.lanes_of(Matrices(dtype, count, n, n), vector_bits, n) == 0:
        n = min(n, small.FEW)
    x = normal((count, n, n), dtype, seed)
    x = x @ x.transpose(0, 2, 1) + np.eye(n, dtype=dtype)
    read = np.tril(x) + np.triu(np.full((n, n), np.nan, dtype), 1)  # only one triangle is
    kernel = small_cholesky.cholesky(Matrices(dtype, count, n, n), vector_bits)
    assert kernel is not None
    found = Program(kernel)([read], x.shape, dtype)
    assert (np.triu(found, 1) == 0).all()
    again = found @ found.transpose(0, 2, 1)
    np.testing.assert_allclose(again, x, rtol=0, atol=EPS[dtype] * abs(x).max())


@pytest.mark.parametrize(
    ("n", "sides", "count"), [(1, 1, 1), (7, 3, 2), (3, 1, 40), (12, 5, 19), (5, 16, 5), (4, 4, 33)]
)
@pytest.mark.parametrize("how", list(itertools.product([False, True], repeat=4)), ids=str)
@pytest.mark.parametrize("dtype", EPS)
def test_triangular_solve(dtype: str, how: Any, n: int, sides: int, count: int) -> None:
    for bits in (256, 512):
        build = partial(small_lu.triangular_solve, vector_bits=bits)
        check(dtype, how, (n, sides, count), build, 20 * EPS[dtype])


def qr_of(
    x: np.ndarray, full: bool, vector_bits: int = 256, by_lapack: bool = False
) -> list[np.ndarray]:
    count, m, n = x.shape
    matrices, inner = Matrices(x.dtype.name, count, m, n), m if full else min(m, n)
    made = lapack_spectral.qr(matrices, full)
    kernel = made if by_lapack else small_qr.qr(matrices, full, vector_bits)
    assert kernel is not None
    return Program(kernel).several(
        [x], [((count, m, inner), x.dtype), ((count, inner, n), x.dtype)]
    )


@settings(max_examples=60, deadline=None)
@given(dtypes, bits, many, st.integers(1, 16), st.integers(1, 16), st.booleans())
def test_qr(dtype: str, vector_bits: int, count: int, m: int, n: int, full: bool) -> None:
    if small.lanes_of(Matrices(dtype, count, m, n), vector_bits, m, n) == 0:
        m, n = min(m, small.FEW), min(n, small.FEW)
    x = normal((count, m, n), dtype, 41 * m + n)
    q, r = qr_of(x, full, vector_bits)
    most, units = 20 * EPS[dtype], np.stack([np.eye(q.shape[-1])] * count)
    np.testing.assert_allclose(q @ r, x, rtol=0, atol=most)
    np.testing.assert_allclose(q.transpose(0, 2, 1) @ q, units, rtol=0, atol=most)
    np.testing.assert_array_equal(np.tril(r, -1), np.zeros_like(r))
    _, wanted = qr_of(x, full, by_lapack=True)
    signs, right = (np.sign(np.diagonal(v, axis1=1, axis2=2)) for v in (r, wanted))
    np.testing.assert_array_equal(signs, right)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("size", [1, 1e-35, 1e35], ids=str)
def test_reflections_of_what_is_reflected_already_and_of_extreme_sizes(
    dtype: str, size: float
) -> None:
    low = np.array([[2, 1, 0], [0, -3, 1], [0, 0, -1], [0, 0, 0]])
    zero, ones = np.zeros((4, 3)), np.ones((4, 3))
    tiny = np.array([[1, 0, 0], [1e-30, 1, 0], [0, 0, 1], [0, 0, 1e-30]])
    x = (np.stack([low, zero, ones, tiny, -low]) * size).astype(dtype)
    for a, b in zip(qr_of(x, True), qr_of(x, True, by_lapack=True), strict=True):
        # Of equal columns, what is left of the second is rounding.
        for k in (0, 1, 3, 4):
            atol = EPS[dtype] * max(abs(b[k]).max(), 1e-30)
            np.testing.assert_allclose(a[k], b[k], rtol=0, atol=atol)
    q, r = qr_of(x, False)
    np.testing.assert_allclose(q @ r, x, rtol=0, atol=EPS[dtype] * size)


@settings(max_examples=40, deadline=None)
@given(dtypes, st.integers(1, 9), st.integers(2, 20))
def test_a_matrix_has_the_same_bits_wherever_it_is_in_a_batch(dtype: str, n: int, at: int) -> None:
    n = min(n, small.FEW)
    x = normal((21, n, n), dtype, n)
    x[::5] *= np.asarray(np.nan, dtype)
    if at % 5:
        together = lu_of(x, 512)
        alone = lu_of(x[at : at + 1], 128)
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a[at : at + 1], b)
            assert np.isfinite(b).all()
        for a, b in zip(qr_of(x, True, 512), qr_of(x[at : at + 1], True, 128), strict=True):
            np.testing.assert_array_equal(a[at : at + 1], b)
            assert np.isfinite(b).all()


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_singular_matrices_and_values_that_are_not_finite(dtype: str, n: int) -> None:
    x = normal((40, n, n), dtype)
    x[0] = 0
    x[1, :, 1] = x[1, :, 0]
    x[2] = 1
    x[3, 0, 0] = np.nan
    x[4, n - 1, 0] = np.inf
    x[5, :, 0] = 0
    factor, pivots, order = lu_of(x)
    wanted = lu_of(x, by_lapack=True)
    for found, right in zip((factor, pivots, order), wanted, strict=True):
        for k in (0, 2, 5):
            np.testing.assert_allclose(found[k], right[k], rtol=1e-4, atol=EPS[dtype])
        np.testing.assert_allclose(found[6:], right[6:], rtol=0, atol=200 * EPS[dtype])
    assert np.isnan(factor[3]).any()
    assert not np.isfinite(factor[4]).all()
    assert (pivots >= 0).all()
    assert (pivots < n).all()
    np.testing.assert_array_equal(np.sort(order), np.broadcast_to(np.arange(n), order.shape))


@pytest.mark.parametrize("dtype", EPS)
def test_pivots_below_normal_numbers_have_no_infinite_inverse(dtype: str) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    # The last element is what LU must find: 5 tiny.
    x = np.array([[[2, 6], [1, 8]], [[4, 8], [2, 9]]], dtype) * np.asarray(8 * tiny, dtype)
    factor, _, _ = lu_of(x)
    np.testing.assert_array_equal(factor[:, 1, 0], [0.5, 0.5])
    np.testing.assert_array_equal(factor[:, 1, 1], x[0, 0, 0] * np.array([2.5, 2.5], dtype))
    system = Triangular(Matrices(dtype, 2, 2, 1), 2, True, False, False, False)
    kernel = small_lu.triangular_solve(system, 256)
    assert kernel is not None
    b = x @ np.array([[3], [2]], dtype)
    found = Program(kernel)([np.triu(x), np.triu(x) @ np.array([[3], [2]], dtype)], b.shape, dtype)
    np.testing.assert_array_equal(found, np.broadcast_to([[3], [2]], b.shape))


def test_what_is_not_definite_is_nan_and_the_others_of_its_batch_are_not() -> None:
    bad = [-np.eye(6), np.full((6, 6), np.nan), np.diag([1.0, 0, 1, 1, 1, 1])]
    bad.append(np.diag([1, np.inf, -1, 1, 1, 1]))
    x = np.stack([np.eye(6), *bad, 4 * np.eye(6)]).astype("f4")
    found = np.asarray(fg.jit(lax.linalg.cholesky)(x))
    wanted = np.tril(np.full((6, 6), np.nan))
    np.testing.assert_array_equal(found[0], np.eye(6))
    np.testing.assert_array_equal(found[-1], 2 * np.eye(6))
    for one in found[1:-1]:
        np.testing.assert_array_equal(one, wanted)


PROGRAMS = {
    "solve": lambda a: fnp.linalg.solve(a, fnp.sum(a, -1, keepdims=True)),
    "solve for many": lambda a: fnp.linalg.solve(a, fnp.ones((a.shape[-1], 3), a.dtype)),
    "inv": fnp.linalg.inv,
    "det": fnp.linalg.det,
    "slogdet": fnp.linalg.slogdet,
    "cholesky": lambda a: fnp.linalg.cholesky(a @ fnp.swapaxes(a, -1, -2)),
    "qr": lambda a: fnp.linalg.qr(a[..., :2]),
    "slope of qr": fg.grad(lambda a: fnp.sum(fnp.linalg.qr(a)[1])),
    "slope of solve": fg.grad(lambda a: fnp.sum(fnp.linalg.solve(a, fnp.sin(a)))),
    "slope of slogdet": fg.grad(lambda a: fnp.sum(fnp.linalg.slogdet(a)[1])),
    "slope of cholesky": fg.grad(
        lambda a: fnp.sum(fnp.linalg.cholesky(a @ fnp.swapaxes(a, -1, -2)))
    ),
}


@pytest.mark.parametrize("f", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (3, 3), (0, 3, 3), (1, 3, 3), (7, 2, 2), (5, 4, 8, 8), (37, 5, 5), (3, 0, 0)],
    ids=str,
)
def test_programs_agree_with_numpy(f: Any, shape: Any) -> None:
    x = normal(shape) + 4 * np.eye(shape[-1], dtype="f4")
    lowered = fg.jit(f).lower(x)
    assert "called out: nothing" in lowered.explain() or not x.size
    for found, wanted in zip(*map(fg.tree.leaves, (lowered.compile()(x), f(x))), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4)


def test_singular_systems_are_not_finite_and_harm_no_others() -> None:
    a = normal((20, 3, 3)) + 4 * np.eye(3, dtype="f4")
    a[7] = 0
    a[8] = [[1, 2, 3], [2, 4, 6], [0, 0, 1]]
    a[9] = np.nan
    for f in (fnp.linalg.inv, lambda a: fnp.linalg.solve(a, fnp.ones((20, 3, 1)))):
        found = np.asarray(fg.jit(f)(a))
        bad = ~np.isfinite(found).all((-1, -2))
        np.testing.assert_array_equal(np.flatnonzero(bad), [7, 8, 9])
    sign, logabsdet = (np.asarray(v) for v in fg.jit(fnp.linalg.slogdet)(a))
    np.testing.assert_array_equal(sign[7:9], 0)
    np.testing.assert_array_equal(logabsdet[7:9], -np.inf)


def test_explain_says_which_kernel_it_is() -> None:
    def told(*shape: int) -> str:
        return fg.jit(lax.linalg.lu).lower(normal(shape)).explain()

    assert "a matrix in each lane of vectors" in told(1000, 8, 8)
    assert "a matrix in each lane of vectors" in told(8, 8)
    assert "tiles of each matrix" in told(12, 12)
    assert "tiles of each matrix" in told(1000, 17, 8)
    complexes = fg.jit(lax.linalg.lu).lower(normal((9, 3, 3)).astype("c8")).explain()
    assert "called out: lu" in complexes


@pytest.mark.parametrize("shape", [(3001, 3, 3), (1003, 7, 7)], ids=str)
def test_results_are_the_same_for_any_number_of_threads(shape: Any) -> None:
    x = normal(shape) + 4 * np.eye(shape[-1], dtype="f4")
    both = fg.jit(lambda x: (fnp.linalg.inv(x), fnp.linalg.cholesky(x @ x.mT)))
    found = []
    try:
        for threads in (1, 2, 3, 4):
            fg.config.update("num_threads", threads)
            found.append([np.asarray(v) for v in both(x)])
    finally:
        fg.config.update("num_threads", None)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
