"""Factors and triangular systems by tiles: all sizes, widths of vectors, what is no number."""

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
from funcgrad.kernels.library import blocked_cholesky, blocked_lu, blocked_triangles, lapack
from funcgrad.kernels.library.lapack import Matrices, Triangular
from funcgrad.primitives.decompositions_lu import permutation_of

from .harness import Program
from .triangles import check

EPS = {"float32": 1e-5, "float64": 1e-13}
dtypes = st.sampled_from(["float32", "float64"])
widths = st.sampled_from([128, 256, 512])


def definite(shape: Any, dtype: str, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    return x @ x.swapaxes(-1, -2) + np.eye(shape[-1], dtype=dtype)


@settings(max_examples=50, deadline=None)
@given(
    dtypes,
    widths,
    st.integers(1, 3),
    st.integers(1, 100),
    st.integers(1, 100),
    st.sampled_from(["normal", "few", "columns of zeros", "tiny"]),
)
def test_lu(dtype: str, bits: int, count: int, m: int, n: int, kind: str) -> None:
    rng, k = np.random.default_rng(m + n), min(m, n)
    x = rng.normal(size=(count, m, n)).astype(dtype)
    if kind == "few":
        x = rng.integers(-1, 2, size=x.shape).astype(dtype)  # many of the same size, and singular
    if kind == "columns of zeros":
        x[:, :, ::3] = 0
    if kind == "tiny":
        x[:, :, 0] *= np.finfo(dtype).tiny  # quotients of subnormal numbers
    kernel = blocked_lu.lu(Matrices(dtype, count, m, n), bits)
    assert kernel is not None
    outs = [(x.shape, dtype), ((count, k), np.int32), ((count, m), np.int32)]
    factor, pivots, order = Program(kernel).several([x], outs)
    lower = np.tril(factor[:, :, :k], -1).astype("float64") + np.eye(m, k)
    moved = np.take_along_axis(x, order[..., None], 1)
    size = max(1.0, float(abs(np.triu(factor[:, :k])).max()))
    most = (k + 2) * np.finfo(dtype).eps * size
    np.testing.assert_allclose(lower @ np.triu(factor[:, :k]), moved, rtol=0, atol=most)
    assert abs(lower).max() <= 1  # which makes it the factor with partial pivoting
    np.testing.assert_array_equal(order, permutation_of(pivots, m))
    assert (pivots >= np.arange(k)).all()


@pytest.mark.parametrize("bits", [128, 256, 512])
def test_the_first_of_equal_elements_is_the_pivot(bits: int) -> None:
    x = np.ones((1, 70, 40), "float32")
    kernel = blocked_lu.lu(Matrices("float32", *x.shape), bits)
    assert kernel is not None
    outs = [(x.shape, "float32"), ((1, 40), np.int32), ((1, 70), np.int32)]
    factor, pivots, order = Program(kernel).several([x], outs)
    np.testing.assert_array_equal(pivots[0], np.arange(40))
    np.testing.assert_array_equal(order[0], np.arange(70))
    np.testing.assert_array_equal(
        np.triu(factor[0, :40]), np.ones((40, 40)) * (np.arange(40) == 0)[:, None]
    )


@settings(max_examples=50, deadline=None)
@given(dtypes, widths, st.integers(1, 70), st.integers(1, 70), st.integers(0, 99))
def test_what_is_no_number_leaves_pivots_within_the_matrix(
    dtype: str, bits: int, m: int, n: int, seed: int
) -> None:
    rng, k = np.random.default_rng(seed), min(m, n)
    x = rng.normal(size=(4, m, n)).astype(dtype)
    x[0], x[1, :, rng.integers(n)] = np.nan, np.nan
    x[2, rng.integers(m)] = [np.nan, np.inf][seed % 2]
    x[3, rng.integers(m), rng.integers(n)] = [np.inf, np.nan][seed % 2]
    kernel = blocked_lu.lu(Matrices(dtype, *x.shape), bits)
    assert kernel is not None
    outs = [(x.shape, dtype), ((4, k), np.int32), ((4, m), np.int32)]
    factor, pivots, order = Program(kernel).several([x], outs)
    assert (pivots >= np.arange(k)).all() and (pivots < m).all()
    np.testing.assert_array_equal(np.sort(order), np.broadcast_to(np.arange(m), (4, m)))
    assert not np.isfinite(factor).all((1, 2)).any()


@pytest.mark.parametrize("n", [17, 40, 70])
def test_solutions_of_what_is_singular_or_no_number(n: int) -> None:
    x = np.random.default_rng(n).normal(size=(6, n, n)).astype("f4")
    x[1, n // 2, n // 3], x[2, 0, 0], x[3, -1] = np.nan, np.nan, np.inf
    x[4, :, 9] = 0
    b = np.ones((6, n, 1), "f4")
    found = np.asarray(fg.jit(fnp.linalg.solve)(x, b))
    for k in (0, 5):
        wanted = np.linalg.solve(x[k].astype("f8"), b[k])
        np.testing.assert_allclose(found[k], wanted, rtol=1e-2, atol=1e-2 * abs(wanted).max())
    for k in (1, 2, 3):
        assert np.isnan(found[k]).any()
    assert not np.isfinite(found[4]).all()


@settings(max_examples=40, deadline=None)
@given(dtypes, widths, st.integers(1, 3), st.integers(1, 130), st.integers(0, 99))
def test_cholesky(dtype: str, bits: int, count: int, n: int, seed: int) -> None:
    x = definite((count, n, n), dtype, seed)
    read = np.tril(x) + np.triu(np.full((n, n), np.nan, dtype), 1)  # only one triangle is
    kernel = blocked_cholesky.cholesky(Matrices(dtype, count, n, n), bits)
    assert kernel is not None
    found = Program(kernel)([read], x.shape, dtype)
    assert (np.triu(found, 1) == 0).all()
    again = found.astype("float64") @ found.transpose(0, 2, 1)
    # Golub & Van Loan, 4.2.6: some units in the last place of each row's length.
    scale = np.sqrt(np.diagonal(x, axis1=1, axis2=2))
    most = scale[:, :, None] * scale[:, None] * np.finfo(dtype).eps * (n + 3)
    assert (abs(again - x) <= most).all()


@pytest.mark.parametrize("n", [17, 40, 101])
@pytest.mark.parametrize("dtype", EPS)
def test_what_is_not_definite_is_nan_and_the_others_of_its_batch_are_not(
    dtype: str, n: int
) -> None:
    x = definite((7, n, n), dtype)
    x[1, -1, -1] = -1
    x[2, n // 2, n // 3] = x[2, n // 3, n // 2] = np.nan
    x[3] = 0
    x[4, 0, 0] = -np.inf
    x[5, :, 8] = x[5, 8] = np.inf
    kernel = blocked_cholesky.cholesky(Matrices(dtype, *x.shape), 512)
    assert kernel is not None
    found = Program(kernel)([x], x.shape, dtype)
    for k in range(1, 6):
        np.testing.assert_array_equal(found[k], np.tril(np.full((n, n), np.nan)))
    for k in (0, 6):
        np.testing.assert_allclose(found[k], np.linalg.cholesky(x[k]), rtol=0, atol=n * EPS[dtype])


@pytest.mark.parametrize(
    ("n", "sides", "count"), [(1, 1, 1), (7, 3, 2), (33, 130, 1), (20, 65, 3), (72, 48, 2)]
)
@pytest.mark.parametrize("how", list(itertools.product([False, True], repeat=4)), ids=str)
@pytest.mark.parametrize("bits", [128, 256, 512])
def test_triangular_solve(bits: int, how: Any, n: int, sides: int, count: int) -> None:
    dtype = ("float32", "float64")[(n + sides) % 2]

    def build(system: Triangular) -> Any:
        return blocked_triangles.triangular_solve(system, bits)

    check(dtype, how, (n, sides, count), build, 20 * EPS[dtype])


@pytest.mark.parametrize("how", list(itertools.product([False, True], repeat=3)), ids=str)
def test_systems_that_are_singular_or_no_numbers_are_as_lapack_has_them(how: Any) -> None:
    n, sides = 37, 20
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, n, n)), rng.normal(size=(3, n, sides))
    a, b = (a / n + 2 * np.eye(n)).astype("f4"), b.astype("f4")
    a[0, 20, 20] = 0
    b[1, 5, 3], b[2, 30, 7] = np.nan, np.inf
    left, *rest = how
    if not left:
        b = b.swapaxes(1, 2).copy()
    system = Triangular(Matrices("float32", *b.shape), n, left, *rest, unit=False)
    ours, theirs = blocked_triangles.triangular_solve(system, 512), lapack.triangular_solve(system)
    assert ours is not None
    assert theirs is not None
    found, wanted = (Program(kernel)([a, b], b.shape, "float32") for kernel in (ours, theirs))
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(wanted))
    whole = np.isfinite(wanted)
    np.testing.assert_allclose(found[whole], wanted[whole], rtol=1e-4, atol=1e-5)


def test_who_has_no_tiles() -> None:
    large = Matrices("float32", 2, 513, 513)
    assert blocked_lu.lu(Matrices("float64", 1, 363, 363), 512) is None
    for x in (large, Matrices("float32", 0, 20, 20), Matrices("complex64", 1, 20, 20)):
        assert blocked_cholesky.cholesky(x, 512) is None
        assert blocked_lu.lu(x, 512) is None
        assert blocked_triangles.triangular_solve(Triangular(x, x.rows, *[True] * 4), 512) is None


def test_programs_have_them_and_the_same_bits_for_any_number_of_threads() -> None:
    x = definite((2, 70, 70), "float32")

    def function(x: Any) -> Any:
        half = lax.linalg.cholesky(x)
        return (
            lax.linalg.lu(x),
            half,
            lax.linalg.triangular_solve(half, fnp.swapaxes(x, 1, 2), left_side=True, lower=True),
        )

    text = fg.jit(function).lower(x).explain()
    assert "tiles of each matrix" in text
    assert "tiles of right sides" in text
    found = []
    try:
        for threads in (1, 2, 3, 4):
            fg.config.update("num_threads", threads)
            found.append([np.asarray(y) for y in fg.tree.leaves(fg.jit(function)(x))])
    finally:
        fg.config.update("num_threads", None)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
