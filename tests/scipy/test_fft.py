"""Cosine transforms: values of SciPy, types of JAX, transforms, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.fft as reference

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.scipy import fft

from .agreement import assert_same, check_transforms

rng = np.random.default_rng(0)
NAMES = ("dct", "idct", "dctn", "idctn")
ONE: list[dict[str, Any]] = [{}, {"n": 3}, {"n": 7}, {"axis": 0}, {"n": 4, "axis": 1}]
SEVERAL: list[dict[str, Any]] = [
    {},
    {"s": 3},
    {"s": (3, 6)},
    {"axes": 0},
    {"axes": (0, -1)},
    {"s": [4], "axes": [1]},
    {"axes": ()},
]


@pytest.fixture
def wide() -> Any:
    with fg.enable_x64(True):
        yield


@pytest.mark.parametrize("norm", [None, "backward", "ortho"])
@pytest.mark.parametrize("size", [1, 2, 5, 8])
@pytest.mark.parametrize("name", NAMES)
def test_values_as_in_scipy(name: str, size: int, norm: str | None, wide: None) -> None:
    x = rng.normal(size=(3, 2, size))
    for value in (x, x + 1j * rng.normal(size=x.shape)):
        for options in SEVERAL if name[-1] == "n" else ONE:
            want = getattr(reference, name)(value, norm=norm, **options)
            assert_same(getattr(fft, name)(value, norm=norm, **options), want)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "bool", "float32", "complex64"])
@pytest.mark.parametrize("name", NAMES)
def test_types_as_in_jax(name: str, dtype: str) -> None:
    jnp = pytest.importorskip("jax.numpy")
    theirs = pytest.importorskip("jax.scipy.fft")
    x = rng.integers(0, 5, (4, 3))
    want = getattr(theirs, name)(jnp.asarray(x, dtype))
    # JAX takes the first steps in the half precision.
    atol = 0.1 if dtype in ("float16", "bfloat16") else 1e-4
    assert_same(getattr(fft, name)(fnp.asarray(x, dtype)), want, 1e-5, atol)


@pytest.mark.parametrize("norm", [None, "ortho"])
@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("name", NAMES)
def test_transforms(name: str, size: int, norm: str | None, wide: None) -> None:
    check_transforms(lambda x: getattr(fft, name)(x, norm=norm), rng.normal(size=(3, size)))


@pytest.mark.parametrize("norm", [None, "ortho"])
def test_inverses(norm: str | None, wide: None) -> None:
    x = rng.normal(size=(3, 7, 4))
    np.testing.assert_allclose(fft.idctn(fft.dctn(x, norm=norm), norm=norm), x, atol=1e-12)
    np.testing.assert_allclose(fft.dct(fft.idct(x, norm=norm), norm=norm), x, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        ("dct(x, type=3)", ValueError, "idct"),
        ("idctn(x, type=1)", ValueError, "dctn"),
        ("dct(x, norm='forward')", ValueError, "norm='forward'"),
        ("dct(x, n=0)", ValueError, "at least one sample"),
        ("dct([1.0])", TypeError, "dct requires ndarray"),
        ("dct(x, axis=2)", ValueError, "axis"),
        ("dctn(x, s=(1, 2, 3))", ValueError, "as many elements as x has axes"),
        ("dctn(x, s=(1, 2), axes=0)", ValueError, "one length for each"),
        ("idctn(x, axes=(0, 0))", ValueError, "each axis once"),
    ],
)
def test_what_is_refused(call: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        eval(f"M.{call}", {"M": fft, "x": fnp.ones((2, 3))})
