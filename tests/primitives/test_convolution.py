"""Convolutions and patches by hand, and against JAX where it is installed."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.primitives import convolution, patches
from funcgrad.primitives.windowing import conv_dimension_numbers, padtype_to_pads

NHWC = ("NHWC", "HWIO", "NHWC")


def random(*shape, seed=0):
    return np.random.default_rng(seed + len(shape)).normal(size=shape).astype(np.float32)


def test_a_kernel_is_not_reversed():
    x, k = np.array([[[1.0, 2.0, 3.0]]], np.float32), np.array([[[1.0, 10.0]]], np.float32)
    assert np.asarray(convolution.conv(x, k, (1,), "VALID")).tolist() == [[[21.0, 32.0]]]
    assert np.asarray(convolution.conv(x, k, (1,), "SAME")).tolist() == [[[21.0, 32.0, 3.0]]]


@pytest.mark.parametrize(
    ("name", "want"), [("SAME", (0, 1)), ("same_lower", (1, 0)), ("VALID", (0, 0))]
)
def test_named_padding(name, want):
    assert padtype_to_pads((5,), (2,), (1,), name) == [want]


def test_dimension_numbers_follow_the_kernel():
    numbers = conv_dimension_numbers((1, 2, 3, 4), (1, 2, 3, 4), ("NWHC", "HWIO", "CHWN"))
    assert numbers == ((0, 3, 2, 1), (3, 2, 0, 1), (3, 0, 1, 2))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda x, k: convolution.conv(x, k[:, :1], (1, 1), "VALID"),
            ValueError,
            r"float32\[2,3,5,5\] and float32\[4,1,2,2\]",
        ),
        (lambda x, k: convolution.conv(x, k[0], (1, 1), "VALID"), TypeError, "one rank"),
        (lambda x, k: convolution.conv(x, k, (1,), [(0, 0)] * 2), ValueError, "2 entries"),
        (lambda x, k: convolution.conv(x, k, (1, 1), "FULL"), RuntimeError, "FULL"),
        (lambda x, k: convolution.conv(x, k, (1, 1), [1, 1]), ValueError, "pairs"),
        (lambda x, k: convolution.conv(x, k.astype(np.int32), (1, 1), "SAME"), TypeError, "dtypes"),
        (
            lambda x, k: convolution.conv_general_dilated(x, k, (1, 1), "SAME", (2, 1)),
            ValueError,
            "conv_transpose",
        ),
        (
            lambda x, k: convolution.conv_general_dilated(
                x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWOO", "NHWC")
            ),
            TypeError,
            "OO",
        ),
        (
            lambda x, k: convolution.conv_general_dilated(
                x, k, (1, 1), "SAME", feature_group_count=2
            ),
            ValueError,
            "divide",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(random(2, 3, 5, 5), random(4, 3, 2, 2))


CASES = [
    ((2, 9, 8, 3), (3, 3, 3, 4), {"window_strides": (2, 1), "padding": "SAME"}),
    ((2, 9, 8, 3), (3, 2, 3, 4), {"window_strides": (1, 1), "padding": "SAME_LOWER"}),
    ((1, 7, 7, 4), (1, 1, 4, 6), {"window_strides": (1, 1), "padding": "VALID"}),
    (
        (1, 7, 7, 4),
        (3, 3, 1, 8),
        {"window_strides": (1, 1), "padding": "SAME", "feature_group_count": 4},
    ),
    (
        (1, 7, 7, 4),
        (3, 3, 2, 6),
        {
            "window_strides": (2, 2),
            "padding": ((-1, 2), (3, 0)),
            "feature_group_count": 2,
            "rhs_dilation": (2, 1),
        },
    ),
    (
        (6, 5, 5, 2),
        (2, 2, 2, 6),
        {
            "window_strides": (1, 1),
            "padding": ((1, 1), (0, 0)),
            "batch_group_count": 3,
            "lhs_dilation": (2, 3),
        },
    ),
]


@pytest.mark.parametrize(("lhs", "rhs", "params"), CASES)
def test_against_jax(lhs, rhs, params):
    lax = pytest.importorskip("jax").lax
    x, k = random(*lhs), random(*rhs, seed=1)
    want = np.asarray(lax.conv_general_dilated(x, k, dimension_numbers=NHWC, **params))
    got = np.asarray(convolution.conv_general_dilated(x, k, dimension_numbers=NHWC, **params))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", [False, True])
@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 2), (0, 1))])
@pytest.mark.parametrize("consistent", [False, True])
def test_transposed_against_jax(padding, kernel, consistent):
    jax = pytest.importorskip("jax")
    x, k = random(2, 4, 5, 3), random(3, 2, 3, 4, seed=1)
    k = np.moveaxis(k, 2, 3) if kernel else k
    options = {"transpose_kernel": kernel, "use_consistent_padding": consistent}
    want = np.asarray(
        jax.lax.conv_transpose(
            jax.numpy.asarray(x), jax.numpy.asarray(k), (2, 3), padding, **options
        )
    )
    got = np.asarray(convolution.conv_transpose(x, k, (2, 3), padding, **options))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_patches_against_jax():
    lax = pytest.importorskip("jax").lax
    x = random(2, 6, 5, 3)
    options = {"dimension_numbers": ("NHWC", "OIHW", "CNHW"), "rhs_dilation": (2, 1)}
    want = np.asarray(lax.conv_general_dilated_patches(x, (2, 3), (1, 2), "SAME", **options))
    got = np.asarray(patches.conv_general_dilated_patches(x, (2, 3), (1, 2), "SAME", **options))
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("numbers", [NHWC, ("NCHW", "OIHW", "NCHW"), ("NHWC", "WHIO", "WNHC")])
def test_local_kernels_against_jax(numbers):
    lax = pytest.importorskip("jax").lax
    sizes = {"N": 2, "C": 3, "H": 5, "W": 4}
    x = random(*(sizes[c] for c in numbers[0]))
    places = {"H": 4, "W": 2, "I": 3 * 2 * 3, "O": 4}
    k = random(*(places[c] for c in numbers[1]), seed=2)
    window = tuple({"H": 2, "W": 3}[c] for c in numbers[1] if c in "HW")
    args = (x, k, (1, 1), "VALID", window)
    want = np.asarray(lax.conv_general_dilated_local(*args, dimension_numbers=numbers))
    got = np.asarray(patches.conv_general_dilated_local(*args, dimension_numbers=numbers))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_bfloat16_is_convolved(compiled):
    x = np.arange(6, dtype=np.float32).reshape(1, 1, 6)
    kernel = np.array([1.0, 2.0], np.float32).reshape(1, 1, 2)

    def function(a, b):
        return lax.conv_general_dilated(a, b, (1,), "VALID")

    run = fg.jit(function) if compiled else function
    narrow = [fnp.asarray(v, "bfloat16") for v in (x, kernel)]
    got = run(*narrow)
    assert got.dtype == fnp.bfloat16
    np.testing.assert_array_equal(got.astype("float32"), function(x, kernel))
    slope = fg.grad(lambda b: run(narrow[0], b).sum().astype("float32"))(narrow[1])
    assert slope.dtype == fnp.bfloat16
    np.testing.assert_array_equal(slope.astype("float32").ravel(), [10.0, 15.0])
