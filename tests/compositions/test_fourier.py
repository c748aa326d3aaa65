"""Fourier transforms as GPUs compute them, beside NumPy's."""

import numpy as np
import pytest

from funcgrad.primitives.fourier import FftType

from .running import both


def drawn(*shape):
    draw = np.random.default_rng(len(shape))
    return draw.normal(size=shape) + 1j * draw.normal(size=shape)


def same(x, lengths, kind, rate=1e-12):
    (found,), (wanted,) = both("fft", x, fft_type=kind, fft_lengths=lengths)
    np.testing.assert_allclose(found, wanted, 0, rate * abs(wanted).max())


# Short, products of short ones, primes by one matrix, primes by convolution, and both.
@pytest.mark.parametrize("n", [1, 2, 5, 64, 65, 96, 127, 257, 331, 1000, 514, 2048])
def test_lengths(n):
    x = drawn(2, n)
    same(x, (n,), FftType.FFT)
    same(x, (n,), FftType.IFFT)
    same(x.real.copy(), (n,), FftType.RFFT)
    same(x[:, : n // 2 + 1].copy(), (n,), FftType.IRFFT)


@pytest.mark.parametrize("stored", [1, 3, 5, 9])
def test_more_or_fewer_coefficients_than_a_real_signal_has(stored):
    same(drawn(2, stored), (8,), FftType.IRFFT)
    same(drawn(2, stored), (7,), FftType.IRFFT)


def test_several_axes():
    x = drawn(3, 4, 6, 70)
    same(x, (4, 6, 70), FftType.FFT)
    same(x, (6, 70), FftType.IFFT)
    same(x.real.copy(), (4, 6, 70), FftType.RFFT)
    same(x[..., :36].copy(), (6, 70), FftType.IRFFT)


def test_single_precision():
    same(drawn(3, 1000).astype(np.complex64), (1000,), FftType.FFT, 1e-6)
