"""Activations: elementwise functions, and softmax and its kin over an axis.

Names, meanings and derivatives at the corners are those of `jax.nn`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import lax
from .. import numpy as fnp
from ..control.custom_jvp import custom_jvp
from ..control.plans import planned
from ..core.sources import user_line
from ..numpy.promotion import check_arraylike, promote_args_inexact, to_array

if TYPE_CHECKING:
    from jaxtyping import Integer, Num, Shaped

Axis = int | tuple[int, ...] | None
Scalar = int | float


def identity(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """x."""
    return fnp.asarray(x)


@planned
def relu(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """max(x, 0), with derivative 0 at 0."""
    x = _operand("relu", x)
    return fnp.where(x <= 0, fnp.zeros_like(x), x)


@planned
def relu6(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """min(max(x, 0), 6), with derivative 0 at 0 and at 6."""
    x = _inexact("relu6", x)
    return fnp.where(x <= 0, fnp.zeros_like(x), fnp.where(x >= 6, fnp.full_like(x, 6), x))


@planned
def squareplus(
    x: Num[Any, "*shape"] | Scalar, b: Num[Any, "..."] | Scalar = 4
) -> Num[Any, "*shape"]:
    """(x + √(x² + b)) / 2.

    Source: Barron, arXiv:2112.11687.
    """
    x = _inexact("squareplus", x)
    return (x + fnp.sqrt(fnp.square(x) + b)) / 2


@planned
def softplus(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """log(1 + eˣ)."""
    return fnp.logaddexp(x, 0)


@planned
def sparse_plus(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """0 up to −1, (x + 1)² / 4 between −1 and 1, x from 1 on."""
    x = _inexact("sparse_plus", x)
    return fnp.where(x <= -1, 0.0, fnp.where(x >= 1, x, fnp.square(x + 1) / 4))


@planned
def soft_sign(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """x / (|x| + 1)."""
    x = _inexact("soft_sign", x)
    return x / (fnp.abs(x) + 1)


@planned
def sigmoid(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """1 / (1 + e⁻ˣ)."""
    return lax.logistic(_inexact("sigmoid", x))


@planned
def sparse_sigmoid(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """0 up to −1, (x + 1) / 2 between −1 and 1, 1 from 1 on: the derivative of `sparse_plus`.

    Source: Blondel et al., arXiv:1901.02324, section 6.2.
    """
    return 0.5 * fnp.clip(_inexact("sparse_sigmoid", x) + 1, 0.0, 2.0)


@planned
def hard_sigmoid(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """relu6(x + 3) / 6."""
    return relu6(_inexact("hard_sigmoid", x) + 3) / 6


@planned
def silu(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """x · sigmoid(x); also called swish."""
    return _inexact("silu", x) * sigmoid(x)


swish = silu


@planned
def hard_silu(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """x · hard_sigmoid(x); also called hard swish."""
    return _inexact("hard_silu", x) * hard_sigmoid(x)


hard_swish = hard_silu


@planned
def mish(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """x · tanh(softplus(x)).

    Source: Misra, arXiv:1908.08681.
    """
    x = _inexact("mish", x)
    return x * fnp.tanh(softplus(x))


@planned
def tanh(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """Hyperbolic tangent."""
    return fnp.tanh(x)


@planned
def hard_tanh(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """x cut to [−1, 1]."""
    x = _operand("hard_tanh", x)
    return fnp.where(x > 1, fnp.ones_like(x), fnp.where(x < -1, -fnp.ones_like(x), x))


@planned
def log_sigmoid(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """log(sigmoid(x))."""
    return -softplus(-_inexact("log_sigmoid", x))


@planned
def leaky_relu(
    x: Num[Any, "*shape"] | Scalar, negative_slope: Num[Any, "..."] | Scalar = 0.01
) -> Num[Any, "*shape"]:
    """x where x ≥ 0, negative_slope · x elsewhere."""
    x = _operand("leaky_relu", x)
    return fnp.where(x >= 0, x, negative_slope * x)


@planned
def elu(
    x: Num[Any, "*shape"] | Scalar, alpha: Num[Any, "..."] | Scalar = 1.0
) -> Num[Any, "*shape"]:
    """x where x > 0, alpha · (eˣ − 1) elsewhere."""
    x = _inexact("elu", x)
    # The exponential sees no positive values, so that its derivative cannot overflow.
    return fnp.where(x > 0, x, alpha * fnp.expm1(fnp.where(x > 0, fnp.zeros_like(x), x)))


@planned
def celu(
    x: Num[Any, "*shape"] | Scalar, alpha: Num[Any, "..."] | Scalar = 1.0
) -> Num[Any, "*shape"]:
    """max(x, 0) + alpha · (e^(min(x, 0) / alpha) − 1).

    Source: Barron, arXiv:1704.07483.
    """
    x = _inexact("celu", x)
    return fnp.maximum(x, 0.0) + alpha * fnp.expm1(fnp.minimum(x, 0.0) / alpha)


@planned
def selu(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """λ · elu(x, α) with the α and λ that keep mean 0 and variance 1.

    Source: Klambauer et al., arXiv:1706.02515.
    """
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


@planned
def gelu(x: Num[Any, "*shape"] | Scalar, approximate: bool = True) -> Num[Any, "*shape"]:
    """x · Φ(x), Φ the normal distribution function; by tanh when approximate.

    Source: Hendrycks & Gimpel, arXiv:1606.08415.
    """
    return _gelu(_inexact("gelu", x), approximate)


# The slope is a value of its own: for the gradient that one is kept, not all that it is made of.
@partial(custom_jvp, nondiff_argnums=(1,))
def _gelu(x: Any, approximate: bool) -> Any:
    if approximate:
        return 0.5 * x * (1 + fnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * lax.erfc(-x * math.sqrt(0.5))


@_gelu.defjvp
def _(approximate: bool, primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    if approximate:
        u = fnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
        slope = 0.5 * (1 + u) + 0.5 * x * ((1 - u) * (1 + u)) * inner
        return 0.5 * x * (1 + u), dx * slope
    twice = lax.erfc(-x * math.sqrt(0.5))
    slope = 0.5 * twice + x * fnp.exp(-0.5 * x * x) * math.sqrt(0.5 / math.pi)
    return 0.5 * x * twice, dx * slope


@planned
def glu(x: Num[Any, "..."], axis: int = -1) -> Num[Any, "..."]:
    """The first half of x times sigmoid of the second half, along an axis.

    Raises:
        ValueError: the axis does not halve.
    Source: Dauphin et al., arXiv:1612.08083.
    """
    x = _inexact("glu", x)
    if x.shape[axis] % 2:
        raise ValueError(
            f"glu halves axis {axis}, whose extent in {x.aval.short()} is odd.\n  {user_line()}\n"
            "  Give an input with an even number of features there."
        )
    values, gates = fnp.split(x, 2, axis)
    return values * sigmoid(gates)


@planned
def softmax(
    x: Num[Any, "*shape"] | Scalar,
    axis: Axis = -1,
    where: Shaped[Any, "..."] | bool | None = None,
) -> Num[Any, "*shape"]:
    """e^xᵢ / Σⱼ e^xⱼ over the axis, computed from x − max(x).

    Args:
        where: a mask of the elements that take part; the others get 0.
    """
    operand = _inexact("softmax", x)
    return _softmax(operand, where, axis) if operand.size else operand


# The derivative is of the result alone: of all between, nothing is kept for it.
@partial(custom_jvp, nondiff_argnums=(2,))
def _softmax(x: Any, where: Any, axis: Axis) -> Any:
    weights = fnp.exp(_shifted(x, axis, where))
    out = weights / fnp.sum(weights, axis=axis, keepdims=True, where=where)
    return out if where is None else fnp.where(where, out, fnp.zeros_like(out))


@_softmax.defjvp
def _(axis: Axis, primals: Any, tangents: Any) -> Any:
    (x, where), (dx, _) = primals, tangents
    y = _softmax(x, where, axis)
    part = y * dx
    return y, part - y * fnp.sum(part, axis=axis, keepdims=True, where=where)


@planned
def log_softmax(
    x: Num[Any, "*shape"] | Scalar,
    axis: Axis = -1,
    where: Shaped[Any, "..."] | bool | None = None,
) -> Num[Any, "*shape"]:
    """log(softmax(x)), without the loss of precision of writing it so.

    Args:
        where: a mask of the elements that take part; the others get −∞.
    """
    operand = _inexact("log_softmax", x)
    if not operand.size:
        return operand
    shifted = _shifted(operand, axis, where)
    total = fnp.sum(fnp.exp(shifted), axis=axis, keepdims=True, where=where)
    out = shifted - fnp.log(total)
    return out if where is None else fnp.where(where, out, -fnp.inf)


def _shifted(x: Any, axis: Axis, where: Any) -> Any:
    """X − max(x), −∞ where masked out."""
    if where is None:
        return x - lax.stop_gradient(fnp.max(x, axis=axis, keepdims=True))
    top = fnp.max(x, axis=axis, keepdims=True, where=where, initial=-fnp.inf)
    return fnp.where(where, x, -fnp.inf) - lax.stop_gradient(top)


@planned
def logsumexp(
    a: Num[Any, "..."] | Scalar,
    axis: Axis = None,
    b: Num[Any, "..."] | Scalar | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Shaped[Any, "..."] | bool | None = None,
) -> Any:
    """log Σ b e^a over axes, without overflow; −∞ of nothing.

    Args:
        b: factors, 1 by default; where one is 0, its element does not count.
        return_sign: return (log |Σ|, sign of Σ); else the result is NaN where Σ < 0.
        where: a mask of the elements to take.
    """
    from ..scipy import special

    return special.logsumexp(a, axis, b, keepdims, return_sign, where)


@planned
def logmeanexp(
    x: Num[Any, "..."] | Scalar,
    axis: Axis = None,
    where: Shaped[Any, "..."] | bool | None = None,
    keepdims: bool = False,
) -> Num[Any, "..."]:
    """The logarithm of the mean of eˣ over axes, without overflow.

    Args:
        where: a mask of the elements to take.
    """
    total = logsumexp(x, axis, keepdims=keepdims, where=where)
    taken = fnp.ones_like(fnp.asarray(x), dtype=total.dtype)
    return total - fnp.log(fnp.sum(taken, axis=axis, keepdims=keepdims, where=where))


@custom_jvp
def _log1mexp(x: Any) -> Any:
    # Each form loses digits on the other side of log 2 (Mächler, Accurately computing
    # log(1 - exp(-|a|)), 2012).
    near = x < math.log(2.0)
    small = fnp.log(-fnp.expm1(-fnp.where(near, x, 1.0)))
    large = fnp.log1p(-fnp.exp(-fnp.where(near, 1.0, x)))
    return fnp.where(near, small, large)


def _log1mexp_slope(t: Any, out: Any, x: Any) -> Any:
    return t / fnp.expm1(x)


_log1mexp.defjvps(_log1mexp_slope)


@planned
def log1mexp(x: Num[Any, "*shape"] | Scalar) -> Num[Any, "*shape"]:
    """log(1 − e⁻ˣ) for x ≥ 0; NaN below.

    Source: Mächler, Accurately Computing log(1 − exp(−|a|)), 2012.
    """
    return _log1mexp(_inexact("log1mexp", x))


@planned
def standardize(
    x: Num[Any, "*shape"],
    axis: Axis = -1,
    mean: Num[Any, "..."] | Scalar | None = None,
    variance: Num[Any, "..."] | Scalar | None = None,
    epsilon: Num[Any, "..."] | Scalar = 1e-5,
    where: Shaped[Any, "..."] | bool | None = None,
    *,
    algorithm: str = "fast",
) -> Num[Any, "*shape"]:
    """(x − mean) / √(variance + epsilon), mean and variance over the axis unless given.

    Args:
        where: a mask of the elements that the mean and variance are of.
        algorithm: `"fast"`: variance by E[x²] − E[x]²; `"stable"`: by E[(x − E[x])²].
    Raises:
        ValueError: unknown algorithm.
    """
    if algorithm not in ("fast", "stable"):
        raise ValueError(
            f"standardize has the algorithms 'fast' and 'stable', got {algorithm!r}.\n"
            f"  {user_line()}"
        )
    x = _inexact("standardize", x)
    centre = fnp.mean(x, axis=axis, keepdims=True, where=where) if mean is None else mean
    if variance is None and algorithm == "stable":
        variance = fnp.mean(fnp.square(x - centre), axis=axis, keepdims=True, where=where)
    elif variance is None:
        squares = fnp.mean(fnp.square(x), axis=axis, keepdims=True, where=where)
        variance = fnp.maximum(squares - fnp.square(centre), 0)
    return (x - centre) * lax.rsqrt(variance + fnp.asarray(epsilon, x.dtype))


def _operand(name: str, x: Any) -> Any:
    """The array or number as an array, weakly typed if it is a number of Python.

    Raises:
        TypeError: it is neither, a list for one.
    """
    check_arraylike(name, x)
    return to_array(x)


def _inexact(name: str, x: Any) -> Any:
    """`_operand`, integers as floats."""
    return promote_args_inexact(name, _operand(name, x))[0]


@planned
def one_hot(
    x: Integer[Any, "..."] | int, num_classes: int, *, dtype: Any = None, axis: int | str = -1
) -> Shaped[Any, "..."]:
    """1 at index x along a new axis of `num_classes`, 0 elsewhere; all 0 for x out of range.

    Args:
        x: integers.
        dtype: of the result; the default float.
        axis: where the new axis is; or the name of a mapped axis of `num_classes`, which it is.
    Raises:
        ValueError: the mapped axis has another size.
    """
    ids: Any = fnp.asarray(x)
    dtype = dtype if dtype is not None else fnp.result_type(float)
    if isinstance(axis, str):
        if lax.axis_size(axis) != num_classes:
            raise ValueError(
                f"one_hot of {num_classes} classes over the axis {axis!r} of "
                f"{lax.axis_size(axis)}: the two must agree.\n  {user_line()}"
            )
        return fnp.equal(ids, lax.axis_index(axis)).astype(dtype)
    out = fnp.equal(ids[..., None], fnp.arange(num_classes, dtype=ids.dtype)).astype(dtype)
    return fnp.moveaxis(out, -1, axis)
