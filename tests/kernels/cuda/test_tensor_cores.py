"""Products of 16-bit floats by tensor cores, as the emulator lays their registers out."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.control.jit import simplified_for_gpu as simplified
from funcgrad.kernels.cuda import emulated
from funcgrad.kernels.cuda.emulated_matrices import rounded
from funcgrad.kernels.cuda.emulator import Emulator
from funcgrad.kernels.cuda.lanes import EmulationError
from funcgrad.kernels.cuda.program import cuda_program

from .processor import Processors
from .running import both_ways, program_of, traced
from .test_emulated import agrees

DRAWN = np.random.default_rng(3)


def drawn(shape, dtype):
    return DRAWN.normal(size=shape).astype(getattr(fnp, dtype))


CASES = {
    "as it lies": (lambda x, y: x @ y, (70, 50), (50, 90)),
    "left transposed": (lambda x, y: x.T @ y, (51, 70), (51, 90)),
    "right transposed": (lambda x, y: x @ y.T, (70, 33), (90, 33)),
    "both transposed": (lambda x, y: x.T @ y.T, (50, 70), (90, 50)),
    "parts": (lambda x, y: x @ y, (20, 600), (600, 40)),
    "batch": (lambda x, y: x @ y, (3, 20, 30), (3, 30, 40)),
    "parts of larger ones": (lambda x, y: x[2:, 1:51] @ y[3:53], (40, 70), (60, 33)),
    "parts, turned": (lambda x, y: x[:, 8:].T @ y[:, 5:].T, (50, 78), (90, 55)),
    "tiles of 64": (lambda x, y: x @ y, (700, 40), (40, 800)),
    "tiles of 128": (lambda x, y: x @ y, (1500, 9), (9, 1450)),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", CASES)
def test_products(name, dtype):
    f, left, right = CASES[name]
    program = agrees(*traced(f, drawn(left, dtype), drawn(right, dtype)))
    assert f"mma_{dtype}" in program.text and "by tensor cores" in program.explain("f")


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_products_of_float32_that_may_be_rounded(name):
    f, *shapes = CASES[name]
    x, y = (drawn(s, "float32") for s in shapes)
    with fg.default_matmul_precision("tensorfloat32"):
        program, want, found = both_ways(*traced(f, x, y))
    assert "mma_tf32" in program.text and "rounded to TF32" in program.explain("f")
    for (got,), (w,) in ((outs, want) for outs in found):
        np.testing.assert_allclose(got, w, 0, 4e-3 * np.sqrt(600))
        assert not np.array_equal(got, w)


def test_tf32_of_this_processor_is_the_emulators(monkeypatch):
    x, y = drawn((40, 50), "float32"), drawn((50, 33), "float32")
    with fg.default_matmul_precision("tensorfloat32"):
        closed, inputs = traced(lambda x, y: x @ y, x, y)
        program = cuda_program(closed, simplified)
        (want,) = emulated.emulate(program, inputs, True)
        monkeypatch.setattr(emulated, "Emulator", Processors)
        (got,) = emulated.emulate(program, inputs, True)
    np.testing.assert_allclose(got, want, 1e-5, 1e-5)


def test_tf32_has_ten_bits_and_rounds_halves_away():
    x = np.float32([1 + 2**-11, -1 - 2**-11, 1 + 2**-12, 1 + 3 * 2**-11, np.inf, 0.0])
    want = np.float32([1 + 2**-10, -1 - 2**-10, 1, 1 + 2**-9, np.inf, 0.0])
    assert np.array_equal(rounded(x).view(np.float32), want)


def test_sums_are_float32():
    """Whole numbers of which halves have no sum are exact."""
    x = np.full((40, 512), 8, np.float16)

    def f(x):
        return lax.dot(x, x.T, preferred_element_type=np.float32)

    closed, inputs = traced(f, x)
    program = agrees(closed, inputs)
    assert "mma_float16" in program.text
    assert np.all(f(x) == 8 * 8 * 512)


def test_other_dtypes_are_multiplied_by_threads():
    x = DRAWN.normal(size=(40, 50)).astype(np.float32)
    assert "mma" not in program_of(lambda x: x @ x.T, x).text


TEXT = """
def kernel(a, b, out):
    lane = cuda.threadIdx.x
    c0, c1, c2, c3 = mma_float16(
        a[lane], a[lane + 32], a[lane + 64], a[lane + 96], b[lane], b[lane + 32],
        float32(1.0), float32(0.0), float32(0.0), float32(0.0)
    )
    out[lane] = c0
    out[lane + 32] = c1
    out[lane + 64] = c2
    out[lane + 96] = c3
"""


def words(low, high):
    return np.uint32(low.view(np.uint16)) | (np.uint32(high.view(np.uint16)) << np.uint32(16))


def test_registers_lie_as_the_manual_says():
    """The fragments of one lane, written out by hand from the tables of the manual."""
    a, b = (DRAWN.normal(size=s).astype(np.float16) for s in ((16, 16), (16, 8)))
    given, right, out = np.zeros(128, np.uint32), np.zeros(64, np.uint32), np.zeros(128, np.float32)
    for lane in range(32):
        row, column = lane // 4, 2 * (lane % 4)
        for k, (r, c) in enumerate(((0, 0), (8, 0), (0, 8), (8, 8))):
            given[lane + 32 * k] = words(*a[row + r, column + c : column + c + 2])
        for k, r in enumerate((0, 8)):
            right[lane + 32 * k] = words(*b[column + r : column + r + 2, row])
    Emulator(TEXT).launch("kernel", 1, 32, [given, right, out])
    want = a.astype(np.float32) @ b.astype(np.float32)
    for lane in range(32):
        row, column = lane // 4, 2 * (lane % 4)
        rows, columns = [row, row, row + 8, row + 8], [column, column + 1] * 2
        found = out[lane::32] - [1, 0, 0, 0]
        np.testing.assert_allclose(found, want[rows, columns], 1e-5, 1e-5)


def test_half_a_warp_is_an_error():
    text = TEXT.replace("lane = cuda.threadIdx.x", "lane = cuda.threadIdx.x\n    if lane < 16:")
    head, _, body = text.partition("    c0")
    text = head + "\n".join("    " + line for line in ("    c0" + body).splitlines())
    with pytest.raises(EmulationError, match="some lanes of a warp"):
        Emulator(text).launch(
            "kernel", 1, 32,
            [np.zeros(128, np.uint32), np.zeros(64, np.uint32), np.zeros(128, np.float32)],
        )  # fmt: skip
