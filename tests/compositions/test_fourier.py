"""Fourier transforms that GPUs have no passes for, as they compute them, beside NumPy's.

Those of lengths without prime factors beyond 13 are in tests/kernels/cuda/test_fourier.py.
"""

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


# Short ones, products of short ones, primes by one matrix, primes by convolution, and both.
@pytest.mark.parametrize("n", [17, 34, 102, 127, 221, 257, 331, 514, 1003, 2176])
def test_lengths(n):
    x = drawn(2, n)
    same(x, (n,), FftType.FFT)
    same(x, (n,), FftType.IFFT)
    same(x.real.copy(), (n,), FftType.RFFT)
    same(x[:, : n // 2 + 1].copy(), (n,), FftType.IRFFT)


@pytest.mark.parametrize("stored", [1, 3, 9])
def test_more_or_fewer_coefficients_than_a_real_signal_has(stored):
    same(drawn(2, stored), (8,), FftType.IRFFT)
    same(drawn(2, stored), (7,), FftType.IRFFT)


def test_several_axes():
    x = drawn(3, 4, 17, 70)
    same(x, (4, 17, 70), FftType.FFT)
    same(x, (17, 70), FftType.IFFT)
    same(x.real.copy(), (4, 17, 70), FftType.RFFT)
    same(x[..., :36].copy(), (17, 70), FftType.IRFFT)


def test_single_precision():
    same(drawn(3, 1003).astype(np.complex64), (1003,), FftType.FFT, 1e-6)
