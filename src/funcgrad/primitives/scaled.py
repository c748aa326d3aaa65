"""scaled_dot: contraction of operands that carry scales for blocks of their contracted axes.

The one idea: small numbers times a scale for each block keep the range of wider ones; factors are
of bfloat16, sums of float32.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.axes import to_front
from ..core.primitive import AxisData, Example, NotDifferentiable, Primitive
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import (
    Affine,
    Expr,
    Fold,
    IndexTuple,
    Lowered,
    Operand,
    apply,
    cast,
    divmod_index,
)
from .contraction import (
    Axes,
    DimensionNumbers,
    bump,
    check_dimension_numbers,
    contract,
    free_axes,
    output_shape,
)
from .kinds import draw, integers, reals

_half = np.dtype(dtypes.bfloat16)


class ScaledDot(Primitive):
    """Operands: lhs, rhs, their scales, all of one rank."""

    name = "scaled_dot"
    jvp_term = NotDifferentiable("the scales of its tangents are not defined")

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        lhs, rhs, lhs_scale, rhs_scale = avals
        numbers: DimensionNumbers = params["dimension_numbers"]
        if len({a.ndim for a in avals}) > 1:
            raise TypeError(
                "scaled_dot needs operands and scales of one rank, got "
                f"{', '.join(a.long() for a in avals)}.\n  {user_line()}"
            )
        check_dimension_numbers(lhs, rhs, numbers)
        check_scale("lhs", lhs, lhs_scale, numbers[0][0])
        check_scale("rhs", rhs, rhs_scale, numbers[0][1])
        shape = output_shape(lhs.shape, rhs.shape, numbers)
        return ShapedArray(shape, params["preferred_element_type"])

    def impl(self, *arrays: Any, **params: Any) -> Any:
        lhs, rhs, lhs_scale, rhs_scale = arrays
        numbers: DimensionNumbers = params["dimension_numbers"]
        left = scaled(lhs, lhs_scale, numbers[0][0])
        right = scaled(rhs, rhs_scale, numbers[0][1])
        dtype: np.dtype[Any] = params["preferred_element_type"]
        work = result_work(dtype)
        return contract(left.astype(work), right.astype(work), numbers).astype(dtype, copy=False)

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        fronted = [to_front(x, d, axis.size) for x, d in zip(args, dims, strict=True)]
        contracts, batches = params["dimension_numbers"]
        left, right = (bump(axes, 0) for axes in contracts)
        lead, follow = ((0, *bump(axes, 0)) for axes in batches)
        numbers = (left, right), (lead, follow)
        return self.bind(*fronted, **{**params, "dimension_numbers": numbers}), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        numbers: DimensionNumbers = params["dimension_numbers"]
        (lc, rc), (lb, rb) = numbers
        lhs, rhs, *scales = operands
        work = result_work(params["preferred_element_type"])
        left_free = free_axes(len(lhs.shape), lc, lb)
        right_free = free_axes(len(rhs.shape), rc, rb)
        count, middle = len(lb), len(lb) + len(left_free)

        def at(index: IndexTuple, folded: IndexTuple) -> Expr:
            batch = index[:count]
            left = (*batch, *index[count:middle], *folded)
            right = (*batch, *index[middle:], *folded)
            factors = (
                scaled_element(
                    lhs, scales[0], dict(zip((*lb, *left_free, *lc), left, strict=True))
                ),
                scaled_element(
                    rhs, scales[1], dict(zip((*rb, *right_free, *rc), right, strict=True))
                ),
            )
            return apply("mul", *[cast(x, work) for x in factors])

        return Fold("add", tuple(lhs.shape[a] for a in lc), at, work)

    def examples(self) -> Iterator[Example]:
        matrix: DimensionNumbers = (((1,), (0,)), ((), ()))
        batched: DimensionNumbers = (((2, 1), (1, 2)), ((0,), (0,)))
        for numbers, shapes, dtype in (
            (matrix, ((3, 8), (8, 2), (3, 4), (2, 2)), np.float32),
            (matrix, ((0, 4), (4, 2), (0, 1), (2, 2)), dtypes.bfloat16),
            (batched, ((2, 4, 6), (2, 6, 4), (2, 2, 3), (2, 1, 2)), dtypes.bfloat16),
        ):
            args = [draw(reals(-2.0, 2.0), shape, i) for i, shape in enumerate(shapes)]
            halves = [x.astype(_half).astype(np.float32) for x in args]
            params = {"dimension_numbers": numbers, "preferred_element_type": np.dtype(dtype)}
            yield Example(tuple(halves), params)
        ints = (draw(integers(-9, 9, np.int8), (4, 4), i) for i in range(2))
        scales = (np.full(shape, 0.5, _half) for shape in ((4, 2), (1, 4)))
        params = {"dimension_numbers": matrix, "preferred_element_type": np.dtype(np.float32)}
        yield Example((*ints, *scales), params)


scaled_dot_p = ScaledDot()


def check_scale(name: str, operand: ShapedArray, scale: ShapedArray, contracted: Axes) -> None:
    """Raise TypeError unless a scale has the operand's shape, with blocks of at least 2."""
    for axis, (extent, blocks) in enumerate(zip(operand.shape, scale.shape, strict=True)):
        if axis not in contracted:
            fits = extent == blocks
        else:
            fits = blocks > 0 and extent % blocks == 0 and extent // blocks >= 2
        if not fits:
            raise TypeError(
                f"scaled_dot: {name} {operand.long()} does not fit its scale {scale.long()} along "
                f"axis {axis}: contracted extents are a multiple, 2 or more, of the scale's, the "
                f"others equal.\n  {user_line()}"
            )


def result_work(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that products are added in."""
    return np.result_type(np.float32, dtype) if dtype.kind in "fc" else np.dtype(np.float32)


def scaled_element(x: Operand, scale: Operand, places: dict[int, Affine]) -> Expr:
    """An element times the scale of its block, rounded to bfloat16."""
    index = [places[a] for a in range(len(x.shape))]
    blocks = [
        divmod_index(i, n // m)[0] if m else i
        for i, n, m in zip(index, x.shape, scale.shape, strict=True)
    ]
    # Products of two bfloat16 are exact in float32.
    pair = (cast(cast(e, _half), np.float32) for e in (x.at(index), scale.at(blocks)))
    return cast(apply("mul", *pair), _half)


def scaled(operand: Any, scale: Any, contracted: Axes) -> Any:
    """The product of an operand and the scales of its blocks, rounded to bfloat16."""
    for axis in contracted:
        scale = np.repeat(scale, operand.shape[axis] // scale.shape[axis], axis)
    # Products of two bfloat16 are exact in float32.
    x, y = (a.astype(_half).astype(np.float32) for a in (operand, scale))
    return (x * y).astype(_half)


def scaled_dot(
    lhs: Any,
    rhs: Any,
    *,
    lhs_scale: Any = None,
    rhs_scale: Any = None,
    dimension_numbers: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """The contraction of lhs · lhs_scale and rhs · rhs_scale; it has no derivative.

    Args:
        lhs, rhs: numbers of one rank; both are rounded to bfloat16.
        lhs_scale, rhs_scale: numbers of the shape of their operand, but for contracted axes,
            which they divide into equal blocks of at least 2; 1 unless given.
        dimension_numbers: as in `dot_general`; unless given, a product of the last two axes.
        preferred_element_type: dtype of the result; bfloat16 unless given.
    Raises:
        TypeError: ranks, axes or extents that do not agree.
    """
    left, right = aval_of(lhs), aval_of(rhs)
    if dimension_numbers is None:
        if left.ndim < 2:
            raise TypeError(
                f"scaled_dot needs operands of rank 2 or more, got {left.long()}.\n"
                f"  {user_line()}\n  Add an axis, or give dimension_numbers."
            )
        lead = tuple(range(left.ndim - 2))
        dimension_numbers = ((left.ndim - 1,), (left.ndim - 2,)), (lead, lead)
    contracts, batches = dimension_numbers
    lc, rc = (tuple(map(operator.index, axes)) for axes in contracts)
    lb, rb = (tuple(map(operator.index, axes)) for axes in batches)
    dtype = preferred_element_type
    dtype = _half if dtype is None else dtypes.check_user_dtype_supported(dtype, "scaled_dot")
    return scaled_dot_p.bind(
        lhs,
        rhs,
        ones_for(left, lc) if lhs_scale is None else lhs_scale,
        ones_for(right, rc) if rhs_scale is None else rhs_scale,
        dimension_numbers=((lc, rc), (lb, rb)),
        preferred_element_type=dtype,
    )


def ones_for(operand: ShapedArray, contracted: Axes) -> Any:
    """Scales that change nothing."""
    from .creation import full

    shape = tuple(1 if i in contracted else n for i, n in enumerate(operand.shape))
    return full(shape, 1, _half)
