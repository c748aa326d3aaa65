"""Products summed over axes: dot, matmul, tensordot, inner, outer, kron, cross and their kin.

In: two arrays, promoted to one dtype. Out: an array. Each is one `dot_general`, with axes moved
where NumPy puts them elsewhere.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import canonical_axis
from ..primitives import broadcasting, movement
from ..primitives import contraction as ops
from ..typing import Array, ArrayLike, DTypeLike
from .promotion import (
    check_arraylike,
    counting,
    promote_args,
    promote_dtypes,
    promote_dtypes_inexact,
    shape_of,
    to_array,
)

if TYPE_CHECKING:
    from jaxtyping import Shaped

# How many numbers the windows of a vector may have together; with few a product costs less.
MANY_PRODUCTS = 4096


def _pair(name: str, a: Any, b: Any, preferred: Any) -> tuple[Any, Any, Any]:
    """The operands in one dtype, and the dtype to ask of the product."""
    first = getattr(a, "aval", None)
    if first is not None and not first.weak_type and first == getattr(b, "aval", None):
        x, y = a, b
    else:
        check_arraylike(name, a, b)
        x, y = map(to_array, promote_dtypes(a, b))
    if preferred is None:
        return x, y, x.dtype
    return x, y, dtypes.check_user_dtype_supported(preferred, name)


def _contract(x: Any, y: Any, numbers: Any, precision: Any, preferred: Any) -> Any:
    return ops.dot_general(x, y, numbers, precision, preferred)


@planned
def dot(
    a: Shaped[ArrayLike, "..."],
    b: Shaped[ArrayLike, "..."],
    *,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """The product summed over the last axis of a and the last but one of b.

    Args:
        precision: None, a `lax.Precision`, its name, or a pair.
        preferred_element_type: dtype of the result.
    Raises:
        TypeError: the extents differ.
    """
    x, y, dtype = _pair("dot", a, b, preferred_element_type)
    if not x.ndim or not y.ndim:
        numbers: Any = (((), ()), ((), ()))
    else:
        numbers = (((x.ndim - 1,), (max(0, y.ndim - 2),)), ((), ()))
    return _contract(x, y, numbers, precision, dtype)


@planned
def matmul(
    a: Shaped[ArrayLike, "..."],
    b: Shaped[ArrayLike, "..."],
    *,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """Matrix products over the last two axes; leading axes broadcast, vectors lose their axis.

    Raises:
        ValueError: an operand has no axis, or leading axes do not broadcast.
        TypeError: the summed extents differ.
    """
    x, y, dtype = _pair("matmul", a, b, preferred_element_type)
    for i, operand in enumerate((x, y)):
        if not operand.ndim:
            raise ValueError(
                f"matmul input operand {i} must have ndim at least 1, but it has ndim 0.\n"
                f"  {user_line()}\n  Use multiply for scalars."
            )
    columns = y.ndim - 2 if y.ndim > 1 else 0
    if x.ndim <= 2 and y.ndim <= 2:
        return _contract(x, y, (((x.ndim - 1,), (columns,)), ((), ())), precision, dtype)
    if x.shape[-1] != y.shape[columns]:
        raise TypeError(
            f"matmul got shapes {x.shape} and {y.shape}, whose summed extents {x.shape[-1]} and "
            f"{y.shape[columns]} differ.\n  {user_line()}\n  Transpose one of them."
        )
    return _batched(x, y, precision, dtype)


def _batched(x: Any, y: Any, precision: Any, dtype: Any) -> Any:
    """Matrix products where an operand has leading axes; those of extent 1 are not multiplied."""
    left_core, right_core = min(x.ndim, 2), min(y.ndim, 2)
    leads = x.shape[: x.ndim - left_core], y.shape[: y.ndim - right_core]
    batch = broadcasting.broadcast_shapes(*leads)
    # For each batch axis: which operand walks along it.
    lead_axes: list[list[int]] = [[], []]
    drop: list[list[int]] = [[], []]
    both: list[tuple[int, int]] = []
    order: list[tuple[str, int]] = []
    for i, extent in enumerate(batch):
        places = [i - (len(batch) - len(lead)) for lead in leads]
        walks = [p >= 0 and leads[s][p] == extent and extent != 1 for s, p in enumerate(places)]
        for side, place in enumerate(places):
            if place >= 0 and not walks[side]:
                drop[side].append(place)
            elif walks[side] and not all(walks):
                lead_axes[side].append(place)
        if all(walks):
            both.append((places[0], places[1]))
        order.append(
            ("both" if all(walks) else "left" if walks[0] else "right" if walks[1] else "one", i)
        )
    x, y = (movement.squeeze(v, d) if d else v for v, d in zip((x, y), drop, strict=True))

    def kept(axis: int, side: int) -> int:
        return axis - sum(d < axis for d in drop[side])

    pairs = tuple(kept(p, 0) for p, _ in both), tuple(kept(q, 1) for _, q in both)
    column = y.ndim - 2 if right_core == 2 else y.ndim - 1
    out = _contract(x, y, (((x.ndim - 1,), (column,)), pairs), precision, dtype)
    # dot_general gives: shared batch axes, then left's own and rows, then right's own and columns.
    labels: list[Any] = [i for kind, i in order if kind == "both"]
    labels += [i for kind, i in order if kind == "left"] + (["row"] if left_core == 2 else [])
    labels += [i for kind, i in order if kind == "right"] + (["column"] if right_core == 2 else [])
    wanted: list[Any] = [i for kind, i in order if kind != "one"]
    wanted += [w for w in ("row", "column") if w in labels]
    out = movement.transpose(out, [labels.index(w) for w in wanted])
    ones = tuple(i for kind, i in order if kind == "one")
    return broadcasting.expand_dims(out, ones) if ones else out


def _check_ranks(name: str, *operands: tuple[Any, int]) -> None:
    for x, rank in operands:
        if len(shape_of(x)) < rank:
            shapes = [shape_of(v) for v, _ in operands]
            raise ValueError(
                f"{name} needs operands of {operands[0][1]} and {operands[1][1]} axes "
                f"at least, got shapes {shapes[0]} and {shapes[1]}."
            )


@planned
def matvec(x1: Shaped[ArrayLike, "*#batch m n"], x2: Shaped[ArrayLike, "*#batch n"], /) -> Array:
    """Matrices [..., m, n] times vectors [..., n]."""
    check_arraylike("matvec", x1, x2)
    _check_ranks("matvec", (x1, 2), (x2, 1))
    return matmul(x1, broadcasting.expand_dims(to_array(x2), (-1,))).squeeze(-1)


@planned
def vecmat(x1: Shaped[ArrayLike, "*#batch n"], x2: Shaped[ArrayLike, "*#batch n m"], /) -> Array:
    """Conjugated vectors [..., n] times matrices [..., n, m]."""
    from .logic import conjugate

    check_arraylike("vecmat", x1, x2)
    _check_ranks("vecmat", (x1, 1), (x2, 2))
    row = broadcasting.expand_dims(conjugate(x1), (-2,))
    return matmul(row, x2).squeeze(-2)


@planned
def vdot(
    a: Shaped[ArrayLike, "..."],
    b: Shaped[ArrayLike, "..."],
    *,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """The sum of products of the raveled arrays, the first one conjugated."""
    from .logic import conjugate

    check_arraylike("vdot", a, b)
    return dot(
        conjugate(to_array(a).reshape(-1)),
        to_array(b).reshape(-1),
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


@planned
def vecdot(
    x1: Shaped[ArrayLike, "..."],
    x2: Shaped[ArrayLike, "..."],
    /,
    *,
    axis: int = -1,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """The sums of products along an axis, the first array conjugated; other axes broadcast.

    Raises:
        ValueError: the extents of the axis differ.
    """
    from .logic import conjugate
    from .manipulation import moveaxis

    check_arraylike("vecdot", x1, x2)
    x, y = (moveaxis(v, axis, -1) for v in (conjugate(x1), to_array(x2)))
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"axes must match; got shapes {shape_of(x1)} and {shape_of(x2)} with axis={axis}."
        )
    product = matmul(
        broadcasting.expand_dims(x, (-2,)),
        broadcasting.expand_dims(y, (-1,)),
        precision=precision,
        preferred_element_type=preferred_element_type,
    )
    return product.squeeze((-2, -1))


@planned
def inner(
    a: Shaped[ArrayLike, "..."],
    b: Shaped[ArrayLike, "..."],
    *,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """The product summed over the last axes of both."""
    x, y, dtype = _pair("inner", a, b, preferred_element_type)
    if not x.ndim or not y.ndim:
        return _contract(x, y, (((), ()), ((), ())), precision, dtype)
    return _contract(x, y, (((x.ndim - 1,), (y.ndim - 1,)), ((), ())), precision, dtype)


@planned
def outer(a: Shaped[ArrayLike, "..."], b: Shaped[ArrayLike, "..."], out: None = None) -> Array:
    """The product of every element of a with every element of b, both raveled."""
    from .arithmetic import multiply
    from .reductions import refuse_out

    refuse_out("outer", out)
    x, y = promote_args("outer", *(to_array(v).reshape(-1) for v in _checked("outer", a, b)))
    return multiply(broadcasting.expand_dims(x, (1,)), broadcasting.expand_dims(y, (0,)))


def _checked(name: str, *args: Any) -> tuple[Any, ...]:
    check_arraylike(name, *args)
    return args


@planned
def tensordot(
    a: Shaped[ArrayLike, "..."],
    b: Shaped[ArrayLike, "..."],
    axes: int | Sequence[int] | Sequence[Sequence[int]] = 2,
    *,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """The product summed over axes of a and b, paired up.

    Args:
        axes: how many last axes of a go with the first of b; or the axes of a and those of b.
    Raises:
        TypeError: the axes do not pair up, or extents differ.
    """
    x, y, dtype = _pair("tensordot", a, b, preferred_element_type)
    pair: Any
    if isinstance(axes, int):
        if axes > min(x.ndim, y.ndim):
            raise TypeError(
                f"Number of tensordot axes ({axes}) exceeds input ranks ({x.ndim} and {y.ndim})."
            )
        pair = range(x.ndim - axes, x.ndim), range(axes)
    else:
        pair = axes
        if len(pair) != 2:
            raise TypeError(f"tensordot axes argument must be an int or a pair, got {axes}.")
    sides: list[tuple[int, ...]] = []
    for given, rank in zip(pair, (x.ndim, y.ndim), strict=True):
        listed: Any = (given,) if isinstance(given, (int, np.integer)) else tuple(given)
        sides.append(tuple(canonical_axis(operator.index(i), rank) for i in listed))
    if len(sides[0]) != len(sides[1]):
        raise TypeError(f"tensordot requires axes lists to have equal length, got {axes}.")
    return _contract(x, y, ((sides[0], sides[1]), ((), ())), precision, dtype)


@planned
def kron(a: Shaped[ArrayLike, "..."], b: Shaped[ArrayLike, "..."]) -> Array:
    """The Kronecker product: every element of a times all of b."""
    x, y = map(to_array, promote_dtypes(*_checked("kron", a, b)))
    rank = max(x.ndim, y.ndim)
    x, y = broadcasting.broadcast_to_rank(x, rank), broadcasting.broadcast_to_rank(y, rank)
    spread_x = x.reshape(tuple(n for extent in x.shape for n in (extent, 1)))
    spread_y = y.reshape(tuple(n for extent in y.shape for n in (1, extent)))
    shape = tuple(m * n for m, n in zip(x.shape, y.shape, strict=True))
    return (spread_x * spread_y).reshape(shape)


@planned
def cross(
    a: Shaped[ArrayLike, "..."],
    b: Shaped[ArrayLike, "..."],
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Array:
    """The vector product along axes of extent 3 (or 2, whose third component is 0).

    Raises:
        ValueError: an extent is neither 2 nor 3.
    """
    from .joining import stack
    from .manipulation import moveaxis

    check_arraylike("cross", a, b)
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if x.shape[-1] not in (2, 3) or y.shape[-1] not in (2, 3):
        raise ValueError(
            f"Dimension must be either 2 or 3 for cross product, got {x.shape[-1]} and "
            f"{y.shape[-1]}."
        )
    if x.shape[-1] == 2 and y.shape[-1] == 2:
        return x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0]
    zero = 0 * x[..., 0]
    u = [x[..., i] for i in range(x.shape[-1])] + [zero] * (3 - x.shape[-1])
    zero = 0 * y[..., 0]
    v = [y[..., i] for i in range(y.shape[-1])] + [zero] * (3 - y.shape[-1])
    parts = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
    return stack(parts, axis=axisc if axisc >= 0 else parts[0].ndim + 1 + axisc)


@planned
def convolve(
    a: Shaped[ArrayLike, "n"],
    v: Shaped[ArrayLike, "m"],
    mode: str = "full",
    *,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """The convolution of two vectors: out[k] = Σ a[n] · v[k - n].

    Args:
        mode: "full", "same" (as long as the longer one), or "valid" (full overlap only).
    Raises:
        ValueError: another mode, no elements, or operands that are no vectors.
    """
    check_arraylike("convolve", a, v)
    first, second = promote_dtypes_inexact(a, v)
    x, y, dtype = _pair("convolve", first, second, preferred_element_type)
    return _slide("convolve", x, y[::-1] if y.ndim == 1 else y, mode, precision, dtype)


@planned
def correlate(
    a: Shaped[ArrayLike, "n"],
    v: Shaped[ArrayLike, "m"],
    mode: str = "valid",
    *,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """The correlation of two vectors: out[k] = Σ a[n + k] · conj(v[n]); modes as in `convolve`."""
    check_arraylike("correlate", a, v)
    first, second = promote_dtypes_inexact(a, v)
    x, y, dtype = _pair("correlate", first, second, preferred_element_type)
    y = y.conj()
    if mode == "full" or x.shape >= y.shape:
        return _slide("correlate", x, y, mode, precision, dtype)
    return _slide("correlate", y, x, mode, precision, dtype)[::-1]


def _slide(name: str, x: Any, y: Any, mode: str, precision: Any, dtype: Any) -> Any:
    """Products of y with every window of x: as one matrix product, or many as a convolution."""
    from ..primitives.convolution import conv_general_dilated
    from .padding import pad

    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(f"{name}() only support 1-dimensional inputs, got {x.shape}, {y.shape}.")
    if not x.size or not y.size:
        raise ValueError(f"{name}: inputs cannot be empty, got shapes {x.shape} and {y.shape}.")
    if x.shape[0] < y.shape[0]:
        x, y = y[::-1], x[::-1]
    m, n = x.shape[0], y.shape[0]
    if mode == "full":
        low = high = n - 1
    elif mode == "same":
        low, high = n // 2, n - 1 - n // 2
    elif mode == "valid":
        low = high = 0
    else:
        raise ValueError(f"mode must be one of ['full', 'same', 'valid'], got {mode!r}.")
    count = m + low + high - n + 1
    if count * n > MANY_PRODUCTS:
        options = {"precision": precision, "preferred_element_type": dtype}
        sides = x[None, None], y[None, None]
        return conv_general_dilated(*sides, (1,), [(low, high)], **options)[0, 0]
    padded = pad(x, (low, high))
    steps: Any = counting(n)
    positions: Any = counting(count)[:, None] + steps
    return dot(
        padded[positions.astype(np.int32)], y, precision=precision, preferred_element_type=dtype
    )
