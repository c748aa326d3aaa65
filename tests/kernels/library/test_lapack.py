"""Factors and triangular systems in compiled programs: what defines them, who gets no kernel."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.kernels.library import lapack, lapack_spectral
from funcgrad.primitives.decompositions_lu import permutation_of
from funcgrad.scipy.linalg import cho_solve

from .harness import Program
from .triangles import check

EPS = {"float32": 1e-5, "float64": 1e-13}
dtypes = st.sampled_from(["float32", "float64"])


def normal(shape: Any, dtype: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@settings(max_examples=40, deadline=None)
@given(dtypes, st.integers(1, 4), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_lu(dtype: str, count: int, m: int, n: int, seed: int) -> None:
    x, k = normal((count, m, n), dtype, seed), min(m, n)
    kernel = lapack.lu(lapack.Matrices(dtype, count, m, n))
    assert kernel is not None
    outs = [(x.shape, dtype), ((count, k), np.int32), ((count, m), np.int32)]
    factor, pivots, order = Program(kernel).several([x], outs)
    lower = np.tril(factor[:, :, :k], -1) + np.eye(m, k, dtype=dtype)
    upper = np.triu(factor[:, :k])
    moved = np.take_along_axis(x, order[..., None], 1)
    np.testing.assert_allclose(lower @ upper, moved, rtol=0, atol=40 * EPS[dtype])
    assert abs(lower).max() <= 1  # which makes it the factor with partial pivoting
    np.testing.assert_array_equal(order, permutation_of(pivots, m))


@settings(max_examples=40, deadline=None)
@given(dtypes, st.integers(1, 4), st.integers(1, 60), st.integers(0, 99))
def test_cholesky(dtype: str, count: int, n: int, seed: int) -> None:
    x = normal((count, n, n), dtype, seed)
    x = x @ x.transpose(0, 2, 1) + np.eye(n, dtype=dtype)
    read = np.tril(x) + np.triu(np.full((n, n), np.nan, dtype), 1)  # only one triangle is
    kernel = lapack.cholesky(lapack.Matrices(dtype, count, n, n))
    assert kernel is not None
    found = Program(kernel)([read], x.shape, dtype)
    assert (np.triu(found, 1) == 0).all()
    again = found @ found.transpose(0, 2, 1)
    np.testing.assert_allclose(again, x, rtol=0, atol=EPS[dtype] * abs(x).max() * n)


@settings(max_examples=40, deadline=None)
@given(dtypes, st.integers(1, 4), st.integers(1, 60), st.booleans(), st.integers(0, 99))
def test_eigh(dtype: str, count: int, n: int, lower: bool, seed: int) -> None:
    x = normal((count, n, n), dtype, seed)
    x = x + x.transpose(0, 2, 1)
    unread = np.full((n, n), np.nan, dtype)
    read = np.tril(x) + np.triu(unread, 1) if lower else np.triu(x) + np.tril(unread, -1)
    kernel = lapack_spectral.eigh(lapack.Matrices(dtype, count, n, n), lower)
    assert kernel is not None
    outs = [(x.shape, dtype), ((count, n), dtype)]
    vectors, values = Program(kernel).several([read], outs)
    turned = vectors.transpose(0, 2, 1)
    most = 20 * EPS[dtype] * n
    np.testing.assert_allclose(vectors * values[:, None] @ turned, x, rtol=0, atol=most)
    np.testing.assert_allclose(turned @ vectors, np.stack([np.eye(n)] * count), atol=most)
    assert (np.diff(values) >= 0).all()
    alone = lapack_spectral.eigh_values(lapack.Matrices(dtype, count, n, n), lower)
    assert alone is not None
    (found,) = Program(alone).several([read], outs[1:])
    np.testing.assert_allclose(found, values, rtol=0, atol=most)


def test_eigenvalues_without_vectors() -> None:
    x = normal((3, 20, 20), "float32")
    x[1, 4, 7] = np.nan
    both, values = fg.jit(fnp.linalg.eigh), fg.jit(lambda x: fnp.linalg.eigh(x).eigenvalues)
    assert "eigh_values[" in str(values.lower(x).explain())
    found = np.asarray(values(x))
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[[0, 2]], np.asarray(both(x)[0])[[0, 2]], atol=1e-4)
    vectors = fg.jit(lambda x: fnp.linalg.eigh(x).eigenvectors)
    assert "eigh_values[" not in str(vectors.lower(x).explain())
    # What is differentiated has been simplified before.
    part = x[0].astype(np.float64)
    slope = fg.jit(fg.grad(fg.checkpoint(lambda x: fg.jit(fnp.linalg.eigvalsh)(x)[-1])))
    top = np.linalg.eigh((part + part.T) / 2)[1][:, -1]
    np.testing.assert_allclose(slope(x[0]), np.outer(top, top), atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(dtypes, st.integers(1, 4), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_qr(dtype: str, count: int, m: int, n: int, full: bool) -> None:
    x = normal((count, m, n), dtype, 41 * m + n)
    inner = m if full else min(m, n)
    kernel = lapack_spectral.qr(lapack.Matrices(dtype, count, m, n), full)
    assert kernel is not None
    outs = [((count, m, inner), dtype), ((count, inner, n), dtype)]
    q, r = Program(kernel).several([x], outs)
    most = 20 * EPS[dtype] * max(m, n)
    np.testing.assert_allclose(q @ r, x, rtol=0, atol=most)
    np.testing.assert_allclose(
        q.transpose(0, 2, 1) @ q, np.stack([np.eye(inner)] * count), atol=most
    )
    np.testing.assert_array_equal(np.tril(r, -1), np.zeros_like(r))


@settings(max_examples=40, deadline=None)
@given(dtypes, st.integers(1, 4), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_svd(dtype: str, count: int, m: int, n: int, full: bool) -> None:
    x, least = normal((count, m, n), dtype, 41 * m + n), min(m, n)
    wide, high = (m, n) if full else (least, least)
    matrices = lapack.Matrices(dtype, count, m, n)
    kernel = lapack_spectral.svd(matrices, full, vectors=True)
    assert kernel is not None
    outs = [((count, least), dtype), ((count, m, wide), dtype), ((count, high, n), dtype)]
    s, u, vh = Program(kernel).several([x], outs)
    most = 20 * EPS[dtype] * max(m, n)
    np.testing.assert_allclose(u[..., :least] * s[:, None] @ vh[:, :least], x, rtol=0, atol=most)
    for q in (u, vh.transpose(0, 2, 1)):
        units = np.stack([np.eye(q.shape[-1])] * count)
        np.testing.assert_allclose(q.transpose(0, 2, 1) @ q, units, atol=most)
    alone = lapack_spectral.svd(matrices, full, vectors=False)
    assert alone is not None
    (values,) = Program(alone).several([x], outs[:1])
    np.testing.assert_allclose(values, s, rtol=0, atol=most)
    assert (np.diff(values) <= 0).all()


def test_eigenvectors_of_nan_are_nan_and_the_others_of_its_batch_are_not() -> None:
    x = np.stack([np.eye(3), np.full((3, 3), np.nan), np.diag([3.0, 2, 1])]).astype("f4")
    values, vectors = (np.asarray(v) for v in fg.jit(fnp.linalg.eigh)(x))
    assert np.isnan(values[1]).all()
    assert np.isnan(vectors[1]).all()
    parts = [np.asarray(v) for v in fg.jit(lax.linalg.svd)(x)]
    assert all(np.isnan(v[1]).all() and np.isfinite(v[[0, 2]]).all() for v in parts)
    np.testing.assert_array_equal(values[[0, 2]], [[1, 1, 1], [1, 2, 3]])


@pytest.mark.parametrize("n", [1, 2, 25, 26, 60])
def test_one_nan_makes_all_eigenvalues_nan(n: int) -> None:
    x = normal((3, n, n), "float32")
    x[1, n // 2, 0] = np.nan
    for f in (fnp.linalg.eigh, fnp.linalg.eigvalsh):
        for found in (np.asarray(part) for part in fg.tree.leaves(fg.jit(f)(x))):
            assert np.isnan(found[1]).all()
            assert np.isfinite(found[[0, 2]]).all()


def test_what_is_not_definite_is_nan_and_the_others_of_its_batch_are_not() -> None:
    bad = [-np.eye(3), np.full((3, 3), np.nan), np.diag([1.0, 0, 1]), np.diag([1, np.inf, -1])]
    x = np.stack([np.eye(3), *bad, 4 * np.eye(3)]).astype("f4")
    found = np.asarray(fg.jit(lax.linalg.cholesky)(x))
    wanted = np.tril(np.full((3, 3), np.nan))
    np.testing.assert_array_equal(found[0], np.eye(3))
    np.testing.assert_array_equal(found[-1], 2 * np.eye(3))
    for one in found[1:-1]:
        np.testing.assert_array_equal(one, wanted)


@pytest.mark.parametrize(
    ("n", "sides", "count"), [(1, 1, 1), (7, 3, 2), (33, 130, 1), (20, 65, 3), (40, 301, 1)]
)
@pytest.mark.parametrize("how", list(itertools.product([False, True], repeat=4)), ids=str)
@pytest.mark.parametrize("dtype", EPS)
def test_triangular_solve(dtype: str, how: Any, n: int, sides: int, count: int) -> None:
    check(dtype, how, (n, sides, count), lapack.triangular_solve, 20 * EPS[dtype])


def test_memory_beside_the_results_grows_with_chunks_and_not_with_the_batch() -> None:
    for made in (
        lambda x: lapack.lu(x),
        lambda x: lapack_spectral.eigh(x, lower=True),
        lambda x: lapack_spectral.eigh_values(x, lower=True),
        lambda x: lapack_spectral.qr(x, full=False),
        lambda x: lapack_spectral.svd(x, full=False, vectors=True),
    ):
        one = made(lapack.Matrices("float32", 1, 30, 30))
        many = made(lapack.Matrices("float32", 100 * lapack.ROOMS, 30, 30))
        assert many.scratch == tuple(lapack.ROOMS * size for size in one.scratch)
    x = normal((3 * lapack.ROOMS + 1, 9, 7), "float32")
    q, r = fg.jit(fnp.linalg.qr)(x)
    np.testing.assert_allclose(np.asarray(q) @ np.asarray(r), x, atol=1e-5)


def test_large_single_matrices_are_left_to_a_lapack_with_threads() -> None:
    large = lapack.Matrices("float32", 1, 600, 600)
    assert lapack.lu(large) is None
    assert lapack.cholesky(large) is None
    assert lapack.triangular_solve(lapack.Triangular(large, 600, *[True] * 4)) is None
    assert lapack_spectral.eigh(large, lower=True) is None
    assert lapack_spectral.eigh_values(large, lower=True) is None
    assert lapack_spectral.qr(large, full=False) is None
    assert lapack.lu(large._replace(many=2)) is not None


@pytest.mark.parametrize("shape", [(0, 0), (0, 3, 3), (2, 0, 0)])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_programs_of_nothing_and_of_complex_numbers_agree_with_numpy(
    shape: Any, dtype: Any
) -> None:
    x = normal(shape, "float32").astype(dtype)
    for f in (
        *(lax.linalg.lu, lax.linalg.cholesky, lax.linalg.eigh, lax.linalg.qr, lax.linalg.svd),
        lambda x: lax.linalg.triangular_solve(x, x),
    ):
        for found, wanted in zip(*map(fg.tree.leaves, (fg.jit(f)(x), f(x))), strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_a_solve_is_one_program_without_call_outs() -> None:
    a, b = normal((20, 20), "float32"), normal((20, 2), "float32")
    a += 9 * np.eye(20, dtype="f4")
    for f in (
        fnp.linalg.solve,
        lambda a, b: fg.grad(lambda a: fnp.linalg.slogdet(a)[1])(a),
        lambda a, b: cho_solve((fnp.linalg.cholesky(a @ a.T), True), b),
        fg.vmap(fnp.linalg.solve, (None, 1)),
        lambda a, b: fnp.linalg.eigh(a)[0],
        lambda a, b: fnp.linalg.svd(a)[1],
        lambda a, b: fg.grad(lambda a: fnp.linalg.qr(a)[1].sum())(a),
    ):
        lowered = fg.jit(f).lower(a, b)
        assert "called out: nothing" in lowered.explain()
        np.testing.assert_allclose(lowered.compile()(a, b), f(a, b), rtol=1e-4, atol=1e-5)


def test_results_are_the_same_for_any_number_of_threads() -> None:
    x = normal((300, 24, 24), "float32") + 9 * np.eye(24, dtype="f4")
    inverse = fg.jit(fnp.linalg.inv)
    found = []
    try:
        for threads in (1, 2, 4):
            fg.config.update("num_threads", threads)
            found.append(np.asarray(inverse(x)))
    finally:
        fg.config.update("num_threads", None)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
