"""What elementwise primitives share: constants, stretched tangents, functions NumPy has already."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from ..core.array import Array
from ..core.primitive import Example
from ..ir.avals import ShapedArray, aval_of
from .kinds import Binary, Domain, Unary, draw, integers

complex_plane = Domain(-2.0, 2.0, np.complex128)


@functools.lru_cache(maxsize=512)
def _constant(value: complex, zero: str, dtype: np.dtype[Any], weak_type: bool) -> Array:
    return Array(np.array(value, dtype), ShapedArray((), dtype, weak_type))


def constant_like(x: Any, value: complex) -> Any:
    """A scalar constant of the dtype and weakness of x."""
    aval = aval_of(x)
    # 0.0 and -0.0 are equal, and so the same key, unless their text is part of it.
    return _constant(value, "" if value else str(value), aval.dtype, aval.weak_type)


def stretch_like(t: Any, out: Any) -> Any:
    """A tangent of an operand in the shape of the output the operand was stretched to."""
    if aval_of(t).shape == aval_of(out).shape:
        return t
    from .broadcasting import broadcast_like

    return broadcast_like(t, out)


def replace_zero(x: Any) -> Any:
    """The values of x, with ones in place of zeros."""
    from .comparison import eq
    from .creation import full_like
    from .selection import select

    return select(eq(x, constant_like(x, 0)), full_like(x, 1), x)


_no = np.False_  # what NumPy says of one number


def complex_quotient(x: Any, y: Any) -> Any:
    """x / y with the zeros and infinities of ISO C, annex G, which NumPy leaves out."""
    out: Any = np.asarray(np.divide(x, y))
    odd = (np.isnan(out.real) & np.isnan(out.imag)) | (y == 0)
    if np.any(odd):
        x, y, odd = np.broadcast_arrays(x, y, odd)
        out[odd] = _quotient_at_ends(x[odd], y[odd])
    return out


def _quotient_at_ends(x: Any, y: Any) -> Any:
    """x / y where y is 0, or where one is infinite and the other is finite; NaN elsewhere."""

    def corners(z: Any) -> Any:
        """Signed ones for the infinite parts of infinite numbers, zeros for their others."""
        infinite, out = np.isinf(z), z.copy()
        for part, found in ((out.real, z.real), (out.imag, z.imag)):
            part[infinite] = np.copysign(np.isinf(found[infinite]), found[infinite])
        return out

    out: Any = np.full_like(x, complex(np.nan, np.nan))
    top, bottom = corners(x), corners(y)
    re = top.real * bottom.real + top.imag * bottom.imag
    im = top.imag * bottom.real - top.real * bottom.imag
    vast, tiny = np.isinf(x) & np.isfinite(y), np.isfinite(x) & np.isinf(y)
    zero = y == 0
    for part, value, found in ((out.real, re, x.real), (out.imag, im, x.imag)):
        part[vast], part[tiny] = np.inf * value[vast], 0.0 * value[tiny]
        part[zero] = found[zero] / y.real[zero]
    return out


def integer_quotient(x: Any, y: Any) -> Any:
    """x / y of NumPy integers toward zero, with all bits set where y is 0."""
    zero = y == 0
    if zero is _no:
        return np.floor_divide(x - np.fmod(x, y), y)
    divisor = y + zero
    # x - fmod(x, y) is a multiple of y and lies between 0 and x: it divides without rounding.
    quotient = np.floor_divide(x - np.fmod(x, divisor), divisor)
    return np.where(zero, np.array(-1).astype(x.dtype), quotient)


def integer_remainder(x: Any, y: Any) -> Any:
    """The remainder of NumPy integers with the sign of x, and x itself where y is 0."""
    zero = y == 0
    return np.fmod(x, y) if zero is _no else np.fmod(x, y + zero) + x * zero


def repeated_product(x: Any, count: int) -> Any:
    """The product of `count` copies of a NumPy array, by repeated squaring."""
    out: Any = None
    while count:
        if count & 1:
            out = x if out is None else out * x
        count >>= 1
        x = x * x if count else x
    return np.ones_like(x) if out is None else out


class UnaryUfunc(Unary):
    """An elementwise function that NumPy has under `ufunc`."""

    ufunc: ClassVar[Any]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return self.ufunc(arrays[0])

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        return self.ufunc


class BinaryUfunc(Binary):
    """An elementwise function of two operands that NumPy has under `ufunc`."""

    ufunc: ClassVar[Any]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return self.ufunc(arrays[0], arrays[1])

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        return self.ufunc

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example(tuple(draw(d, (0, 3), 3) for d in self.domains))
        if any(np.issubdtype(np.complexfloating, k) for k in (self.accepts or (np.number,))):
            yield Example((draw(complex_plane, (3,), 5), draw(complex_plane, (3,), 6)))
        yield Example((draw(integers(-9, 9), (2, 3), 8), draw(integers(1, 9), (), 9)))


def bind_accurate(primitive: Any, x: Any, accuracy: Any) -> Any:
    """Apply a primitive; the accuracy asked for is a param only where it is not the default."""
    return primitive.bind(x) if accuracy is None else primitive.bind(x, accuracy=accuracy)
