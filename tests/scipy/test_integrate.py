"""Integrals of samples: values of SciPy, types of JAX, transforms, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate as reference

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.scipy import integrate

from .agreement import assert_same, check_transforms

rng = np.random.default_rng(0)
Y = rng.normal(size=(3, 5, 4))
CALLS = [
    "trapezoid(y)",
    "trapezoid(y, axis=0)",
    "trapezoid(y, dx=0.5, axis=1)",
    "trapezoid(y, line, axis=1)",
    "trapezoid(y, y * y, axis=1)",
    "trapezoid(y * 1j, line, axis=-2)",
]


@pytest.mark.parametrize("call", CALLS)
def test_values_as_in_scipy(call: str) -> None:
    names = {"y": Y, "line": np.array([0.0, 1.0, 1.5, 4.0, 5.0])}
    with fg.enable_x64(True):
        got = eval(f"M.{call}", {"M": integrate, **names})
        assert_same(got, np.asarray(eval(f"M.{call}", {"M": reference, **names})))


@pytest.mark.parametrize("dtype", ["int32", "bool", "float16", "float32", "complex64"])
def test_types_as_in_jax(dtype: str) -> None:
    jnp = pytest.importorskip("jax.numpy")
    theirs = pytest.importorskip("jax.scipy.integrate")
    x = np.arange(5)
    want = theirs.trapezoid(jnp.asarray(x, dtype), dx=2)
    assert_same(integrate.trapezoid(fnp.asarray(x, dtype), dx=2), want, 1e-6)


def test_transforms() -> None:
    with fg.enable_x64(True):
        check_transforms(
            lambda y, x, dx: integrate.trapezoid(y, x) * dx, Y[0, 0], Y[0, 1], Y[0, 2, 0]
        )
        check_transforms(lambda y, dx: integrate.trapezoid(y, dx=dx, axis=0), Y[0], Y[0, 2, 0])


def test_what_is_refused() -> None:
    with pytest.raises(TypeError, match="trapezoid requires ndarray"):
        integrate.trapezoid([1.0, 2.0])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="axis"):
        integrate.trapezoid(fnp.ones(3), axis=1)
