"""Signals cut into overlapping segments under a window, and put together again.

In: lengths and windows as users give them. Out: checked lengths, an array of weights, segments.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from ... import numpy as fnp
from ...core.sources import user_line
from ...core.trace import Tracer, value_of
from ...errors import ConcretizationTypeError
from ...numpy.promotion import to_array


class Segments(NamedTuple):
    """How a signal is cut.

    Attributes:
        window: weights of the samples of a segment [size].
        size: samples of a segment.
        step: samples from the start of one segment to the start of the next.
        points: length of the Fourier transforms, at least size.
    """

    window: Any
    size: int
    step: int
    points: int


def whole(name: str, what: str, value: Any) -> int:
    """The value as an int.

    Raises:
        ConcretizationTypeError: it is traced.
    """
    known: Any = value_of(value)
    if isinstance(known, Tracer):
        raise ConcretizationTypeError(known, f"{name} needs a concrete {what}.")
    return int(known)


def window_of(name: str, window: Any, size: int, dtype: Any) -> Any:
    """The weights [size] of a window that is a name, a name with parameters, or an array.

    Raises:
        ValueError: an array of another shape, or a name that SciPy does not know.
    """
    if isinstance(window, str) and window == "hann":
        places = np.sin(np.pi / size * np.arange(size)) ** 2 if size > 1 else np.ones(1)
        return fnp.asarray(places, dtype)
    if isinstance(window, (str, tuple)):
        import scipy.signal as functions  # pyright: ignore[reportMissingTypeStubs]

        module: Any = functions
        return fnp.asarray(module.get_window(window, size), dtype)
    weights = fnp.asarray(window).astype(dtype)
    if weights.shape != (size,):
        raise ValueError(
            f"{name}: window must be 1-D, of length {size}, got shape {weights.shape}.\n"
            f"  {user_line()}"
        )
    return weights


def segments_of(
    name: str, window: Any, nperseg: Any, noverlap: Any, nfft: Any, length: int, dtype: Any
) -> Segments:
    """The checked cut of a signal of a length; what is None has its default.

    Raises:
        ValueError: lengths that are not positive or do not fit each other.
        ConcretizationTypeError: a length is traced.
    """
    size = None if nperseg is None else whole(name, "nperseg", nperseg)
    if size is not None and size < 1:
        raise ValueError(f"{name}: nperseg must be a positive integer, got {size}.")
    if isinstance(window, (str, tuple)):
        size = length if size is None else size
        if size > length:
            warnings.warn(
                f"nperseg={size} is greater than the input length {length}, using nperseg={length}",
                UserWarning,
                stacklevel=4,
            )
            size = length
    else:
        given = fnp.asarray(window).shape
        size = given[0] if size is None and len(given) == 1 else size or 0
        if len(given) == 1 and given[0] > length:
            raise ValueError(
                f"{name}: window is longer than input signal: {given[0]} against {length} samples."
                f"\n  {user_line()}"
            )
    # Without samples there is nothing to cut: the caller returns before it would.
    weights = window_of(name, window, size, dtype) if size else fnp.zeros(0, dtype)
    overlap = size // 2 if noverlap is None else whole(name, "noverlap", noverlap)
    points = size if nfft is None else whole(name, "nfft", nfft)
    if points < size:
        raise ValueError(
            f"{name}: nfft must be greater than or equal to nperseg, got {points} and {size}."
            f"\n  {user_line()}"
        )
    if overlap >= size and length:
        raise ValueError(
            f"{name}: noverlap must be less than nperseg, got {overlap} and {size}.\n"
            f"  {user_line()}"
        )
    return Segments(weights, size, size - overlap, points)


def places_of(count: int, size: int, step: int) -> Any:
    """The indices of the samples of segments: [count, size]."""
    return np.arange(count)[:, None] * step + np.arange(size)


def cut(x: Any, size: int, step: int) -> Any:
    """The segments of signals [..., n]: [..., segments, size]."""
    return to_array(x)[..., places_of((x.shape[-1] - size) // step + 1, size, step)]


def overlapped(segments: Any, step: int) -> Any:
    """The sum of segments [..., segments, size], each put where it was cut: [..., n]."""
    *lead, count, size = segments.shape
    out = fnp.zeros((*lead, (count - 1) * step + size), segments.dtype)
    return out.at[..., places_of(count, size, step)].add(segments)
