"""Derivatives of special functions by their parameters, as programs, beside NumPy's rules."""

import numpy as np
import pytest

from .running import both

DRAW = np.random.default_rng(7)
SMALL, OTHER, THIRD = 10 ** DRAW.uniform(-1, 1.2, (3, 60))
WHOLE = np.arange(60) % 5 - 2.0
REAL = DRAW.normal(size=60) * 5
BELOW_ONE = DRAW.uniform(-2, 0.9, 60)
PART = DRAW.beta(SMALL, OTHER)
# Functions, operands, and how many parameters they have.
CASES = {
    "zeta": ((SMALL + 1.05, OTHER), 1),
    "betainc": ((SMALL, OTHER, PART), 2),
    "hyp1f1": ((SMALL, OTHER, REAL), 2),
    "hyp2f1": ((SMALL, OTHER, THIRD, BELOW_ONE), 3),
}
SLOPES = [(name, i) for name, (_, count) in CASES.items() for i in range(count)]
CURVATURES = [(name, (i, j)) for name, i in SLOPES for j in range(i, CASES[name][1])]


def check(name, args, which, most):
    """Relative to the numbers that cancel, which are as large as the function, about 1."""
    (found,), (wanted,) = both(name, *args, which=which)
    np.testing.assert_allclose(found, wanted, most, most)


@pytest.mark.parametrize(("name", "which"), SLOPES, ids=str)
def test_first_derivatives(name, which):
    check(f"{name}_slope", CASES[name][0], which, 1e-10)


@pytest.mark.parametrize(("name", "which"), [*CURVATURES, ("igamma", (0, 0))], ids=str)
def test_second_derivatives(name, which):
    args = CASES[name][0] if name in CASES else (SMALL, OTHER)
    check(f"{name}_curvature", args, which, 1e-9)


@pytest.mark.parametrize("which", [0, 1])
def test_series_that_end_have_derivatives_that_do_not(which):
    check("hyp1f1_slope", (WHOLE, OTHER, REAL), which, 1e-10)
    check("hyp2f1_slope", (WHOLE, OTHER, THIRD, BELOW_ONE), which, 1e-10)


EDGES = [1.0, 0.0, -1.0, -0.5, 2.5, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("name", ["zeta", "igamma", "betainc", "hyp1f1", "hyp2f1"])
@pytest.mark.parametrize("order", ["slope", "curvature"])
def test_edges(name, order):
    count = len(CASES[name][0]) if name in CASES else 2
    some = EDGES if count < 4 else EDGES[:5]
    args = [v.ravel() for v in np.meshgrid(*[some] * count)]
    if (name, order) == ("igamma", "slope"):
        (found,), (wanted,) = both("igamma_grad_a", *args)
    else:
        which = 0 if order == "slope" else (0, 0)
        (found,), (wanted,) = both(f"{name}_{order}", *args, which=which)
    np.testing.assert_allclose(found, wanted, 1e-9, 1e-9)
