"""Powers: x to the power y, and x to a static integer power.

In: numbers. Out: the dtype of x. The one idea: a power with a static exponent is a short chain of
products, for integers too; any other is the function of C.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.primitive import Example
from ..core.sources import user_line
from ..core.zeros import zero_tangent
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import Expr, apply
from .elementwise import (
    complex_plane,
    complex_quotient,
    constant_like,
    repeated_product,
    replace_zero,
    stretch_like,
)
from .kinds import Binary, Domain, Unary, draw, integers, reals
from .scalars import converted, integer_power


class Pow(Binary):
    """x to the power y; y is of the dtype of x, or an integer."""

    name = "pow"
    same_dtype = False
    domains = (reals(0.3, 2.0), reals(-2.0, 2.0))

    def check_dtypes(self, avals: Sequence[ShapedArray]) -> None:
        x, y = avals
        inexact = dtypes.issubdtype(x.dtype, np.inexact)
        if inexact and (x.dtype == y.dtype or dtypes.issubdtype(y.dtype, np.integer)):
            return
        raise TypeError(
            "the first argument to pow must have an inexact dtype, and the second argument the "
            f"same dtype or an integer one, got {x.long()} and {y.long()}.\n  {user_line()}\n"
            "  Use integer_pow for integers, or convert one operand with astype."
        )

    def scalar(self, x: Expr, y: Expr) -> Expr:
        return apply("pow", x, converted(y, x.dtype))

    def impl(self, *arrays: Any, **params: Any) -> Any:
        x, y = arrays
        return np.power(x, y.astype(x.dtype, copy=False))

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        from .arithmetic import mul, sub
        from .transcendental import log

        x, y = primals
        if i == 1:
            return mul(t, mul(log(replace_zero(x)), out))
        if dtypes.issubdtype(aval_of(y).dtype, np.inexact):
            return mul(t, mul(y, pow(x, sub(y, constant_like(y, 1)))))
        return mul(t, self._integer_slope(x, y, out))

    def _integer_slope(self, x: Any, y: Any, out: Any) -> Any:
        from .arithmetic import mul, sub
        from .casting import convert_element_type
        from .comparison import eq
        from .creation import full_like
        from .selection import select

        y = stretch_like(convert_element_type(y, aval_of(x).dtype), out)
        slope = mul(replace_zero(y), pow(x, sub(y, constant_like(y, 1))))
        # At y = 0 the power is constant, also at x = 0.
        return select(eq(y, constant_like(y, 0)), full_like(slope, 0), slope)

    def examples(self) -> Iterator[Example]:
        yield from super().examples()
        positive = draw(self.domains[0], (2, 3), 3)
        yield Example((positive, draw(integers(-3, 4), (2, 3), 4)))
        yield Example((positive, np.array(3, np.int32)))
        yield Example((np.array(1.5), draw(integers(-3, 4), (3,), 6)))
        base = draw(Domain(0.3, 2.0, np.complex128), (3,), 5)
        yield Example((base, draw(complex_plane, (3,), 6)))


class IntegerPow(Unary):
    """x to a static integer power, by repeated squaring."""

    name = "integer_pow"
    accepts = (np.number,)
    domains = (reals(0.3, 2.0),)

    def result_dtype(self, *operand_dtypes: np.dtype[Any], **params: Any) -> Any:
        (dtype,) = operand_dtypes
        if params["y"] < 0 and dtypes.issubdtype(dtype, np.integer):
            raise TypeError(
                "Integers cannot be raised to negative powers, got integer_pow of "
                f"{dtypes.short_name(dtype)} with y={params['y']}.\n  {user_line()}\n"
                "  Convert the operand to a float dtype first."
            )
        return dtype

    def scalar(self, x: Expr, y: int) -> Expr:
        return integer_power(x, y)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        out = repeated_product(x, abs(params["y"]))
        if params["y"] >= 0:
            return out
        one = np.ones((), x.dtype)
        return complex_quotient(one, out) if x.dtype.kind == "c" else np.divide(one, out)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        from .arithmetic import mul

        (x,), y = primals, params["y"]
        if y == 0:
            return zero_tangent(aval_of(out))
        if y == 1:
            return t
        lower = x if y == 2 else integer_pow(x, y - 1)
        return mul(t, mul(constant_like(x, y), lower))

    def forwards(self, eqn: Any) -> Any:
        """The operand, when the power is the first."""
        return eqn.invars[0] if eqn.params["y"] == 1 else None

    def examples(self) -> Iterator[Example]:
        for y in (-3, -1, 0, 1, 2, 3, 7):
            yield Example((draw(self.domains[0], (2, 3), 3),), {"y": y})
        yield Example((draw(self.domains[0], (), 4),), {"y": 2})
        yield Example((draw(complex_plane, (3,), 5),), {"y": 3})
        yield Example((draw(integers(-9, 9), (0, 3), 5),), {"y": 4})


pow_p = Pow()
integer_pow_p = IntegerPow()


def pow(x: Any, y: Any) -> Any:
    """x to the power y; y has the dtype of x, or is an integer."""
    return pow_p.bind(x, y)


def integer_pow(x: Any, y: int) -> Any:
    """x to the power of a Python integer.

    Raises:
        TypeError: x is of an integer dtype and y is negative.
    """
    return integer_pow_p.bind(x, y=operator.index(y))


def reciprocal(x: Any) -> Any:
    """1 / x."""
    return integer_pow(x, -1)
