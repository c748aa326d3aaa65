"""Images in other sizes: resize, scale_and_translate.

The one idea: along each axis an output pixel is a weighted sum of input pixels, weights being those
of a kernel about its centre; so a resized image is a product with one matrix for each axis.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import numpy as fnp
from .core.sources import user_line
from .ir.avals import canonical_axis, canonical_shape
from .numpy.promotion import check_arraylike, promote_dtypes_inexact, shape_of, to_array
from .typing import Array, ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Shaped


class ResizeMethod(enum.Enum):
    """How pixels are made from others."""

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4
    CUBIC_PYTORCH = 5
    AREA = 6

    @staticmethod
    def from_string(s: str) -> ResizeMethod:
        """The method of that name.

        Raises:
            ValueError: there is none.
        """
        if s not in _names:
            raise ValueError(
                f"Unknown resize method {s!r}.\n  {user_line()}\n  Give one of {list(_names)}."
            )
        return _names[s]


_names = {
    "nearest": ResizeMethod.NEAREST,
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), ResizeMethod.LINEAR),
    "lanczos3": ResizeMethod.LANCZOS3,
    "lanczos5": ResizeMethod.LANCZOS5,
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), ResizeMethod.CUBIC),
    **dict.fromkeys(("cubic-pytorch", "bicubic-pytorch"), ResizeMethod.CUBIC_PYTORCH),
    "area": ResizeMethod.AREA,
}


def _triangle(x: Any) -> Any:
    return fnp.maximum(0, 1 - x)


def _lanczos(radius: float) -> Callable[[Any], Any]:
    """sinc(x) sinc(x / radius), 0 beyond the radius."""

    def kernel(x: Any) -> Any:
        safe = fnp.where(x > 1e-3, x, 1.0)
        product = fnp.sin(math.pi * safe) * fnp.sin(math.pi * safe / radius)
        value = fnp.where(x > 1e-3, radius * product / (math.pi * safe) ** 2, 1.0)
        return fnp.where(x > radius, 0.0, value)

    return kernel


def _cubic(a: float) -> Callable[[Any], Any]:
    """The cubic kernel of parameter a.

    Source: Keys, IEEE Transactions on Acoustics, Speech, and Signal Processing 29 (1981).
    """

    def kernel(x: Any) -> Any:
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        return fnp.where(x >= 2, 0.0, fnp.where(x >= 1, far, near))

    return kernel


_kernels: dict[ResizeMethod, Callable[[Any], Any]] = {
    ResizeMethod.LINEAR: _triangle,
    ResizeMethod.LANCZOS3: _lanczos(3.0),
    ResizeMethod.LANCZOS5: _lanczos(5.0),
    ResizeMethod.CUBIC: _cubic(-0.5),
    ResizeMethod.CUBIC_PYTORCH: _cubic(-0.75),
}


def _overlaps(size: int, out: int, step: Any, shift: Any, dtype: Any) -> Any:
    """How much of each input pixel lies in each output pixel: [size, out]."""
    left = fnp.arange(out).astype(dtype) * step - shift
    edges = fnp.arange(size).astype(dtype)[:, None]
    return fnp.maximum(0.0, fnp.minimum(left + step, edges + 1) - fnp.maximum(left, edges))


def _weights(
    size: int, out: int, scale: Any, translation: Any, method: ResizeMethod, antialias: bool
) -> Any:
    """The matrix [size, out] that takes input pixels to output pixels along one axis."""
    dtype = fnp.result_type(scale, translation)
    step = 1.0 / scale
    shift = translation * step
    centre = (fnp.arange(out).astype(dtype) + 0.5) * step - shift - 0.5
    # Pixels beyond the border, whose weight goes to those at the border.
    beyond = 2 if method is ResizeMethod.CUBIC_PYTORCH else 0
    if method is ResizeMethod.AREA:
        weights = _overlaps(size, out, step, shift, dtype)
    else:
        # A kernel over fewer pixels than are skipped would see only some of them.
        width = fnp.maximum(step, 1.0) if antialias else 1.0
        places = fnp.arange(-beyond, size + beyond).astype(dtype)
        weights = _kernels[method](fnp.abs(centre[None, :] - places[:, None]) / width)
    if beyond:
        inner = weights[beyond : beyond + size]
        inner = inner.at[0].add(weights[:beyond].sum(axis=0))
        weights = inner.at[-1].add(weights[beyond + size :].sum(axis=0))
    total = weights.sum(axis=0, keepdims=True)
    usable = fnp.abs(total) > 1000.0 * float(np.finfo(np.float32).eps)
    weights = fnp.where(usable, weights / fnp.where(total != 0, total, 1), 0)
    if beyond:
        return weights
    return fnp.where(((centre >= -0.5) & (centre <= size - 0.5))[None, :], weights, 0)


def _checked(
    image: Any, shape: Any, method: str | ResizeMethod, antialias: bool
) -> tuple[Any, tuple[int, ...], ResizeMethod]:
    check_arraylike("image", image)
    extents = canonical_shape(shape, "image")
    if len(extents) != len(shape_of(image)):
        raise ValueError(
            "shape must have length equal to the number of dimensions of the image: "
            f"{extents} vs {shape_of(image)}.\n  {user_line()}"
        )
    found = ResizeMethod.from_string(method) if isinstance(method, str) else method
    if found is ResizeMethod.CUBIC_PYTORCH and antialias:
        found = ResizeMethod.CUBIC
    return to_array(image), extents, found


def _applied(
    x: Any,
    extents: tuple[int, ...],
    axes: Sequence[int],
    scale: Any,
    translation: Any,
    method: ResizeMethod,
    antialias: bool,
    precision: Any,
) -> Any:
    """The image times the matrix of each axis."""
    for i, axis in enumerate(axes):
        matrix = _weights(
            x.shape[axis], extents[axis], scale[i], translation[i], method, antialias
        ).astype(x.dtype)
        product = fnp.tensordot(x, matrix, ((axis,), (0,)), precision=precision)
        x = fnp.moveaxis(product, -1, axis)
    return x


def scale_and_translate(
    image: Shaped[ArrayLike, "..."],
    shape: Sequence[int],
    spatial_dims: Sequence[int],
    scale: Shaped[ArrayLike, "axes"],
    translation: Shaped[ArrayLike, "axes"],
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = "highest",
) -> Array:
    """The image scaled, then shifted, along some axes; black where it is not.

    The input at (p + 0.5 - translation) / scale - 0.5 goes to output pixel p.

    Args:
        image: an image of any number of axes.
        shape: extents of the result.
        spatial_dims: the axes, for each of which there is one scale and one translation.
        method: "linear", "cubic", "cubic-pytorch", "lanczos3", "lanczos5" or "area".
        antialias: widen the kernel where pixels are skipped.
    Returns:
        Floats of the given shape; derivatives with respect to scale and translation are there.
    Raises:
        ValueError: shapes that do not fit, or the method "nearest".
    """
    x, extents, found = _checked(image, shape, method, antialias)
    if found is ResizeMethod.NEAREST:
        raise ValueError(
            f"scale_and_translate does not take the method 'nearest'.\n  {user_line()}\n"
            "  Use resize, or another method."
        )
    (x,) = map(to_array, promote_dtypes_inexact(x))
    factors, shifts = map(to_array, promote_dtypes_inexact(scale, translation))
    axes = [canonical_axis(i, x.ndim) for i in spatial_dims]
    if factors.shape != (len(axes),) or shifts.shape != (len(axes),):
        raise ValueError(
            f"scale_and_translate needs one scale and one translation for each of {len(axes)} "
            f"axes, got shapes {factors.shape} and {shifts.shape}.\n  {user_line()}"
        )
    return _applied(x, extents, axes, factors, shifts, found, antialias, precision)


def resize(
    image: Shaped[ArrayLike, "..."],
    shape: Sequence[int],
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = "highest",
) -> Array:
    """The image in another size.

    Args:
        image: an image of any number of axes.
        shape: extents of the result; axes whose extent stays are left alone.
        method: "nearest", "linear", "cubic", "cubic-pytorch", "lanczos3", "lanczos5" or "area".
        antialias: widen the kernel where pixels are skipped.
    Raises:
        ValueError: the number of axes does not fit, or there is no such method.
    """
    x, extents, found = _checked(image, shape, method, antialias)
    axes = [i for i, (m, n) in enumerate(zip(x.shape, extents, strict=True)) if m != n]
    if found is ResizeMethod.NEAREST:
        for i in axes:
            size, out = x.shape[i], extents[i]
            places = (np.arange(out, dtype=np.float32) + 0.5) * np.float32(size) / np.float32(out)
            x = fnp.take(x, np.floor(places).astype(np.int32), axis=i)
        return x
    (x,) = map(to_array, promote_dtypes_inexact(x))
    scale = [fnp.asarray(extents[i] / x.shape[i] if extents[i] else 1.0) for i in axes]
    shift = [fnp.asarray(0.0)] * len(axes)
    return _applied(x, extents, axes, scale, shift, found, antialias, precision)
