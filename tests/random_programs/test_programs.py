"""Random programs give what NumPy's rules give: compiled, on a GPU's emulator, and as JAX's jit.

For many more: `python -m tests.random_programs --seconds 600 --seed 7`.
"""

import importlib.util
from collections import Counter

import numpy
import pytest

import funcgrad as fg
from funcgrad.config import enable_x64

from .drawing import Limits, draw
from .running import Reference, text
from .shrinking import shrunk
from .trials import MODES, STEPS, drawn, faults, report, script

PEER = importlib.util.find_spec("jax") is not None


def right(seeds, size, ways):
    for seed in seeds:
        program = drawn(seed, size)
        found = faults(program, ways)
        assert not found, report(program, found)


@pytest.mark.parametrize("tens", range(8))
def test_compiled(tens):
    right(range(10 * tens, 10 * tens + 10), "middle", ["jit"])


@pytest.mark.parametrize("tens", range(2))
def test_not_compiled(tens):
    right(range(1000 + 10 * tens, 1010 + 10 * tens), "small", ["eager"])


@pytest.mark.parametrize("tens", range(4))
def test_kernels_for_gpus(tens):
    right(range(2000 + 10 * tens, 2010 + 10 * tens), "tiny", ["emulator"])


@pytest.mark.skipif(not PEER, reason="a differential test needs the peer: funcgrad[bench]")
@pytest.mark.parametrize("tens", range(2))
def test_as_jax(tens):
    right(range(3000 + 10 * tens, 3010 + 10 * tens), "tiny", ["jax"])


def test_every_step_is_drawn():
    count = Counter()

    def counted(name, step):
        def run(drawing):
            step(drawing)
            count[name] += 1

        return run

    steps = {n: (counted(n, step), weight) for n, (step, weight) in STEPS.items()}
    with enable_x64():
        for seed in range(300):
            draw(seed, steps, Limits(), MODES)
    assert set(count) == set(STEPS), "never drawn"


def test_a_program_is_that_of_its_seed():
    assert text(drawn(5)) == text(drawn(5)) != text(drawn(6))


@pytest.mark.parametrize("seed", [1, 4, 9])
def test_one_wrong_element_is_found(seed):
    with enable_x64():
        reference = Reference(drawn(seed, "small", ["plain"]))
    assert not reference.wrong(reference.own)
    for k, right in enumerate(reference.own):
        if right.size:
            outs = [x.copy() for x in reference.own]
            flat = outs[k].reshape(-1)
            where = numpy.argmax(abs(right))
            flat[where] = ~flat[where] if right.dtype.kind == "b" else flat[where] * 2 + 1
            assert reference.wrong(outs)


def test_a_failing_program_becomes_small():
    program = drawn(0, "small", ["grad"])
    name = program.statements[1].made[0].name
    small = shrunk(program, lambda p: any(v.name == name for s in p.statements for v in s.made))
    assert small.mode == "plain" and len(small.statements) == 1


def test_what_is_printed_runs(capsys):
    for seed in range(3):
        try:
            exec(script(drawn(seed, "small"), "jit"), {})
        finally:
            fg.config.update("jax_enable_x64", False)
        assert capsys.readouterr().out
