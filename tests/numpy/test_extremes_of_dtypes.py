"""Values at the rim of a dtype: infinite parts, formats without infinity, unordered numbers."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp


@pytest.mark.parametrize("name", ["log2", "log10"])
def test_logarithms_of_infinite_complex_numbers(name: str) -> None:
    x = np.array([0, complex(0, np.inf), complex(-np.inf, 1), complex(2, -3)], np.complex64)
    with np.errstate(divide="ignore"):
        want = getattr(np, name)(x.astype(np.complex128))
    for f in (getattr(fnp, name), fg.jit(getattr(fnp, name))):
        got = np.asarray(f(x))
        np.testing.assert_allclose(got.real, want.real, rtol=1e-6)
        np.testing.assert_allclose(got.imag, want.imag, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3b11fnuz"])
def test_nan_extrema_of_floats_without_infinity(dtype: str) -> None:
    x = np.array([1.0, np.nan, 3.0, -2.0]).astype(getattr(ml_dtypes, dtype))
    for wrap in (lambda f: f, fg.jit):
        extrema: Any = wrap(lambda a: (fnp.nanmax(a), fnp.nanmin(a)))(x)
        assert [float(v) for v in extrema] == [3.0, -2.0]


def test_the_extremum_of_complex_numbers_has_a_place() -> None:
    x = np.array([[1 + 2j, 3j], [1 + 3j, 3 - 1j]], np.complex64)
    for f in (fnp.argmax, fnp.argmin):
        want = getattr(np, f.__name__)(x, 1)
        np.testing.assert_array_equal(fg.jit(f, static_argnums=1)(x, 1), want)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint16, np.bool_, np.int64])
def test_rint_makes_the_default_float_of_whole_numbers(dtype: Any) -> None:
    x = np.ones(3, dtype)
    assert fnp.rint(x).dtype == np.float32
    with fg.enable_x64(True):
        assert fnp.rint(x).dtype == np.float64
