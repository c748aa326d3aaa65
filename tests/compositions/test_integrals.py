"""Bessel functions, the beta integral and others as GPUs compute them, beside SciPy's."""

import numpy as np
import pytest

from .running import both

DRAW = np.random.default_rng(5)
LINE = np.concatenate([DRAW.uniform(-60, 60, 200), DRAW.normal(size=200) * 1e-3, [0.0, -0.0]])
ENDS = np.array([np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-300])
POWERS = 10 ** DRAW.uniform(-3, 4, (2, 200))
# Both ends of (0, 1), and between.
UNIT = np.concatenate([DRAW.uniform(0, 1, 200), 10 ** DRAW.uniform(-300, 0, 200)])
UNIT = np.concatenate([UNIT, 1 - 10 ** DRAW.uniform(-15, 0, 100), [0.0, 1.0, -1.0, 2.0, np.nan]])
ORDERS = DRAW.integers(-30, 60, 300) * 1.0
# Name, operands, and the most that results may be off, relative to their size.
CASES = {
    "regularized_incomplete_beta": ((*POWERS, DRAW.beta(*np.maximum(POWERS, 0.05))), 1e-11),
    # SciPy subtracts logarithms as large as 1e5.
    "betaln": ((*POWERS,), 1e-9),
    "expi": (([*LINE, *ENDS],), 2e-13),
    "spence": (([*abs(LINE), *ENDS],), 1e-14),
    "expn": ((ORDERS[:200] % 40, POWERS[0] % 60), 1e-14),
    "owens_t": ((DRAW.normal(size=200) * 3, DRAW.normal(size=200) * 2), 1e-13),
    "sine_integral": (([*LINE, np.inf, -np.inf, np.nan],), 1e-14),
    # Near a zero, errors are relative to 1.
    "cosine_integral": (([*POWERS[0], 0.0, np.inf, -np.inf, np.nan],), 1e-12),
    "fresnel_sine": (([*LINE, np.inf, -np.inf, np.nan],), 1e-11),
    "fresnel_cosine": (([*LINE, np.inf, -np.inf, np.nan],), 1e-11),
}


@pytest.mark.parametrize("name", CASES)
def test_programs_are_as_exact_as_is_said(name):
    args, most = CASES[name]
    (found,), (wanted,) = both(name, *map(np.asarray, args))
    np.testing.assert_allclose(found, wanted, most, 1e-300)


# In the plane, near its axes, and where a reflection or a recurrence is needed.
PLANE = DRAW.uniform(-12, 12, 300) + 1j * DRAW.uniform(-12, 12, 300)
PLANE = np.concatenate([PLANE, DRAW.normal(size=200) + 1j * 10 ** DRAW.uniform(-14, 1, 200)])
EDGE = [0.0, -0.0, 1.0, -1.0, 2.0, 7.0, -np.inf, np.nan, 1e300]


@pytest.mark.parametrize("name", ["loggamma", "complex_digamma"])
def test_functions_of_complex_numbers(name):
    z = PLANE[PLANE.imag > -12]
    (found,), (wanted,) = both(name, z)
    np.testing.assert_allclose(found, wanted, 1e-12, 1e-14)
    narrow = both(name, z.astype(np.complex64))
    np.testing.assert_allclose(*map(np.squeeze, narrow), 1e-6, 1e-6)


@pytest.mark.parametrize("name", ["loggamma", "complex_digamma"])
def test_functions_of_complex_numbers_at_edges(name):
    x, y = (v.ravel() for v in np.meshgrid(EDGE, EDGE))
    z = np.empty(x.size, complex)
    z.real, z.imag = x, y
    (found,), (wanted,) = both(name, z)
    known = np.isfinite(z)
    for part in (np.real, np.imag):
        np.testing.assert_allclose(part(found[known]), part(wanted[known]), 1e-12)
    # Where a part is infinite or unknown, so is the result.
    assert (np.isfinite(found) == np.isfinite(wanted))[~np.isneginf(z.real)].all()


def test_bessel_functions_of_whole_order():
    """Near zeros, errors are relative to 1."""
    x = np.concatenate([DRAW.uniform(-80, 80, 200), 10 ** DRAW.uniform(-3, 3, 98), [0.0, 0.0]])
    (found,), (wanted,) = both("bessel_jn", ORDERS, x)
    np.testing.assert_allclose(found, wanted, 0, 3e-14)
    (found,), _ = both("bessel_jn", np.array([0.5, 0.0]), np.array([1.0, np.nan]))
    assert np.isnan(found).all()


def test_the_beta_integral_at_its_ends():
    a, b, x = (v.reshape(-1) for v in np.meshgrid([1.0, 0.5, -1.0], [2.0, -2.0], [0.0, 1.0, 0.3]))
    (found,), (wanted,) = both("regularized_incomplete_beta", a, b, x)
    np.testing.assert_allclose(found, wanted, 1e-14)
