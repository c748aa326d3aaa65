"""Special functions as GPUs compute them, beside SciPy's: how far off they are at most."""

import numpy as np
import pytest
import scipy.special

from .running import both

DRAW = np.random.default_rng(7)


def spread(low, high, count=200):
    """Numbers between powers of ten."""
    return 10 ** DRAW.uniform(low, high, count)


ORDERS = np.concatenate([spread(-3, 5), DRAW.uniform(0, 60, 200)])
NEAR = ORDERS * np.concatenate([spread(-2, 1), np.clip(DRAW.normal(1, 0.2, 200), 0.01, 2)])
SAMPLED = spread(-2, 3.5, 100)
# Name, operands, and the most that results may be off, relative to 1 or to their size.
CASES = {
    "zeta": ("zeta", (1 + spread(-3, 1.5), spread(-2, 3)), 3e-15),
    "zeta left of 0": ("zeta", (DRAW.integers(2, 9, 200) * 1.0, DRAW.uniform(-9, 0, 200)), 3e-14),
    "polygamma": ("polygamma", (DRAW.integers(0, 12, 500) * 1.0, DRAW.uniform(-3, 9, 500)), 3e-14),
    "igamma": ("igamma", (ORDERS, NEAR), 3e-13),
    "igammac": ("igammac", (ORDERS, NEAR), 3e-13),
    "igamma_grad_a": ("igamma_grad_a", (SAMPLED, DRAW.gamma(SAMPLED)), 1e-11),
    "random_gamma_grad": ("random_gamma_grad", (SAMPLED, DRAW.gamma(SAMPLED)), 1e-12),
}


@pytest.mark.parametrize("case", CASES)
def test_programs_are_as_exact_as_is_said(case):
    name, args, most = CASES[case]
    (found,), (wanted,) = both(name, *args)
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_array_equal(found[~finite], wanted[~finite])
    # Products of tiny numbers end where floats do.
    kept = finite & (abs(wanted) > 1e-280)
    off = abs(found - wanted)[kept] / abs(wanted[kept])
    # Beyond what e^y says of a y that is rounded.
    exponents = 1 + abs(np.log(abs(wanted[kept])))
    assert (off / exponents).max() < most, np.argmax(off / exponents)


ENDS = np.array([0.0, 1.0, 2.0, -1.0, -1.5, np.inf, -np.inf, np.nan, 1e-300, 1e300])
GRIDS = ("igamma", "igammac")


def test_whole_orders():
    a, x = (v.reshape(-1) for v in np.meshgrid(np.arange(1.0, 9.0), np.arange(1.0, 20.0)))
    for name in ("igamma_grad_a", "random_gamma_grad"):
        (found,), (wanted,) = both(name, a, x)
        np.testing.assert_allclose(found, wanted, 1e-12)


@pytest.mark.parametrize(
    "name", ["igamma", "igammac", "igamma_grad_a", "random_gamma_grad", "zeta", "polygamma"]
)
def test_the_ends(name):
    a, x = (v.reshape(-1) for v in np.meshgrid(ENDS, ENDS))
    # There is no order so large, and what SciPy says of it is no limit; nor one so near 0.
    a = np.where(a == np.inf, 3.0, a) if name in ("zeta", "polygamma") else a
    a = np.where(np.isin(a, [1e-300, 1e300]), 3.0, a) if name not in GRIDS else a
    (found,), (wanted,) = both(name, a, x)
    np.testing.assert_allclose(found, wanted, 1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_narrow_floats_are_computed_in_wide_ones(dtype):
    a, x = (np.linspace(0.5, 20, 50).astype(dtype) for _ in range(2))
    for name in ("igamma", "zeta"):
        (found,), (wanted,) = both(name, a + dtype(1), x)
        np.testing.assert_allclose(found, wanted, 2 * float(np.finfo(dtype).eps))


def test_zeta_of_float32_is_as_exact_as_its_digits():
    draw = np.random.default_rng(19)
    x = np.concatenate([1.05 + 10 ** draw.uniform(-2, 1.4, 200), draw.integers(2, 9, 100)])
    q = np.concatenate([10 ** draw.uniform(-2, 3, 200), draw.uniform(-9, 9, 100)])
    x, q = x.astype(np.float32), q.astype(np.float32)
    (found,), _ = both("zeta", x, q)
    wanted = scipy.special.zeta(x.astype(np.float64), q.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(found, wanted, 1.5e-7)
