"""Convolutions on a GPU are products of matrices that are nowhere in memory."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

from .running import both_ways, program_of, traced
from .test_emulated import agrees

DRAWN = np.random.default_rng(11)
FIRST = ("NCHW", "OIHW", "NCHW")
LAST = ("NHWC", "HWIO", "NHWC")


def drawn(*shape, dtype=np.float32):
    return DRAWN.normal(size=shape).astype(dtype)


# name: shapes of image and kernel, params; images and features are at least 8, where 8 is a tile
CASES = {
    "plain": ((2, 9, 7, 6), (8, 9, 3, 3), {"padding": "VALID", "dimension_numbers": FIRST}),
    "features last": ((2, 7, 6, 9), (3, 3, 9, 8), {"padding": "SAME", "dimension_numbers": LAST}),
    "strides": (
        (2, 9, 8, 7), (16, 9, 3, 2),
        {"padding": [(2, 1), (0, 3)], "window_strides": (2, 3), "dimension_numbers": FIRST},
    ),
    "dilated kernel": (
        (2, 9, 8, 9), (8, 9, 3, 2),
        {"padding": [(2, 2), (1, 0)], "rhs_dilation": (2, 3), "dimension_numbers": FIRST},
    ),
    "dilated image": (
        (2, 5, 6, 9), (3, 3, 9, 8),
        {"padding": [(2, 2), (1, 3)], "lhs_dilation": (2, 3), "dimension_numbers": LAST},
    ),
    "groups": (
        (2, 6, 5, 18), (3, 3, 9, 16),
        {"padding": "SAME", "feature_group_count": 2, "dimension_numbers": LAST},
    ),
    "groups of images": (
        (4, 9, 6, 5), (16, 9, 3, 3),
        {"padding": "SAME", "batch_group_count": 2, "dimension_numbers": FIRST},
    ),
    "one axis": ((2, 9, 30), (8, 9, 5), {"padding": "SAME"}),
    "three axes": ((2, 4, 5, 4, 5), (8, 4, 2, 3, 2), {"padding": "SAME"}),
    "negative padding": (
        (2, 9, 8, 9), (8, 9, 3, 2), {"padding": [(-1, 2), (1, -2)], "dimension_numbers": FIRST}
    ),
}  # fmt: skip


def convolved(x, w, window_strides=None, **params):
    strides = window_strides or (1,) * (x.ndim - 2)
    return lax.conv_general_dilated(x, w, strides, **params)


@pytest.mark.parametrize("name", ["strides", "features last", "groups"])
def test_float32_that_may_be_rounded_is_multiplied_by_tensor_cores(name):
    x, w, params = CASES[name]
    x, w = drawn(*x), drawn(*w)
    with fg.default_matmul_precision("tensorfloat32"):

        def gradients(x, w):
            return fg.grad(lambda *xs: fnp.sin(convolved(*xs, **params)).sum(), (0, 1))(x, w)

        program, want, found = both_ways(*traced(gradients, x, w))
    assert program.text.count("def convolution") <= program.text.count("rounded to TF32")
    for outs in found:
        for got, expected in zip(outs, want, strict=True):
            np.testing.assert_allclose(got, expected, 0, 2e-2 * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    x, w, params = CASES[name]
    x, w = drawn(*x), drawn(*w)
    program = agrees(*traced(lambda x, w: convolved(x, w, **params), x, w))
    kinds = {k.launch.kind for k in program.kernels}
    assert kinds <= {"product", "parts"}, program.text

    def loss(x, w):
        return fnp.sin(convolved(x, w, **params)).sum()

    agrees(*traced(lambda *xs: fg.grad(loss, (0, 1))(*xs), x, w))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtypes(dtype):
    x, w, params = CASES["features last"]
    with fg.enable_x64(True):
        x, w = (drawn(*s).astype(getattr(fnp, dtype)) for s in (x, w))
        program = agrees(*traced(lambda x, w: convolved(x, w, **params), x, w))
    assert [k.launch.kind for k in program.kernels] == ["product"]


def test_the_gradient_of_a_kernel_over_many_places_is_done_in_parts():
    x, w, params = CASES["features last"]
    x, w = drawn(2, 30, 20, 9), drawn(*w)

    def loss(w):
        return convolved(x, w, **params).sum()

    program = agrees(*traced(fg.grad(loss), w))
    assert [k.launch.kind for k in program.kernels][-2:] == ["product", "parts"]


def test_the_gradient_of_an_image_meets_no_inserted_zero():
    """A stride of 2 along two axes makes four phases, each a product over the taps it meets."""
    x, w = drawn(2, 9, 8, 8), drawn(16, 9, 3, 3)

    def loss(x):
        return fnp.sin(convolved(x, w, (2, 2), padding="SAME", dimension_numbers=FIRST)).sum()

    program = agrees(*traced(fg.grad(loss), x))
    assert sum("taps" in k.text and k.launch.kind == "product" for k in program.kernels) == 5


def test_channels_one_by_one_have_a_thread_for_each_element():
    x, w = drawn(2, 8, 8, 12), drawn(3, 3, 1, 12)
    params = {"padding": "SAME", "feature_group_count": 12, "dimension_numbers": LAST}
    program = agrees(*traced(lambda x, w: convolved(x, w, **params), x, w))
    assert "product" not in [k.launch.kind for k in program.kernels]


def test_explain_says_what_is_multiplied():
    x, w, params = CASES["groups"]
    page = program_of(lambda x, w: convolved(x, w, **params), drawn(*x), drawn(*w)).explain("f")
    assert "2 × 6 × 5 places, 9 features and 3 × 3 taps to 8 features, 2 groups" in page
    assert "a block of 256 threads has a tile of 32 × 32" in page
