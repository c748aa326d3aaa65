"""Arithmetic: sums, products, quotients, extrema and powers (rounding: `rounding.py`).

In: numbers of one dtype whose shapes stretch. Out: the same dtype. The one idea: integers wrap,
and their quotients are those of XLA (toward zero, -1 for a division by zero), so that no operand
raises. Derivatives are written in these primitives, so each can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from ..core.primitive import Example
from ..core.zeros import UndefinedPrimal, Zero, zero_tangent
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import Expr, apply
from .elementwise import (
    BinaryUfunc,
    UnaryUfunc,
    bind_accurate,
    complex_plane,
    complex_quotient,
    constant_like,
    integer_quotient,
    integer_remainder,
    replace_zero,
    stretch_like,
)
from .kinds import Binary, Domain, draw, integers, reals, unbroadcast
from .powers import integer_pow
from .rounding import floor, sign
from .scalars import extremum, magnitude, quotient, remainder

# Sums and products.


class Neg(UnaryUfunc):
    """-x; unsigned integers wrap."""

    name = "neg"
    accepts = (np.number,)
    linear = "joint"
    ufunc = np.negative

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [neg(ct)]


class Sum(BinaryUfunc):
    """x + y or x - y: linear in both operands together, and in each alone."""

    accepts = (np.number,)
    signs: ClassVar[tuple[int, int]] = (1, 1)

    def signed(self, i: int, t: Any) -> Any:
        """The tangent or cotangent of operand i with the operand's sign."""
        return t if self.signs[i] == 1 else neg(t)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        out = self.bind(*primals)
        if not any(isinstance(t, Zero) for t in tangents):
            return out, self.bind(*tangents)
        terms = [self.signed(i, t) for i, t in enumerate(tangents) if not isinstance(t, Zero)]
        return out, stretch_like(terms[0], out) if terms else zero_tangent(aval_of(out))

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [
            unbroadcast(self.signed(i, ct), x.aval) if isinstance(x, UndefinedPrimal) else None
            for i, x in enumerate(args)
        ]


class Add(Sum):
    """x + y."""

    name = "add"
    ufunc = np.add


class Sub(Sum):
    """x - y."""

    name = "sub"
    ufunc = np.subtract
    signs = (1, -1)


class Mul(BinaryUfunc):
    """x · y."""

    name = "mul"
    accepts = (np.number,)
    linear = "each"
    ufunc = np.multiply

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        x, y = args
        if isinstance(x, UndefinedPrimal) and isinstance(y, UndefinedPrimal):
            return super().transpose(ct, *args, **params)
        if isinstance(x, UndefinedPrimal):
            return [unbroadcast(mul(ct, y), x.aval), None]
        return [None, unbroadcast(mul(x, ct), y.aval)]


class Div(Binary):
    """x / y; of integers the quotient toward zero, with all bits set where y is 0."""

    name = "div"
    accepts = (np.number,)
    domains = (reals(-2.0, 2.0), reals(0.5, 2.0))
    scalar = staticmethod(quotient)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        x, y = arrays
        kind = x.dtype.kind
        if kind in "iu":
            return integer_quotient(x, y)
        return complex_quotient(x, y) if kind == "c" else np.divide(x, y)

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        return np.divide if avals[0].dtype.kind == "f" else None

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        x, y = primals
        return div(t, y) if i == 0 else mul(mul(neg(t), x), integer_pow(y, -2))

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        x, y = args
        if isinstance(y, UndefinedPrimal):
            return super().transpose(ct, *args, **params)
        return [unbroadcast(div(ct, y), x.aval), None]

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example((draw(complex_plane, (3,), 5), draw(complex_plane, (3,), 7)))
        yield Example((draw(integers(-9, 9), (2, 3), 8), draw(integers(-2, 3), (2, 3), 9)))
        yield Example((draw(self.domains[0], (0, 3), 3), draw(self.domains[1], (0, 3), 4)))


class Rem(Binary):
    """The remainder of x / y with the sign of x; of integers x itself where y is 0."""

    name = "rem"
    accepts = (np.integer, np.floating)
    # Away from the multiples of y, where the remainder jumps.
    domains = (reals(4.2, 4.8), reals(1.01, 1.04))
    scalar = staticmethod(remainder)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        x, y = arrays
        if x.dtype.kind in "iu":
            return integer_remainder(x, y)
        return np.fmod(x, y)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        if i == 0:
            return stretch_like(t, out)
        quotient = div(*primals)
        return mul(neg(t), mul(sign(quotient), floor(abs(quotient))))

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example((draw(integers(-9, 9), (2, 3), 8), draw(integers(-2, 3), (2, 3), 9)))


class Extremum(BinaryUfunc):
    """The greater or the less of x and y; NaN if either is. At a tie each has half the slope."""

    accepts = (np.number, np.bool_)

    def scalar(self, x: Expr, y: Expr) -> Expr:
        return extremum(self.name, x, y)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        from .comparison import eq
        from .creation import full_like
        from .selection import select

        mine, other = primals[i], primals[1 - i]
        share = div(
            select(eq(mine, out), full_like(out, 1), full_like(out, 0)),
            select(eq(other, out), full_like(out, 2), full_like(out, 1)),
        )
        return mul(t, share)


class Max(Extremum):
    """The greater of x and y; complex numbers compare by real part, then by imaginary part."""

    name = "max"
    ufunc = np.maximum


class Min(Extremum):
    """The less of x and y; complex numbers compare by real part, then by imaginary part."""

    name = "min"
    ufunc = np.minimum


class Abs(UnaryUfunc):
    """|x|, real for complex x. The slope at 0 is 1, for complex x it is 0."""

    name = "abs"
    accepts = (np.signedinteger, np.floating, np.complexfloating)
    ufunc = np.absolute
    scalar = staticmethod(magnitude)

    def result_dtype(self, *operand_dtypes: np.dtype[Any], **params: Any) -> Any:
        (dtype,) = operand_dtypes
        return dtypes.to_floating_dtype(dtype) if dtype.kind == "c" else dtype

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        if aval_of(x).dtype.kind == "c":
            from .casting import convert_element_type
            from .complexes import conj, real

            size = replace_zero(convert_element_type(out, aval_of(x).dtype))
            return real(mul(t, div(conj(x), size)))
        from .comparison import ge
        from .selection import select

        return select(ge(x, constant_like(x, 0)), t, neg(t))

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example((draw(complex_plane, (2, 3), 5),))


# Powers.


class Power(UnaryUfunc):
    """A function of positive numbers, or of complex ones."""

    accepts = (np.floating, np.complexfloating)
    domains = (reals(0.2, 3.0),)

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        if np.complexfloating in self.accepts:
            yield Example((draw(Domain(0.2, 3.0, np.complex128), (3,), 5),))


class Sqrt(Power):
    """The square root of x, with real part ≥ 0."""

    name = "sqrt"
    ufunc = np.sqrt

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        return mul(t, div(constant_like(primals[0], 0.5), out))


class Rsqrt(Power):
    """1 / √x."""

    name = "rsqrt"

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return np.divide(np.ones((), arrays[0].dtype), np.sqrt(arrays[0]))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        return mul(t, mul(constant_like(x, -0.5), div(out, x)))


class Cbrt(Power):
    """The cube root of x, real for negative x."""

    name = "cbrt"
    accepts = (np.floating,)
    ufunc = np.cbrt

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        return mul(t, mul(constant_like(primals[0], 1 / 3), integer_pow(out, -2)))


class Square(UnaryUfunc):
    """x · x."""

    name = "square"
    accepts = (np.number,)
    ufunc = np.square

    def scalar(self, x: Expr) -> Expr:
        return apply("mul", x, x)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        (x,) = primals
        return mul(t, mul(constant_like(x, 2), x))

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        yield Example((draw(integers(-9, 9), (2, 3), 8),))


neg_p = Neg()
add_p = Add()
sub_p = Sub()
mul_p = Mul()
div_p = Div()
rem_p = Rem()
max_p = Max()
min_p = Min()
abs_p = Abs()
sqrt_p = Sqrt()
rsqrt_p = Rsqrt()
cbrt_p = Cbrt()
square_p = Square()


def neg(x: Any) -> Any:
    """-x."""
    return neg_p.bind(x)


def abs(x: Any) -> Any:
    """|x|; real for complex x."""
    return abs_p.bind(x)


def square(x: Any) -> Any:
    """x · x."""
    return square_p.bind(x)


def add(x: Any, y: Any) -> Any:
    """x + y."""
    return add_p.bind(x, y)


def sub(x: Any, y: Any) -> Any:
    """x - y."""
    return sub_p.bind(x, y)


def div(x: Any, y: Any) -> Any:
    """x / y; integers divide toward zero, and by zero give -1 (all bits set)."""
    return div_p.bind(x, y)


def rem(x: Any, y: Any) -> Any:
    """The remainder of x / y, with the sign of x."""
    return rem_p.bind(x, y)


def max(x: Any, y: Any) -> Any:
    """The greater of x and y; NaN if either is NaN."""
    return max_p.bind(x, y)


def min(x: Any, y: Any) -> Any:
    """The less of x and y; NaN if either is NaN."""
    return min_p.bind(x, y)


def sqrt(x: Any, *, accuracy: Any = None) -> Any:
    """√x."""
    return bind_accurate(sqrt_p, x, accuracy)


def rsqrt(x: Any, *, accuracy: Any = None) -> Any:
    """1 / √x."""
    return bind_accurate(rsqrt_p, x, accuracy)


def cbrt(x: Any, *, accuracy: Any = None) -> Any:
    """The cube root of x."""
    return bind_accurate(cbrt_p, x, accuracy)


def mul(x: Any, y: Any, *, out_dtype: Any = None) -> Any:
    """x · y; with `out_dtype` both operands are converted to it first."""
    if out_dtype is not None:
        from .casting import convert_element_type

        x, y = convert_element_type(x, out_dtype), convert_element_type(y, out_dtype)
    return mul_p.bind(x, y)
