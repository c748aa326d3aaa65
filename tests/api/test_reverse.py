"""grad, value_and_grad, vjp, linear_transpose: values, options and compositions."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp


def test_value_and_grad_of_a_tree():
    def loss(params, x):
        return fnp.sum(params["w"] * x) + params["b"]

    x = np.arange(3.0, dtype=np.float32)
    value, grads = fg.value_and_grad(loss)({"w": fnp.ones(3), "b": 1.0}, x)
    assert float(value) == 4.0
    np.testing.assert_allclose(grads["w"], x)
    assert float(grads["b"]) == 1.0


def test_argnums():
    def f(a, b, c):
        return a * b + c

    assert [float(g) for g in fg.grad(f, argnums=(0, 1, -1))(2.0, 3.0, 4.0)] == [3, 2, 1]
    assert float(fg.grad(f, argnums=1)(2.0, 3.0, 4.0)) == 2.0
    with pytest.raises(TypeError, match="argnums=3 is out of range"):
        fg.grad(f, argnums=3)(2.0, 3.0, 4.0)
    with pytest.raises(TypeError, match="must be an int"):
        fg.grad(f, argnums="a")(2.0, 3.0, 4.0)


def test_has_aux_gives_values_without_tangents():
    def f(x):
        return x**2, {"half": x / 2}

    grads, aux = fg.grad(f, has_aux=True)(3.0)
    assert float(grads) == 6.0
    assert isinstance(aux["half"], fg.Array)
    assert float(aux["half"]) == 1.5
    (value, aux), grads = fg.value_and_grad(f, has_aux=True)(3.0)
    assert float(value) == 9.0
    with pytest.raises(TypeError, match="two-element tuple"):
        fg.grad(lambda x: x, has_aux=True)(3.0)


def test_aux_under_an_outer_grad_keeps_the_outer_tangent():
    def outer(y):
        _, aux = fg.grad(lambda x: (x * y, y**2), has_aux=True)(2.0)
        return aux

    assert float(fg.grad(outer)(3.0)) == 6.0


def test_holomorphic_and_complex():
    z = 1.0 + 2.0j
    found = fg.grad(lambda z: z**3, holomorphic=True)(z)
    np.testing.assert_allclose(found, 3 * z**2, rtol=1e-6)
    # The gradient of a real function of a complex argument is the conjugate convention of JAX.
    found = fg.grad(lambda z: fnp.real(z * fnp.conj(z)))(z)
    np.testing.assert_allclose(found, 2 * np.conj(z), rtol=1e-6)


def test_float0_leaves_a_compiled_program():
    for n in (3, np.arange(3)):
        slopes = fg.jit(fg.grad(lambda n, x: fnp.sum(x * n), argnums=(0, 1), allow_int=True))
        of_n, of_x = slopes(n, 2.0)
        assert of_n.dtype == fg.float0 and of_n.shape == np.shape(n)
        assert of_x == 3


def test_allow_int_gives_float0():
    found = fg.grad(lambda n, x: x * n, argnums=(0, 1), allow_int=True)(3, 2.0)
    assert found[0].dtype == fg.float0
    assert float(found[1]) == 3.0


def test_vjp_with_integer_inputs_and_outputs():
    out, pull = fg.vjp(lambda x, n: (x * n, n + 1), 2.0, 3)
    grads = pull((1.0, np.zeros((), fg.float0)))
    assert float(out[0]) == 6.0
    assert float(grads[0]) == 3.0
    assert grads[1].dtype == fg.float0


def test_vjp_fun_is_a_pytree_and_runs_under_jit():
    _out, pull = fg.vjp(lambda x: fnp.sin(x) * x, 2.0)
    assert all(isinstance(x, fg.Array) for x in fg.tree.leaves(pull))
    found = fg.jit(lambda p, ct: p(ct))(pull, 1.0)
    np.testing.assert_allclose(found[0], np.sin(2) + 2 * np.cos(2), rtol=1e-6)


def test_python_control_flow_on_concrete_values():
    def f(x):
        return x**2 if x > 0 else -x

    assert float(fg.grad(f)(3.0)) == 6.0
    assert float(fg.grad(f)(-3.0)) == -1.0
    assert float(fg.grad(fg.grad(f))(3.0)) == 2.0


def test_no_perturbation_confusion():
    """d/dx (x · d/dy (x + y)) is 1: the inner derivative must not see the outer tangent."""

    def f(x):
        return x * fg.grad(lambda y: x + y)(1.0)

    assert float(fg.grad(f)(2.0)) == 1.0
    g = fg.jvp(lambda x: x * fg.jvp(lambda y: x * y, (3.0,), (1.0,))[1], (2.0,), (1.0,))[1]
    assert float(g) == 4.0


def test_third_derivatives_in_every_order_of_modes():
    def forward(f):
        return lambda x: fg.jvp(f, (x,), (1.0,))[1]

    want = -np.cos(0.7)
    for a in (forward, fg.grad):
        for b in (forward, fg.grad):
            for c in (forward, fg.grad):
                np.testing.assert_allclose(a(b(c(fnp.sin)))(0.7), want, rtol=1e-5)


def test_linear_transpose():
    matrix = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    pull = fg.linear_transpose(lambda x: matrix @ x, fg.ShapeDtypeStruct((3,), np.float32))
    (found,) = pull(np.ones(2, np.float32))
    np.testing.assert_allclose(found, matrix.sum(0))
    with pytest.raises(TypeError, match="sin has no transpose rule"):
        fg.linear_transpose(fnp.sin, 1.0)(1.0)


def test_constant_functions_have_zero_gradients():
    np.testing.assert_array_equal(fg.grad(lambda x: 3.0)(np.ones(2, np.float32)), np.zeros(2))
    found = fg.jacrev(lambda x: fnp.ones(3))(np.ones(2, np.float32))
    np.testing.assert_array_equal(found, np.zeros((3, 2)))


def test_per_example_gradients():
    def loss(w, x):
        return fnp.sum(fnp.sin(w * x))

    w, xs = np.ones(3, np.float32), np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    found = fg.jit(fg.vmap(fg.grad(loss), in_axes=(None, 0)))(w, xs)
    np.testing.assert_allclose(found, np.cos(w * xs) * xs, rtol=1e-5)


@pytest.mark.parametrize("jitted", [True, False])
@pytest.mark.parametrize("argnums", [0, (0, 1), (1,)])
def test_the_two_passes_apart(argnums, jitted):
    traced = []

    def f(x, w, *, scale):
        traced.append(None)
        return fnp.tanh(x @ w) * scale, {"sum": x.sum()}

    fwd, bwd = fg.fwd_and_bwd(f, argnums, has_aux=True, jitted=jitted)
    w, ct = fnp.arange(6.0).reshape(3, 2) / 6, fnp.ones((4, 2))
    for k in range(3):
        x = fnp.full((4, 3), 0.1 * k)
        value, residuals, aux = fwd(x, w, scale=2.0)
        one = fg.vjp(lambda *xs: f(*xs, scale=2.0)[0], x, w)
        wanted = one[1](ct)
        np.testing.assert_allclose(value, one[0], rtol=1e-6)
        np.testing.assert_allclose(aux["sum"], x.sum(), rtol=1e-6)
        found = bwd(residuals, ct)
        if isinstance(argnums, int):
            np.testing.assert_allclose(found, wanted[argnums], rtol=1e-6)
        else:
            assert len(found) == len(argnums)
            for got, n in zip(found, argnums, strict=True):
                np.testing.assert_allclose(got, wanted[n], rtol=1e-6)
    # Beside the reference's three traces: one in all, or one a call.
    assert len(traced) - 3 == (1 if jitted else 3)


def test_the_two_passes_want_what_they_differentiate():
    with pytest.raises(TypeError, match="argnums"):
        fg.fwd_and_bwd(fnp.sin, 1)[0](1.0)
    with pytest.raises(TypeError, match="fwd_and_bwd"):
        fg.fwd_and_bwd(1.0, 0)  # pyright: ignore[reportArgumentType] - what is refused
