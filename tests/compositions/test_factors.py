"""Factors of matrices as GPUs compute them, beside LAPACK's."""

import itertools

import numpy as np
import pytest

from funcgrad.compositions.reflections import LARGE
from funcgrad.kernels.cuda.factors import SIDE

from .running import both

SHAPES = [(1, 1), (4, 7), (2, 7, 4), (2, 34, 34)]
SQUARE = [s for s in SHAPES if s[-1] == s[-2]]


def drawn(shape, dtype, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=shape)
    return (x + 1j * draw.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def adjoint(x):
    return np.swapaxes(x.conj(), -1, -2)


def same(found, wanted):
    for f, w in zip(found, wanted, strict=True):
        rate = 2e-4 if w.dtype in (np.float32, np.complex64) else 1e-11
        np.testing.assert_allclose(f, w, rate, rate)


each_dtype = pytest.mark.parametrize("dtype", ["complex128", "float32"])


@each_dtype
@pytest.mark.parametrize("shape", SHAPES)
def test_factors(shape, dtype):
    x = drawn(shape, dtype)
    packed, taus = same_qr(x)
    if shape[-2] >= shape[-1]:
        same(*both("householder_product", packed, taus))
    same(*both("geqp3", x))
    for full, pivoting in itertools.product((True, False), (True, False)):
        same(*both("qr", x, full_matrices=full, pivoting=pivoting))
    c = drawn((*shape[:-1], 2), dtype, 1)
    for left, back in itertools.product((True, False), (True, False)):
        given = c if left else np.swapaxes(c, -1, -2)
        same(*both("ormqr", packed, taus, given, left=left, transpose=back))


@pytest.mark.parametrize(("shape", "dtype"), [
    ((LARGE, LARGE), "complex128"), ((130, LARGE + 1), "float64"), ((2, LARGE + 1, 130), "float64"),
])  # fmt: skip
def test_reflections_by_blocks(shape, dtype):
    x = drawn(shape, dtype)
    # A column of zeros has no reflection.
    x[..., 40] = 0
    packed, taus = same_qr(x)
    same(*both("qr", x, full_matrices=False, pivoting=False))
    c = drawn((*shape[:-1], 2), dtype, 1)
    for left, back in ((True, True), (True, False), (False, False)):
        given = c if left else np.swapaxes(c, -1, -2)
        same(*both("ormqr", packed, taus, given, left=left, transpose=back))


def same_qr(x):
    found, wanted = both("geqrf", x)
    same(found, wanted)
    return wanted


# Beyond what a kernel does by itself: blocks, the last of them filled up, and blocks of blocks.
BLOCKED = [(2, 70, 70), (100, 100), (90, 70), (2, 70, 90), (33, 100), (70, 1), (2, 600, 550)]


@pytest.mark.parametrize("shape", BLOCKED)
def test_lu(shape):
    if min(shape[-2:]) > 1:
        (factor, pivots, order), wanted = both("lu", drawn(shape, "complex128"))
        same([factor, pivots, order], wanted)
    if shape[-1] > SIDE:
        same(*both("lu", drawn(shape, "float64")))
    if SIDE < shape[-1] < 200:
        same(*both("lu", drawn(shape, "float32")))


def test_lu_of_singular_matrices():
    for x in (np.zeros((70, 70)), np.ones((70, 70)), np.triu(np.ones((70, 70)), 3)):
        same(*both("lu", x))
    # Columns of zeros among others: nothing is exchanged there.
    x = drawn((3, 90, 90), "float64")
    x[1] = np.tril(x[1]) / 9 + 2 * np.eye(90)
    x[..., 40:50] = 0
    same(*both("lu", x))


@pytest.mark.parametrize(("shape", "dtype"), [
    ((2, 34, 34), "complex128"), ((3, 70, 70), "float32"), ((130, 130), "complex128"),
    ((1, 129, 129), "float64"), ((1100, 1100), "float64"),
])  # fmt: skip
def test_cholesky(shape, dtype):
    x = drawn(shape, dtype)
    given = x @ adjoint(x) + shape[-1] * np.eye(shape[-1], dtype=dtype)
    # The lower triangle alone is read.
    above = np.where(np.tri(shape[-1], dtype=bool), 0, dtype == "float64")
    (found,), (wanted,) = both("cholesky", given + above.astype(dtype))
    same([found], [wanted])
    assert (np.triu(found, 1) == 0).all()


@each_dtype
@pytest.mark.parametrize("shape", SQUARE)
def test_squares(shape, dtype):
    x = drawn(shape, dtype)
    same(*both("hessenberg", x))
    if np.dtype(dtype).kind == "f":
        same(*both("cholesky_update", np.triu(x) + 4 * np.eye(shape[-1], dtype=dtype), x[..., 0]))


def test_no_cholesky_factor():
    for part in ([[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]], [[np.nan, 0.0], [0.0, 1.0]]):
        for dtype, n, at in (("complex128", 2, 0), ("float64", 70, 0), ("float64", 70, 68)):
            x = np.eye(n, dtype=dtype)
            x[at : at + 2, at : at + 2] = part
            (found,), _ = both("cholesky", np.array([x, np.eye(n)], dtype))
            np.testing.assert_array_equal(found[0], np.tril(np.full_like(x, np.nan)))
            np.testing.assert_array_equal(found[1], np.eye(n))


@pytest.mark.parametrize("number", range(32))
def test_triangular_systems(number):
    n = 37 if number % 9 == 0 else 3
    names = ("left_side", "lower", "transpose_a", "conjugate_a", "unit_diagonal")
    params = {name: bool(number >> k & 1) for k, name in enumerate(names)}
    a = drawn((2, n, n), "complex128") / n + 2 * np.eye(n)
    # What is not of the triangle may hold anything.
    a = np.where((np.tri(n, dtype=bool) if params["lower"] else np.tri(n, dtype=bool).T), a, np.nan)
    b = drawn((2, n, 3), "complex128", 1)
    same(
        *both("triangular_solve", a, b if params["left_side"] else np.swapaxes(b, -1, -2), **params)
    )


@pytest.mark.parametrize("number", range(16))
def test_large_triangular_systems(number):
    n = 1100 if number == 5 else 70 + number
    names = ("left_side", "lower", "transpose_a", "unit_diagonal")
    params = {name: bool(number >> k & 1) for k, name in enumerate(names)} | {"conjugate_a": False}
    a = drawn((n, n), "float64") / n + 2 * np.eye(n)
    a = np.where((np.tri(n, dtype=bool) if params["lower"] else np.tri(n, dtype=bool).T), a, np.nan)
    b = drawn((n, 3), "float64", 1)
    same(*both("triangular_solve", a, b if params["left_side"] else b.T.copy(), **params))


KINDS = {
    "general": lambda x: x,
    "few directions": lambda x: x * (np.arange(x.shape[-1]) > x.shape[-1] // 2),
    "zero": np.zeros_like,
    "large": lambda x: x * 1e150,
    "small": lambda x: x * 1e-150,
    "graded": lambda x: x * 10.0 ** -np.arange(x.shape[-1]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "dtype"), [(1, "float64"), (3, "complex128"), (6, "float64")])
def test_eigenvalues(n, dtype, kind):
    x = KINDS[kind](drawn((2, n, n), dtype))
    x = x + adjoint(x)
    params = {"algorithm": None, "sort_eigenvalues": True, "subset_by_index": None}
    for lower in (True, False):
        given = np.tril(x) if lower else np.triu(x)
        (v, w), (_, wanted) = both("eigh", given, lower=lower, **params)
        (alone,), _ = both("eigh_values", given, lower=lower, **params)
        np.testing.assert_array_equal(alone, w)
        scale = max(abs(x).max(), 1e-300)
        np.testing.assert_allclose(w / scale, wanted / scale, 0, 1e-13)
        np.testing.assert_allclose(x @ v / scale, v * (w / scale)[..., None, :], 0, 1e-13)
        np.testing.assert_allclose(adjoint(v) @ v, np.broadcast_to(np.eye(n), x.shape), 0, 1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 5, 3), (3, 5), (4, 4)])
def test_singular_values(shape, kind):
    x = KINDS[kind](drawn(shape, "complex128"))
    for full in (True, False):
        params = {"algorithm": None, "compute_uv": True, "subset_by_index": None}
        (s, u, vh), (wanted, *_) = both("svd", x, full_matrices=full, **params)
        scale, k = max(abs(x).max(), 1e-300), s.shape[-1]
        np.testing.assert_allclose(s / scale, wanted / scale, 0, 1e-13)
        again = (u[..., :k] * (s / scale)[..., None, :]) @ vh[..., :k, :]
        np.testing.assert_allclose(again, x / scale, 0, 1e-13)
        for q in (u, adjoint(vh)):
            eye = np.broadcast_to(np.eye(q.shape[-1]), (*q.shape[:-2], *[q.shape[-1]] * 2))
            np.testing.assert_allclose(adjoint(q) @ q, eye, 0, 1e-13)


def test_parts_and_what_is_not_finite():
    x = drawn((2, 4, 4), "float64")
    x[1, 2, 1] = np.nan
    x = x + adjoint(x)
    params = {"algorithm": None, "sort_eigenvalues": True, "lower": True}
    found, wanted = both("eigh", x, subset_by_index=(1, 3), **params)
    same([abs(f) for f in found], [abs(w) for w in wanted])
    params = {"algorithm": None, "full_matrices": False, "compute_uv": True}
    found, wanted = both("svd", x, subset_by_index=(1, 3), **params)
    same([abs(f) for f in found], [abs(w) for w in wanted])
    (s,), (wanted,) = both("svd", x, subset_by_index=None, **{**params, "compute_uv": False})
    same([s], [wanted])
