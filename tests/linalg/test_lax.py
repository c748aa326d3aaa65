"""lax.linalg: each function against JAX, where it degenerates, and on bad input."""

from __future__ import annotations

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.lax import linalg

from .checks import RAW, check_against_jax, check_derivatives, check_traced_and_mapped, function

SMOOTH = """
la.cholesky(p)
la.cholesky_update(n.linalg.qr(a).R * n.sign(n.diag(n.linalg.qr(a).R))[:, None], v)
la.eig(a, compute_left_eigenvectors=False, compute_right_eigenvectors=False)
la.eigh(a)
la.eigh(p, subset_by_index=(0, 4))
la.householder_product(t, u)
la.householder_product(t, u[:2])
la.lu(a)
la.lu(w)
la.lu(b)
la.ormqr(t, u, t)
la.ormqr(t, u, w, left=False, transpose=True)
la.ormqr(z, z[0], z, transpose=True)
la.qr(t)
la.qr(t, pivoting=True, full_matrices=False)
la.qr(b)
la.svd(t, full_matrices=False)
la.svd(a, compute_uv=False)
la.symmetric_product(a, p, alpha=0.5, beta=2.0)
la.symmetric_product(w, n.eye(3), symmetrize_output=True)
la.triangular_solve(a, r, left_side=True)
la.triangular_solve(a, r.T, lower=True, transpose_a=True)
la.tridiagonal_solve(v, v + 5, 0.5 * v, r)
la.tridiagonal_solve(b[..., 0], b[..., 1] + 5, b[..., 2], b)
""".strip().splitlines()

VALUES = """
la.schur(a)
la.schur(z)
la.schur(a, compute_schur_vectors=False)
la.hessenberg(a)
la.hessenberg(b)
la.tridiagonal(p)
la.tridiagonal(h, lower=False)
la.tridiagonal(n.ones((1, 1)))
la.lu_pivots_to_permutation(n.array([2, 1, 2], 'int32'), 4)
la.lu_pivots_to_permutation(n.array([[2, 1, 2], [0, 1, 2]], 'int32'), 3)
la.qdwh(a)
la.qdwh(t)
n.abs(la.eig(a)[1])
n.abs(la.eig(z)[2])
la.svd(n.zeros((0, 3)))
la.svd(n.zeros((3, 0)), full_matrices=False)
la.qr(n.zeros((0, 3)))
la.qr(n.zeros((3, 0)))
la.lu(n.zeros((0, 3)))
la.eigh(n.zeros((0, 0)))
la.tridiagonal_solve(n.zeros(3), n.zeros(3), n.zeros(3), n.ones((3, 1)))
la.svd(n.full((2, 2), n.nan))
la.eigh(n.full((2, 2), n.nan))
la.eig(n.full((2, 2), n.nan))
la.eig(n.full((2, 2), n.inf))
""".strip().splitlines()

FAILING = """
la.lu(v)
la.lu(n.ones((2, 2), 'int32'))
la.svd(v)
la.svd(t, subset_by_index=(0, 2))
la.eigh(t)
la.eig(t)
la.schur(t)
la.hessenberg(t)
la.tridiagonal(t)
la.tridiagonal(n.zeros((0, 0)))
la.qr(v)
la.householder_product(w, u)
la.householder_product(t, v)
la.ormqr(t, u, w)
la.tridiagonal_solve(v, v, u, r)
la.tridiagonal_solve(v, v, v, v)
la.cholesky_update(a, u)
la.symmetric_product(t, a)
la.lu_pivots_to_permutation(n.array([0, 1], 'int32'), 1)
la.lu_pivots_to_permutation(v, 4)
top.grad(lambda x: la.schur(x)[0].sum())(a)
top.grad(lambda x: la.hessenberg(x)[0].sum())(a)
top.jvp(lambda x: la.eig(x), (a,), (a,))
top.jvp(lambda x: la.svd(x), (t,), (t,))
""".strip().splitlines()

x64 = pytest.mark.usefixtures("_x64")


@pytest.fixture
def _x64():
    with fg.enable_x64():
        yield


@pytest.mark.parametrize("call", SMOOTH + VALUES)
def test_as_in_jax(call):
    check_against_jax(call)


@pytest.mark.parametrize("call", SMOOTH)
@x64
def test_traced_and_mapped(call):
    check_traced_and_mapped(call)


@pytest.mark.parametrize("call", SMOOTH)
def test_derivatives(call):
    check_derivatives(call)


@pytest.mark.parametrize("call", FAILING)
def test_errors_where_jax_has_one(call):
    jax = pytest.importorskip("jax")

    theirs, names = function(call, jax)
    with pytest.raises(Exception) as raised:
        theirs(*[jax.numpy.asarray(RAW[name], "float32") for name in names])
    mine, _ = function(call, fg)
    with pytest.raises((TypeError, ValueError)) as found:
        mine(*[fnp.asarray(RAW[name]) for name in names])
    assert isinstance(raised.value, (TypeError, ValueError, NotImplementedError))
    assert len(str(found.value)) > 20


def test_every_name_of_jax_is_there():
    jax_linalg = pytest.importorskip("jax.lax.linalg")
    public = [name for name in dir(jax_linalg) if not name.startswith("_")]
    assert not [name for name in public if not hasattr(linalg, name)]
    assert lax.linalg is linalg


@x64
def test_ranges_of_eigenvalues_and_singular_values():
    v, w = linalg.eigh(fnp.asarray(RAW["p"]))
    part_v, part_w = linalg.eigh(fnp.asarray(RAW["p"]), subset_by_index=(1, 3))
    np.testing.assert_allclose(part_w, np.asarray(w)[1:3])
    np.testing.assert_allclose(part_v, np.asarray(v)[:, 1:3])
    u, s, vh = linalg.svd(fnp.asarray(RAW["t"]), full_matrices=False, subset_by_index=(0, 2))
    assert (u.shape, s.shape, vh.shape) == ((5, 2), (2,), (2, 3))
    with pytest.raises(ValueError, match="out of range"):
        linalg.eigh(fnp.asarray(RAW["p"]), subset_by_index=(1, 5))


@x64
def test_derivatives_of_ranges():
    check_derivatives("la.eigh(p, subset_by_index=(1, 3))")
    check_derivatives("la.svd(t, full_matrices=False, subset_by_index=(1, 3))")


@x64
def test_derivatives_of_eigenvectors_by_leave():
    # The signs of eigenvectors are LAPACK's; their squares do not depend on them.
    for flags, i in (("", 1), ("", 2), ("compute_left_eigenvectors=False, ", 1)):
        for x in "az":
            check_derivatives(f"la.eig({x}, {flags}enable_eigvec_derivs=True)[{i}] ** 2")


@x64
def test_derivatives_of_the_triangle_of_complex_qr():
    check_derivatives("la.qr(y)[1]")
    check_derivatives("la.qr(y)[0]")
    check_derivatives("la.qr(y, pivoting=True)")


@x64
def test_values_move_where_vectors_have_no_derivative():
    """Coinciding eigenvalues and singular values: their sums have derivatives, vectors none."""
    x = fnp.eye(3)
    gradient = fg.grad(lambda m: fnp.linalg.eigvalsh(m).sum())(x)
    np.testing.assert_allclose(gradient, np.eye(3))
    gradient = fg.grad(lambda m: fnp.linalg.svdvals(m).sum())(x)
    np.testing.assert_allclose(gradient, np.eye(3))
    gradient = fg.grad(lambda m: fnp.linalg.norm(m, "nuc"))(x)
    np.testing.assert_allclose(gradient, np.eye(3))
    for vectors in (lambda m: linalg.eigh(m)[0][0, 0], lambda m: linalg.svd(m)[0][0, 0]):
        assert not np.isfinite(np.asarray(fg.grad(vectors)(x))).all()
    assert not np.isfinite(np.asarray(fg.grad(lambda m: linalg.qr(m)[0].sum())(0 * x))).all()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("lost", [1, 2])
@x64
def test_the_determinant_of_singular_matrices_has_a_gradient(n, lost):
    """It is the transposed adjugate, of minors."""
    rng = np.random.default_rng(n)
    full = rng.normal(size=(n, n))
    full[:, : min(lost, n)] = full[:, -1:] * np.arange(2, 2 + min(lost, n)) if n > lost else 0
    minors = np.array(
        [
            [
                (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(full, i, 0), j, 1))
                for j in range(n)
            ]
            for i in range(n)
        ]
    )
    gradient = np.asarray(fg.grad(fnp.linalg.det)(fnp.asarray(full)))
    np.testing.assert_allclose(gradient, minors, atol=1e-8 * max(1, np.abs(minors).max()))


@x64
def test_zero_pivots_in_exact_arithmetic():
    x = fnp.asarray(np.diag([1.0, 0.0, 3.0, 4.0]))
    want = np.zeros((4, 4))
    want[1, 1] = 12
    np.testing.assert_allclose(fg.grad(fnp.linalg.det)(x), want, atol=1e-12)


@x64
def test_tiny_pivots_are_moved_when_asked():
    d = fnp.asarray([0.0, 1.0, 0.0])
    zero, b = fnp.zeros(3), fnp.ones((3, 1))
    assert np.isnan(np.asarray(linalg.tridiagonal_solve(zero, d, zero, b))).all()
    moved = linalg.tridiagonal_solve(zero, d, zero, b, perturb_singular=True)
    assert np.isfinite(np.asarray(moved)).all()


def test_one_bad_matrix_leaves_the_others():
    x = np.stack([np.eye(3), np.full((3, 3), np.nan), 2 * np.eye(3)]).astype("float32")
    x[1] = np.nan
    for outs in (
        linalg.eigh(x),
        linalg.svd(x),
        linalg.eig(x),
        linalg.schur(x),
        [linalg.cholesky(x)],
        [fnp.linalg.inv(x)],
        [fnp.linalg.pinv(x)],
    ):
        for out in map(np.asarray, outs):
            assert np.isfinite(out[[0, 2]]).all()
            assert np.isnan(out[1]).any()


def test_strided_and_byte_swapped_input():
    x = RAW["p"].astype("float32")
    want = fnp.linalg.inv(x)
    np.testing.assert_allclose(fnp.linalg.inv(np.asfortranarray(x)), want, rtol=1e-6)
    np.testing.assert_allclose(fnp.linalg.inv(np.repeat(x, 2, 0)[::2]), want, rtol=1e-6)
    np.testing.assert_allclose(fnp.linalg.inv(x.astype(">f4")), want, rtol=1e-6)


def test_what_the_cpu_does_not_have_is_refused():
    x = fnp.eye(3)
    for call in (
        lambda: linalg.eigh(x, implementation=linalg.EighImplementation.JACOBI),
        lambda: linalg.eig(x, implementation=linalg.EigImplementation.MAGMA),
        lambda: linalg.svd(x, algorithm=linalg.SvdAlgorithm.POLAR),
        lambda: linalg.schur(x, sort_eig_vals=True),
    ):
        with pytest.raises(ValueError, match=r"Leave|not order"):
            call()
    u, s, vh = linalg.svd(x, algorithm=linalg.SvdAlgorithm.QR)
    np.testing.assert_allclose(u @ fnp.diag(s) @ vh, np.eye(3), atol=1e-6)


def test_factors_of_integers_are_floats() -> None:
    a = np.array([[2, 1], [1, 3]], np.int32)
    for found, want in (
        (linalg.cholesky(a), np.linalg.cholesky(a)),
        (linalg.eigh(a)[1], np.linalg.eigh(a)[0]),
    ):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, want, rtol=1e-6)
    for factored in (linalg.cholesky, linalg.eigh):
        with pytest.raises(TypeError, match=r"takes float32"):
            factored(a, symmetrize_input=False)
