"""Discrete Fourier transforms over the last axes.

The one idea: each kind is linear, and its transpose is one of the kinds again, up to weights for
the half of a real signal's spectrum that is not stored.
"""

from __future__ import annotations

import enum
import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.axes import move_axis
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import Eqn
from ..ir.loops import Library, Lowered, Operand
from .kinds import Domain, draw, reals


class FftType(enum.IntEnum):
    """The kinds of transforms: complex, its inverse, from real signals, back to them."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


_numpy_name = {
    FftType.FFT: "fftn",
    FftType.IFFT: "ifftn",
    FftType.RFFT: "rfftn",
    FftType.IRFFT: "irfftn",
}


class Fft(Primitive):
    """The transform of the last len(fft_lengths) axes, whose lengths as a signal these are.

    out[k] = sum over n of x[n] exp(-2πi kn / N); the inverses have the sign turned and 1/N. Where
    there is a param `scale`, that is a factor more: the last pass of a kernel multiplies by it.
    """

    name = "fft"
    composed = True
    linear = "joint"

    def is_composed(self, eqn: Eqn) -> bool:
        # Kernels take the coefficients of a real signal that there are.
        last = eqn.params["fft_lengths"][-1]
        real = eqn.params["fft_type"] is FftType.IRFFT
        return real and eqn.invars[0].aval.shape[-1] != last // 2 + 1

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        kind: FftType = params["fft_type"]
        lengths: tuple[int, ...] = params["fft_lengths"]
        stored = (*lengths[:-1], lengths[-1] // 2 + 1)
        takes, gives = lengths, lengths
        if kind is FftType.RFFT:
            gives = stored
        elif kind is FftType.IRFFT:
            takes = stored
        real = kind is FftType.RFFT
        fits = x.dtype.name in ("float32", "float64") if real else x.dtype.kind == "c"
        if not fits:
            wanted = "float32 or float64" if real else "complex64 or complex128"
            raise ValueError(f"{kind.name} takes {wanted}, got {x.long()}.\n  {user_line()}")
        ends = x.shape[x.ndim - len(lengths) :] if x.ndim >= len(lengths) else None
        # Back to real signals, the last length is free: more or fewer coefficients may be there.
        count = len(lengths) - (kind is FftType.IRFFT)
        if ends is None or ends[:count] != takes[:count]:
            raise ValueError(
                f"{kind.name} of lengths {lengths} takes an array that ends with the axes {takes}, "
                f"got {x.long()}.\n  {user_line()}"
            )
        dtype = x.dtype
        if real:
            dtype = dtypes.to_complex_dtype(x.dtype)
        elif kind is FftType.IRFFT:
            dtype = dtypes.to_floating_dtype(x.dtype)
        return x.update(shape=(*x.shape[: x.ndim - len(lengths)], *gives), dtype=dtype)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        lengths: tuple[int, ...] = params["fft_lengths"]
        transform: Any = getattr(np.fft, _numpy_name[params["fft_type"]])
        out = transform(x, lengths, tuple(range(-len(lengths), 0)))
        return out * out.real.dtype.type(params["scale"]) if "scale" in params else out

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        from .arithmetic import div, mul
        from .complexes import conj

        scale = params.get("scale", 1.0)

        kind: FftType = params["fft_type"]
        lengths: tuple[int, ...] = params["fft_lengths"]
        if kind in (FftType.FFT, FftType.IFFT):
            return [self.bind(ct, **params)]
        total = math.prod(lengths)
        if kind is FftType.RFFT:
            weighed = div(conj(ct), stored_twice(ct, lengths))
            kind, scale = FftType.IRFFT, scale * total
            return [self.bind(weighed, fft_type=kind, fft_lengths=lengths, scale=scale)]
        spectrum = self.bind(ct, fft_type=FftType.RFFT, fft_lengths=lengths)
        weight = stored_twice(spectrum, lengths) * (scale / total)
        return [resized(conj(mul(spectrum, weight)), args[0].aval.shape[-1])]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        assert dims[0] is not None
        return self.bind(move_axis(args[0], dims[0], 0), **params), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        return Library("fft", params, of_complex=True)

    def examples(self) -> Iterator[Example]:
        signal, spectrum = reals(-1.0, 1.0), Domain(-1.0, 1.0, np.complex128)
        for lengths in ((4,), (5,), (1,), (3, 4), (2, 3)):
            stored = (*lengths[:-1], lengths[-1] // 2 + 1)
            for kind, domain, ends in (
                (FftType.FFT, spectrum, lengths),
                (FftType.IFFT, spectrum, lengths),
                (FftType.RFFT, signal, lengths),
                (FftType.IRFFT, spectrum, stored),
            ):
                params = {"fft_type": kind, "fft_lengths": lengths}
                yield Example((draw(domain, (2, *ends), len(lengths)),), params)
        params = {"fft_type": FftType.IRFFT, "fft_lengths": (4,)}
        yield Example((draw(spectrum, (5,), 3),), params)
        yield Example((draw(spectrum, (2,), 4),), params)
        for kind, domain, ends in (
            (FftType.FFT, spectrum, (3, 4)),
            (FftType.IFFT, spectrum, (3, 4)),
            (FftType.RFFT, signal, (3, 4)),
            (FftType.IRFFT, spectrum, (3, 3)),
        ):
            params = {"fft_type": kind, "fft_lengths": (3, 4), "scale": 0.3}
            yield Example((draw(domain, ends, 6),), params)
        params = {"fft_type": FftType.FFT, "fft_lengths": (2,)}
        yield Example((draw(spectrum, (0, 2), 5).astype(np.complex64),), params)


fft_p = Fft()


def stored_twice(spectrum: Any, lengths: Sequence[int]) -> Any:
    """How often each stored coefficient of a real signal stands in the whole spectrum."""
    aval = aval_of(spectrum)
    weight = np.full(lengths[-1] // 2 + 1, 2)
    weight[0] = 1
    if lengths[-1] % 2 == 0:
        weight[-1] = 1
    return np.broadcast_to(weight, aval.shape).astype(aval.dtype)


def resized(x: Any, length: int) -> Any:
    """The array with its last axis cut, or filled up with zeros."""
    from .slicing import pad

    aval = aval_of(x)
    if aval.shape[-1] == length:
        return x
    edges = [(0, 0, 0)] * (aval.ndim - 1) + [(0, length - aval.shape[-1], 0)]
    return pad(x, np.zeros((), aval.dtype), edges)


def fft(x: Any, fft_type: FftType | str, fft_lengths: Sequence[int]) -> Any:
    """The discrete Fourier transform of the last axes.

    Args:
        x: an array that ends with axes of these lengths; for IRFFT the last is the half,
            lengths[-1] // 2 + 1.
        fft_type: an `FftType`, or its name.
        fft_lengths: lengths of the signal along the last axes; none gives x back.
    Returns:
        complex64 or complex128, real for IRFFT; for RFFT the last axis is the half.
    Raises:
        ValueError: no such kind, shapes that do not fit, or RFFT of complex numbers.
        TypeError: fft_type is neither an FftType nor a name.
    """
    kind: Any = fft_type
    if isinstance(kind, str) and kind in (
        *FftType.__members__,
        *map(str.lower, FftType.__members__),
    ):
        kind = FftType[kind.upper()]
    if not isinstance(kind, FftType):
        error = ValueError if isinstance(kind, str) else TypeError
        raise error(
            f"fft does not know the kind {fft_type!r}.\n  {user_line()}\n"
            f"  Give a lax.FftType or one of {list(FftType.__members__)}."
        )
    return scaled_fft(x, kind, tuple(map(operator.index, fft_lengths)), 1.0)


def scaled_fft(x: Any, kind: FftType, lengths: tuple[int, ...], scale: float) -> Any:
    """The transform times a factor.

    Back to real signals, coefficients that a signal of the length does not have are cut off, and
    those that are missing are 0.
    """
    from .casting import convert_element_type

    dtype = aval_of(x).dtype
    if kind is FftType.RFFT:
        if dtype.kind == "c":
            raise ValueError(
                f"RFFT takes real numbers, got {aval_of(x).long()}.\n  {user_line()}\n  Use FFT."
            )
        x = convert_element_type(x, dtypes.to_inexact_dtype(dtype))
    else:
        x = convert_element_type(x, dtypes.to_complex_dtype(dtype))
    if not lengths:
        return x
    if kind is FftType.IRFFT and aval_of(x).shape:
        x = resized(x, lengths[-1] // 2 + 1)
    more = {} if scale == 1.0 else {"scale": scale}
    return fft_p.bind(x, fft_type=kind, fft_lengths=lengths, **more)
