"""The compiler of kernels' texts: what this processor makes of them has the emulator's bits."""

import numpy as np
import pytest
from hypothesis import given

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import grad, lax, nn
from funcgrad.config import enable_x64
from funcgrad.control.jit import simplified_for_gpu as simplified
from funcgrad.errors import CompileError
from funcgrad.kernels.cuda import attention_cuts, emulated
from funcgrad.kernels.cuda.emulated import emulate
from funcgrad.kernels.cuda.emulator import Emulator
from funcgrad.kernels.cuda.llvm.gpu import CALLS, Gpu
from funcgrad.kernels.cuda.llvm.module import Module
from funcgrad.kernels.cuda.program import cuda_program
from funcgrad.kernels.cuda.words import GIVEN

from ..drawn import examples, programs
from ..landmarks import LANDMARKS
from .processor import Processors
from .running import VERSION, compiled, traced
from .test_emulated import TABLE, f32

# Many blocks of threads that wait for each other: seconds here. Others have the same kinds.
LONG = {
    "softmax of rows that no block can keep",
    "sum and maximum of all",
    "cumulative sums of a row by many blocks",
    "cumulative maxima of rows by many blocks",
    "cumulative products of bfloat16 by many blocks",
    "cumulative sums from the end by many blocks",
    "cumulative sums of odd rows by many blocks",
    "cumulative sums of float64 by many blocks",
    "cumulative maxima of bytes by many blocks",
    "cumulative counts by many blocks",
    "sort of long rows",
    "places of long sorted columns",
    "top of long rows",
    "product of large tiles",
    "two orders of the same rows",
    "halvings",
}
PROGRAMS = {name: entry[1:] for name, entry in TABLE.items()} | LANDMARKS


def both(monkeypatch, closed, inputs, aligned=True):
    """The results of the emulator, and those of this processor."""
    program = cuda_program(closed, simplified)
    if program.refused:
        return []
    want = emulate(program, inputs, aligned)
    with monkeypatch.context() as patched:
        patched.setattr(emulated, "Emulator", Processors)
        found = emulate(program, inputs, aligned)
    return list(zip(found, want, strict=True))


def same_bits(pairs):
    for got, want in pairs:
        # Which NaN an operation gives is nobody's business.
        kept = want == want
        assert np.array_equal(got == got, kept)
        assert got[kept].tobytes() == want[kept].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - LONG))
def test_programs_have_the_bits_of_the_emulator(name, monkeypatch):
    f, *args = PROGRAMS[name]
    pairs = both(monkeypatch, *traced(f, *args))
    if "product of" in name and "16" in name:
        # The emulator leaves the order of a product by tensor cores to NumPy.
        for got, want in pairs:
            np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=1e-2, atol=1e-4)
        return
    same_bits(pairs)


@pytest.mark.parametrize("name", ["map of any length", "bfloat16", "gather"])
def test_where_nothing_is_aligned(name, monkeypatch):
    f, *args = PROGRAMS[name]
    same_bits(both(monkeypatch, *traced(f, *args), aligned=False))


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "width", "wanted"), [
    ("float32", 12, 132), ("float16", 12, 132), ("float16", 12, 1), ("float16", 100, 1)
])  # fmt: skip
def test_attention(dtype, width, wanted, monkeypatch):
    monkeypatch.setattr(attention_cuts, "WANTED_BLOCKS", wanted)
    x = f32(1, 70, 2, width).astype(dtype)

    def f(q, k, v):
        out = nn.dot_product_attention(q, k, v, is_causal=True)
        return (out.astype(np.float32) ** 2).sum(), out

    for got, want in both(monkeypatch, *traced(fg.grad(f, (0, 1, 2), has_aux=True), x, x, x)):
        np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=4e-3, atol=4e-3)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_attention_of_parts_of_a_product(dtype, monkeypatch):
    x, w = f32(1, 40, 24).astype(dtype), f32(24, 3 * 24).astype(dtype)

    def loss(x, w):
        p = (x @ w).reshape(1, 40, 3, 2, 12)
        y = nn.dot_product_attention(p[:, :, 0], p[:, :, 1], p[:, :, 2], is_causal=True)
        return fnp.sin(y.astype(np.float32)).sum()

    for got, want in both(monkeypatch, *traced(grad(loss, (0, 1)), x, w)):
        np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=1e-2, atol=1e-2)


@pytest.mark.slow
def test_convolution(monkeypatch):
    def f(x, w):
        return lax.conv(x, w, (1, 1), "SAME")

    same_bits(both(monkeypatch, *traced(f, f32(2, 3, 9, 9), f32(4, 3, 3, 3))))


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint64", "int8", "uint8", "float16"])
def test_dtypes(dtype, monkeypatch):
    with enable_x64():
        x = (np.arange(1, 201) % 7).astype(dtype).reshape(10, 20)
        same_bits(both(monkeypatch, *traced(lambda x: (x * x, x.max(), x.min(0), x // 3), x)))


@examples(15)
@given(programs("EXACT"))
def test_random_programs(program):
    with enable_x64(), pytest.MonkeyPatch.context() as monkeypatch:
        same_bits(both(monkeypatch, *traced(program, *program.inputs())))


def run(text, *arrays, threads=32):
    """The arrays after a kernel was run by the emulator, and by this processor."""
    found = []
    for kind in (Emulator, Processors):
        copies = [a.copy() for a in arrays]
        kind(f"@kernel\ndef k({text}").launch("k", 1, threads, copies)
        found.append(copies)
    return found


INTEGERS = {
    "floor": "x // y",
    "rest": "x % y",
    "floor by a constant": "x // 7",
    "rest of a constant": "x % 7",
    "negative constant": "x // -7",
    "bits": "(x & y) | (x ^ 5)",
    "shifts": "(x << 3) + (y >> 2)",
    "choice": "x if x < y else -y",
    "both": "int64(x < y and y != 3)",
    "either": "int64(x < 0 or y >= 3)",
    "not": "int64(not x < y)",
    "narrowed": "int64(int8(x)) * int64(uint16(y))",
    "least": "min(min(x, y), 2) - max(x, y)",
    "size": "abs(x)",
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name):
    text = (
        f"a, b, c):\n    i = cuda.threadIdx.x\n    x, y = a[i], b[i]\n    c[i] = {INTEGERS[name]}\n"
    )
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-300, 300, 32) for _ in range(2))
    b[b == 0] = 1
    emulator, processor = run(text, a, b, np.zeros(32, np.int64))
    np.testing.assert_array_equal(processor[2], emulator[2])


def test_division_by_zero_gives_zero():
    text = "a, c):\n    i = cuda.threadIdx.x\n    c[i] = a[i] // (a[i] - a[i])\n"
    a = np.arange(-4, 28)
    c = np.ones(32, np.int64)
    Processors(f"@kernel\ndef k({text}").launch("k", 1, 32, [a, c])
    assert not c.any()


def test_loops_that_are_left_and_names_that_change_places():
    text = """a, c):
    i = cuda.threadIdx.x
    low, high = 0, 40
    while low < high:
        middle = (low + high) // 2
        if a[middle] > i:
            high = middle
        else:
            low = middle + 1
    for k in range(5, 50):
        if k > i:
            break
        low += k
    c[i] = low
"""
    emulator, processor = run(text, np.arange(40) * 2, np.zeros(32, np.int64))
    np.testing.assert_array_equal(processor[1], emulator[1])


REFUSED = {
    "no common type": "    c[0] = a[0] + uint64(3)\n",
    "no statement": "    del a\n",
    "no expression": "    c[0] = [1]\n",
    "read before it is written": "    c[0] = x\n",
    "no text defines f": "    c[0] = f(a[0])\n",
    "t is int64, then float64": "    t = a[0]\n    t = float64(1)\n",
    "t is read before": "    if a[0]:\n        t = 1\n    if a[1]:\n        t = 2.0\n    c[0] = t",
}


def test_a_function_gives_one_type():
    text = "@device\ndef f(x):\n    if x:\n        return 1\n    return 0.5\n\n\n"
    module = Module(f"{text}@kernel\ndef k(a):\n    a[0] = f(a[1])\n", Gpu((32, 1), VERSION))
    with pytest.raises(CompileError, match="what f gives is int64, then float64"):
        module.kernel("k", ["int64"], "k")


def test_a_place_divided_by_what_may_be_negative_may_be_negative():
    text = "a, c):\n    i = cuda.threadIdx.x\n    c[i] = (i // a[i]) % 10\n"
    a = np.full(32, -3)
    emulator, processor = run(text, a, np.zeros(32, np.int64))
    np.testing.assert_array_equal(processor[1], emulator[1])


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_no_text_of_a_kernel(why):
    module = Module(f"@kernel\ndef k(a, c):\n{REFUSED[why]}", Gpu((32, 1), VERSION))
    with pytest.raises(CompileError, match=why):
        module.kernel("k", ["int64", "int64"], "k")


def test_every_name_that_no_text_defines_is_compiled():
    assert CALLS.keys() >= GIVEN


def test_what_is_called_is_written_once_and_nothing_else():
    closed, _ = traced(lambda x: fnp.exp(x) + fnp.exp(2 * x), f32(70))
    (text,) = compiled(cuda_program(closed, simplified))
    assert text.count("define internal float @exp_float32") == 1
    assert text.count("call float @exp_float32") == 4  # of neighbours, and one by one
    assert '!"maxntidx", i32 256' in text and '!"minctasm", i32 1' in text


def test_names_get_other_types_where_their_body_is_closed():
    text = """a, c):
    i = cuda.threadIdx.x
    if a[i] > 3:
        t = a[i] * 2
        c[i] = t
    if a[i] <= 3:
        t = float64(a[i]) / float64(2)
        c[i] = int64(t * float64(8))
    if a[i] == 5:
        for t in range(3):
            c[i] = t
    if a[i] == 6:
        t = uint32(a[i])
        c[i] = int64(t)
    else:
        t = uint32(7)
        c[i] = int64(uint32(t << uint32(31)))
"""
    emulator, processor = run(text, np.arange(32), np.zeros(32, np.int64))
    np.testing.assert_array_equal(processor[1], emulator[1])
