"""Cosine transforms under the names of `jax.scipy.fft`.

In: arrays of numbers; of complex ones, real and imaginary parts are transformed. Out: arrays of
the same kind, at least float32. The one idea: a cosine transform of n samples is a Fourier
transform of the same n samples in another order, even places up and odd places down, times a
twiddle factor; real samples need half of it.
Source: Makhoul, A fast cosine transform in one and two dimensions, IEEE Trans. Acoust. Speech
Signal Process. 28 (1980).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import numpy as fnp
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import canonical_axis
from ..numpy.promotion import check_arraylike, promote_dtypes_inexact, to_array
from ..primitives.complexes import complex as make_complex
from ..typing import Array, ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Shaped

Axes = int | Sequence[int] | None


def _twiddle(count: int, points: int, dtype: Any) -> Any:
    """exp(-πi k / 2n) at k = 0 ... count - 1."""
    factors = np.exp(-0.5j * np.pi / points * np.arange(count))
    return fnp.asarray(factors, dtypes.to_complex_dtype(dtype))


def _norms(points: int, dtype: Any) -> Any:
    """What makes the rows of the transform orthonormal."""
    factors = np.full(points, math.sqrt(0.5 / points))
    factors[0] = math.sqrt(0.25 / points)
    return fnp.asarray(factors, dtype)


def _forward(x: Any, norm: str | None) -> Any:
    """2 Σ_j x[j] cos(πk (2j + 1) / 2n) along the last axis."""
    n = x.shape[-1]
    order = fnp.concatenate([x[..., ::2], fnp.flip(x[..., 1::2], -1)], -1)
    half = fnp.fft.rfft(order) * _twiddle(n // 2 + 1, n, x.dtype)
    # Of real samples, element n - k is the conjugate of element k, but for a factor of i.
    rest = fnp.flip(half.imag[..., 1 : (n + 1) // 2], -1)
    out = 2 * fnp.concatenate([half.real, -rest], -1)
    return out * _norms(n, out.dtype) if norm == "ortho" else out


def _backward(y: Any, norm: str | None) -> Any:
    """The inverse of `_forward`: with y[n] = 0, element k there is made of y[k] - i y[n - k]."""
    n = y.shape[-1]
    if norm == "ortho":
        y = y / _norms(n, y.dtype)
    count = n // 2 + 1
    mirrored = fnp.flip(y[..., n - count + 1 :], -1)
    mirrored = fnp.pad(mirrored, [(0, 0)] * (y.ndim - 1) + [(1, 0)])
    half = 0.5 * make_complex(y[..., :count], -mirrored)
    order = fnp.fft.irfft(half * fnp.conj(_twiddle(count, n, y.dtype)), n)
    evens, odds = order[..., : (n + 1) // 2], fnp.flip(order[..., (n + 1) // 2 :], -1)
    odds = fnp.pad(odds, [(0, 0)] * (y.ndim - 1) + [(0, n % 2)])
    pairs = fnp.stack([evens, odds], -1)
    return pairs.reshape((*y.shape[:-1], -1))[..., :n]


def _checked(name: str, x: Any, type: int, norm: str | None) -> Any:
    """The array, inexact, at least in float32."""
    check_arraylike(name, x)
    if type != 2:
        raise ValueError(
            f"{name}: only the transform of type 2 is there, got type {type!r}.\n  {user_line()}"
            f"\n  Type 3 is the inverse of type 2: use {_inverse[name]}."
        )
    if norm not in (None, "backward", "ortho"):
        raise ValueError(
            f"{name}: norm={norm!r} is not known.\n  {user_line()}\n  Give 'backward' or 'ortho'."
        )
    (value,) = promote_dtypes_inexact(x)
    x = to_array(value)
    return x.astype(np.float32) if x.dtype.itemsize < 4 else x


_inverse = {"dct": "idct", "idct": "dct", "dctn": "idctn", "idctn": "dctn"}


def _along(
    name: str,
    x: Any,
    lengths: Sequence[int] | None,
    axes: Sequence[int],
    norm: str | None,
) -> Any:
    """The transform along axes, one after the other, of real and imaginary parts."""
    transform: Callable[[Any, str | None], Any] = _backward if name[0] == "i" else _forward
    if x.dtype.kind == "c":
        return make_complex(*(_along(name, v, lengths, axes, norm) for v in (x.real, x.imag)))
    for i, axis in enumerate(axes):
        y = fnp.moveaxis(x, axis, -1)
        if lengths is not None:
            y = y[..., : lengths[i]]
            y = fnp.pad(y, [(0, 0)] * (y.ndim - 1) + [(0, lengths[i] - y.shape[-1])])
        if not y.shape[-1]:
            raise ValueError(
                f"{name} needs at least one sample along axis {axis} of {x.shape}.\n  {user_line()}"
            )
        x = fnp.moveaxis(transform(y, norm), -1, axis)
    return x


def _along_one(name: str, x: Any, type: int, n: Any, axis: int, norm: str | None) -> Any:
    value = _checked(name, x, type, norm)
    lengths = None if n is None else (operator.index(n),)
    return _along(name, value, lengths, (canonical_axis(axis, value.ndim),), norm)


def _along_several(name: str, x: Any, type: int, s: Any, axes: Any, norm: str | None) -> Any:
    value = _checked(name, x, type, norm)
    rank = value.ndim
    lengths = None
    if s is not None:
        lengths = tuple(map(operator.index, [s] if hasattr(s, "__index__") else s))
        if len(lengths) > rank:
            raise ValueError(
                f"{name}: s must have at most as many elements as x has axes, got {lengths} for "
                f"shape {value.shape}.\n  {user_line()}"
            )
    if axes is None:
        chosen = tuple(range(0 if lengths is None else rank - len(lengths), rank))
    else:
        given = [axes] if hasattr(axes, "__index__") else axes
        chosen = tuple(canonical_axis(operator.index(i), rank) for i in given)
    if len(set(chosen)) < len(chosen) or (lengths is not None and len(lengths) != len(chosen)):
        raise ValueError(
            f"{name} takes each axis once, and one length for each, got axes {chosen} and s = {s}."
            f"\n  {user_line()}"
        )
    return _along(name, value, lengths, chosen, norm)


def dct(
    x: Shaped[ArrayLike, "..."],
    type: int = 2,
    n: int | None = None,
    axis: int = -1,
    norm: str | None = None,
) -> Array:
    """The cosine transform of type 2 along an axis: 2 Σ_j x[j] cos(πk (2j + 1) / 2n).

    Args:
        type: 2.
        n: the length; x is cut, or filled up with zeros, at the end of the axis.
        norm: None or "backward", as above; "ortho", with rows scaled to be orthonormal.
    Returns:
        Real for real x, float32 or float64; complex for complex x.
    Raises:
        ValueError: another type or norm, or no samples.

    >>> import funcgrad.numpy as fnp
    >>> from funcgrad.scipy.fft import dct
    >>> dct(fnp.ones(4)).round(3) + 0
    Array([8., 0., 0., 0.], dtype=float32)
    """
    return _along_one("dct", x, type, n, axis, norm)


def idct(
    x: Shaped[ArrayLike, "..."],
    type: int = 2,
    n: int | None = None,
    axis: int = -1,
    norm: str | None = None,
) -> Array:
    """The inverse of `dct`; arguments as there, n being the number of coefficients."""
    return _along_one("idct", x, type, n, axis, norm)


def dctn(
    x: Shaped[ArrayLike, "..."],
    type: int = 2,
    s: int | Sequence[int] | None = None,
    axes: Axes = None,
    norm: str | None = None,
) -> Array:
    """`dct` along several axes.

    Args:
        s: the lengths along the axes.
        axes: all by default, or the last len(s).
    Raises:
        ValueError: as in `dct`, or lengths and axes that do not fit.
    """
    return _along_several("dctn", x, type, s, axes, norm)


def idctn(
    x: Shaped[ArrayLike, "..."],
    type: int = 2,
    s: int | Sequence[int] | None = None,
    axes: Axes = None,
    norm: str | None = None,
) -> Array:
    """The inverse of `dctn`; arguments as there."""
    return _along_several("idctn", x, type, s, axes, norm)
