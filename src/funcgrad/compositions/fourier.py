"""Fourier transforms of lengths with a large prime factor, for which there are no passes.

In: signals along the last axes. Out: their spectra. The one idea: a transform of n₁ n₂ numbers is
n₂ short ones, factors, and n₁ short ones; primes are products of matrices, or convolutions by
longer transforms, of which there are kernels.

Source: Cooley & Tukey, Math. Comp. 19 (1965); Bluestein, IEEE Trans. Audio Electroacoust. 18
(1970). Errors are of the size of ε log n in the norm of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import numpy as fnp
from ..core.composed import compose
from ..ir.jaxpr import Eqn
from ..kernels.cuda.fourier import is_smooth, split
from ..primitives.complexes import complex as joined
from ..primitives.fourier import FftType, fft_p

# Lengths that are transformed by one matrix, and at most by one where they are prime.
SHORT, LONGEST = 64, 256
# Real and imaginary part; None: a real signal.
Parts = tuple[Any, Any]


def whole(count: int) -> Any:
    """0, 1, ..., count - 1."""
    return np.arange(count)


def turns(count: Any, length: int, sign: int, dtype: Any) -> tuple[Any, Any]:
    """exp(sign 2πi count / length) of whole counts, in two parts."""
    angle = 2 * np.pi * (np.asarray(count) % length) / length
    return np.cos(angle).astype(dtype), (sign * np.sin(angle)).astype(dtype)


def times(x: Parts, y: Parts, multiply: Callable[[Any, Any], Any]) -> Parts:
    """A product of complex numbers, or of matrices of them; the left ones may be real."""
    (a, b), (c, d) = x, y
    if b is None:
        return multiply(a, c), multiply(a, d)
    return multiply(a, c) - multiply(b, d), multiply(a, d) + multiply(b, c)


def each(x: Parts, change: Callable[[Any], Any]) -> Parts:
    """Both parts changed."""
    return change(x[0]), None if x[1] is None else change(x[1])


def _split(n: int) -> int:
    """A factor of n as near its root as there is."""
    return max(k for k in range(1, math.isqrt(n) + 1) if n % k == 0)


def along_last(x: Parts, sign: int) -> Parts:
    """The transform along the last axis, without a factor."""
    *lead, n = x[0].shape
    dtype = x[0].dtype
    if n > 1 and split(n, dtype) is not None:
        return _by_passes(x, sign)
    short = n if n <= SHORT else _split(n)
    if n <= SHORT or (short == 1 and n <= LONGEST):
        places = whole(n)
        return times(x, turns(np.outer(places, places), n, sign, dtype), fnp.matmul)
    if short == 1:
        return _by_convolution(x, sign)
    # x[n₂ j₁ + j₂] to X[k₁ + n₁ k₂]: first along j₁, then along j₂.
    long = n // short
    x = each(x, lambda v: fnp.swapaxes(v.reshape(*lead, short, long), -1, -2))
    x = along_last(x, sign)
    rows, columns = whole(long), whole(short)
    factors = turns(np.outer(rows, columns), n, sign, dtype)
    x = times(x, factors, fnp.multiply)
    x = along_last(each(x, lambda v: fnp.swapaxes(v, -1, -2)), sign)
    return each(x, lambda v: fnp.swapaxes(v, -1, -2).reshape(*lead, n))


def _by_passes(x: Parts, sign: int) -> Parts:
    """Lengths of small prime factors, which have kernels."""
    n, (real, imaginary) = x[0].shape[-1], x
    kind = FftType.FFT if sign < 0 else FftType.IFFT
    more = {"scale": float(n)} if sign > 0 else {}
    whole = joined(real, fnp.zeros_like(real) if imaginary is None else imaginary)
    found = fft_p.bind(whole, fft_type=kind, fft_lengths=(n,), **more)
    return fnp.real(found), fnp.imag(found)


def _by_convolution(x: Parts, sign: int) -> Parts:
    """With jk = (j² + k² - (k - j)²)/2, the transform is a convolution with a chirp."""
    n, dtype = x[0].shape[-1], x[0].dtype
    size = 1 << (2 * n - 2).bit_length()
    places = whole(n)
    chirp = turns(places * places, 2 * n, sign, np.float64)
    kernel = np.zeros(size, np.complex128)
    kernel[:n] = chirp[0] - 1j * chirp[1]
    kernel[size - n + 1 :] = kernel[1:n][::-1]
    spectrum = np.fft.fft(kernel) / size
    chirped = chirp[0].astype(dtype), chirp[1].astype(dtype)
    x = times(x, chirped, fnp.multiply)
    wide = [(0, 0)] * (x[0].ndim - 1) + [(0, size - n)]
    x = along_last(each(x, lambda v: fnp.pad(v, wide)), -1)
    x = times(x, (spectrum.real.astype(dtype), spectrum.imag.astype(dtype)), fnp.multiply)
    x = along_last(x, 1)
    return times(each(x, lambda v: v[..., :n]), chirped, fnp.multiply)


def _along(x: Parts, axis: int, sign: int) -> Parts:
    moved = along_last(each(x, lambda v: fnp.moveaxis(v, axis, -1)), sign)
    return each(moved, lambda v: fnp.moveaxis(v, -1, axis))


def rough(eqn: Eqn) -> bool:
    """Whether a length has a prime factor that no pass over lines does."""
    return not is_smooth(eqn)


@compose("fft", where=rough)
def fft(x: Any, *, fft_type: FftType, fft_lengths: tuple[int, ...], scale: float = 1.0) -> Any:
    """The transform of the last axes."""
    rank, last = len(fft_lengths), fft_lengths[-1]
    stored = last // 2 + 1
    if fft_type is FftType.IRFFT and x.shape[-1] != stored:
        # Coefficients beyond are left out, those that are missing are 0.
        wide = [(0, 0)] * (x.ndim - 1) + [(0, max(stored - x.shape[-1], 0))]
        x = fnp.pad(x[..., :stored], wide)
        more = {} if scale == 1.0 else {"scale": scale}
        return fft_p.bind(x, fft_type=fft_type, fft_lengths=fft_lengths, **more)
    sign = -1 if fft_type in (FftType.FFT, FftType.RFFT) else 1
    parts: Parts = (x.real, x.imag) if x.dtype.kind == "c" else (x, None)
    others = range(-rank, -1)
    if fft_type is FftType.RFFT:
        parts = each(along_last(parts, sign), lambda v: v[..., : last // 2 + 1])
    for axis in others:
        parts = _along(parts, axis, sign)
    if fft_type is FftType.IRFFT:
        parts = _whole(parts, last)
    if fft_type is not FftType.RFFT:
        parts = along_last(parts, sign)
    real, imaginary = parts
    if sign == 1:
        scale /= math.prod(fft_lengths)
    if scale != 1.0:
        real, imaginary = (v * v.dtype.type(scale) for v in (real, imaginary))
    return real if fft_type is FftType.IRFFT else joined(real, imaginary)


def _whole(x: Parts, length: int) -> Parts:
    """All coefficients of a real signal, from the half that is stored."""
    stored = length // 2 + 1
    real, imaginary = x
    behind = slice(1, length - stored + 1)
    # The coefficient at 0, and of even lengths the middle one, are real.
    own = np.ones(stored, real.dtype)
    own[0] = 0
    own[-1] *= length % 2
    real = fnp.concatenate([real, real[..., behind][..., ::-1]], -1)
    return real, fnp.concatenate([imaginary * own, -imaginary[..., behind][..., ::-1]], -1)
