"""Bits of what is positive: as cuBLASLt reads them, by the emulator, this processor and NVVM."""

import numpy as np
import pytest

import funcgrad.numpy as fnp
from funcgrad.ir.nests import Buffer
from funcgrad.kernels.cuda import adapter
from funcgrad.kernels.cuda.emulator import Emulator
from funcgrad.kernels.cuda.masks import mask_launch
from funcgrad.kernels.cuda.words import CudaLibrary, memory_type
from funcgrad.kernels.library.gemm import Gemm

from .processor import Processors

# The kernel is compiled for sm_80 and sm_90 where the packages are, as in CI; the emulator runs it
# in every test here.
needs_extra = pytest.mark.skipif(
    bool(adapter.missing()), reason=f"compiling for a GPU needs {adapter.remedy()}"
)
EDGES = [0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 6e-8, -6e-8]


def made(rows, columns, dtype):
    """The launch for so many elements, and the text of its module."""
    g, library = Gemm("float32", (), rows, columns, 9, (True, 9), (True, 9), columns), CudaLibrary()
    given = Buffer((rows, columns), np.dtype(getattr(fnp, dtype)), "h")
    launch = mask_launch(g, "bits", given, library)
    return launch, "\n\n".join([*library.definitions(), launch.text])


@pytest.mark.parametrize("machine", [Emulator, Processors])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 8), (5, 128), (40, 136)])
def test_bits_of_what_is_positive(rows, columns, dtype, aligned, machine):
    launch, text = made(rows, columns, dtype)
    numbers = np.random.default_rng(columns).normal(size=(rows, columns))
    numbers.reshape(-1)[: len(EDGES)] = EDGES
    numbers = numbers.astype(getattr(fnp, dtype))
    _, mask = launch.params
    held = np.full(mask.size, 0xA5, np.uint8)
    flat = numbers.reshape(-1).view(memory_type(numbers.dtype))
    machine(text, aligned).launch("bits", launch.blocks, launch.threads, [flat, held])
    found = held.reshape(mask.shape)
    assert mask.shape[1] % 16 == 0
    want = np.packbits(numbers.astype(np.float64) > 0, axis=1, bitorder="little")
    np.testing.assert_array_equal(found[:, : columns // 8], want)
    # Nothing is written behind a row.
    assert (found[:, columns // 8 :] == 0xA5).all()


@needs_extra
@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bits_are_moved_by_16_bytes(dtype, target):
    launch, text = made(300, 136, dtype)
    kinds = tuple(memory_type(b.dtype) for b in launch.params)
    source = adapter.Source(text, "bits", kinds, (launch.threads, 1))
    (cubin,) = adapter.cubins([source], target)
    assert cubin.registers <= 64 and not cubin.spills
    assert "ld.global.v4" in cubin.ptx or "ld.global.nc.v4" in cubin.ptx
