"""Convolutions and correlations of arrays of any rank, directly or by Fourier transforms.

In: two arrays of one rank. Out: their sliding products. The one idea: the full result has extent
m + n - 1 along an axis of m and n samples; each mode is a cut of it, and the direct method asks for
no more than the cut by its padding.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ... import numpy as fnp
from ...core.sources import user_line
from ...ir.avals import canonical_axis
from ...numpy.promotion import check_arraylike, promote_dtypes_inexact, to_array
from ...primitives.convolution import conv_general_dilated
from ...typing import Array, ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Shaped

_modes = ("full", "same", "valid")


def _operands(name: str, in1: Any, in2: Any) -> list[Any]:
    """Both arrays in one inexact dtype, checked to be of one rank."""
    check_arraylike(name, in1, in2)
    x, y = map(to_array, promote_dtypes_inexact(in1, in2))
    if x.ndim != y.ndim:
        raise ValueError(
            f"{name}: in1 and in2 should have the same dimensionality, got shapes {x.shape} and "
            f"{y.shape}.\n  {user_line()}\n  Add axes of size 1 to one of them."
        )
    return [x, y]


def _contains(outer: Sequence[int], inner: Sequence[int]) -> bool:
    return all(m >= n for m, n in zip(outer, inner, strict=True))


def _extents(name: str, mode: str, first: Sequence[int], second: Sequence[int]) -> list[int]:
    """The shape of the result of a mode."""
    if mode not in _modes:
        raise ValueError(
            f"{name}: mode must be one of {list(_modes)}, got {mode!r}.\n  {user_line()}"
        )
    if mode == "same":
        return list(first)
    if mode == "full":
        return [m + n - 1 for m, n in zip(first, second, strict=True)]
    if not (_contains(first, second) or _contains(second, first)):
        raise ValueError(
            f"{name}: for mode 'valid' one input must be at least as large as the other in every "
            f"dimension, got shapes {tuple(first)} and {tuple(second)}.\n  {user_line()}"
        )
    return [abs(m - n) + 1 for m, n in zip(first, second, strict=True)]


def _middle(first: Sequence[int], second: Sequence[int], extents: Sequence[int]) -> list[int]:
    """Where a result of these extents begins in the full one, to lie in its middle."""
    return [(m + n - 1 - k) // 2 for m, n, k in zip(first, second, extents, strict=True)]


def _direct(
    name: str, x: Any, y: Any, starts: Sequence[int], extents: Sequence[int], precision: Any
) -> Any:
    """The elements from starts on, of the full convolution of x and y."""
    if not x.size or not y.size:
        raise ValueError(
            f"{name}: zero-size arrays not supported in convolutions, got shapes {x.shape} and "
            f"{y.shape}.\n  {user_line()}"
        )
    if _contains(y.shape, x.shape):
        x, y = y, x
    # Element k of the full result meets the last sample of y at sample k - (n - 1) of x.
    pads = [
        (n - 1 - start, start + extent - m)
        for m, n, start, extent in zip(x.shape, y.shape, starts, extents, strict=True)
    ]
    strides = (1,) * x.ndim
    kernel = fnp.flip(y)[None, None]
    return conv_general_dilated(x[None, None], kernel, strides, pads, precision=precision)[0, 0]


def convolve(
    in1: Shaped[ArrayLike, "..."],
    in2: Shaped[ArrayLike, "..."],
    mode: str = "full",
    method: str = "auto",
    precision: Any = None,
) -> Array:
    """The convolution of two arrays along all axes: out[k] = Σ in1[n] · in2[k - n].

    Args:
        in1, in2: arrays of one rank; integers become floats.
        mode: "full", all of it; "same", the middle of it, of the shape of in1; "valid", where the
            smaller array lies inside the larger one.
        method: "direct", "fft", or "auto", which is "direct".
        precision: of the products, as in `lax.conv_general_dilated`; not used by "fft".
    Raises:
        ValueError: other modes or methods, ranks that differ, no elements, or mode "valid" where
            neither array contains the other.

    >>> import funcgrad.numpy as fnp
    >>> from funcgrad.scipy.signal import convolve
    >>> convolve(fnp.array([1.0, 2.0, 3.0]), fnp.array([1.0, 1.0]))
    Array([1., 3., 5., 3.], dtype=float32)
    """
    if method == "fft":
        return fftconvolve(in1, in2, mode)
    if method not in ("auto", "direct"):
        raise ValueError(
            f"convolve got method={method!r}; expected 'auto', 'fft', or 'direct'.\n  {user_line()}"
        )
    x, y = _operands("convolve", in1, in2)
    extents = _extents("convolve", mode, x.shape, y.shape)
    return _direct("convolve", x, y, _middle(x.shape, y.shape, extents), extents, precision)


def correlate(
    in1: Shaped[ArrayLike, "..."],
    in2: Shaped[ArrayLike, "..."],
    mode: str = "full",
    method: str = "auto",
    precision: Any = None,
) -> Array:
    """The correlation of two arrays: out[k] = Σ in1[n] · conj(in2[n - k + in2.shape - 1]).

    Arguments and errors as in `convolve`.
    """
    check_arraylike("correlate", in1, in2)
    return convolve(in1, fnp.flip(fnp.conj(in2)), mode, method, precision)


def _matrices(name: str, in1: Any, in2: Any, boundary: str, fillvalue: Any) -> list[Any]:
    """Operands of a function of matrices, with zeros around them."""
    if boundary != "fill" or fillvalue != 0:
        raise ValueError(
            f"{name}() only supports boundary='fill', fillvalue=0, got {boundary!r}, "
            f"{fillvalue!r}.\n  {user_line()}\n  Pad in1 with numpy.pad, and use mode='valid'."
        )
    x, y = _operands(name, in1, in2)
    if x.ndim != 2:
        raise ValueError(
            f"{name}() only supports 2-dimensional inputs, got {x.ndim} dimensions.\n"
            f"  {user_line()}\n  Use {name[:-2]}."
        )
    return [x, y]


def convolve2d(
    in1: Shaped[ArrayLike, "m n"],
    in2: Shaped[ArrayLike, "p q"],
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: float = 0,
    precision: Any = None,
) -> Array:
    """The convolution of two matrices with zeros around them; modes as in `convolve`.

    Args:
        boundary, fillvalue: "fill" and 0.
    Raises:
        ValueError: another boundary, operands that are no matrices, or as in `convolve`.
    """
    x, y = _matrices("convolve2d", in1, in2, boundary, fillvalue)
    return convolve(x, y, mode, precision=precision)


def correlate2d(
    in1: Shaped[ArrayLike, "m n"],
    in2: Shaped[ArrayLike, "p q"],
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: float = 0,
    precision: Any = None,
) -> Array:
    """The correlation of two matrices with zeros around them; arguments as in `convolve2d`.

    Two cuts are SciPy's own: "same" begins one later than `correlate` along axes where in2 is even,
    and "valid" with an in2 that contains in1 is the conjugate.
    """
    name = "correlate2d"
    x, y = _matrices(name, in1, in2, boundary, fillvalue)
    extents = _extents(name, mode, x.shape, y.shape)
    starts = _middle(x.shape, y.shape, extents)
    if mode == "same":
        starts = [n // 2 for n in y.shape]
    out = _direct(name, x, fnp.flip(fnp.conj(y)), starts, extents, precision)
    swapped = mode == "valid" and x.shape != y.shape and _contains(y.shape, x.shape)
    return fnp.conj(out) if swapped else out


def fftconvolve(
    in1: Shaped[ArrayLike, "..."],
    in2: Shaped[ArrayLike, "..."],
    mode: str = "full",
    axes: int | Sequence[int] | None = None,
) -> Array:
    """The convolution of two arrays, as the product of their Fourier transforms.

    Args:
        in1, in2, mode: as in `convolve`; its rounding errors are those of the largest element.
        axes: those to convolve along; all by default. Along the others the extents are equal.
    Raises:
        ValueError: another mode, ranks or extents that differ, or mode "valid" where neither array
            contains the other.
    """
    name = "fftconvolve"
    x, y = _operands(name, in1, in2)
    given: Any = range(x.ndim) if axes is None else axes
    chosen = [
        canonical_axis(operator.index(i), x.ndim)
        for i in ([given] if hasattr(given, "__index__") else given)
    ]
    others = [i for i in range(x.ndim) if i not in chosen]
    if any(x.shape[i] != y.shape[i] for i in others):
        raise ValueError(
            f"{name}: mapped axes must have same shape, got {x.shape} and {y.shape} for axes "
            f"{tuple(chosen)}.\n  {user_line()}"
        )
    first, second = ([v.shape[i] for i in chosen] for v in (x, y))
    extents = _extents(name, mode, first, second)
    full = [m + n - 1 for m, n in zip(first, second, strict=True)]
    if all(1 in pair for pair in zip(first, second, strict=True)):
        out = x * y
    elif not x.size or not y.size:
        raise ValueError(f"{name} needs elements, got shapes {x.shape} and {y.shape}.")
    else:
        transforms = fnp.fft.fftn, fnp.fft.ifftn
        if x.dtype.kind != "c":
            transforms = fnp.fft.rfftn, fnp.fft.irfftn
        spectrum = transforms[0](x, full, chosen) * transforms[0](y, full, chosen)
        out = transforms[1](spectrum, full, chosen).astype(x.dtype)
    cut = [slice(None)] * x.ndim
    for axis, start, extent in zip(chosen, _middle(first, second, extents), extents, strict=True):
        cut[axis] = slice(start, start + extent)
    return out[tuple(cut)]
