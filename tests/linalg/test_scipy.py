"""scipy.linalg: each function against JAX, traced, mapped, and differentiated twice."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

import funcgrad as fg
import funcgrad.numpy as fnp
import funcgrad.scipy.linalg as ours

from .checks import RAW, check_against_jax, check_derivatives, check_traced_and_mapped

SMOOTH = """
s.cholesky(n.linalg.matmul(a, a.T))
s.cholesky(a @ a.T, lower=True)
s.cho_factor(z @ z.conj().T)
s.cho_solve(s.cho_factor(a @ a.T), v)
s.cho_solve(s.cho_factor(a @ a.T, lower=True), r)
s.cho_solve(s.cho_factor(z @ z.conj().T), z)
s.lu(a)
s.lu(t)
s.lu(w, permute_l=True)
s.lu_factor(b)
s.lu_solve(s.lu_factor(a), v)
s.lu_solve(s.lu_factor(a), r, trans=1)
s.lu_solve(s.lu_factor(z), z, trans=2)
s.lu_solve(s.lu_factor(b), b)
s.qr(a)
s.qr(t)
s.qr(t, mode='economic')
s.qr(t, mode='r')
s.qr(t, pivoting=True)
s.qr(w, pivoting=True, mode='r')
s.svd(a)
s.svd(z, compute_uv=False)
s.det(a)
s.inv(b)
s.eigh(p)
s.eigh(p, eigvals_only=True)
s.solve(a, v)
s.solve(a @ a.T, v, assume_a='pos')
s.solve(z @ z.conj().T, z, assume_a='pos', lower=True)
s.solve_triangular(a, v)
s.solve_triangular(a, r, trans='T', lower=True)
s.solve_triangular(z, z, trans=2, unit_diagonal=True)
s.solve_triangular(b, b)
s.solve_sylvester(a @ a.T, p, a)
s.solve_sylvester(z, z, z)
s.expm(a)
s.expm(b)
s.expm(z)
s.expm(0.01 * a)
s.expm(5 * a)
s.expm_frechet(a, p)
s.expm_frechet(a, p, compute_expm=False)
s.sqrtm(p)
s.sqrtm(a)
s.polar(a)
s.polar(t)
s.polar(b)
s.polar(w, side='left')
s.polar(t, method='svd')
s.polar(y)
s.block_diag(a, v, z)
s.toeplitz(v)
s.toeplitz(u, v)
s.toeplitz(z)
s.hankel(v)
s.hankel(u, v)
s.hankel(t)
s.circulant(t)
s.leslie(v, u)
s.companion(v)
s.companion(t + 4)
s.fiedler(n.arange(3.0) + 0.1 * u)
s.fiedler(n.arange(3.0) + 0.1 * t)
s.fiedler_companion(v)
s.fiedler_companion(w + 4)
s.fiedler_companion(a[:, :2])
s.fiedler_companion(a[:, :1])
s.convolution_matrix(v, 3)
s.convolution_matrix(v, 2, mode='same')
s.convolution_matrix(v, 6, mode='same')
s.convolution_matrix(v, 6, mode='valid')
s.convolution_matrix(t, 2, mode='valid')
""".strip().splitlines()

VALUES = """
s.schur(a)
s.schur(b)
s.schur(z)
s.schur(a, output='complex')
s.hessenberg(a)
s.hessenberg(a, calc_q=True)
s.hessenberg(b, calc_q=True)
s.hessenberg(z, calc_q=True)
s.rsf2csf(*s.schur(a))
s.rsf2csf(*s.schur(b))
s.funm(a, n.exp)
s.funm(p, n.sin)
s.funm(a, n.exp, disp=False)[0]
s.eigh_tridiagonal(v, u, eigvals_only=True)
s.eigh_tridiagonal(v, u, eigvals_only=True, select='i', select_range=(1, 2))
n.abs(s.eigh_tridiagonal(v, u)[1])
n.abs(s.eigh_tridiagonal(z[0], z[1, :2])[1])
s.qr_multiply(a, r.T)
s.qr_multiply(t, w)
s.qr_multiply(t, u, mode='left')
s.qr_multiply(t, w, conjugate=True)
s.qr_multiply(z, z, mode='left', conjugate=True)
s.qr_multiply(w, u, mode='left', pivoting=True)
s.block_diag()
s.block_diag(k, 2)
s.hilbert(4)
s.invhilbert(4)
s.pascal(5)
s.pascal(4, kind='lower')
s.pascal(4, kind='upper')
s.invpascal(4)
s.invpascal(4, kind='lower')
s.helmert(4)
s.helmert(4, full=True)
s.helmert(1)
s.hadamard(4)
s.hadamard(1, dtype='float32')
s.dft(5)
s.dft(4, scale='n')
s.dft(4, scale='sqrtn', dtype='complex64')
s.expm(n.zeros((0, 0)))
s.expm(1e7 * n.ones((2, 2)))
s.solve_sylvester(a, -a, p)
s.sqrtm(n.zeros((2, 2)))
s.polar(a, side='left', method='svd')
""".strip().splitlines()

FAILING = """
s.solve(a, u)
s.solve(a, v, assume_a='positive')
s.qr(a, mode='whole')
s.schur(a, output='integer')
s.eigh(a, eigvals=(0, 1))
s.eigh_tridiagonal(v, u, select='v')
s.polar(v)
s.polar(a, side='up')
s.solve_triangular(a, v, trans=5)
s.solve_sylvester(a, t, p)
s.block_diag(b)
s.hadamard(3)
s.dft(3, scale='m')
s.dft(3, dtype='float32')
s.pascal(3, kind='all')
s.helmert(0)
s.convolution_matrix(v, 0)
s.convolution_matrix(v, 2, mode='all')
s.companion(v[:1])
s.leslie(v, v)
s.hankel(1.0)
s.expm(t)
s.expm_frechet(a, t)
s.funm(t, n.exp)
s.rsf2csf(a, t)
""".strip().splitlines()


@pytest.mark.parametrize("call", SMOOTH + VALUES)
def test_as_in_jax(call):
    check_against_jax(call)


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize(("first", "second"), [("p", "a"), ("h", "z")])
def test_eigenvalues_of_pairs(first, second, kind):
    """Of one matrix and of two with the definite b: the problem solved, the vectors normalized."""
    b, other = RAW[first], RAW[second]
    one = other + other.conj().T
    with fg.enable_x64():
        for a in (one, np.stack([one, b])):
            w, v = map(np.asarray, ours.eigh(a, b, type=kind))
            left = {1: a @ v, 2: a @ b @ v, 3: b @ a @ v}[kind]
            right = (b @ v if kind == 1 else v) * w[..., None, :]
            np.testing.assert_allclose(left, right, rtol=1e-8, atol=1e-8)
            norm = v.conj().swapaxes(-1, -2) @ (np.linalg.inv(b) if kind == 3 else b) @ v
            np.testing.assert_allclose(norm, np.broadcast_to(np.eye(len(b)), norm.shape), atol=1e-9)
            assert (np.diff(w) >= 0).all()
            alone = np.asarray(ours.eigh(a, b, type=kind, eigvals_only=True))
            np.testing.assert_allclose(alone, w, rtol=1e-9)
        assert np.isnan(np.asarray(ours.eigh(one, -b, type=kind)[0])).all()
        with pytest.raises(ValueError, match="as many rows"):
            ours.eigh(one, b[1:, 1:], type=kind)


@pytest.mark.parametrize("call", SMOOTH)
def test_traced_and_mapped(call):
    with fg.enable_x64():
        check_traced_and_mapped(call)


@pytest.mark.parametrize("call", SMOOTH)
def test_derivatives(call):
    check_derivatives(call)


@pytest.mark.parametrize("call", FAILING)
def test_errors_where_jax_has_one(call):
    jax = pytest.importorskip("jax")

    from .checks import function

    theirs, names = function(call, jax)
    with pytest.raises(Exception) as raised:
        theirs(*[jax.numpy.asarray(RAW[name], "float32") for name in names])
    mine, _ = function(call, fg)
    with pytest.raises((TypeError, ValueError)) as found:
        mine(*[fnp.asarray(RAW[name]) for name in names])
    expected = (TypeError, ValueError, NotImplementedError)
    assert isinstance(raised.value, expected) and len(str(found.value)) > 20


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_exponential_as_in_scipy(scale):
    x = RAW["a"] * scale
    with fg.enable_x64():
        want = scipy.linalg.expm(x)
        np.testing.assert_allclose(ours.expm(fnp.asarray(x)), want, rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 4, 4), (40, 40), (2, 0, 0), (0, 3, 3)])
def test_compiled_exponentials_call_nobody_and_agree_with_scipy(shape, dtype):
    x = np.random.default_rng(5).normal(size=shape) / max(shape[-1], 1) ** 0.5
    with fg.enable_x64():
        for scale in (0.01, 4.0):
            a = fnp.asarray((scale * x).astype(dtype))
            lowered = fg.jit(ours.expm).lower(a)
            assert "called out: nothing" in lowered.explain() or not x.size
            want = scipy.linalg.expm(scale * x)
            rate = (2e-4 if dtype == "float32" else 1e-11) * abs(want).max(initial=0.0)
            np.testing.assert_allclose(lowered.compile()(a), want, rtol=0, atol=rate)


def test_complex_exponentials_are_left_to_scipy():
    x = fnp.asarray(np.random.default_rng(5).normal(size=(4, 4)) + 0.3j)
    lowered = fg.jit(ours.expm).lower(x)
    assert "called out: expm\n" in lowered.explain()
    np.testing.assert_allclose(lowered.compile()(x), scipy.linalg.expm(np.asarray(x)), rtol=1e-4)


def test_compiled_slopes_of_exponentials():
    a = fnp.asarray(np.random.default_rng(5).normal(size=(2, 5, 5)).astype("f4"))
    slope = fg.grad(lambda a: fnp.sum(ours.expm(a)))
    assert "called out: nothing" in fg.jit(slope).lower(a).explain()
    np.testing.assert_allclose(fg.jit(slope)(a), slope(a), rtol=2e-4, atol=2e-4)


def test_compiled_exponentials_of_what_is_not_finite_harm_no_others():
    x = np.zeros((3, 4, 4), "f4")
    x[1, 2, 3] = np.nan
    found = np.asarray(fg.jit(ours.expm)(x))
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[[0, 2]], [np.eye(4)] * 2)


def test_solving_by_a_definite_factor_of_a_batch():
    with fg.enable_x64():
        b = RAW["b"] @ np.swapaxes(RAW["b"], -1, -2)
        x = ours.solve(fnp.asarray(b), fnp.asarray(RAW["u"]), assume_a="pos")
        back = (b @ np.asarray(x)[..., None])[..., 0]
        np.testing.assert_allclose(back, np.stack([RAW["u"]] * 2))
