"""custom_root and custom_linear_solve: derivatives of the solution, whatever the solver does."""

import numpy as np
import pytest

from funcgrad.api.forward import jvp
from funcgrad.api.jacobians import jacfwd
from funcgrad.api.mapping import vmap
from funcgrad.api.reverse import grad
from funcgrad.control.jitted import jit
from funcgrad.control.loops import while_loop
from funcgrad.control.solves import custom_linear_solve, custom_root
from funcgrad.primitives.arithmetic import add, div, mul, sub
from funcgrad.primitives.comparison import gt
from funcgrad.primitives.contraction import dot
from funcgrad.primitives.reduction import reduce_sum

f32 = np.float32
A = np.array([[3, 1], [0.5, 2]], f32)
b = np.array([1, 2], f32)
weights = np.array([1, 3], f32)


def cube_root(a):
    def f(x):
        return sub(mul(x, mul(x, x)), a)

    def newton(f, x):
        def going(x):
            return gt(mul(f(x), f(x)), f32(1e-9))

        return while_loop(going, lambda x: sub(x, div(f(x), mul(f32(3), mul(x, x)))), x)

    return custom_root(f, f32(2), newton, lambda g, y: div(y, g(f32(1))))


def richardson(matvec, y):
    """A solver that has no reverse mode of its own."""

    def going(x):
        r = sub(matvec(x), y)
        return gt(reduce_sum(mul(r, r), (0,)), f32(1e-12))

    return while_loop(going, lambda x: add(x, mul(sub(y, matvec(x)), f32(0.3))), y)


def solved(A, b):
    x = custom_linear_solve(lambda v: dot(A, v), b, richardson, richardson)
    return reduce_sum(mul(x, weights), (0,))


def gradient(A, b):
    """ḇ = A⁻ᵀ w and Ā = −ḇ xᵀ."""
    back = np.linalg.solve(A.T, weights)
    return -np.outer(back, np.linalg.solve(A, b)), back


def test_root_and_its_derivatives():
    a = f32(8.5)
    first, second = a ** (-2 / 3) / 3, -2 / 9 * a ** (-5 / 3)
    np.testing.assert_allclose(cube_root(a), np.cbrt(a), rtol=1e-5)
    for slope in (grad(cube_root), jacfwd(cube_root), jit(grad(cube_root)), grad(jit(cube_root))):
        np.testing.assert_allclose(slope(a), first, rtol=1e-4)
    np.testing.assert_allclose(grad(grad(cube_root))(a), second, rtol=1e-3)
    at = np.array([1, 8.5, 27], f32)
    np.testing.assert_allclose(vmap(grad(cube_root))(at), at ** (-2 / 3) / 3, rtol=1e-4)
    summed = grad(lambda a: reduce_sum(vmap(cube_root)(a), (0,)))
    np.testing.assert_allclose(summed(at), at ** (-2 / 3) / 3, rtol=1e-4)


def test_root_of_a_tree_with_aux():
    def f(a):
        return custom_root(
            lambda u: {"x": sub(u["x"], mul(a, a))},
            {"x": f32(0)},
            lambda f, u: ({"x": sub(u["x"], f(u)["x"])}, 5),
            lambda g, y: y,
            has_aux=True,
        )

    root, aux = f(f32(3))
    assert float(root["x"]) == 9.0 and int(aux) == 5
    assert float(grad(lambda a: f(a)[0]["x"])(f32(3))) == 6.0


def test_linear_solve_and_its_derivatives():
    x = custom_linear_solve(lambda v: dot(A, v), b, richardson)
    np.testing.assert_allclose(x, np.linalg.solve(A, b), atol=1e-5)
    for transform in (grad, jacfwd):
        for f in (transform(solved, (0, 1)), jit(transform(solved, (0, 1)))):
            for found, expected in zip(f(A, b), gradient(A, b), strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_linear_solve_in_batches():
    many_a, many_b = np.stack([A, f32(1.1) * A]), np.stack([b, 2 * b])
    cases = [
        ((0, 0), (many_a, many_b), [(A, b), (f32(1.1) * A, 2 * b)]),
        ((None, 0), (A, many_b), [(A, b), (A, 2 * b)]),
        ((0, None), (many_a, b), [(A, b), (f32(1.1) * A, b)]),
    ]
    for axes, arguments, singles in cases:
        found = vmap(grad(solved, (0, 1)), axes)(*arguments)
        for i, single in enumerate(singles):
            for part, expected in zip(found, gradient(*single), strict=True):
                np.testing.assert_allclose(np.asarray(part)[i], expected, rtol=1e-3, atol=1e-4)
    outside = grad(lambda A, b: reduce_sum(vmap(solved)(A, b), (0,)), 1)(many_a, many_b)
    np.testing.assert_allclose(
        np.asarray(outside)[1], gradient(f32(1.1) * A, b)[1], rtol=1e-3, atol=1e-4
    )


def test_second_derivative_of_a_linear_solve():
    # d/db of (A⁻ᵀ w)·b is A⁻ᵀ w again.
    found = grad(lambda b: reduce_sum(mul(grad(solved, 1)(A, b), b), (0,)))(b)
    np.testing.assert_allclose(found, gradient(A, b)[1], rtol=1e-3)


def test_symmetric_needs_no_transpose_and_aux_has_no_tangent():
    s = np.array([2.0, 4.0], f32)

    def f(b):
        return custom_linear_solve(
            lambda v: mul(s, v), b, lambda mv, y: (div(y, s), 7), symmetric=True, has_aux=True
        )

    (x, aux), _ = jvp(f, (b,), (b,))
    np.testing.assert_allclose(x, b / s)
    assert int(aux) == 7
    np.testing.assert_allclose(grad(lambda b: reduce_sum(f(b)[0], (0,)))(b), 1 / s)


def identity(solve_or_g, y):
    return y


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: grad(
                lambda b: reduce_sum(custom_linear_solve(lambda v: dot(A, v), b, richardson), (0,))
            )(b),
            TypeError,
            "transpose_solve required.*symmetric",
        ),
        (lambda: custom_linear_solve(lambda v: (v,), b, identity), TypeError, r"matvec\(\) output"),
        (lambda: custom_linear_solve(lambda v: A, b, identity), ValueError, "output shapes"),
        (
            lambda: custom_linear_solve(lambda v: v, b, identity, has_aux=True),
            ValueError,
            "has_aux",
        ),
        (lambda: custom_root(lambda u: (u, u), b, identity, identity), TypeError, r"f\(\) output"),
        (lambda: custom_root(lambda u: u, b, lambda f, u: {}, identity), TypeError, r"solve\(\)"),
        (
            lambda: custom_root(lambda u: u, b, identity, lambda g, y: [y]),
            TypeError,
            "tangent_solve",
        ),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match="(?s)" + text):
        call()
