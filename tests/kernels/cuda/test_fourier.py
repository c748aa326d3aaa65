"""Passes of Fourier transforms: values, places in memory, launches, machine code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.config import enable_x64
from funcgrad.kernels.cuda.fourier import radices, split

from .running import both_ways, program_of, traced
from .test_compiled import compiled, needs_extra
from .test_llvm import both, same_bits

DTYPES = ("complex64", "complex128")
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
fft = fnp.fft


def drawn(*shape, dtype="complex128"):
    draw = np.random.default_rng(len(shape))
    return (draw.normal(size=shape) + 1j * draw.normal(size=shape)).astype(dtype)


def agree(f, x, launches=None):
    """The emulator gives what NumPy gives, up to roundings of the largest number."""
    with enable_x64():
        program, want, found = both_ways(*traced(f, x))
    rate = 2e-6 if x.real.dtype == np.float32 else 1e-14
    for outs in found:
        for got, w in zip(outs, want, strict=True):
            assert got.dtype == w.dtype
            np.testing.assert_allclose(got, w, 0, rate * max(abs(w).max(initial=0), 1e-30))
    kinds = [k.launch.kind for k in program.kernels]
    assert launches is None or kinds == ["fourier"] * launches


def all_kinds(n, count, dtype, launches):
    x, half = drawn(count, n, dtype=dtype), drawn(count, n // 2 + 1, dtype=dtype)
    agree(fft.fft, x, launches)
    agree(fft.ifft, x, launches)
    agree(fft.rfft, x.real.copy(), launches)
    agree(lambda x: fft.irfft(x, n), half, launches)


@each_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 13, 16, 30, 64, 96, 121, 143, 500, 1024])
def test_lines(n, dtype):
    all_kinds(n, 1 if n == 500 else 5, dtype, 1)


@settings(max_examples=20)
@given(st.integers(2, 700).filter(lambda n: split(n, np.dtype("float64")) is not None), st.data())
def test_any_smooth_length(n, data):
    count = data.draw(st.integers(1, 70 if n < 20 else 4))
    all_kinds(n, count, data.draw(st.sampled_from(DTYPES)), 1)


@pytest.mark.parametrize(("n", "dtype"), [(8192, "complex128"), (15000, "complex64")])
def test_long_lines_are_two_passes(n, dtype):
    all_kinds(n, 2, dtype, 2)


def test_lines_of_which_a_block_keeps_one():
    agree(fft.fft, drawn(2, 8192, dtype="complex64"), 1)


@each_dtype
def test_axes(dtype):
    x = drawn(2, 12, 5, 16, dtype=dtype)
    agree(fft.fft2, x, 2)
    agree(lambda x: fft.ifftn(x, axes=(1, 2, 3)), x, 3)
    agree(lambda x: fft.rfftn(x, axes=(1, 2, 3)), x.real.copy(), 3)
    agree(lambda x: fft.irfftn(x, axes=(1, 2, 3)), x, 3)
    agree(lambda x: fft.fft(x, axis=1), x)
    agree(lambda x: fft.fft2(x, norm="ortho"), x, 2)


def test_a_long_axis_across_memory():
    agree(fft.fft2, drawn(12000, 3, dtype="complex64"), 3)
    agree(fft.irfft2, drawn(12000, 3, dtype="complex64"), 3)


def test_what_is_cut_or_filled_up():
    agree(lambda x: fft.fft(x, 20), drawn(3, 12))
    agree(lambda x: fft.irfft(x, 20), drawn(3, 5))
    agree(lambda x: fft.irfft(x, 4), drawn(3, 9))


def test_lengths_with_large_factors():
    agree(fft.fft, drawn(2, 17))
    agree(fft.fft, drawn(2, 257))
    agree(fft.rfft, drawn(2, 331).real.copy())
    agree(fft.ifft2, drawn(17, 12))


def test_zero_sizes_and_what_is_no_number():
    agree(fft.fft, drawn(0, 8))
    x = drawn(3, 12)
    x[1, 5] = np.nan
    with enable_x64():
        _, _, found = both_ways(*traced(fft.fft, x))
    for (got,) in found:
        rows = got.view(np.complex128).reshape(3, 12)
        assert np.isnan(rows[1]).all() and np.isfinite(rows[::2]).all()


def test_within_programs():
    x = drawn(4, 30).real.copy()
    agree(fg.grad(lambda x: (abs(fft.fft(x)) ** 3).sum()), x)
    agree(fg.vmap(lambda x: fft.irfft(fft.rfft(x) * 2)), x)
    agree(lambda x: fg.lax.scan(lambda c, _: (fft.fft(c).real / 9, None), x, None, length=3)[0], x)


def test_radices():
    for n in range(1, 3000):
        for largest in (8, 16):
            found = radices(n, largest)
            if found:
                assert np.prod(found) == n and max(found) <= max(largest, 13)
    assert radices(4096, 16) == [16, 16, 16] and radices(512, 8) == [8, 8, 8] and not radices(34, 8)


def test_passes():
    with enable_x64():
        for f, shape, count in (
            (fft.fft, (4096, 4096), 1), (fft.fft2, (4096, 4096), 2), (fft.fft, (1, 1 << 20), 2),
            (fft.fftn, (256, 256, 256), 3),
        ):  # fmt: skip
            program = program_of(f, np.zeros(shape, "complex64"))
            assert [k.launch.kind for k in program.kernels] == ["fourier"] * count


@pytest.mark.parametrize("name", ["lines", "two passes", "across", "real", "back", "primes"])
def test_this_processor_has_the_bits_of_the_emulator(name, monkeypatch):
    f, x = {
        "lines": (fft.fft, drawn(7, 96, dtype="complex64")),
        "two passes": (fft.ifft, drawn(1, 16384, dtype="complex64")),
        "across": (fft.fft2, drawn(12, 20, dtype="complex64")),
        "real": (fft.rfft, drawn(3, 100, dtype="complex64").real.copy()),
        "back": (fft.irfft, drawn(3, 51, dtype="complex64")),
        "primes": (fft.fft, drawn(3, 1001, dtype="complex64")),
    }[name]
    same_bits(both(monkeypatch, *traced(f, x)))


@needs_extra
@pytest.mark.slow
@each_dtype
@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize("shape", [(64, 16), (64, 1000), (8, 1001), (64, 4096), (1, 1 << 20)])
def test_they_compile_and_spill_nothing(shape, target, dtype):
    for f in (fft.fft, lambda x: fft.rfft(x.real), fft.irfft, fft.fft2):
        for kernel in compiled(f, target, dtype, shape).kernels:
            if kernel.kind == "fourier":
                assert not kernel.spills and kernel.registers <= 128, kernel
                assert "global.v2" in kernel.ptx
