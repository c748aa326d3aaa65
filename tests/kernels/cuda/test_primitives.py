"""Each primitive's own examples, as kernels of a GPU: what NumPy gives, but for those listed here,
which the CPU's programs leave to Python or to C too."""

import numpy as np
import pytest

from funcgrad.config import enable_x64
from funcgrad.control.jit import simplified_for_gpu as simplified
from funcgrad.core.array import to_ndarray
from funcgrad.core.evaluate import run_numpy
from funcgrad.core.primitive import registry
from funcgrad.core.staging import stage
from funcgrad.ir.avals import aval_of
from funcgrad.kernels.cuda.emulated import emulate
from funcgrad.kernels.cuda.program import cuda_program

from ...primitives.rules import load_all
from .running import compiled, in_memory

load_all()


# Without a kernel.
REFUSED = "eig hyp1f1 hyp2f1 schur sqrtm sylvester tridiagonal".split()
# Vectors have phases of their own.
WITH_PHASES = {"eigh", "svd"}


def names():
    return sorted(name for name, p in registry.items() if any(True for _ in p.examples()))


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_examples(name):
    primitive = registry[name]
    for example in primitive.examples():
        with enable_x64():

            def apply(*args, example=example):
                out = primitive.bind(*args, **example.params)
                return out if primitive.multiple_results else [out]

            avals = [aval_of(x) for x in example.args]
            closed = stage(apply, avals, name)
            program = cuda_program(simplified(closed), simplified)
            if name in REFUSED and program.refused:
                continue
            assert not program.refused, program.refused
            assert len(compiled(program)) == len(program.kernels)
            inputs = [
                x.numpy() if hasattr(x, "numpy") else np.asarray(to_ndarray(x), a.dtype)
                for x, a in zip(example.args, avals, strict=True)
            ]
            found = emulate(program, inputs)
            for got, want in zip(found, run_numpy(closed, inputs), strict=True):
                if name in WITH_PHASES:
                    got, want = (abs(x.view(want.dtype).reshape(-1)) for x in (got, want))
                want, got = in_memory(want), got.reshape(-1)
                if want.dtype.kind in "biu":
                    np.testing.assert_array_equal(got, want)
                    continue
                rate = 1e-9 if want.dtype == np.float64 else 2e-2 if want.itemsize < 4 else 1e-4
                got, want = (x.astype(np.float64) for x in (got, want))
                np.testing.assert_allclose(got, want, rtol=rate, atol=rate)
