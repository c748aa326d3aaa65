"""Platforms, sorts of complex numbers and gamma numbers on GPUs."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

from ..kernels.cuda.running import program_of
from .running import both


def test_the_branch_of_a_platform_is_chosen_when_it_is_compiled():
    def f(x):
        branches = {"cpu": lambda x: fnp.sin(x), "cuda": lambda x: fnp.cos(x)}
        return lax.platform_dependent(x, default=fnp.tan, **branches)

    page = program_of(f, fnp.ones(3)).text
    assert (
        "cos" in page
        and "sin(" not in page.replace("cosin", "")
        and not program_of(f, fnp.ones(3)).refused
    )


def test_a_platform_without_a_branch():
    with pytest.raises(RuntimeError, match="none for 'cuda'"):
        program_of(lambda x: lax.platform_dependent(x, cpu=fnp.sin), fnp.ones(3))


def test_complex_numbers_in_order():
    parts = [0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan]
    x = np.array([complex(a, b) for a in parts for b in parts])
    x = np.random.default_rng(3).permutation(x)
    given = {"dimension": 0, "is_stable": True}
    found, wanted = both("sort", x, np.arange(x.size), num_keys=1, **given)
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])


def test_gamma_numbers_are_those_of_the_cpu():
    keys = fg.random.split(fg.random.key(1), 3)
    orders = np.abs(np.random.default_rng(2).normal(size=(3, 40))) * 3 + 0.01
    for log_space in (False, True):
        for dtype in (np.float32, np.float64):
            (found,), (wanted,) = both(
                "random_gamma", keys, orders.astype(dtype), log_space=log_space
            )
            np.testing.assert_allclose(found, wanted, 2e-4 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("dtypes", [("c16", "c16"), ("c8", "c8")])
def test_products_of_complex_numbers(dtypes):
    draw = np.random.default_rng(3)
    x, y = ((draw.normal(size=(4, 4)) + 1j).astype(d) for d in dtypes)
    numbers = (((1,), (0,)), ((), ()))
    params = {"dimension_numbers": numbers, "precision": None, "out_sharding": None}
    for wanted in (None, np.dtype(np.complex128)):
        found, known = both("dot_general", x, y, preferred_element_type=wanted, **params)
        np.testing.assert_allclose(found[0], known[0], 1e-5)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("axis", [0, 1])
def test_places_of_complex_extremes(name, axis):
    draw = np.random.default_rng(3)
    x = draw.integers(-2, 3, (6, 40)) + 1j * draw.integers(-2, 3, (6, 40))
    x[2, 3], x[4, 3], x[1, 7], x[5, 7] = np.nan, np.inf, complex(0, np.nan), -np.inf
    x[3, 9], x[0, 9] = complex(np.inf, -np.inf), complex(-np.inf, np.inf)
    (found,), (wanted,) = both(name, x, axes=(axis,), index_dtype=np.dtype(np.int32))
    np.testing.assert_array_equal(found, wanted)
