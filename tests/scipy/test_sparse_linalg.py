"""Iterative solvers: solutions, preconditioners, trees, derivatives of the equation, batches."""

from functools import partial

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import numpy as fnp
from funcgrad.scipy.sparse.linalg import bicgstab, cg, gmres

rng = np.random.default_rng(0)
N = 9

incremental = partial(gmres, solve_method="incremental")
SOLVERS = {
    "cg": cg,
    "bicgstab": bicgstab,
    # Rounds shorter than the size, so that there are several.
    "gmres": partial(gmres, restart=4),
    "gmres-incremental": partial(incremental, restart=4),
}
every_solver = pytest.mark.parametrize("name", SOLVERS)


def matrix(name, dtype=np.float64, n=N):
    """One the solver is for: definite for conjugate gradients, any for the others."""
    m = rng.normal(size=(n, n)) + 5 * np.eye(n)
    if np.dtype(dtype).kind == "c":
        m = m + 1j * rng.normal(size=(n, n))
    return (m @ m.conj().T if name == "cg" else m).astype(dtype)


def vector(dtype=np.float64, n=N):
    x = rng.normal(size=n) + (1j * rng.normal(size=n) if np.dtype(dtype).kind == "c" else 0)
    return x.astype(dtype)


@every_solver
@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32])
def test_solution(name, dtype):
    A, b = matrix(name, dtype), vector(dtype)
    tol = 1e-5 if dtype == np.float32 else 1e-11
    with fg.enable_x64(True):
        solver = partial(SOLVERS[name], tol=tol)
        found = [solver(A, b)]
        if dtype == np.float64:
            found += [
                solver(lambda v: fnp.asarray(A) @ v, b, vector(dtype)),
                fg.jit(solver)(A, b),
                solver(A, b, M=np.diag(1 / np.diag(A))),
                solver(A, b, M=lambda v: v / np.diag(A)),
            ]
        for x, info in found:
            assert x.dtype == dtype and x.shape == (N,)
            residual = np.linalg.norm(A @ np.asarray(x) - b)
            assert residual <= 3 * tol * np.linalg.norm(b)
            assert info is None if "gmres" not in name else info == 0


@every_solver
def test_trees_count_as_one_vector(name):
    A, b = matrix(name), vector()
    with fg.enable_x64(True):

        def split(v):
            return {"p": v[:4].reshape(2, 2), "q": (v[4:8], v[8])}

        def joined(t):
            return fnp.concatenate([t["p"].reshape(-1), t["q"][0], t["q"][1][None]])

        x, _ = SOLVERS[name](lambda t: split(A @ joined(t)), split(fnp.asarray(b)), tol=1e-11)
        np.testing.assert_allclose(joined(x), np.linalg.solve(A, b), atol=1e-8)


@every_solver
def test_derivatives_are_those_of_the_equation(name):
    A, b, weights = matrix(name), vector(), vector()
    solver = partial(SOLVERS[name], tol=1e-12)
    with fg.enable_x64(True):

        def loss(A, b):
            return weights @ solver(lambda v: A @ v, b)[0]

        back, x = np.linalg.solve(A.T, weights), np.linalg.solve(A, b)
        for slopes in (fg.grad(loss, (0, 1)), fg.jit(fg.grad(loss, (0, 1)))):
            of_A, of_b = slopes(A, b)
            # A hermitian one is its own transpose, so that its slope is the same outer product.
            np.testing.assert_allclose(of_A, -np.outer(back, x), atol=1e-8)
            np.testing.assert_allclose(of_b, back, atol=1e-8)
        dA, db = matrix(name), vector()
        _, moved = fg.jvp(loss, (A, b), (dA, db))
        np.testing.assert_allclose(moved, weights @ np.linalg.solve(A, db - dA @ x), atol=1e-8)
        twice = fg.grad(lambda b: (fg.grad(loss, 0)(A, b) ** 2).sum())(b)
        expected = np.linalg.solve(A.T, 2 * (back @ back) * x)
        np.testing.assert_allclose(twice, expected, atol=1e-7)


@every_solver
def test_batches(name):
    A = np.stack([matrix(name) for _ in range(3)])
    b = np.stack([vector() for _ in range(3)])
    with fg.enable_x64(True):

        def solver(A, b):
            return SOLVERS[name](A, b, tol=1e-11)[0]

        expected = np.linalg.solve(A, b[..., None])[..., 0]
        np.testing.assert_allclose(fg.vmap(solver)(A, b), expected, atol=1e-8)
        one = fg.vmap(solver, (None, 0))(A[0], b)
        np.testing.assert_allclose(one, np.linalg.solve(A[0], b.T).T, atol=1e-8)
        slopes = fg.vmap(fg.grad(lambda A, b: solver(A, b).sum(), 1))(A, b)
        ones = np.linalg.solve(np.swapaxes(A, 1, 2), np.ones((3, N, 1)))[..., 0]
        np.testing.assert_allclose(slopes, ones, atol=1e-8)


@every_solver
def test_ends_at_once_where_nothing_is_to_do(name):
    A = matrix(name, np.float32)
    x, _ = SOLVERS[name](A, np.zeros(N, np.float32))
    assert (x == 0).all()
    known = vector(np.float32)
    x, _ = SOLVERS[name](A, A @ known, known, tol=1e-4)
    assert (x == known).all()
    x, _ = SOLVERS[name](A, A @ known, known * 2, maxiter=0)
    assert (x == known * 2).all()


@every_solver
def test_small_right_sides_are_solved_as_large_ones_are(name):
    A, b = matrix(name, np.float32), vector(np.float32)
    x, _ = SOLVERS[name](A, b * np.float32(1e-10))
    y, _ = SOLVERS[name](A, b)
    np.testing.assert_allclose(x * 1e10, y, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("solver", [gmres, incremental])
def test_a_space_that_closes_early(solver):
    """Two eigenvalues: the second vector completes the space, the rest must not disturb."""
    A = np.diag([2.0] * 4 + [5.0] * 5)
    with fg.enable_x64(True):
        x, info = solver(A, np.ones(9), tol=1e-12)
        np.testing.assert_allclose(x, 1 / np.diag(A), rtol=1e-12)
        assert info == 0
        zero_diagonal = np.array([[0.0, 1.0], [-1.0, 0.0]])
        x, _ = solver(zero_diagonal, np.array([3.0, 4.0]), tol=1e-12)
        np.testing.assert_allclose(x, [-4, 3], rtol=1e-12)


def test_conjugate_gradients_take_as_many_steps_as_there_are_eigenvalues():
    A = np.diag([1.0] * 3 + [4.0] * 3 + [9.0] * 3)
    b = np.ones(9)
    with fg.enable_x64(True):
        x, _ = cg(A, b, maxiter=3, tol=0.0)
        np.testing.assert_allclose(x, 1 / np.diag(A), rtol=1e-10)
        unfinished, _ = cg(A, b, maxiter=2, tol=0.0)
        assert np.abs(unfinished - 1 / np.diag(A)).max() > 1e-3
        exact, _ = cg(A, b, maxiter=1, tol=0.0, M=np.diag(1 / np.diag(A)))
        np.testing.assert_allclose(exact, 1 / np.diag(A), rtol=1e-12)


@every_solver
def test_a_matrix_that_preconditions_is_transposed_in_reverse(name):
    A, b, weights = matrix(name), vector(), vector()
    with fg.enable_x64(True):

        def loss(b):
            solver = SOLVERS[name]
            return weights @ solver(A, b, M=np.linalg.inv(A), tol=1e-10, maxiter=2)[0]

        np.testing.assert_allclose(fg.grad(loss)(b), np.linalg.solve(A.T, weights), atol=1e-7)


@every_solver
def test_integers_are_made_floats(name):
    x, _ = SOLVERS[name](lambda v: 2 * v, np.arange(3))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, [0, 0.5, 1], rtol=1e-5)


@every_solver
def test_misuse(name):
    solver, b = SOLVERS[name], np.ones(3, np.float32)
    with pytest.raises(ValueError, match="square"):
        solver(np.ones((3, 2), np.float32), b)
    with pytest.raises(TypeError, match="function or ndarray"):
        solver("nonsense", b)
    with pytest.raises(ValueError, match="tree structure"):
        solver(lambda v: v, b, {"x": b})
    with pytest.raises(ValueError, match="matching shapes"):
        solver(lambda v: v, b, np.ones(4, np.float32))


def test_unknown_method():
    with pytest.raises(ValueError, match="incremental"):
        gmres(np.eye(2, dtype=np.float32), np.ones(2, np.float32), solve_method="nonsense")


@every_solver
def test_agrees_with_jax(name):
    reference = pytest.importorskip("jax.scipy.sparse.linalg", reason="JAX is the reference")
    theirs = getattr(reference, name.split("-")[0])
    A, b = matrix(name, np.float32), vector(np.float32)
    # As many iterations as give no exact solution: the iterates themselves must agree.
    options = {"maxiter": 1, "tol": 0.0}
    if "gmres" in name:
        options["restart"] = 4
        options["solve_method"] = "incremental" if "incremental" in name else "batched"
    base = getattr(SOLVERS[name], "func", SOLVERS[name])
    ours, _ = (gmres if "gmres" in name else base)(A, b, **options)
    np.testing.assert_allclose(ours, theirs(A, b, **options)[0], rtol=2e-3, atol=2e-3)
