"""Discrete Fourier transforms along any axes, of any length, in three normalisations.

In: arrays of numbers; real ones where a name begins with r or ends in hfft. Out: complex arrays,
real ones for irfft and hfft. The one idea: the axes are moved to the end and cut or filled up with
zeros, the primitive transforms them, and a factor makes up for the normalisation.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..control.accelerators import made_on_device
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import canonical_axis
from ..primitives import fourier
from ..primitives.fourier import FftType
from ..typing import Array, ArrayLike, DTypeLike
from .logic import conj
from .manipulation import moveaxis, roll
from .padding import pad
from .promotion import check_arraylike, promote_dtypes_inexact, requested_dtype, to_array
from .ranges import arange

if TYPE_CHECKING:
    from jaxtyping import Shaped

Axes = int | Sequence[int] | None


def _lengths(name: str, s: Sequence[int] | None, axes: Sequence[int] | None) -> Any:
    """The checked lengths, or None."""
    if s is None:
        return None
    lengths = tuple(map(operator.index, s))
    if any(n <= 0 for n in lengths):
        raise ValueError(
            f"fft.{name} takes positive lengths, got {lengths}: Shape should be positive."
            f"\n  {user_line()}"
        )
    if axes is not None and len(lengths) != len(axes):
        raise ValueError(
            f"Shape and axes have different lengths: fft.{name} got {lengths} for the axes "
            f"{tuple(axes)}.\n  {user_line()}"
        )
    return lengths


def _axes(name: str, axes: Sequence[int] | None, count: int | None, rank: int) -> tuple[int, ...]:
    """The axes to transform, without negative ones."""
    if axes is None:
        start = 0 if count is None else rank - count
        if start < 0:
            raise ValueError(
                f"fft.{name} got {count} lengths for an array of {rank} axes.\n  {user_line()}"
            )
        return tuple(range(start, rank))
    found = tuple(canonical_axis(operator.index(i), rank) for i in axes)
    if len(set(found)) != len(found):
        raise ValueError(
            f"fft.{name} does not support repeated axes, got {tuple(axes)}.\n  {user_line()}\n"
            "  Transform twice where that is meant."
        )
    return found


def _factor(name: str, norm: str | None, total: int, inverse: bool) -> float:
    """What the result of the primitive, which divides in the inverse, is multiplied by."""
    if norm is None or norm == "backward":
        return 1.0
    if norm == "ortho":
        return math.sqrt(total) if inverse else 1.0 / math.sqrt(total)
    if norm == "forward":
        return float(total) if inverse else 1.0 / total
    raise ValueError(
        f"fft.{name} got norm={norm!r}.\n  {user_line()}\n  Give 'backward', 'ortho' or 'forward'."
    )


def _resized(x: Any, lengths: Sequence[int]) -> Any:
    """The array with its last axes cut or filled up with zeros to these lengths."""
    lead = x.ndim - len(lengths)
    have = x.shape[lead:]
    cut = tuple(slice(min(n, m)) for n, m in zip(lengths, have, strict=True))
    if any(n < m for n, m in zip(lengths, have, strict=True)):
        x = x[(..., *cut)]
    missing = [max(n - m, 0) for n, m in zip(lengths, have, strict=True)]
    return pad(x, [(0, 0)] * lead + [(0, n) for n in missing]) if any(missing) else x


def _transform(
    name: str,
    kind: FftType,
    a: Any,
    s: Sequence[int] | None,
    axes: Sequence[int] | None,
    norm: str | None,
) -> Any:
    """The transform of one kind over axes of `a`."""
    check_arraylike(f"fft.{name}", a)
    x = to_array(a)
    lengths = _lengths(name, s, axes)
    chosen = _axes(name, axes, None if lengths is None else len(lengths), x.ndim)
    if not chosen:
        return fourier.fft(x, kind, ())
    last = tuple(range(x.ndim - len(chosen), x.ndim))
    x = moveaxis(x, chosen, last)
    back = kind is FftType.IRFFT
    if lengths is None:
        lengths = tuple(x.shape[i] for i in last)
        if back:
            lengths = (*lengths[:-1], 2 * (lengths[-1] - 1))
        if any(n < 1 for n in lengths):
            raise ValueError(
                f"fft.{name} needs at least one sample along each axis, got shape {x.shape}."
                f"\n  {user_line()}\n  Give the lengths."
            )
    else:
        x = _resized(x, (*lengths[:-1], lengths[-1] // 2 + 1) if back else lengths)
    factor = _factor(name, norm, math.prod(lengths), kind in (FftType.IFFT, FftType.IRFFT))
    return moveaxis(fourier.scaled_fft(x, kind, lengths, factor), last, chosen)


def _along(name: str, kind: FftType, a: Any, n: Any, axis: Any, norm: str | None) -> Any:
    """The transform along one axis."""
    if not hasattr(axis, "__index__"):
        raise ValueError(
            f"fft.{name} transforms one axis and does not support multiple axes, got {axis!r}."
            f"\n  {user_line()}\n  Use fft.{name.replace('fft', 'fftn')}."
        )
    return _transform(name, kind, a, None if n is None else (n,), (axis,), norm)


def fft(
    a: Shaped[ArrayLike, "..."], n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The discrete Fourier transform along an axis: Σ_j a[j] exp(-2πi jk / n) at k = 0 ... n-1.

    Args:
        n: the length; `a` is cut, or filled up with zeros, at the end of the axis.
        norm: "backward" (the default) divides the inverse by n, "forward" this transform,
            "ortho" both by √n.
    Returns:
        complex64 or complex128.
    Raises:
        ValueError: a length that is not positive, several axes, or another norm.
    """
    return _along("fft", FftType.FFT, a, n, axis, norm)


def ifft(
    a: Shaped[ArrayLike, "..."], n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The inverse of `fft`: 1/n Σ_k a[k] exp(2πi jk / n); arguments as there."""
    return _along("ifft", FftType.IFFT, a, n, axis, norm)


def rfft(
    a: Shaped[ArrayLike, "..."], n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The first n // 2 + 1 values of `fft` of a real signal, which determine the others."""
    return _along("rfft", FftType.RFFT, a, n, axis, norm)


def irfft(
    a: Shaped[ArrayLike, "..."], n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The real signal of length n whose `rfft` is `a`.

    Args:
        n: the length of the result, 2 (m - 1) for m coefficients by default.
    """
    return _along("irfft", FftType.IRFFT, a, n, axis, norm)


_swapped: dict[str | None, str] = {None: "forward", "backward": "forward", "forward": "backward"}


def hfft(
    a: Shaped[ArrayLike, "..."], n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The real `fft` of a Hermitian signal, of which `a` is the first half; n is the length."""
    check_arraylike("fft.hfft", a)
    return _along("hfft", FftType.IRFFT, conj(a), n, axis, _swapped.get(norm, norm))


def ihfft(
    a: Shaped[ArrayLike, "..."], n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The first half of the Hermitian signal whose `hfft` is the real array `a`."""
    return conj(_along("ihfft", FftType.RFFT, a, n, axis, _swapped.get(norm, norm)))


def fftn(
    a: Shaped[ArrayLike, "..."],
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """`fft` along several axes.

    Args:
        s: the lengths along the axes.
        axes: all by default, or the last len(s).
    """
    return _transform("fftn", FftType.FFT, a, s, axes, norm)


def ifftn(
    a: Shaped[ArrayLike, "..."],
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """`ifft` along several axes; arguments as in `fftn`."""
    return _transform("ifftn", FftType.IFFT, a, s, axes, norm)


def rfftn(
    a: Shaped[ArrayLike, "..."],
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """`rfft` along the last of several axes, `fft` along the others; arguments as in `fftn`."""
    return _transform("rfftn", FftType.RFFT, a, s, axes, norm)


def irfftn(
    a: Shaped[ArrayLike, "..."],
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """`irfft` along the last of several axes, `ifft` along the others; arguments as in `fftn`."""
    return _transform("irfftn", FftType.IRFFT, a, s, axes, norm)


def _pair(name: str, axes: Sequence[int]) -> Sequence[int]:
    if len(axes) != 2:
        raise ValueError(
            f"fft.{name} only supports 2 axes, got {tuple(axes)}.\n  {user_line()}\n"
            f"  Use fft.{name[:-1]}n."
        )
    return axes


def fft2(
    a: Shaped[ArrayLike, "..."],
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Array:
    """`fftn` along two axes."""
    return _transform("fft2", FftType.FFT, a, s, _pair("fft2", axes), norm)


def ifft2(
    a: Shaped[ArrayLike, "..."],
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Array:
    """`ifftn` along two axes."""
    return _transform("ifft2", FftType.IFFT, a, s, _pair("ifft2", axes), norm)


def rfft2(
    a: Shaped[ArrayLike, "..."],
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Array:
    """`rfftn` along two axes."""
    return _transform("rfft2", FftType.RFFT, a, s, _pair("rfft2", axes), norm)


def irfft2(
    a: Shaped[ArrayLike, "..."],
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Array:
    """`irfftn` along two axes."""
    return _transform("irfft2", FftType.IRFFT, a, s, _pair("irfft2", axes), norm)


def _frequencies(name: str, n: Any, d: Any, dtype: Any, count: Any) -> Any:
    for label, value in (("n", n), ("d", d)):
        if isinstance(value, (list, tuple)):
            raise ValueError(
                f"fft.{name} takes one {label}, got {value!r}: The {label} argument can not be a "
                f"list or a tuple.\n  {user_line()}"
            )
    check_arraylike(f"fft.{name}", d)
    wanted = requested_dtype(dtype, f"fft.{name}") or dtypes.canonicalize_dtype(float)
    length = operator.index(n)
    index = count(length)
    (spacing,) = promote_dtypes_inexact(to_array(d).astype(wanted))
    return index.astype(wanted) / (spacing * length)


@made_on_device
def fftfreq(
    n: int,
    d: Shaped[ArrayLike, "..."] = 1.0,
    *,
    dtype: DTypeLike | None = None,
    device: Any = None,
) -> Array:
    """The frequencies of `fft` of n samples at distance d: 0, 1, ..., -2, -1 over n d.

    Args:
        dtype: of the result; the default float.
    Raises:
        ValueError: n or d is a list or a tuple.
    """

    def count(length: int) -> Any:
        return roll(arange(length) - length // 2, -(length // 2))

    return _frequencies("fftfreq", n, d, dtype, count)


@made_on_device
def rfftfreq(
    n: int,
    d: Shaped[ArrayLike, "..."] = 1.0,
    *,
    dtype: DTypeLike | None = None,
    device: Any = None,
) -> Array:
    """The frequencies of `rfft` of n samples at distance d: 0, 1, ..., n // 2 over n d."""

    def count(length: int) -> Any:
        return arange(length // 2 + 1)

    return _frequencies("rfftfreq", n, d, dtype, count)


def _shifted(name: str, x: Any, axes: Axes, sign: int) -> Any:
    check_arraylike(f"fft.{name}", x)
    value = to_array(x)
    if axes is None:
        chosen = tuple(range(value.ndim))
    elif isinstance(axes, Sequence):
        chosen = tuple(axes)
    else:
        chosen = (axes,)
    # The middle is n // 2 elements from the start, and n - n // 2 from the end.
    shifts = [sign * (value.shape[i] // 2) for i in chosen]
    return roll(value, tuple(shifts), chosen) if chosen else value


def fftshift(x: Shaped[ArrayLike, "..."], axes: Axes = None) -> Array:
    """The spectrum with frequency 0 moved from the start to the middle of the axes (all)."""
    return _shifted("fftshift", x, axes, 1)


def ifftshift(x: Shaped[ArrayLike, "..."], axes: Axes = None) -> Array:
    """The inverse of `fftshift`."""
    return _shifted("ifftshift", x, axes, -1)
