"""Signals from the transforms of their segments: istft.

The one idea: the window of the analysis weighs a sample once in each segment that holds it, and
here once more; so the sum over segments is divided by the sum of the squared weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import numpy as fnp
from ...core.sources import user_line
from ...ir import dtypes
from ...ir.avals import canonical_axis
from ...numpy.promotion import check_arraylike, to_array
from ...typing import Array, ArrayLike
from .segments import overlapped, whole, window_of

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _lengths(
    name: str, bins: int, onesided: bool, nperseg: Any, noverlap: Any, nfft: Any
) -> tuple[int, int, int]:
    """Samples of a segment, samples from one to the next, and the length of the transforms."""
    usual = 2 * (bins - 1) if onesided else bins
    size = usual if nperseg is None else whole(name, "nperseg", nperseg)
    if size < 1:
        raise ValueError(f"{name}: nperseg must be a positive integer, got {size}.")
    if nfft is not None:
        points = whole(name, "nfft", nfft)
    else:
        # One more frequency than half the samples: these were odd in number.
        points = usual + (onesided and size == usual + 1)
    if points < size:
        raise ValueError(
            f"{name}: FFT length ({points}) must be longer than nperseg ({size}).\n  {user_line()}"
        )
    overlap = size // 2 if noverlap is None else whole(name, "noverlap", noverlap)
    if overlap >= size:
        raise ValueError(
            f"{name}: noverlap must be less than nperseg, got {overlap} and {size}.\n"
            f"  {user_line()}"
        )
    return size, size - overlap, points


def istft(
    Zxx: Shaped[ArrayLike, "..."],
    fs: Shaped[ArrayLike, ""] = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    input_onesided: bool = True,
    boundary: bool = True,
    time_axis: int = -1,
    freq_axis: int = -2,
) -> tuple[Array, Array]:
    """The signal whose `stft` this is, or the nearest to it by least squares.

    Args:
        Zxx: transforms with an axis of frequencies and one of times.
        fs, window, nperseg, noverlap, nfft: as they were for `stft`; the lengths by default as
            the number of frequencies says.
        input_onesided: frequencies below 0 are left out, as of a real signal.
        boundary: the signal was extended at its ends, and is cut again.
    Returns:
        Times, as many as the signal has elements along its first axis, and the signal, its samples
        in place of the times of Zxx.
    Raises:
        ValueError: fewer than two axes, one axis for both, or lengths that do not fit.
        ConcretizationTypeError: a length is traced.
    Source: Griffin & Lim, IEEE Trans. Acoust. Speech Signal Process. 32 (1984).
    """
    name = "istft"
    check_arraylike(name, Zxx)
    z = to_array(Zxx)
    if z.ndim < 2:
        raise ValueError(f"{name}: Input stft must be at least 2d, got shape {z.shape}.")
    frequencies, times = (canonical_axis(i, z.ndim) for i in (freq_axis, time_axis))
    if frequencies == times:
        raise ValueError(
            f"{name}: Must specify differing time and frequency axes, got {time_axis} and "
            f"{freq_axis}.\n  {user_line()}"
        )
    z = fnp.moveaxis(z.astype(dtypes.to_complex_dtype(z.dtype)), (times, frequencies), (-2, -1))
    size, step, points = _lengths(name, z.shape[-1], input_onesided, nperseg, noverlap, nfft)
    inverse = fnp.fft.irfft if input_onesided else fnp.fft.ifft
    segments = inverse(z, points)[..., :size]
    weights = window_of(name, window, size, segments.dtype)
    x = overlapped(segments * (weights.sum() * weights), step)
    norm = overlapped(fnp.broadcast_to((weights * weights).real, segments.shape[-2:]), step)
    if boundary:
        kept = slice(size // 2, x.shape[-1] - size // 2)
        x, norm = x[..., kept], norm[kept]
    x = x / fnp.where(norm > 1e-10, norm, 1.0)
    if x.ndim > 1:
        x = fnp.moveaxis(x, -1, times - (frequencies < times))
    # Of several signals this is the number of them, in SciPy and JAX too.
    dtype: Any = np.finfo(dtypes.to_floating_dtype(x.dtype)).dtype
    return fnp.arange(x.shape[0], dtype=dtype) / fs, x
