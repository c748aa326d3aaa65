"""Spectra of signals over time, and their averages: stft, csd, welch.

In: signals along an axis. Out: frequencies, times, and what the segments hold at each. The one
idea: all of them are the Fourier transforms of overlapping segments, each under a window.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import numpy as fnp
from ...core.sources import user_line
from ...ir import dtypes
from ...ir.avals import canonical_axis
from ...numpy.promotion import check_arraylike, promote_dtypes_inexact, to_array
from ...primitives.broadcasting import broadcast_shapes
from ...typing import Array, ArrayLike
from .segments import Segments, cut, segments_of
from .trends import detrend as without_trend

if TYPE_CHECKING:
    from jaxtyping import Shaped

Window = Any
Detrend = bool | str | Callable[[Any], Any]


def _signals(name: str, x: Any, y: Any, axis: Any) -> tuple[list[Any], int]:
    """The signals in one dtype of at least 32 bits, and their axis without a sign."""
    check_arraylike(name, x, *([] if y is None else [y]))
    given = [to_array(v) for v in promote_dtypes_inexact(*([x] if y is None else [x, y]))]
    wide = dtypes.to_floating_dtype(dtypes.to_complex_dtype(given[0].dtype))
    if given[0].dtype.kind != "c":
        given = [v.astype(wide) for v in given]
    axis = canonical_axis(axis, given[0].ndim)
    if y is not None:
        if given[0].ndim != given[1].ndim:
            raise ValueError(
                f"{name}: two-arguments must have the same rank, got shapes {given[0].shape} and "
                f"{given[1].shape}.\n  {user_line()}"
            )
        outer = [(*v.shape[:axis], *v.shape[axis + 1 :]) for v in given]
        try:
            broadcast_shapes(*outer)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{name}: x and y cannot be broadcast together, with shapes {given[0].shape} and "
                f"{given[1].shape} along axis {axis}.\n  {user_line()}"
            ) from error
    return given, axis


def _extended(name: str, x: Any, count: int, boundary: str | None) -> Any:
    """Signals [..., n] with count samples more at both ends."""
    if boundary is None:
        return x
    modes = {"even": "reflect", "odd": "odd", "constant": "edge", "zeros": "constant"}
    if boundary not in modes:
        raise ValueError(
            f"{name}: Unknown boundary option {boundary!r}, must be one of {[*modes, None]}.\n"
            f"  {user_line()}"
        )
    if boundary != "odd":
        return fnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(count, count)], modes[boundary])
    if count >= x.shape[-1]:
        raise ValueError(
            f"{name}: an odd extension of {count} samples is longer than the signal of "
            f"{x.shape[-1]}, less one.\n  {user_line()}\n  Give a smaller nperseg."
        )
    if not count:
        return x
    before, after = fnp.flip(x[..., 1 : count + 1], -1), fnp.flip(x[..., -count - 1 : -1], -1)
    return fnp.concatenate([2 * x[..., :1] - before, x, 2 * x[..., -1:] - after], -1)


def _filled(x: Any, count: int) -> Any:
    """Signals [..., n] with zeros at the end, to count samples."""
    missing = count - x.shape[-1]
    return fnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)]) if missing > 0 else x


def _trendless(name: str, segments: Any, detrend: Any) -> Any:
    """Segments [..., size] less what detrend says."""
    if isinstance(detrend, str):
        return without_trend(segments, type=detrend)
    if callable(detrend):
        return detrend(segments)
    if detrend:
        raise ValueError(f"{name}: Unsupported detrend type: {detrend!r}.\n  {user_line()}")
    return segments


def _scale(name: str, scaling: str, fs: Any, window: Any) -> Any:
    """What a squared transform is multiplied by."""
    if scaling == "density":
        return 1.0 / (fs * (window * fnp.conj(window)).real.sum())
    if scaling == "spectrum":
        return 1.0 / abs(window.sum()) ** 2
    raise ValueError(
        f"{name}: Unknown scaling: {scaling!r}.\n  {user_line()}\n  Give 'density' or 'spectrum'."
    )


def _is_onesided(wanted: bool, x: Any) -> bool:
    if wanted and x.dtype.kind == "c":
        warnings.warn(
            "Input data is complex, switching to return_onesided=False", UserWarning, stacklevel=4
        )
        return False
    return wanted


def _transformed(x: Any, plan: Segments, onesided: bool, detrended: Callable[[Any], Any]) -> Any:
    """The transforms of the segments of signals [..., n]: [..., segments, frequencies]."""
    segments = detrended(cut(x, plan.size, plan.step)) * plan.window
    if onesided:
        return fnp.fft.rfft(segments.real, plan.points)
    return fnp.fft.fft(segments, plan.points)


def _frequencies(plan: Segments, onesided: bool, fs: Any, dtype: Any) -> Any:
    frequencies = fnp.fft.rfftfreq if onesided else fnp.fft.fftfreq
    return frequencies(plan.points, 1 / fs, dtype=dtype)


def _twice(count: int, points: int, dtype: Any) -> Any:
    """Factors of a one-sided density [count]: 2 but for frequency 0 and, if there is, the last."""
    factors = np.full(count, 2.0)
    factors[0] = 1.0
    if points % 2 == 0:
        factors[-1] = 1.0
    return fnp.asarray(factors, dtype)


def _densities(
    name: str,
    x: Any,
    y: Any,
    fs: Any,
    lengths: tuple[Any, Any, Any, Any],
    detrend: Any,
    return_onesided: bool,
    scaling: str,
    axis: int,
) -> tuple[Any, Any, bool]:
    """Frequencies, densities [..., frequencies, ..., segments], and whether these are segments."""
    given, place = _signals(name, x, y, axis)
    kind, length = given[0].dtype, given[0].shape[place]
    real = dtypes.to_floating_dtype(kind)
    plan = segments_of(name, *lengths, length, kind)
    if not all(v.size for v in given):
        outer = broadcast_shapes(*((*v.shape[:place], *v.shape[place + 1 :]) for v in given))
        shape = (*outer[:place], min(v.shape[place] for v in given), *outer[place:])
        zeros = fnp.zeros(shape, real)
        return zeros, zeros if y is None else zeros + 0j, False
    signals = [fnp.moveaxis(v, place, -1) for v in given]
    signals = [_filled(v, max(s.shape[-1] for s in signals)) for v in signals]
    onesided = _is_onesided(return_onesided, signals[0])
    scale = _scale(name, scaling, fs, plan.window)
    first, *other = (
        _transformed(v, plan, onesided, lambda s: _trendless(name, s, detrend)) for v in signals
    )
    if other:
        out = fnp.conj(first) * other[0]
    else:
        out = first.real**2 + first.imag**2
    out = out * scale
    if onesided:
        out = out * _twice(out.shape[-1], plan.points, real)
    wanted = dtypes.to_complex_dtype(real) if other else real
    return _frequencies(plan, onesided, fs, real), fnp.moveaxis(out, -1, place).astype(wanted), True


def csd(
    x: Shaped[ArrayLike, "..."],
    y: Shaped[ArrayLike, "..."] | None,
    fs: Shaped[ArrayLike, ""] = 1.0,
    window: Window = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Detrend = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Array, Array]:
    """The cross spectral density of two signals, averaged over segments, by Welch's method.

    P[f] = mean over segments of conj(X[f]) · Y[f], X and Y being transforms of windowed segments.

    Args:
        x, y: signals along the axis; the shorter is filled up with zeros. y = None stands for x.
        fs: samples in a unit of time.
        window: a name of `scipy.signal.get_window`, a tuple of a name and parameters, or weights.
        nperseg: samples of a segment; by default all there are, or the length of the weights.
        noverlap: samples that neighbours share; half of them by default.
        nfft: length of the transforms; nperseg by default.
        detrend: "constant", "linear", a function of segments [..., nperseg], or False.
        return_onesided: of real signals, give the frequencies from 0 up only.
        scaling: "density", power over frequency, or "spectrum", power.
        average: over the segments: "mean" or "median".
    Returns:
        Frequencies [k], and the density with k in place of the axis: complex, or real for y = None.
    Raises:
        ValueError: signals that do not fit, or a choice that is none of these.
        ConcretizationTypeError: a length is traced.
    Source: Welch, IEEE Trans. Audio Electroacoust. 15 (1967); for the median, Allen et al.,
        Phys. Rev. D 85 (2012), appendix B.
    """
    name = "csd"
    if average not in ("mean", "median"):
        raise ValueError(
            f'{name}: average must be "median" or "mean", got {average!r}.\n  {user_line()}'
        )
    lengths = (window, nperseg, noverlap, nfft)
    frequencies, out, segmented = _densities(
        name, x, y, fs, lengths, detrend, return_onesided, scaling, axis
    )
    if not segmented:
        return frequencies, out
    if average == "mean":
        return frequencies, out.mean(-1)
    # The median of n independent exponential variables lies below their mean by this factor.
    pairs = np.arange(2.0, out.shape[-1], 2)
    bias = float(1 + np.sum(1 / (pairs + 1) - 1 / pairs))
    if out.dtype.kind != "c":
        return frequencies, fnp.median(out, -1) / bias
    middle = fnp.median(out.real, -1) + 1j * fnp.median(out.imag, -1)
    return frequencies, middle / bias


def welch(
    x: Shaped[ArrayLike, "..."],
    fs: Shaped[ArrayLike, ""] = 1.0,
    window: Window = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Detrend = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Array, Array]:
    """The power spectral density of a signal by Welch's method: `csd` of it with itself, real."""
    return csd(
        x,
        None,
        fs,
        window,
        nperseg,
        noverlap,
        nfft,
        detrend,
        return_onesided,
        scaling,
        axis,
        average,
    )


def stft(
    x: Shaped[ArrayLike, "..."],
    fs: Shaped[ArrayLike, ""] = 1.0,
    window: Window = "hann",
    nperseg: int = 256,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Detrend = False,
    return_onesided: bool = True,
    boundary: str | None = "zeros",
    padded: bool = True,
    axis: int = -1,
) -> tuple[Array, Array, Array]:
    """The Fourier transforms of the segments of a signal, over the sum of the window.

    Args:
        x ... return_onesided: as in `csd`.
        boundary: how the signal goes on for half a segment at both ends: "zeros", "even", "odd"
            (by reflection), "constant", or None, where it does not.
        padded: fill the end up with zeros to a whole number of segments.
    Returns:
        Frequencies [k], times of the middle of segments [t], and the transforms: x with k in
        place of its axis, and an axis t at the end.
    Raises:
        ValueError: a choice that is none of these, or lengths that do not fit.
        ConcretizationTypeError: a length is traced.
    """
    name = "stft"
    (signal,), place = _signals(name, x, None, axis)
    kind = signal.dtype
    real, result = dtypes.to_floating_dtype(kind), dtypes.to_complex_dtype(kind)
    plan = segments_of(name, window, nperseg, noverlap, nfft, signal.shape[place], kind)
    if not signal.size:
        zeros = fnp.zeros(signal.shape, real)
        return zeros, zeros, zeros.astype(result)
    signal = _extended(name, fnp.moveaxis(signal, place, -1), plan.size // 2, boundary)
    if padded:
        missing = -(signal.shape[-1] - plan.size) % plan.step
        signal = _filled(signal, signal.shape[-1] + missing)
    onesided = _is_onesided(return_onesided, signal)
    out = _transformed(signal, plan, onesided, lambda s: _trendless(name, s, detrend))
    out = out * fnp.sqrt(_scale(name, "spectrum", fs, plan.window))
    start = 0.0 if boundary is not None else plan.size / 2
    times = (fnp.arange(out.shape[-2], dtype=real) * plan.step + start) / fs
    frequencies = _frequencies(plan, onesided, fs, real)
    return frequencies, times, fnp.moveaxis(out, -1, place).astype(result)
