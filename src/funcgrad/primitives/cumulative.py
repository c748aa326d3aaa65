"""Cumulative reductions: the fold of every prefix (or suffix) of an axis.

In: one array, an axis, a direction. Out: an array of the same shape. The one idea: each nonlinear
fold here has a tangent that follows s[i] = a[i] s[i-1] + b[i] with coefficients from the primals,
and `linear_recurrence` solves that in primitives, so that it can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import Expr, IndexTuple, Lowered, Operand, Running, cast
from .kinds import draw, fold_op, integers, reals
from .reduction import accumulator, of_complex


class Cumulative(Primitive):
    """A fold of prefixes along `axis`; of suffixes when `reverse`.

    Attributes:
        ufunc: its `accumulate` folds.
        accepts: abstract dtypes the operand may have.
        op: the operation of the running fold it is compiled to.
    """

    ufunc: ClassVar[Any]
    op: ClassVar[str]
    accepts: ClassVar[tuple[Any, ...]] = (np.number,)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        axis = params["axis"]
        if not any(dtypes.issubdtype(x.dtype, kind) for kind in self.accepts):
            names = ", ".join(kind.__name__ for kind in self.accepts)
            raise TypeError(
                f"{self.name} does not accept dtype {dtypes.short_name(x.dtype)} at position 0: "
                f"it takes {names}.\n  {user_line()}\n  Convert with astype."
            )
        if axis < 0:
            raise ValueError(
                f"{self.name} takes no negative axis, got axis={axis} for {x.long()}.\n"
                f"  {user_line()}\n  Count the axis from the front."
            )
        if axis >= x.ndim:
            raise ValueError(
                f"{self.name} got axis={axis}, which is out of bounds for {x.long()}.\n"
                f"  {user_line()}\n  Give an axis below {x.ndim}."
            )
        return x

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        axis = params["axis"]
        work = x.astype(accumulator(x.dtype), copy=False)
        if params["reverse"]:
            work = np.flip(work, axis)
        out = self.accumulate(work, axis)
        if params["reverse"]:
            out = np.flip(out, axis)
        return out.astype(x.dtype, copy=False)

    def accumulate(self, x: Any, axis: int) -> Any:
        """The folds of the prefixes of a NumPy array."""
        # The dtype is named: NumPy would add small integers in wider ones.
        return self.ufunc.accumulate(x, axis, dtype=x.dtype)

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        dim = dims[0] or 0
        moved = params["axis"] + (params["axis"] >= dim)
        return self.bind(args[0], axis=moved, reverse=params["reverse"]), dim

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,) = operands
        op, work = fold_op(self.op, x.dtype), accumulator(x.dtype)

        def at(index: IndexTuple) -> Expr:
            return cast(x.at(index), work)

        return Running(op, params["axis"], params["reverse"], at, work)

    def examples(self) -> Iterator[Example]:
        for shape, axis, reverse in (
            ((3, 4), 0, False),
            ((2, 5), 1, True),
            ((7,), 0, True),
            ((1,), 0, False),
            ((2, 0, 3), 1, False),
        ):
            x = draw(reals(-2.0, 2.0), shape, 4 + len(shape))
            yield Example((x,), {"axis": axis, "reverse": reverse})
        if any(issubclass(np.int32, kind) for kind in self.accepts):
            x = draw(integers(-5, 6, np.int8), (3, 4), 8)
            yield Example((x,), {"axis": 1, "reverse": False})


class Cumsum(Cumulative):
    """Sums of prefixes."""

    name = "cumsum"
    op = "add"
    linear = "joint"
    ufunc = np.add

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [self.bind(ct, axis=params["axis"], reverse=not params["reverse"])]


class Cumprod(Cumulative):
    """Products of prefixes."""

    name = "cumprod"
    op = "mul"
    ufunc = np.multiply
    composed = True
    is_composed = of_complex

    def jvp_term(self, i: int, t: Any, out: Any, x: Any, **params: Any) -> Any:
        from .arithmetic import mul

        return linear_recurrence(x, mul(t, previous(out, 1, **params)), **params)


class CumulativeExtremum(Cumulative):
    """The extremum of prefixes; of two tied elements each has half of the tangent."""

    accepts = (np.number, np.bool_)
    composed = True
    is_composed = of_complex

    def jvp_term(self, i: int, t: Any, out: Any, x: Any, **params: Any) -> Any:
        from .arithmetic import mul

        before = previous(out, self.worst(x), **params)
        kept, taken = self.weights(before, x)
        return linear_recurrence(kept, mul(t, taken), **params)

    def worst(self, x: Any) -> float:
        """The value every real loses to."""
        return -np.inf if self.ufunc is np.maximum else np.inf

    def weights(self, before: Any, x: Any) -> tuple[Any, Any]:
        """Derivatives of the extremum of two arrays: 1 for the winner, 1/2 each for a tie."""
        from .arithmetic import add, mul
        from .casting import convert_element_type
        from .comparison import ge, gt, le, lt

        dtype = aval_of(x).dtype
        half = np.asarray(0.5).astype(dtype)
        pairs = ((ge, gt), (le, lt)) if self.ufunc is np.maximum else ((le, lt), (ge, gt))
        found: list[Any] = []
        for loose, strict in pairs:
            wins = [convert_element_type(test(before, x), dtype) for test in (loose, strict)]
            found.append(mul(add(wins[0], wins[1]), half))
        return found[0], found[1]


class Cummax(CumulativeExtremum):
    """The greatest element of prefixes."""

    name = "cummax"
    op = "max"
    ufunc = np.maximum


class Cummin(CumulativeExtremum):
    """The least element of prefixes."""

    name = "cummin"
    op = "min"
    ufunc = np.minimum


class Cumlogsumexp(Cumulative):
    """log of the sum of exp over prefixes."""

    name = "cumlogsumexp"
    op = "logaddexp"
    accepts = (np.inexact,)
    ufunc = np.logaddexp

    def accumulate(self, x: Any, axis: int) -> Any:
        if x.dtype.kind != "c":
            return np.logaddexp.accumulate(x, axis)
        if x.size == 0:
            return x
        top = x.real.max(axis, keepdims=True)
        top = np.where(np.isfinite(top), top, 0).astype(x.real.dtype)
        return np.log(np.cumsum(np.exp(x - top), axis, dtype=x.dtype)) + top

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        # Of complex numbers the greatest is sought over the whole axis first.
        return None if outs[0].dtype.kind == "c" else super().lower(operands, outs, **params)

    def jvp_term(self, i: int, t: Any, out: Any, x: Any, **params: Any) -> Any:
        from .arithmetic import mul, sub
        from .transcendental import exp

        # exp(x[i] - out[i]) is the share of element i in its prefix, between 0 and 1.
        base = without_infinities(out, negative=True)
        kept = exp(sub(without_infinities(previous(out, -np.inf, **params)), base))
        taken = exp(sub(without_infinities(x), base))
        return linear_recurrence(kept, mul(t, taken), **params)


cumsum_p = Cumsum()
cumprod_p = Cumprod()
cummax_p = Cummax()
cummin_p = Cummin()
cumlogsumexp_p = Cumlogsumexp()


# The recurrence.


def previous(x: Any, start: float, axis: int, reverse: bool) -> Any:
    """At each index the element before it in the direction of the fold; `start` at the first."""
    from .slicing import pad

    aval = aval_of(x)
    if aval.shape[axis] == 0:
        return x
    config = [(0, 0, 0)] * aval.ndim
    config[axis] = (-1, 1, 0) if reverse else (1, -1, 0)
    return pad(x, np.asarray(start).astype(aval.dtype), config)


def without_infinities(x: Any, negative: bool = False) -> Any:
    """The array with 0 for inf (and -inf), so that differences of infinities are not NaN."""
    from .arithmetic import abs as magnitude
    from .comparison import eq
    from .creation import zeros_like
    from .selection import select

    size = magnitude(x) if negative else x
    infinite = eq(size, np.asarray(np.inf).astype(aval_of(size).dtype))
    return select(infinite, zeros_like(x), x)


def linear_recurrence(a: Any, b: Any, axis: int, reverse: bool) -> Any:
    """The solution of s[i] = a[i] s[i-1] + b[i] along an axis, from s[-1] = 0.

    Pairs (a, b) are affine maps; prefixes of them are composed, odd ones first at half the
    length, so that the work is linear and the depth logarithmic.

    Args:
        a, b: arrays of one shape; linear in b.
        axis: where to run; from the end when `reverse`.
    Source: Blelloch, Prefix sums and their applications, CMU-CS-90-190.
    """
    from .movement import rev

    if reverse:
        return rev(linear_recurrence(rev(a, (axis,)), rev(b, (axis,)), axis, False), (axis,))
    return _compose_prefixes(a, b, axis)[1]


def _compose_prefixes(a: Any, b: Any, axis: int) -> tuple[Any, Any]:
    from .joining import concatenate

    count = aval_of(a).shape[axis]
    if count < 2:
        return a, b
    pairs = _compose(
        (_every_second(a, 0, count - 1, axis), _every_second(b, 0, count - 1, axis)),
        (_every_second(a, 1, count, axis), _every_second(b, 1, count, axis)),
    )
    odd = _compose_prefixes(*pairs, axis)
    first = (_every_second(a, 0, 1, axis), _every_second(b, 0, 1, axis))
    if count == 2:
        even = first
    else:
        known = (count - 1) // 2
        earlier = [_every_second(x, 0, known, axis, 1) for x in odd]
        later = [_every_second(x, 2, count, axis) for x in (a, b)]
        rest = _compose((earlier[0], earlier[1]), (later[0], later[1]))
        even = tuple(concatenate([x, y], axis) for x, y in zip(first, rest, strict=True))
    return _interleave(even[0], odd[0], axis), _interleave(even[1], odd[1], axis)


def _compose(first: tuple[Any, Any], then: tuple[Any, Any]) -> tuple[Any, Any]:
    from .arithmetic import add, mul

    return mul(first[0], then[0]), add(mul(then[0], first[1]), then[1])


def _every_second(x: Any, start: int, stop: int, axis: int, stride: int = 2) -> Any:
    from .slicing import slice_in_dim

    return slice_in_dim(x, start, stop, stride, axis)


def _interleave(even: Any, odd: Any, axis: int) -> Any:
    """The elements in turn; `even` has as many as `odd`, or one more."""
    from .broadcasting import expand_dims
    from .joining import concatenate
    from .movement import reshape

    shape = aval_of(odd).shape
    extra = aval_of(even).shape[axis] - shape[axis]
    head = _every_second(even, 0, shape[axis], axis, 1) if extra else even
    both = concatenate([expand_dims(x, (axis + 1,)) for x in (head, odd)], axis + 1)
    both = reshape(both, (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :]))
    if not extra:
        return both
    last = _every_second(even, shape[axis], shape[axis] + 1, axis, 1)
    return concatenate([both, last], axis)


# User functions.


def cumsum(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Sums of prefixes: out[i] = operand[0] + ... + operand[i] along `axis`.

    Args:
        operand: numbers, any shape but scalar.
        axis: non-negative.
        reverse: sum suffixes instead.
    Returns:
        An array of the operand's shape and dtype.
    Raises:
        ValueError: the axis is negative or out of bounds.
        TypeError: the dtype is not accepted.
    """
    return cumsum_p.bind(operand, axis=int(axis), reverse=bool(reverse))


def cumprod(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Products of prefixes; arguments and errors as in `cumsum`."""
    return cumprod_p.bind(operand, axis=int(axis), reverse=bool(reverse))


def cummax(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """The greatest element of each prefix; NaN from the first NaN on. As `cumsum` otherwise."""
    return cummax_p.bind(operand, axis=int(axis), reverse=bool(reverse))


def cummin(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """The least element of each prefix; NaN from the first NaN on. As `cumsum` otherwise."""
    return cummin_p.bind(operand, axis=int(axis), reverse=bool(reverse))


def cumlogsumexp(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """log(exp(operand[0]) + ... + exp(operand[i])) along `axis`, without overflow.

    Arguments and errors as in `cumsum`; the operand is inexact.
    """
    return cumlogsumexp_p.bind(operand, axis=int(axis), reverse=bool(reverse))
