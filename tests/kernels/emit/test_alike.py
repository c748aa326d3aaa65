"""Kernels of one form share a function, also where their numbers differ; others do not."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.kernels import pipeline
from funcgrad.kernels.emit.alike import TIMES, alike
from funcgrad.kernels.program import steps_of

SIZE = 3_000


def stages_of(f, *args):
    return fg.jit(f).lower(*args).stages


def functions(text):
    return [line for line in text.splitlines() if line.startswith("define void @k")]


def layers(function, numbers):
    """Layers that cannot become one kernel, for sums stand between them."""

    def f(x):
        for a in numbers:
            x = function(x, a) / fnp.sum(fnp.sort(x)[-3:])
        return x

    return f


def check(f, most):
    """Few functions, and the results of the Python lowering."""
    x = np.random.default_rng(0).uniform(0.5, 1.5, SIZE).astype(np.float32)
    stages = stages_of(f, x)
    (found,), (want,) = pipeline.compiled(stages)([x]), pipeline.script(stages, "python")([x])
    np.testing.assert_allclose(found, want, rtol=2e-5)
    assert len(functions(stages.llvm)) <= most
    return stages


NUMBERS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


def test_kernels_that_differ_in_numbers_share_a_function():
    stages = check(layers(lambda x, a: fnp.tanh(x * a) + 2 * a, NUMBERS), most=4)
    kernels = [s.kernel for s in steps_of(stages.block) if hasattr(s, "kernel")]
    kernels = [k for k in kernels if hasattr(k, "body")]
    found = alike(kernels)
    assert found and len({a.form for a in found.values()}) < len(found)
    assert any(a.numbers for a in found.values())
    assert "_numbers = private constant" in stages.llvm


def test_equal_kernels_share_a_function_without_numbers():
    stages = check(layers(lambda x, a: fnp.tanh(x * 0.7), NUMBERS), most=4)
    assert "_numbers" not in stages.llvm


def test_exponents_are_a_part_of_the_form():
    """A power is written according to its exponent."""
    check(layers(lambda x, a: x ** (5 * a + 0.5) + 1, NUMBERS), most=4 + len(NUMBERS))


@pytest.mark.parametrize("count", [2, TIMES - 1])
def test_few_kernels_are_as_they_were(count):
    stages = check(
        layers(lambda x, a: fnp.tanh(x * a) + 2 * a, NUMBERS[:count]), most=2 * count + 2
    )
    assert "_numbers" not in stages.llvm


def test_programs_grow_less_than_their_kernels():
    f = layers(lambda x, a: fnp.tanh(x * a) + 2 * a, [0.01 * k + 0.1234 for k in range(40)])
    text = stages_of(f, np.ones(SIZE, np.float32)).llvm
    assert len(functions(text)) <= 5


def test_numbers_of_both_widths():
    from funcgrad.config import enable_x64

    def one(x, a):
        return fnp.tanh(x * a) + (x.astype(fnp.float64) * (a / 3)).astype(fnp.float32)

    with enable_x64():
        check(layers(one, NUMBERS), most=5)
