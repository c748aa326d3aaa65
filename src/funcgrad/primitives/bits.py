"""Operations on the bits of integers and booleans, and the next float.

In: integers (booleans too for the logical ones) of one dtype. Out: the same dtype. The one idea:
a shift by the width or more, or by a negative count, shifts every bit out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from ..core.primitive import Example, NotDifferentiable
from ..ir.avals import ShapedArray
from ..ir.loops import Expr
from . import scalars
from .elementwise import UnaryUfunc
from .kinds import Binary, Unary, draw, integers, reals


def unsigned(x: Any) -> Any:
    """The bits of a NumPy integer array as unsigned integers."""
    return x if x.dtype.kind == "u" else x.view(np.dtype(f"u{x.dtype.itemsize}"))


class LogicalNot(UnaryUfunc):
    """Every bit of x flipped; of a boolean, its negation."""

    name = "not"
    accepts = (np.bool_, np.integer)
    domains = (integers(-9, 9),)
    ufunc = np.invert
    jvp_term = NotDifferentiable("its operand is a bit pattern", zero=True)

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example((draw(integers(0, 2, bool), (0, 3), 3),))
        yield Example((draw(integers(0, 99, np.uint8), (3,), 3),))


class BitCount(Unary):
    """A count of bits of an integer."""

    reads_bits = "iu"
    accepts = (np.integer,)
    domains = (integers(-99, 99),)
    jvp_term = NotDifferentiable("its operand is a bit pattern", zero=True)

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example((np.array([0, 1, 64, -1, -128], np.int8),))
        yield Example((draw(integers(0, 1 << 60, np.uint64), (2, 2), 3),))
        yield Example((draw(integers(0, 9, np.int64), (0, 2), 3),))


class PopulationCount(BitCount):
    """The number of one bits."""

    name = "population_count"

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        return np.asarray(np.bitwise_count(unsigned(x))).astype(x.dtype)


class Clz(BitCount):
    """The number of zero bits above the highest one bit."""

    name = "clz"

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        bits, width, step = unsigned(x), 8 * x.dtype.itemsize, 1
        # Smear the highest one bit over all below it; what is left above is zero.
        while step < width:
            bits = bits | (bits >> bits.dtype.type(step))
            step *= 2
        return (width - np.asarray(np.bitwise_count(bits))).astype(x.dtype)


class Bitwise(Binary):
    """A logical operation on the bits of two integers or on two booleans."""

    accepts = (np.bool_, np.integer)
    domains = (integers(-9, 9), integers(-9, 9))
    ufunc: ClassVar[Any]
    jvp_term = NotDifferentiable("its operands are bit patterns", zero=True)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return self.ufunc(arrays[0], arrays[1])

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        return self.ufunc

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        truth = integers(0, 2, bool)
        yield Example((draw(truth, (2, 3), 3), draw(truth, (2, 3), 4)))
        yield Example((draw(truth, (0, 3), 3), draw(truth, (), 4)))


class And(Bitwise):
    """Bits set in x and in y."""

    name = "and"
    ufunc = np.bitwise_and


class Or(Bitwise):
    """Bits set in x or in y."""

    name = "or"
    ufunc = np.bitwise_or


class Xor(Bitwise):
    """Bits set in just one of x and y."""

    name = "xor"
    ufunc = np.bitwise_xor


class Shift(Binary):
    """The bits of x moved by y places."""

    accepts = (np.integer,)
    domains = (integers(-99, 99), integers(0, 9))
    jvp_term = NotDifferentiable("its operands are bit patterns", zero=True)

    def scalar(self, x: Expr, y: Expr) -> Expr:
        return scalars.shift(self.name, x, y)

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example((np.array([[1, -8, 7]], np.int32), np.array([[31], [32], [-1]], np.int32)))
        yield Example((np.array([1, 128, 255], np.uint8), np.array([7, 1, 9], np.uint8)))
        yield Example((draw(integers(-9, 9, np.int64), (0, 3), 3), np.int64(2)))


def places_of(y: Any) -> tuple[Any, Any]:
    """The shift counts below the width, and where they are; negative counts are beyond it."""
    count = unsigned(y)
    if not y.ndim and int(count) < 8 * y.dtype.itemsize:
        return count, True
    last = count.dtype.type(8 * y.dtype.itemsize - 1)
    return np.minimum(count, last), count <= last


class ShiftLeft(Shift):
    """x · 2^y; zeros come in."""

    name = "shift_left"

    def impl(self, *arrays: Any, **params: Any) -> Any:
        x, (places, inside) = arrays[0], places_of(arrays[1])
        moved = unsigned(x) << places
        return (moved if inside is True else moved * inside).view(x.dtype)


class ShiftRightLogical(Shift):
    """The bits of x moved down; zeros come in."""

    name = "shift_right_logical"
    reads_bits = "i"

    def impl(self, *arrays: Any, **params: Any) -> Any:
        x, (places, inside) = arrays[0], places_of(arrays[1])
        moved = unsigned(x) >> places
        return (moved if inside is True else moved * inside).view(x.dtype)


class ShiftRightArithmetic(Shift):
    """⌊x / 2^y⌋; copies of the highest bit come in, also for an unsigned dtype."""

    name = "shift_right_arithmetic"
    reads_bits = "u"

    def impl(self, *arrays: Any, **params: Any) -> Any:
        x, (places, _) = arrays[0], places_of(arrays[1])
        signed = x.view(np.dtype(f"i{x.dtype.itemsize}"))
        return np.right_shift(signed, places.astype(signed.dtype)).view(x.dtype)


class Nextafter(Binary):
    """The float after x toward y."""

    name = "nextafter"
    reads_bits = "f"
    accepts = (np.floating,)
    domains = (reals(-2.0, 2.0), reals(-2.0, 2.0))
    jvp_term = NotDifferentiable("it steps through the floats")

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return np.nextafter(arrays[0], arrays[1])

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            yield Example(example.args, differentiable=())
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
        yield Example((special[:, None], special[None, :]), differentiable=())


class MulHi(Binary):
    """The upper half of the product of two integers."""

    name = "mulhi"
    accepts = (np.integer,)
    domains = (integers(-(2**31), 2**31), integers(-(2**31), 2**31))
    jvp_term = NotDifferentiable("integer result", zero=True)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        x, y = arrays
        width = x.dtype.itemsize * 8
        if width < 64:
            wide = np.int64 if x.dtype.kind == "i" else np.uint64
            return ((x.astype(wide) * y.astype(wide)) >> wide(width)).astype(x.dtype)
        return upper_half(x, y)


def upper_half(x: Any, y: Any) -> Any:
    """The upper 64 bits of 64-bit products, from 32-bit halves.

    Source: Warren, Hacker's Delight, 2nd ed., section 8-2.
    """
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    a, b = x.view(np.uint64), y.view(np.uint64)
    a0, a1, b0, b1 = a & low, a >> half, b & low, b >> half
    carry = (a0 * b0 >> half) + (a1 * b0 & low) + (a0 * b1 & low)
    high = a1 * b1 + (a1 * b0 >> half) + (a0 * b1 >> half) + (carry >> half)
    if x.dtype.kind == "u":
        return high
    # As unsigned numbers negative ones are too large by 2^64.
    zero = np.uint64(0)
    high = high - np.where(x < 0, b, zero) - np.where(y < 0, a, zero)
    return high.view(np.int64)


mulhi_p = MulHi()
not_p = LogicalNot()
and_p = And()
or_p = Or()
xor_p = Xor()
shift_left_p = ShiftLeft()
shift_right_logical_p = ShiftRightLogical()
shift_right_arithmetic_p = ShiftRightArithmetic()
population_count_p = PopulationCount()
clz_p = Clz()
nextafter_p = Nextafter()


def bitwise_not(x: Any) -> Any:
    """Every bit of an integer flipped; the negation of a boolean."""
    return not_p.bind(x)


def bitwise_and(x: Any, y: Any) -> Any:
    """Bits set in x and in y."""
    return and_p.bind(x, y)


def bitwise_or(x: Any, y: Any) -> Any:
    """Bits set in x or in y."""
    return or_p.bind(x, y)


def bitwise_xor(x: Any, y: Any) -> Any:
    """Bits set in just one of x and y."""
    return xor_p.bind(x, y)


# The names the primitives have in jaxprs.
not_, and_, or_, xor = bitwise_not, bitwise_and, bitwise_or, bitwise_xor


def shift_left(x: Any, y: Any) -> Any:
    """x · 2^y; 0 where y is negative or at least the width."""
    return shift_left_p.bind(x, y)


def shift_right_logical(x: Any, y: Any) -> Any:
    """The bits of x moved y places down with zeros coming in; 0 for y of the width or more."""
    return shift_right_logical_p.bind(x, y)


def shift_right_arithmetic(x: Any, y: Any) -> Any:
    """⌊x / 2^y⌋; nothing but copies of the sign bit for y of the width or more."""
    return shift_right_arithmetic_p.bind(x, y)


def mulhi(x: Any, y: Any) -> Any:
    """The upper half of the product of two integers of one dtype."""
    return mulhi_p.bind(x, y)


def population_count(x: Any) -> Any:
    """The number of one bits of an integer, in its dtype."""
    return population_count_p.bind(x)


def clz(x: Any) -> Any:
    """The number of zero bits above the highest one bit of an integer, in its dtype."""
    return clz_p.bind(x)


def nextafter(x1: Any, x2: Any) -> Any:
    """The float after x1 toward x2."""
    return nextafter_p.bind(x1, x2)
