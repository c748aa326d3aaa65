"""Reductions over windows: sums and extrema, and what differentiates extrema.

In: one array and its windows. Out: one value a window. The one idea: a window's tangent is that
of its winner, gathered forward by `select_and_gather_add` and scattered back by
`select_and_scatter_add`, each the transpose of the other. Windows folded by any computation are
in `control.folds`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar

import numpy as np

from ..core.axes import to_front
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..core.zeros import UndefinedPrimal
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import Library, Lowered, Operand
from .kinds import draw, integers, reals
from .lowered_windows import gathered_winners, scattered_winners, window_fold
from .reduction import accumulator, highest, lowest, zero
from .windowing import dilated, pad_numpy, padtype_to_pads, window_counts

_each = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")
_neutral = (1, 1, (0, 0), 1, 1)


def window_params(
    shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Params of windows over an array of this shape: ints and pairs, one an axis."""
    ones = (1,) * len(window_dimensions)
    window = tuple(map(operator.index, window_dimensions))
    strides, base, inner = (
        ones if given is None else tuple(map(operator.index, given))
        for given in (window_strides, base_dilation, window_dilation)
    )
    if isinstance(padding, str):
        padding = padtype_to_pads(shape, dilated(window, inner), strides, padding)
    pads = tuple((operator.index(low), operator.index(high)) for low, high in padding)
    return dict(zip(_each, (window, strides, pads, base, inner), strict=True))


def shifted_params(params: dict[str, Any]) -> dict[str, Any]:
    """Params for an operand with a batch axis in front: windows of one place along it."""
    added = {k: (n, *params[k]) for k, n in zip(_each, _neutral, strict=True)}
    return {**params, **added}


def windowed_shape(name: str, x: ShapedArray, params: dict[str, Any]) -> tuple[int, ...]:
    """Number of windows along each axis.

    Raises:
        TypeError: a param has not one entry an axis, or an extent or step is not positive.
    """
    problem = None
    for key in _each:
        if len(params[key]) != x.ndim:
            problem = f"{key}={params[key]} must have {x.ndim} entries"
            break
        if key != "padding" and any(n < 1 for n in params[key]):
            problem = f"{key}={params[key]} must be positive"
            break
    if problem:
        raise TypeError(
            f"{name}: {problem} for {x.long()} with window_dimensions "
            f"{params['window_dimensions']}.\n  {user_line()}\n"
            "  Give one entry for each axis; 1 leaves an axis alone."
        )
    return window_counts(x.shape, *(params[key] for key in _each))


class ReduceWindow(Primitive):
    """One fold over every window of an array.

    Attributes:
        ufunc: folds two elements.
        identity: what padding holds.
        op: the operation of the fold it is compiled to.
    """

    ufunc: ClassVar[Any]
    op: ClassVar[str]
    identity: ClassVar[Any]
    accepts: ClassVar[tuple[Any, ...]] = (np.number,)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        if not any(dtypes.issubdtype(x.dtype, kind) for kind in self.accepts):
            raise TypeError(
                f"{self.name} does not accept dtype {dtypes.short_name(x.dtype)}.\n"
                f"  {user_line()}\n  Convert with astype."
            )
        return x.update(shape=windowed_shape(self.name, x, params))

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        work = x.astype(accumulator(x.dtype), copy=False)
        counts = window_counts(x.shape, *(params[key] for key in _each))
        start = np.asarray(type(self).identity(work.dtype)).astype(work.dtype)
        if 0 in counts:
            return np.zeros(counts, x.dtype)
        out = pad_numpy(work, start, params["padding"], params["base_dilation"])
        # Axis by axis: a window of k by k places costs 2k steps in place of k squared.
        for axis, count in enumerate(counts):
            out = self._along(out, axis, count, params)
        return out.astype(x.dtype, copy=False)

    def _along(self, x: Any, axis: int, count: int, params: dict[str, Any]) -> Any:
        size, stride, step = (
            params[key][axis] for key in ("window_dimensions", "window_strides", "window_dilation")
        )
        lead = (slice(None),) * axis
        total: Any = None
        for k in range(size):
            start = k * step
            part = x[(*lead, slice(start, start + (count - 1) * stride + 1, stride))]
            if k == 0:
                total = part
            elif k == 1:
                total = self.ufunc(total, part)
            else:
                self.ufunc(total, part, out=total)
        return total

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        x = to_front(args[0], dims[0], axis.size)
        return self.bind(x, **shifted_params(params)), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,) = operands
        work = accumulator(x.dtype)
        otherwise = window_fold(self.op, x, type(self).identity(work), work, params)
        return Library("pool", (self.op, params), otherwise)

    def examples(self) -> Iterator[Example]:
        for shape, params in window_cases:
            yield Example((draw(reals(-2.0, 2.0), shape, 3 + len(shape)),), params)
        params = window_params((3, 4), (2, 2))
        yield Example((draw(integers(-9, 9), (3, 4), 5),), params)


window_cases: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((4, 6), window_params((4, 6), (2, 3), (2, 1), "SAME")),
    ((5,), window_params((5,), (3,), (1,), ((-1, 1),))),
    ((7,), window_params((7,), (2,), (2,), ((1, 2),), (2,), (3,))),
    ((2, 5, 3), window_params((2, 5, 3), (1, 2, 2))),
    ((0, 3), window_params((0, 3), (1, 2))),
    ((2,), window_params((2,), (3,))),
    ((), window_params((), ())),
]


class ReduceWindowSum(ReduceWindow):
    """Sum of every window; padding counts as zero."""

    name = "reduce_window_sum"
    op = "add"
    linear = "joint"
    ufunc = np.add
    identity = zero

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        aval = args[0].aval
        window, dilation = params["window_dimensions"], params["window_dilation"]
        before = dilated(aval.shape, params["base_dilation"])
        after = dilated(aval_of(ct).shape, params["window_strides"])
        sizes = dilated(window, dilation)
        padding = tuple(
            (k - low - 1, x + low - y)
            for x, k, y, (low, _) in zip(before, sizes, after, params["padding"], strict=True)
        )
        back = dict(
            zip(
                _each,
                (window, params["base_dilation"], padding, params["window_strides"], dilation),
                strict=True,
            )
        )
        return [self.bind(ct, **back)]


class ReduceWindowExtremum(ReduceWindow):
    """The extremum of every window; its tangent is that of the first winner."""

    accepts = (np.number, np.bool_)

    def jvp_term(self, i: int, t: Any, out: Any, x: Any, **params: Any) -> Any:
        return select_and_gather_add_p.bind(t, x, select_prim=self.prefers(), **params)

    def prefers(self) -> Primitive:
        """The comparison that holds when the element met first wins."""
        from .comparison import ge_p, le_p

        return ge_p if self.ufunc is np.maximum else le_p

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            # A window of padding alone is infinite, and infinities have no difference quotient.
            finite = np.isfinite(self.impl(*example.args, **example.params)).all()
            yield example if finite else replace(example, differentiable=())


class ReduceWindowMax(ReduceWindowExtremum):
    """The greatest element of every window; padding counts as the dtype's least value."""

    name = "reduce_window_max"
    op = "max"
    ufunc = np.maximum
    identity = lowest


class ReduceWindowMin(ReduceWindowExtremum):
    """The least element of every window; padding counts as the dtype's greatest value."""

    name = "reduce_window_min"
    op = "min"
    ufunc = np.minimum
    identity = highest


# The winners of windows.


class SelectAndGatherAdd(Primitive):
    """Of every window, the tangent at the element of the operand that wins it."""

    name = "select_and_gather_add"
    linear = "joint"
    linear_operands = slice(0, 1)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        tangents, x = avals
        check_same_shape(self.name, tangents, x.shape, x)
        return tangents.update(shape=windowed_shape(self.name, x, params))

    def impl(self, *arrays: Any, **params: Any) -> Any:
        tangents, x = arrays
        slices, winners = find_winners(x, params)
        moved = pad_numpy(tangents, 0, params["padding"], params["base_dilation"])
        out = np.zeros(winners.shape, tangents.dtype)
        for k, places in enumerate(slices):
            np.copyto(out, moved[places], where=winners == k)
        return out

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [select_and_scatter_add_p.bind(ct, args[1], **params), None]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        first, x = (to_front(a, d, axis.size) for a, d in zip(args, dims, strict=True))
        return self.bind(first, x, **shifted_params(params)), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        tangents, x = operands
        largest = params["select_prim"].name == "ge"
        return gathered_winners(tangents, x, largest, start_of(largest, x.dtype), params)

    def examples(self) -> Iterator[Example]:
        for shape, params in window_cases:
            for select in comparisons():
                x = draw(reals(-2.0, 2.0), shape, 4)
                t = draw(reals(-2.0, 2.0), shape, 5)
                yield Example((t, x), {"select_prim": select, **params}, differentiable=(0,))


class SelectAndScatterAdd(Primitive):
    """The source of every window added at the element of the operand that wins it."""

    name = "select_and_scatter_add"
    linear = "joint"
    linear_operands = slice(0, 1)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        source, x = avals
        check_same_shape(self.name, source, windowed_shape(self.name, x, params), x)
        return source.update(shape=x.shape)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        source, x = arrays
        slices, winners = find_winners(x, params)
        padding, dilation = params["padding"], params["base_dilation"]
        extents = dilated(x.shape, dilation)
        padded = [max(0, n + sum(pads)) for n, pads in zip(extents, padding, strict=True)]
        out = np.zeros(padded, accumulator(source.dtype))
        for k, places in enumerate(slices):
            # Within one offset no two windows share an element.
            out[places] += np.where(winners == k, source, source.dtype.type(0))
        cut = pad_numpy(out, 0, [(-low, -high) for low, high in padding], (1,) * x.ndim)
        kept = cut[tuple(slice(None, None, d) for d in dilation)]
        return kept.astype(source.dtype, copy=False)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        if not isinstance(args[0], UndefinedPrimal):
            return [None, None]
        return [select_and_gather_add_p.bind(ct, args[1], **params), None]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        first, x = (to_front(a, d, axis.size) for a, d in zip(args, dims, strict=True))
        return self.bind(first, x, **shifted_params(params)), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        source, x = operands
        largest = params["select_prim"].name == "ge"
        otherwise = scattered_winners(source, x, largest, start_of(largest, x.dtype), params)
        return Library("pool", ("scatter_max" if largest else "scatter_min", params), otherwise)

    def examples(self) -> Iterator[Example]:
        for shape, params in window_cases:
            for select in comparisons():
                x = draw(reals(-2.0, 2.0), shape, 6)
                source = draw(reals(-2.0, 2.0), windowed_shape("", aval_of(x), params), 7)
                yield Example((source, x), {"select_prim": select, **params}, differentiable=(0,))


reduce_window_sum_p = ReduceWindowSum()
reduce_window_max_p = ReduceWindowMax()
reduce_window_min_p = ReduceWindowMin()
select_and_gather_add_p = SelectAndGatherAdd()
select_and_scatter_add_p = SelectAndScatterAdd()


def comparisons() -> tuple[Primitive, Primitive]:
    """The comparisons a winner may be selected by."""
    from .comparison import ge_p, le_p

    return ge_p, le_p


def check_same_shape(
    name: str, first: ShapedArray, shape: tuple[int, ...], operand: ShapedArray
) -> None:
    """Raise TypeError unless the first operand has the shape the second one asks for."""
    if first.shape != shape:
        raise TypeError(
            f"{name} got {first.long()} beside operand {operand.long()}, where shape {shape} is "
            f"needed.\n  {user_line()}\n  Give one value for each element (or window) of it."
        )


def offset_slices(counts: Sequence[int], params: dict[str, Any]) -> Iterator[tuple[slice, ...]]:
    """For each place of a window, row by row, where the padded array holds it."""
    steps = params["window_dilation"]
    for offset in product(*(range(n) for n in params["window_dimensions"])):
        starts = [k * step for k, step in zip(offset, steps, strict=True)]
        yield tuple(
            slice(start, start + (count - 1) * stride + 1 if count else start, stride)
            for start, count, stride in zip(starts, counts, params["window_strides"], strict=True)
        )


def beats(x: Any, best: Any, largest: bool) -> Any:
    """Where NumPy values are strictly better than the best so far; NaN is better than all else."""
    better: Any = x > best if largest else x < best
    return better | (np.isnan(x) & ~np.isnan(best)) if x.dtype.kind in "fc" else better


def start_of(largest: bool, dtype: np.dtype[Any]) -> Any:
    """What padding holds where winners are looked for."""
    return (lowest if largest else highest)(dtype)


def find_winners(x: Any, params: dict[str, Any]) -> tuple[list[tuple[slice, ...]], Any]:
    """The slices of all offsets, and for every window the offset of its (first) winner."""
    largest = params["select_prim"].name == "ge"
    counts = window_counts(x.shape, *(params[key] for key in _each))
    slices = list(offset_slices(counts, params))
    if 0 in counts:
        return slices, np.full(counts, -1)
    x = x.astype(accumulator(x.dtype), copy=False)
    start = start_of(largest, x.dtype)
    padded = pad_numpy(x, start, params["padding"], params["base_dilation"])
    best = padded[slices[0]].copy()
    winners = np.zeros(counts, np.intp)
    for k, places in enumerate(slices[1:], 1):
        part = padded[places]
        better = beats(part, best, largest)
        np.copyto(best, part, where=better)
        winners[better] = k
    return slices, winners


# User functions.


def _windows(operand: Any, given: tuple[Any, ...]) -> dict[str, Any]:
    return window_params(aval_of(operand).shape, *given)


def reduce_window_sum(
    operand: Any,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """Sum of every window; padding counts as zero.

    Args:
        operand: numbers, any shape.
        window_dimensions: extents of the window, one for each axis.
        window_strides: steps between windows; None is 1.
        padding: 'SAME', 'SAME_LOWER', 'VALID', or a pair (low, high) for each axis.
        base_dilation: steps between elements of the operand, padding lies between; None is 1.
        window_dilation: steps between elements of the window; None is 1.
    Returns:
        One value a window, of the operand's dtype.
    Raises:
        TypeError: not one entry for each axis, or one that is not positive.
    """
    given = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return reduce_window_sum_p.bind(operand, **_windows(operand, given))


def reduce_window_max(
    operand: Any,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """The greatest element of every window; arguments and errors as in `reduce_window_sum`."""
    given = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return reduce_window_max_p.bind(operand, **_windows(operand, given))


def reduce_window_min(
    operand: Any,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """The least element of every window; arguments and errors as in `reduce_window_sum`."""
    given = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return reduce_window_min_p.bind(operand, **_windows(operand, given))
