"""Step functions: sign, rounding, finiteness; and stop_gradient, a constant by definition.

In: real numbers (sign: any). Out: the same dtype, booleans from is_finite. The one idea: between
the jumps nothing changes, so all derivatives are zero.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.primitive import Example, NotDifferentiable
from ..ir import dtypes
from ..ir.avals import aval_of
from ..ir.loops import Expr, apply
from .elementwise import UnaryUfunc
from .kinds import Unary


class RoundingMethod(enum.IntEnum):
    """Where `round` sends values halfway between two integers."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


class Step(UnaryUfunc):
    """A function whose derivative is zero wherever it has one."""

    accepts = (np.floating,)
    jvp_term = NotDifferentiable("it is constant between its jumps", zero=True)


class Sign(Step):
    """-1, 0 (of the sign of x) or 1; NaN stays; z / |z| of a complex number."""

    name = "sign"
    accepts = (np.number,)
    ufunc = np.sign

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        out = np.sign(x)
        if x.dtype.kind == "c":
            # NumPy's direction of an infinity beside a NaN is that of the infinity.
            return np.where(np.isnan(x), np.array(complex(np.nan, np.nan), x.dtype), out)
        return out if x.dtype.kind in "iu" else np.copysign(out, x)


class Floor(Step):
    """The greatest integer not above x."""

    name = "floor"
    ufunc = np.floor


class Ceil(Step):
    """The least integer not below x."""

    name = "ceil"
    ufunc = np.ceil


class Round(Step):
    """The nearest integer; `rounding_method` says where halves go."""

    name = "round"
    ufunc = np.rint

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        if params["rounding_method"] == RoundingMethod.TO_NEAREST_EVEN:
            return np.rint(x)
        # Adding 0.5 first would round the float just below 0.5 up.
        whole = np.trunc(x)
        up = np.abs(x - whole) >= np.array(0.5, x.dtype)
        return whole + np.copysign(up.astype(x.dtype), x)

    def scalar(self, x: Expr, rounding_method: RoundingMethod) -> Expr:
        even = rounding_method == RoundingMethod.TO_NEAREST_EVEN
        return apply("round" if even else "round_away", x)

    def examples(self) -> Iterator[Example]:
        for method in RoundingMethod:
            for example in super().examples():
                yield Example(example.args, {"rounding_method": method})


class IsFinite(Step):
    """Whether x is neither infinite nor NaN."""

    name = "is_finite"
    ufunc = np.isfinite

    def result_dtype(self, *operand_dtypes: np.dtype[Any], **params: Any) -> Any:
        return np.dtype(np.bool_)


class StopGradient(Unary):
    """x itself, constant to derivatives."""

    name = "stop_gradient"
    accepts = (np.number, np.bool_)
    jvp_term = NotDifferentiable("its derivative is zero by definition", zero=True)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return arrays[0]

    def scalar(self, x: Expr) -> Expr:
        return x

    def forwards(self, eqn: Any) -> Any:
        """The operand: to a program without derivatives, this is the identity."""
        return eqn.invars[0]


sign_p = Sign()
floor_p = Floor()
ceil_p = Ceil()
round_p = Round()
is_finite_p = IsFinite()
stop_gradient_p = StopGradient()


def sign(x: Any) -> Any:
    """-1, 0 or 1 by the sign of x; z / |z| for complex z."""
    return sign_p.bind(x)


def floor(x: Any) -> Any:
    """The greatest integer not above x."""
    return floor_p.bind(x)


def ceil(x: Any) -> Any:
    """The least integer not below x."""
    return ceil_p.bind(x)


def is_finite(x: Any) -> Any:
    """Whether x is neither infinite nor NaN, as booleans."""
    return is_finite_p.bind(x)


def round(x: Any, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO) -> Any:
    """The nearest integer to x, as a float.

    Raises:
        ValueError: `rounding_method` is not a RoundingMethod.
    """
    return round_p.bind(x, rounding_method=RoundingMethod(rounding_method))


def stop_gradient(x: Any) -> Any:
    """The arrays of a pytree unchanged, as constants to every derivative."""
    from .. import tree

    return tree.map(_stop_gradient, x)


def _stop_gradient(x: Any) -> Any:
    return x if dtypes.is_key_dtype(aval_of(x).dtype) else stop_gradient_p.bind(x)
