"""Random programs run alike as machine code, as Python, under Numba and by NumPy's rules."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import funcgrad as fg
from funcgrad.config import enable_x64
from funcgrad.control.jit import simplified
from funcgrad.core.evaluate import run_numpy
from funcgrad.kernels import pipeline
from funcgrad.kernels.checking import check

from .drawn import programs

TOLERANCE = {"float16": 3e-2, "float32": 2e-4, "float64": 1e-10}
slowly = settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)


def all_ways(program, lowerings):
    """What the program gives by NumPy's rules, and as each lowering runs it; stages are checked."""
    inputs = program.inputs()
    with enable_x64():
        closed = simplified(fg.make_jaxpr(program)(*inputs))
        want = run_numpy(closed, inputs)
        stages = pipeline.lower(closed, simplified)
        check(stages.block, stages.memory)
        found = {}
        for how in lowerings:
            run = pipeline.compiled(stages) if how == "fast" else pipeline.script(stages, how)
            found[how] = run(inputs)
    return want, found


def assert_same(got, want):
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert np.array_equal(got, want, equal_nan=got.dtype.kind == "f"), (got, want)


def assert_close(got, want):
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    tolerance = TOLERANCE[want.dtype.name]
    wide = [x.astype(np.float64) for x in (got, want)]
    np.testing.assert_allclose(*wide, rtol=tolerance, atol=tolerance)


@slowly
@given(programs("EXACT"))
def test_exact_programs_give_the_same_bits(program):
    want, found = all_ways(program, ["fast", "python"])
    for outs in found.values():
        for got, w in zip(outs, want, strict=True):
            assert_same(got, w)


@slowly
@given(programs("SMOOTH", 6))
def test_smooth_programs_agree(program):
    want, found = all_ways(program, ["fast", "python"])
    for outs in found.values():
        for got, w in zip(outs, want, strict=True):
            assert_close(got, w)


@pytest.mark.slow
@settings(max_examples=8)
@given(programs("EXACT", 5))
def test_exact_programs_give_the_same_bits_under_numba(program):
    want, found = all_ways(program, ["source"])
    for got, w in zip(found["source"], want, strict=True):
        assert_same(got, w)
