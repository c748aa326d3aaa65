"""Convolution kernels against the NumPy rule, over shapes, layouts, paddings, dilations, groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import funcgrad
from funcgrad.control.jit import simplified
from funcgrad.core.evaluate import run_numpy
from funcgrad.kernels import pipeline
from funcgrad.kernels.library import conv
from funcgrad.kernels.library.conv_deep import deep_kernel
from funcgrad.kernels.library.conv_planar import planar_kernel
from funcgrad.kernels.library.conv_spec import ConvSpec, Problem, problem_of
from funcgrad.kernels.library.conv_wide import Wide, wide_kernel
from funcgrad.kernels.runtime import toolchain
from funcgrad.primitives.convolution import conv_general_dilated_p, conv_params
from funcgrad.primitives.windowing import ConvDimensionNumbers

from .harness import Program

NHWC = ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
NWC = ConvDimensionNumbers((0, 2, 1), (2, 1, 0), (0, 2, 1))
SAME = ((1, 1), (1, 1))


def check(
    lhs: Any, rhs: Any, dtype: Any = np.float32, build: Any = conv.build, **changes: Any
) -> None:
    """The kernel against the exact result, within the rounding of so many additions."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in (lhs, rhs))
    params = conv_params(len(lhs) - 2, **changes)
    spec = conv.spec_of(lhs, rhs, x.dtype, params)
    kernel = build(spec, toolchain.machine())
    assert kernel is not None
    assert sum(stage.cost for stage in kernel.stages) > 0
    found = Program(kernel)([x, w], spec.out, dtype)
    exact = conv_general_dilated_p.impl(x.astype(np.float64), w.astype(np.float64), **params)
    sizes = conv_general_dilated_p.impl(abs(x).astype(float), abs(w).astype(float), **params)
    assert found.shape == exact.shape
    assert (abs(found - exact) <= 16 * np.finfo(dtype).eps * sizes).all()


def planar(problem: Problem, bits: int, *, lanewise: bool) -> Any:
    return planar_kernel(problem, bits) or wide_kernel(problem, bits, lanewise=lanewise)


def forced(kernel: Any, lanewise: bool, bits: int) -> Any:
    """A builder that takes one of the forms, whether or not it suits."""

    def build(spec: ConvSpec, machine: toolchain.Machine) -> Any:
        return kernel(problem_of(spec), bits or machine.vector_bits, lanewise=lanewise)

    return build


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 8, 16, 17, 40])
@pytest.mark.parametrize("features", [1, 3, 17, 32])
def test_channels_of_any_number(features: int, channels: int) -> None:
    check((2, 7, 9, features), (3, 3, features, channels), dimension_numbers=NHWC, padding=SAME)


cases: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "one by one": ((2, 5, 6, 24), (1, 1, 24, 32), {}),
    "one image, one place": ((1, 1, 1, 7), (1, 1, 7, 9), {}),
    "kernel as large as the image": ((3, 4, 4, 5), (4, 4, 5, 6), {}),
    "kernel larger than the image": ((2, 3, 2, 5), (5, 4, 5, 6), {"padding": ((2, 2), (3, 1))}),
    "stride": ((2, 9, 8, 8), (3, 3, 8, 16), {"window_strides": (2, 3), "padding": SAME}),
    "negative padding": ((2, 9, 8, 4), (3, 2, 4, 8), {"padding": ((-1, 2), (1, -3))}),
    "padding alone": ((1, 2, 2, 3), (2, 2, 3, 4), {"padding": ((5, 4), (0, 6))}),
    "dilated kernel": ((2, 9, 9, 6), (3, 3, 6, 8), {"rhs_dilation": (2, 3)}),
    "dilated image": ((2, 5, 4, 6), (3, 3, 6, 8), {"lhs_dilation": (2, 3), "padding": SAME}),
    "dilated image, small kernel": ((2, 5, 4, 6), (1, 2, 6, 8), {"lhs_dilation": (3, 3)}),
    "everything dilated": (
        (2, 5, 6, 3),
        (3, 2, 3, 8),
        {
            "lhs_dilation": (4, 3),
            "rhs_dilation": (6, 2),
            "window_strides": (2, 2),
            "padding": ((7, 8), (-1, 5)),
        },
    ),
    "groups": ((2, 6, 6, 24), (3, 3, 8, 48), {"feature_group_count": 3, "padding": SAME}),
    "small groups": ((2, 6, 6, 12), (3, 3, 2, 18), {"feature_group_count": 6, "padding": SAME}),
    "depthwise": ((2, 6, 7, 19), (3, 3, 1, 19), {"feature_group_count": 19, "padding": SAME}),
    "depthwise, two each": ((2, 6, 7, 5), (3, 3, 1, 10), {"feature_group_count": 5}),
    "depthwise, strided": (
        (2, 9, 7, 16),
        (3, 3, 1, 16),
        {"feature_group_count": 16, "padding": SAME, "window_strides": (2, 2)},
    ),
    "one channel": ((2, 9, 21, 5), (3, 3, 5, 1), {"padding": SAME}),
    "three channels of short rows": ((2, 9, 5, 2), (3, 3, 2, 3), {"rhs_dilation": (2, 2)}),
    "groups of the batch": ((6, 6, 5, 8), (3, 3, 8, 32), {"batch_group_count": 2}),
    "small groups of the batch": ((12, 6, 5, 4), (3, 3, 4, 24), {"batch_group_count": 6}),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", cases)
def test_every_kind(name: str, dtype: Any) -> None:
    lhs, rhs, changes = cases[name]
    check(lhs, rhs, dtype, dimension_numbers=NHWC, **changes)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Any, Any, dict[str, Any]]:
    rank = draw(st.integers(1, 3))
    few = st.integers(1, 3)
    groups = draw(st.sampled_from([1, 1, 1, 2, 5, 8]))
    by_batch = draw(st.booleans())
    batch, features, outs = (draw(st.integers(1, n)) for n in (3, 9, 12))
    numbers = ConvDimensionNumbers(
        *(tuple(draw(st.permutations(range(rank + 2)))) for _ in range(3))
    )
    lhs, rhs = [0] * (rank + 2), [0] * (rank + 2)
    rhs[numbers.rhs_spec[0]], rhs[numbers.rhs_spec[1]] = outs * groups, features
    lhs[numbers.lhs_spec[0]] = batch * (groups if by_batch else 1)
    lhs[numbers.lhs_spec[1]] = features * (1 if by_batch else groups)
    changes: dict[str, Any] = {
        "dimension_numbers": numbers,
        "batch_group_count" if by_batch else "feature_group_count": groups,
    }
    for key in ("window_strides", "lhs_dilation", "rhs_dilation"):
        changes[key] = tuple(draw(few) for _ in range(rank))
    pads: list[tuple[int, int]] = []
    for i in range(rank):
        size, taps = draw(st.integers(1, 10)), draw(st.integers(1, 4))
        lhs[numbers.lhs_spec[2 + i]], rhs[numbers.rhs_spec[2 + i]] = size, taps
        low, high = draw(st.integers(-2, 4)), draw(st.integers(-2, 4))
        extent = (size - 1) * changes["lhs_dilation"][i] + 1
        window = (taps - 1) * changes["rhs_dilation"][i] + 1
        pads.append((low, high + max(0, window - extent - low - high)))
    changes["padding"] = tuple(pads)
    return tuple(lhs), tuple(rhs), changes


@settings(max_examples=40, deadline=None)
@given(
    convolutions(),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([wide_kernel, deep_kernel, planar]),
    st.booleans(),
    st.sampled_from([0, 128]),
)
def test_random_convolutions(case: Any, dtype: Any, kernel: Any, lanewise: bool, bits: int) -> None:
    lhs, rhs, changes = case
    build = forced(kernel, lanewise, bits)

    def fitting(spec: ConvSpec, machine: toolchain.Machine) -> Any:
        made = build(spec, machine)
        assume(made is not None)  # where no copy is small enough for the stack, others are chosen
        return made

    check(lhs, rhs, dtype, fitting, **changes)


@pytest.mark.parametrize("name", cases)
def test_gradients(name: str) -> None:
    """The convolutions that are derivatives of a convolution."""
    lhs, rhs, changes = cases[name]
    params = conv_params(2, dimension_numbers=NHWC, **changes)

    def gradients(x: Any, w: Any, ct: Any) -> Any:
        return funcgrad.vjp(lambda *xs: conv_general_dilated_p.bind(*xs, **params), x, w)[1](ct)

    x, w = (np.zeros(shape, np.float32) for shape in (lhs, rhs))
    ct = conv_general_dilated_p.impl(x, w, **params)
    eqns = [
        eqn
        for eqn in funcgrad.make_jaxpr(gradients)(x, w, ct).jaxpr.eqns
        if eqn.primitive is conv_general_dilated_p
    ]
    assert len(eqns) >= 2
    for eqn in eqns:
        check(*(v.aval.shape for v in eqn.invars), **eqn.params)


def test_kernels_read_backwards() -> None:
    lhs, rhs = (2, 6, 7, 8), (3, 2, 8, 16)
    rng = np.random.default_rng(1)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in (lhs, rhs))
    params = conv_params(2, dimension_numbers=NHWC, padding=SAME)
    spec = conv.spec_of(lhs, rhs, x.dtype, params, (True, False))
    kernel = conv.build(spec, toolchain.machine())
    assert kernel is not None
    found = Program(kernel)([x, w], spec.out, np.float32)
    expected = conv_general_dilated_p.impl(x, w[::-1], **params)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bits", [256, 512])
@pytest.mark.parametrize("side", [2, 32])
def test_tiles_lie_in_one_image_where_it_has_room(side: int, bits: int) -> None:
    """Though some tiles of several images would have fewer outputs computed twice."""
    params = conv_params(2, dimension_numbers=NHWC, padding=SAME)
    spec = conv.spec_of((64, side, side, 16), (3, 3, 16, 16), np.float32, params)
    images = Wide(problem_of(spec), bits, lanewise=False).shape.left[0]
    assert images == 1 if side == 32 else images > 1


def test_chunks_depend_on_sizes_only() -> None:
    spec = conv.spec_of(
        (4, 9, 9, 8), (3, 3, 8, 16), np.float32, conv_params(2, dimension_numbers=NHWC)
    )
    machine = toolchain.machine()
    few, many = (
        conv.build(spec._replace(dtype="float32"), machine._replace(cores=n)) for n in (1, 64)
    )
    assert few == many


@pytest.mark.parametrize("dtype", ["int32", "float16", "complex64"])
def test_other_dtypes_are_left_to_the_compiler(dtype: str) -> None:
    spec = conv.spec_of((1, 2, 5), (3, 2, 2), dtype, conv_params(1))
    assert conv.build(spec, toolchain.machine()) is None


def test_empty_arrays_are_left_to_the_compiler() -> None:
    spec = conv.spec_of((2, 0, 4), (3, 0, 2), "float32", conv_params(1))
    assert conv.build(spec, toolchain.machine()) is None


def test_programs_read_kernels_backwards() -> None:
    """The gradient of the input meets the kernel reversed, and no copy of it is made."""
    params = conv_params(2, dimension_numbers=NHWC, padding=SAME)
    rng = np.random.default_rng(2)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((2, 6, 7, 8), (3, 2, 8, 16)))

    def loss(x: Any, w: Any) -> Any:
        return (conv_general_dilated_p.bind(x, w, **params) ** 2).sum()

    closed = simplified(funcgrad.make_jaxpr(funcgrad.grad(loss))(x, w))
    assert any(eqn.primitive.name == "rev" for eqn in closed.jaxpr.eqns)
    stages = pipeline.lower(closed, simplified)
    assert any(any(getattr(step, "backwards", ())) for step in stages.block.steps)
    (expected,) = run_numpy(closed, [x, w])
    for run in (pipeline.compiled(stages), pipeline.script(stages, "python")):
        np.testing.assert_allclose(run([x, w])[0], expected, rtol=1e-4, atol=1e-4)
