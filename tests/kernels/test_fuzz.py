"""Random programs on inputs of any dtype, layout and size: one answer, whatever runs them.

A run of some minutes or of a night: `pytest --hypothesis-profile=long tests/kernels/test_fuzz.py`,
which tries a hundred times as many programs.
"""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import funcgrad as fg
from funcgrad.config import enable_x64

from .drawn import DTYPES, examples, programs
from .test_random_programs import assert_close, assert_same

ALL_DTYPES = [*DTYPES, "int8", "int16", "int64", "uint8", "uint32", "uint64"]
LARGE = [
    (1031,),
    (32_768,),
    (384, 128),
    (129, 257),
    (513, 77),
    (3, 4097),
    (40_001,),
    (17, 31, 65),
    (),
]


def misaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


LAYOUTS = {
    "as it is": lambda x: x,
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, -1)[..., ::2] if x.ndim else x,
    "reversed": lambda x: np.ascontiguousarray(np.flip(x))[(slice(None, None, -1),) * x.ndim],
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape) if x.ndim else x,
    "misaligned": misaligned,
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
}


@contextmanager
def option(name, value):
    before = fg.config.read(name)
    fg.config.update(name, value)
    try:
        yield
    finally:
        fg.config.update(name, before)


def answers(program, inputs, lowerings):
    """What the jitted program gives in each way, as NumPy arrays."""
    found = {}
    for how in lowerings:
        with enable_x64(), option("lowering", how):
            found[how] = [np.asarray(y) for y in fg.jit(lambda *xs: program(*xs))(*inputs)]
    return found


def compare(program, layouts, lowerings, same):
    inputs = [LAYOUTS[name](x) for name, x in zip(layouts, program.inputs(), strict=True)]
    want, *others = answers(program, inputs, ["numpy", *lowerings]).values()
    for outs in others:
        for got, w in zip(outs, want, strict=True):
            same(got, w)


layouts = st.tuples(*[st.sampled_from(sorted(LAYOUTS))] * 2)


@examples(50)
@given(programs("EXACT", dtypes=ALL_DTYPES), layouts)
def test_machine_code_and_python(program, layouts):
    compare(program, layouts, ["fast", "python"], assert_same)


@examples(25)
@given(programs("SMOOTH", 6), layouts)
def test_machine_code_and_python_on_smooth_programs(program, layouts):
    compare(program, layouts, ["fast", "python"], assert_close)


@pytest.mark.slow
@examples(6)
@given(programs("EXACT", 5, dtypes=ALL_DTYPES), layouts)
def test_source_under_numba(program, layouts):
    compare(program, layouts, ["fast", "source"], assert_same)


@pytest.mark.slow
@examples(3)
@given(programs("SMOOTH", 4), layouts)
def test_source_under_numba_on_smooth_programs(program, layouts):
    compare(program, layouts, ["fast", "source"], assert_close)


@pytest.mark.slow
@examples(20)
@given(programs("EXACT", 5, shapes=LARGE, dtypes=ALL_DTYPES), st.integers(1, 4))
def test_threads(program, threads):
    with option("num_threads", threads):
        compare(program, ("as it is",) * 2, ["fast"], assert_same)


@pytest.mark.slow
@examples(15)
@given(programs("SMOOTH", 5, shapes=LARGE))
def test_any_number_of_threads_gives_the_same_bits(program):
    inputs = program.inputs()
    found = []
    for threads in (1, 2, 4):
        with option("num_threads", threads):
            found.append(answers(program, inputs, ["fast"])["fast"])
    for outs in found[1:]:
        for a, b in zip(outs, found[0], strict=True):
            assert np.array_equal(a, b, equal_nan=True)
