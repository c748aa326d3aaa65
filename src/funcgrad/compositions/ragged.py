"""Products by groups of rows: block by block on a CPU, all groups at once on a GPU.

In: two operands, the sizes of the groups that one axis of the first is cut into, and which axes
play which part. Out: as `contract_ragged` gives. The one idea: a group is some blocks of so many
rows as a product needs to be fast; a block that reaches beyond its group is masked, so that a loop
over blocks multiplies little more than there is. A GPU has more use for one product with an axis
of groups more, where all but a group's rows are 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import numpy as fnp
from ..control.loops import fori_loop, while_loop
from ..control.scan import scan
from ..core.composed import compose
from ..ir.avals import aval_of
from ..primitives.contraction import dot_general_p, free_axes
from ..primitives.indexing import (
    dynamic_index_in_dim,
    dynamic_slice_in_dim,
    dynamic_update_slice_in_dim,
)
from ..primitives.product_dtypes import product_dtype, work_dtype
from ..primitives.ragged_numbers import (
    Mode,
    RaggedDotDimensionNumbers,
    ragged_shape,
    without,
    without_outer,
)

# The rows of a block: few beside a group, for its last one is mostly empty; but enough that packing
# the other matrix, or adding the result to a sum, is a small part of the product.
_LEAST, _MOST = 16, 128


@compose("ragged_dot_general", cpu=True)
def by_blocks(
    lhs: Any,
    rhs: Any,
    sizes: Any,
    *,
    ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
    precision: Any,
    preferred_element_type: Any,
) -> Any:
    """The products of the blocks, put where their rows are or added up for their group."""
    numbers = ragged_dot_dimension_numbers
    params = {"precision": precision, "preferred_element_type": preferred_element_type}
    if numbers.mode() is Mode.BATCH:
        return dot_general_p.bind(
            lhs, rhs, dimension_numbers=numbers.dot_dimension_numbers, **params
        )
    dtype = product_dtype("ragged_dot", aval_of(lhs), aval_of(rhs), preferred_element_type)
    params["preferred_element_type"] = work_dtype(dtype, lhs.dtype, rhs.dtype)
    return _contracted(lhs, rhs, sizes.astype(np.int64), numbers, params).astype(dtype)


def _contracted(
    lhs: Any, rhs: Any, sizes: Any, numbers: RaggedDotDimensionNumbers, params: dict[str, Any]
) -> Any:
    """Along the axes that the sizes differ along one after the other, the outermost first."""
    if sizes.ndim > 1:
        return _each_outer(lhs, rhs, sizes, numbers, params)
    (ragged,) = numbers.lhs_ragged_dimensions
    shape = ragged_shape(lhs.shape, rhs.shape, len(sizes), numbers)
    extent = lhs.shape[ragged]
    if not extent or not len(sizes):
        return fnp.zeros(shape, params["preferred_element_type"])
    ends = fnp.cumsum(sizes)
    spans = fnp.maximum(ends - sizes, 0), fnp.minimum(ends, extent)
    free = numbers.mode() is Mode.FREE
    rows = 1 << (extent // (len(sizes) * (4 if free else 2))).bit_length()
    rows = min(max(rows, _LEAST), _MOST, extent)
    given = _Given(lhs, rhs, spans, rows, numbers, shape, params)
    return _free(given) if free else _summed(given)


class _Given(NamedTuple):
    """A product of which one axis is in groups.

    Attributes:
        spans: of each group where it begins and where it ends.
        rows: rows of a block.
        shape: of the result.
        params: what else the product of a block is told.
    """

    lhs: Any
    rhs: Any
    spans: tuple[Any, Any]
    rows: int
    numbers: RaggedDotDimensionNumbers
    shape: tuple[int, ...]
    params: dict[str, Any]


def _free(given: _Given) -> Any:
    """Blocks of rows times their group's matrix, where the rows are."""
    lhs, rhs, spans, rows, numbers, shape, params = given
    (ragged,), (grouped,) = numbers.lhs_ragged_dimensions, numbers.rhs_group_dimensions
    (lc, rc), (lb, rb) = numbers.dot_dimension_numbers
    inner = ((lc, without(rc, grouped)), (lb, without(rb, grouped)))
    at = len(lb) + free_axes(lhs.ndim, lc, lb).index(ragged)
    dtype = params["preferred_element_type"]

    def of_group(g: Any, out: Any) -> Any:
        own = dynamic_index_in_dim(rhs, g, grouped, keepdims=False)

        def of_block(start: Any, mine: Any, out: Any) -> Any:
            block = dynamic_slice_in_dim(lhs, start, rows, ragged)
            part = dot_general_p.bind(block, own, dimension_numbers=inner, **params)
            # Groups of negative size make others overlap; the results add up.
            part = fnp.where(_along(mine, at, part.ndim), part, dtype.type(0))
            old = dynamic_slice_in_dim(out, start, rows, at)
            return dynamic_update_slice_in_dim(out, old + part, start, at)

        return _blocks(of_block, spans[0][g], spans[1][g], rows, lhs.shape[ragged], out)

    return fori_loop(0, len(spans[0]), of_group, fnp.zeros(shape, dtype))


def _summed(given: _Given) -> Any:
    """Sums over the blocks of each group."""
    lhs, rhs, spans, rows, numbers, shape, params = given
    (ragged,) = numbers.lhs_ragged_dimensions
    plain = numbers.dot_dimension_numbers
    theirs = plain[0][1][plain[0][0].index(ragged)]
    dtype = params["preferred_element_type"]

    def masked(x: Any, start: Any, mine: Any, axis: int) -> Any:
        # Both are: 0 times a number that is not finite would be NaN.
        block = dynamic_slice_in_dim(x, start, rows, axis)
        return fnp.where(_along(mine, axis, x.ndim), block, x.dtype.type(0))

    def of_group(_: None, span: tuple[Any, Any]) -> tuple[None, Any]:
        def of_block(start: Any, mine: Any, total: Any) -> Any:
            left, right = masked(lhs, start, mine, ragged), masked(rhs, start, mine, theirs)
            return total + dot_general_p.bind(left, right, dimension_numbers=plain, **params)

        (first, end), zeros = span, fnp.zeros(shape[1:], dtype)
        return None, _blocks(of_block, first, end, rows, lhs.shape[ragged], zeros)

    return scan(of_group, None, spans)[1]


def _blocks(of_block: Any, first: Any, end: Any, rows: int, extent: int, out: Any) -> Any:
    """What becomes of `out` in all blocks from row `first` to `end`.

    Args:
        of_block: takes where a block starts, which of its rows are for it, and `out`.
    """

    def turn(state: Any) -> Any:
        row, out = state
        # The last rows are read with some before them, which are not its own.
        start = fnp.minimum(row, extent - rows)
        places = start + fnp.arange(rows)
        return row + rows, of_block(start, (places >= row) & (places < end), out)

    return while_loop(lambda state: state[0] < end, turn, (first, out))[1]


def _along(mine: Any, axis: int, ndim: int) -> Any:
    """A vector along one axis of so many."""
    return mine.reshape([-1 if a == axis else 1 for a in range(ndim)])


def _each_outer(
    lhs: Any, rhs: Any, sizes: Any, numbers: RaggedDotDimensionNumbers, params: dict[str, Any]
) -> Any:
    """The contractions along the first axis on which the sizes depend, one by one."""
    axis, theirs, inner = without_outer(lhs.ndim, numbers)
    shape = ragged_shape(lhs.shape, rhs.shape, sizes.shape[-1], numbers)
    front = int(numbers.mode() is Mode.CONTRACTED)
    (lc, _), _ = numbers.dot_dimension_numbers
    added = axis in lc
    if not lhs.shape[axis]:
        return fnp.zeros(shape, params["preferred_element_type"])

    def turn(total: Any, parts: Any) -> tuple[Any, Any]:
        left, own, right = parts
        found = _contracted(left, rhs if theirs is None else right, own, inner, params)
        return (total + found, None) if added else (None, found)

    xs = fnp.moveaxis(lhs, axis, 0), sizes, None if theirs is None else fnp.moveaxis(rhs, theirs, 0)
    start = fnp.zeros(shape, params["preferred_element_type"]) if added else None
    total, found = scan(turn, start, xs)
    return total if added else fnp.moveaxis(found, 0, front)


@compose("ragged_dot_general")
def all_by_all(
    lhs: Any,
    rhs: Any,
    sizes: Any,
    *,
    ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
    **params: Any,
) -> Any:
    """A product for each group, of all rows but with those of others 0."""
    numbers = ragged_dot_dimension_numbers
    (lc, rc), (lb, rb) = numbers.dot_dimension_numbers
    if numbers.mode() is Mode.BATCH:
        return dot_general_p.bind(lhs, rhs, dimension_numbers=((lc, rc), (lb, rb)), **params)
    masked = fnp.where(_own_rows(lhs, sizes, numbers), lhs, lhs.dtype.type(0))
    lc, lb = (tuple(a + 1 for a in axes) for axes in (lc, lb))
    if numbers.mode() is Mode.FREE:
        lc, rc = (0, *lc), (*numbers.rhs_group_dimensions, *rc)
    out = dot_general_p.bind(masked, rhs, dimension_numbers=((lc, rc), (lb, rb)), **params)
    return out if numbers.mode() is Mode.FREE else fnp.moveaxis(out, len(lb), 0)


def _own_rows(lhs: Any, sizes: Any, numbers: RaggedDotDimensionNumbers) -> Any:
    """Whether places along the ragged axis are a group's: groups, then the axes of lhs."""
    (ragged,) = numbers.lhs_ragged_dimensions
    sizes = sizes.astype(np.int32)
    ends = fnp.moveaxis(fnp.cumsum(sizes, -1, dtype=np.int32), -1, 0)
    starts = ends - fnp.moveaxis(sizes, -1, 0)
    outer = numbers.prefix(lhs.ndim) if sizes.ndim > 1 else ()
    order = sorted(range(len(outer)), key=outer.__getitem__)
    shape = [sizes.shape[-1], *(lhs.shape[a] if a in outer else 1 for a in range(lhs.ndim))]
    starts, ends = (
        fnp.transpose(v, (0, *(k + 1 for k in order))).reshape(shape) for v in (starts, ends)
    )
    places = fnp.arange(lhs.shape[ragged], dtype=np.int32)
    places = places.reshape([-1 if a == ragged else 1 for a in range(lhs.ndim)])
    return (places >= starts) & (places < ends)
