"""The table of elementary functions: each as an expression over basic operations.

In: an operation of `ir.loops` and its operands in float32 or float64 (16-bit floats are computed
in float32 by the caller). Out: an expression of neg, add, sub, mul, div, fma, sqrt, abs, max,
floor, trunc, copysign, comparisons, select, cast, bitcast, and, or, xor and shifts. The one idea:
every emitter has these, so a function is written once, without branches, loops, tables or memory.
A select named "rare" marks operations that few values need (`maths_values.rarely`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ir.loops import DType, Expr
from . import maths_bessel as bessel
from . import maths_circular as circular
from . import maths_error as error
from . import maths_exponential as exponential
from . import maths_gamma as gamma
from . import maths_inverse as inverse
from . import maths_normal as normal
from . import maths_powers as powers
from .maths_values import Value, formats

FUNCTIONS: dict[str, Callable[..., Value]] = {
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "log": exponential.log,
    "log1p": exponential.log1p,
    "tanh": exponential.tanh,
    "logistic": exponential.logistic,
    "sin": circular.sin,
    "cos": circular.cos,
    "tan": circular.tan,
    "sinh": exponential.sinh,
    "cosh": exponential.cosh,
    "asin": inverse.asin,
    "acos": inverse.acos,
    "atan": inverse.atan,
    "atan2": inverse.atan2,
    "asinh": inverse.asinh,
    "acosh": inverse.acosh,
    "atanh": inverse.atanh,
    "erf": error.erf,
    "erfc": error.erfc,
    "erf_inv": error.erf_inv,
    "erfcx": normal.erfcx,
    "log_ndtr": normal.log_ndtr,
    "ndtri": normal.ndtri,
    "dawsn": normal.dawsn,
    "lgamma": gamma.lgamma,
    "digamma": gamma.digamma,
    "bessel_i0e": bessel.bessel_i0e,
    "bessel_i1e": bessel.bessel_i1e,
    "pow": powers.power,
    "cbrt": powers.cbrt,
    "rsqrt": powers.rsqrt,
    "sign": powers.sign,
    "round_away": powers.round_away,
    "nextafter": powers.nextafter,
}


def expand(op: str, args: tuple[Expr, ...]) -> Expr | None:
    """An operation on floats as an expression over basic operations.

    Args:
        op: an operation of `ir.loops.SCALAR_OPS`.
        args: its operands, all of float32 or all of float64; those of nextafter, which steps
            through the floats of a format, may have 16 bits.
    Returns:
        The expression; None where the table has no formula for the operation or the dtype.
    """
    function: Any = FUNCTIONS.get(op)
    dtype = args[0].dtype
    if function is None or (dtype not in formats and not steps_in(op, dtype)):
        return None
    return function(*map(Value, args)).expr


def steps_in(op: str, dtype: DType) -> bool:
    """Whether the operation is a step through the floats of 16 bits."""
    return op == "nextafter" and dtype.itemsize == 2 and dtype.kind not in "iu"
