"""A computation that is one eqn: its rules, and what stands in its place where it has no kernel."""

from dataclasses import dataclass

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.control.fused import Computation, fused
from funcgrad.control.jit import simplified, simplified_for_gpu


@dataclass(frozen=True)
class Squares(Computation):
    """x to (scale · x², Σ x)."""

    scale: float
    known: bool = False
    kernel = "squares"

    def run(self, *args):
        (x,) = args
        return [self.scale * x * x, fnp.sum(x)]

    def has_kernel(self, avals):
        return self.known


@dataclass(frozen=True)
class Shear(Computation):
    """x, y to scale · (x + 2 y), linear in both."""

    scale: float
    kernel = "shear"

    def run(self, *args):
        x, y = args
        return [self.scale * (x + 2 * y)]


X = np.linspace(-1, 1, 5).astype(np.float32)


def squares(x, known=False):
    return fused(Squares(3.0, known), x)


def test_values():
    for f in (squares, fg.jit(squares)):
        y, total = f(X)
        np.testing.assert_allclose(y, 3 * X * X, 1e-6)
        np.testing.assert_allclose(total, 0, atol=1e-6)


def test_derivatives_are_those_of_the_program():
    def loss(x):
        y, total = squares(x)
        return fnp.sum(y) + total

    np.testing.assert_allclose(fg.grad(loss)(X), 6 * X + 1, 1e-6)
    np.testing.assert_allclose(fg.hessian(loss)(X), 6 * np.eye(5), 1e-6)
    np.testing.assert_allclose(fg.jvp(loss, (X,), (X,))[1], (6 * X + 1) @ X, 1e-6)


def test_a_batch_is_one_of_the_program():
    xs = np.stack([X, 2 * X])
    y, total = fg.vmap(squares)(xs)
    np.testing.assert_allclose(y, 3 * xs * xs, 1e-6)
    assert total.shape == (2,)


@pytest.mark.parametrize("which", [0, 1])
def test_transposes(which):
    def linear(z):
        args = [X, X]
        args[which] = z
        return (
            fused(Shear(2.0), *args)[0]
            - fused(Shear(2.0), *(0 * z if i == which else X for i in range(2)))[0]
        )

    def alone(x, y):
        return fused(Shear(2.0), x, y)[0]

    found = fg.linear_transpose(alone, X, X)(X)
    np.testing.assert_allclose(found[which], (2 * X, 4 * X)[which], 1e-6)
    np.testing.assert_allclose(fg.vjp(linear, X)[1](X)[0], (2 * X, 4 * X)[which], 1e-6)


def test_it_stays_one_only_for_machines_with_a_kernel_of_the_whole():
    for known in (False, True):
        closed = fg.make_jaxpr(lambda x, known=known: squares(x, known))(X)
        assert "fused" in str(closed)
        assert "fused" not in str(simplified(closed))
        assert ("fused" in str(simplified_for_gpu(closed))) == known


def test_a_computation_says_what_it_is():
    with pytest.raises(TypeError, match="Computation defines no run"):
        Computation().run(X)
