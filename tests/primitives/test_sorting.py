"""Sorting: JAX's order of special values, several keys, stability, derivatives."""

import numpy as np
import pytest

from funcgrad.core.zeros import instantiate
from funcgrad.ir import dtypes
from funcgrad.primitives import sorting
from funcgrad.transforms.jvp import jvp_flat

NAN = np.float32("nan")
SPECIAL = np.float32([0, -0.0, NAN, -NAN, 1, -1, np.inf, -np.inf, 0, -0.0])
PLACES = np.arange(10, dtype=np.int32)


@pytest.fixture
def lax():
    """JAX's functions of the same names."""
    return pytest.importorskip("jax").lax


def same(found, want):
    want = np.asarray(want)
    assert found.dtype == want.dtype
    found = np.asarray(found)
    if want.dtype == dtypes.bfloat16:
        found, want = found.astype(np.float32), want.astype(np.float32)
    np.testing.assert_array_equal(found, want)
    if want.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(found), np.signbit(want))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_special_values_are_ordered_as_in_jax(lax, dtype):
    x = SPECIAL.astype(getattr(dtypes, dtype, dtype))
    same(sorting.sort(x), lax.sort(np.asarray(x)))
    for a, b in zip(sorting.sort((x, PLACES)), lax.sort((x, PLACES)), strict=True):
        same(a, b)
    for a, b in zip(sorting.top_k(x, 7), lax.top_k(x, 7), strict=True):
        same(a, b)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "bool", "int32", "complex64"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_other_dtypes(lax, dtype, axis):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 3, (5, 6)).astype(dtype)
    if dtype == "complex64":
        x = x + 1j * rng.integers(-1, 2, (5, 6)).astype(np.float32)
    same(sorting.sort(x, axis), lax.sort(x, axis))
    values = np.arange(30, dtype=np.float32).reshape(5, 6)
    for a, b in zip(
        sorting.sort_key_val(x, values, axis), lax.sort_key_val(x, values, axis), strict=True
    ):
        same(a, b)
    if dtype != "complex64":
        for a, b in zip(sorting.top_k(x, 4, axis=axis), lax.top_k(x, 4, axis=axis), strict=True):
            same(a, b)


def test_several_keys(lax):
    rng = np.random.default_rng(4)
    keys = [rng.integers(0, 3, (4, 9)).astype(d) for d in (np.int32, np.float32)]
    keys.append(np.arange(36, dtype=np.int32).reshape(4, 9))
    for count in (1, 2, 3):
        for dimension in (0, 1):
            found = sorting.sort(keys, dimension, num_keys=count)
            want = lax.sort(keys, dimension, num_keys=count)
            for a, b in zip(found, want, strict=True):
                same(a, b)


def test_keys_of_the_random_generator_follow_other_keys():
    keys = np.array([(i, 0) for i in range(3)], dtypes.key_dtype)
    _, moved = sorting.sort_key_val(np.array([3, 1, 2]), keys)
    np.testing.assert_array_equal(moved.numpy(), keys[[1, 2, 0]])
    with pytest.raises(TypeError, match="cannot order"):
        sorting.sort(keys)


def test_tangents_follow_the_permutation():
    x, t = np.float32([[3, 1, 2]]), np.float32([[10, 20, 30]])
    _, (moved,) = jvp_flat(lambda x: [sorting.sort(x)], [x], [t])
    np.testing.assert_array_equal(np.asarray(instantiate(moved)), [[20, 30, 10]])
    _, (moved, _) = jvp_flat(lambda x: sorting.top_k(x, 2), [x], [t])
    np.testing.assert_array_equal(np.asarray(instantiate(moved)), [[10, 30]])


def test_approximate_forms_are_exact(lax):
    x = np.float32([[3, 1, 2, 5], [4, 0, 9, 7]])
    for a, b in zip(sorting.approx_max_k(x, 2), lax.approx_max_k(x, 2), strict=True):
        same(a, b)
    for a, b in zip(sorting.approx_min_k(x, 2), lax.approx_min_k(x, 2), strict=True):
        same(a, b)
    values, places = sorting.approx_min_k(x, 1, 0)
    assert values.numpy().tolist() == [[3, 0, 2, 5]]
    assert places.numpy().tolist() == [[0, 1, 0, 0]]


ERRORS = [
    (TypeError, "at least one", lambda: sorting.sort(())),
    (ValueError, "num_keys=2", lambda: sorting.sort(SPECIAL, num_keys=2)),
    (TypeError, r"float32\[10\], int32\[9\]", lambda: sorting.sort((SPECIAL, PLACES[1:]))),
    (ValueError, "nonnegative", lambda: sorting.top_k(SPECIAL, -1)),
    (ValueError, "k=11", lambda: sorting.top_k(SPECIAL, 11)),
    (ValueError, "complex", lambda: sorting.top_k(np.ones(3, np.complex64), 1)),
]


@pytest.mark.parametrize(("error", "match", "call"), ERRORS)
def test_errors_name_shapes_and_the_line(error, match, call):
    with pytest.raises(error, match=match) as caught:
        call()
    assert "test_sorting.py" in str(caught.value)
