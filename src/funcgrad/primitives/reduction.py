"""Reductions: axes folded away by sum, product, extremum or a bitwise operation.

In: one array and the axes to fold. Out: the array without them. The one idea: every fold here is
a monoid, so an empty axis gives the identity and an order of evaluation need not be fixed. Folds
by any other computation are in `control.folds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ..core.primitive import Example, NotDifferentiable, Primitive
from ..core.sources import user_line
from ..core.zeros import Zero
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of, size_of
from ..ir.jaxpr import Eqn
from ..ir.loops import Lowered, Operand
from .elementwise import complex_plane
from .kinds import Reduction, draw, integers, reals

_half = frozenset({np.dtype(np.float16), np.dtype(dtypes.bfloat16)})


def lowest(dtype: np.dtype[Any]) -> Any:
    """The least value of a dtype: the identity of max."""
    if dtype.kind == "b":
        return False
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    if dtype.kind == "c":
        return complex(-np.inf, -np.inf)
    return -np.inf if _has_infinity(dtype) else float(dtypes.finfo(dtype).min)


def highest(dtype: np.dtype[Any]) -> Any:
    """The greatest value of a dtype: the identity of min."""
    if dtype.kind == "b":
        return True
    if dtype.kind in "iu":
        return np.iinfo(dtype).max
    if dtype.kind == "c":
        return complex(np.inf, np.inf)
    return np.inf if _has_infinity(dtype) else float(dtypes.finfo(dtype).max)


def _has_infinity(dtype: np.dtype[Any]) -> bool:
    """False of the eight-bit floats that spend those bits on a number."""
    return bool(np.isinf(np.asarray(np.inf, dtype).astype(np.float32)))


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype sums are kept in: float32 for the half precisions, else the dtype itself."""
    return np.dtype(np.float32) if dtype in _half else dtype


def of_complex(self: Primitive, eqn: Eqn) -> bool:
    """Whether an eqn is of complex numbers, where kernels fold each part by itself."""
    return eqn.invars[0].aval.dtype.kind == "c"


class Fold(Reduction):
    """A reduction by one NumPy ufunc.

    Attributes:
        ufunc: folds the axes.
        identity: the value of an empty fold, for a dtype.
    """

    ufunc: ClassVar[Any]
    identity: ClassVar[Callable[[Any], Any]]

    def __init__(self) -> None:
        super().__init__()
        self._starts: dict[np.dtype[Any], Any] = {}

    def fold_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return accumulator(dtype)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        axes = params["axes"]
        work = accumulator(x.dtype)
        out = self.ufunc.reduce(x, axis=axes, dtype=work, initial=self._start(work))
        return np.asarray(out) if work is x.dtype else np.asarray(out).astype(x.dtype, copy=False)

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        (x,) = avals
        work = accumulator(x.dtype)
        if work != x.dtype:
            return None
        fold, axes, start = self.ufunc.reduce, params["axes"], self._start(work)

        def folded(x: Any) -> Any:
            return fold(x, axes, work, None, False, start)

        return folded

    def _start(self, work: np.dtype[Any]) -> Any:
        """The identity as a number of a dtype."""
        found = self._starts.get(work)
        if found is None:
            found = self._starts[work] = np.asarray(type(self).identity(work)).astype(work)[()]
        return found

    def examples(self) -> Iterator[Example]:
        for shape, axes in shapes_and_axes:
            yield Example((draw(reals(-2.0, 2.0), shape, 3 + len(shape)),), {"axes": axes})
        yield Example((draw(integers(-9, 9), (3, 4), 5),), {"axes": (0,)})


shapes_and_axes: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3, 4), (0,)),
    ((2, 3, 5), (2, 0)),
    ((7,), (0,)),
    ((), ()),
    ((2, 3), ()),
    ((0, 3), (0,)),
    ((3, 0), (0,)),
)


def one(_: Any) -> int:
    """The identity of a product."""
    return 1


def zero(_: Any) -> int:
    """The identity of a sum."""
    return 0


class ReduceSum(Fold):
    """Sum over axes; half precisions are added in float32."""

    name = "reduce_sum"
    op = "add"
    linear = "joint"
    accepts = (np.number,)
    ufunc = np.add
    identity = zero

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        shape = args[0].aval.shape
        return [spread(ct, shape, params["axes"])]


class ReduceProd(Fold):
    """Product over axes."""

    name = "reduce_prod"
    op = "mul"
    accepts = (np.number,)
    ufunc = np.multiply
    identity = one
    composed = True
    is_composed = of_complex

    def jvp_term(self, i: int, t: Any, out: Any, x: Any, **params: Any) -> Any:
        # A tree of products with the product rule at each node: right at zeros of x (no division),
        # and made of primitives, so that it can be differentiated again.
        from .arithmetic import add, mul
        from .slicing import slice_in_dim

        values, tangents = (front(a, params["axes"]) for a in (x, t))
        while (count := aval_of(values).shape[0]) > 1:
            half = count // 2
            left, right, rest = (
                [slice_in_dim(a, start, stop) for a in (values, tangents)]
                for start, stop in ((0, half), (half, 2 * half), (2 * half, count))
            )
            pair = (
                mul(left[0], right[0]),
                add(mul(left[1], right[0]), mul(left[0], right[1])),
            )
            values, tangents = (
                join(a, b) if count % 2 else a for a, b in zip(pair, rest, strict=True)
            )
        if aval_of(values).shape[0] == 0:
            return Zero(aval_of(out).to_tangent())
        return drop_front(tangents)


class Extremum(Fold):
    """The greatest or least element; its tangent is shared equally among the tied ones."""

    accepts = (np.number, np.bool_)
    composed = True
    is_composed = of_complex

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        axes = params["axes"]
        dtype = x.dtype
        work = accumulator(dtype)
        if work is not dtype:
            x = x.astype(work)
        # `initial` is given only where needed: with it NumPy loses NaN payload order and speed.
        if x.size or all(x.shape[a] for a in axes):
            out = self.ufunc.reduce(x, axis=axes)
        else:
            start = np.asarray(type(self).identity(dtype)).astype(work)[()]
            out = self.ufunc.reduce(x, axis=axes, initial=start)
        return np.asarray(out) if work is dtype else np.asarray(out).astype(dtype)

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        (x,) = avals
        if accumulator(x.dtype) != x.dtype or not x.size:
            return None
        return partial(self.ufunc.reduce, axis=params["axes"])

    def jvp_term(self, i: int, t: Any, out: Any, x: Any, **params: Any) -> Any:
        from .arithmetic import div, mul
        from .casting import convert_element_type
        from .comparison import eq

        axes = params["axes"]
        here = eq(x, spread(out, aval_of(x).shape, axes))
        mask = convert_element_type(here, aval_of(t).dtype)
        return div(reduce_sum(mul(t, mask), axes), reduce_sum(mask, axes))

    def examples(self) -> Iterator[Example]:
        for example in super().examples():
            # The extremum of nothing is infinite, and infinities have no difference quotient.
            infinite = any(example.args[0].shape[a] == 0 for a in example.params["axes"])
            yield replace(example, differentiable=()) if infinite else example
        tied = np.array([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]])
        yield Example((tied,), {"axes": (1,)}, differentiable=())
        yield Example((np.array([[True, False], [False, False]]),), {"axes": (1,)})


class ReduceMax(Extremum):
    """The greatest element; NaN if there is one, -inf (or the least integer) if there is none."""

    name = "reduce_max"
    op = "max"
    ufunc = np.maximum
    identity = lowest


class ReduceMin(Extremum):
    """The least element; NaN if there is one, inf (or the greatest integer) if there is none."""

    name = "reduce_min"
    op = "min"
    ufunc = np.minimum
    identity = highest


def all_ones(dtype: np.dtype[Any]) -> Any:
    """The identity of a bitwise and."""
    return True if dtype.kind == "b" else np.asarray(-1).astype(dtype)


class Bitwise(Fold):
    """A fold of integers or booleans bit by bit."""

    accepts = (np.integer, np.bool_)
    jvp_term = NotDifferentiable("integer result", zero=True)

    def examples(self) -> Iterator[Example]:
        for shape, axes in shapes_and_axes:
            yield Example((draw(integers(-90, 90), shape, 3 + len(shape)),), {"axes": axes})
        yield Example((draw(integers(0, 2, np.bool_), (3, 4), 5),), {"axes": (0,)})
        yield Example((draw(integers(0, 200, np.uint8), (3, 4), 5),), {"axes": (1,)})


class ReduceAnd(Bitwise):
    """Bitwise and over axes."""

    name = "reduce_and"
    op = "and"
    ufunc = np.bitwise_and
    identity = all_ones


class ReduceOr(Bitwise):
    """Bitwise or over axes."""

    name = "reduce_or"
    op = "or"
    ufunc = np.bitwise_or
    identity = zero


class ReduceXor(Bitwise):
    """Bitwise exclusive or over axes."""

    name = "reduce_xor"
    op = "xor"
    ufunc = np.bitwise_xor
    identity = zero


class ArgExtremum(Reduction):
    """Index of the extremum along one axis: the first NaN, else the first of the ties."""

    accepts = (np.number, np.bool_)
    jvp_term = NotDifferentiable("integer result", zero=True)
    composed = True
    is_composed = of_complex
    find: ClassVar[Any]

    def result_dtype(self, dtype: np.dtype[Any], **params: Any) -> Any:
        return params["index_dtype"]

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        axes = params["axes"]
        if len(axes) != 1:
            raise ValueError(
                f"{self.name} takes exactly one axis, got axes={axes} for {x.long()}.\n"
                f"  {user_line()}\n  Reshape the array so that they are one axis."
            )
        if not dtypes.issubdtype(params["index_dtype"], np.integer):
            raise TypeError(
                f"{self.name} got index_dtype={params['index_dtype']}, which is not an integer "
                f"dtype.\n  {user_line()}\n  Give int32."
            )
        out = super().abstract_eval(*avals, **params)
        if x.shape[axes[0]] == 0:
            raise ValueError(
                f"attempt to get {self.name} of an empty sequence: axis {axes[0]} of {x.long()} "
                f"has no elements.\n  {user_line()}\n  Test for emptiness first."
            )
        return out.strong()

    def fold_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return accumulator(dtype)

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        # Kernels see complex numbers as pairs, and order single numbers only.
        if operands[0].dtype.kind == "c":
            return None
        return super().lower(operands, outs, **params)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        found = self.find(x.astype(accumulator(x.dtype), copy=False), axis=params["axes"][0])
        return np.asarray(found).astype(params["index_dtype"])

    def examples(self) -> Iterator[Example]:
        index = np.dtype(np.int32)
        for shape, axis in (((3, 4), 0), ((2, 3, 5), 2), ((7,), 0), ((2, 0), 0)):
            params = {"axes": (axis,), "index_dtype": index}
            yield Example((draw(reals(-2.0, 2.0), shape, 8),), params)
        yield Example((draw(complex_plane, (3, 4), 8),), {"axes": (0,), "index_dtype": index})
        holes = np.array([[1.0, np.nan, 3.0, np.nan], [2.0, 5.0, 5.0, 1.0]])
        yield Example((holes,), {"axes": (1,), "index_dtype": np.dtype(np.int64)})
        yield Example((draw(integers(-4, 4), (3, 5), 2),), {"axes": (1,), "index_dtype": index})


class Argmax(ArgExtremum):
    """Index of the greatest element."""

    name = "argmax"
    op = "argmax"
    find = staticmethod(np.argmax)


class Argmin(ArgExtremum):
    """Index of the least element."""

    name = "argmin"
    op = "argmin"
    find = staticmethod(np.argmin)


reduce_sum_p = ReduceSum()
reduce_prod_p = ReduceProd()
reduce_max_p = ReduceMax()
reduce_min_p = ReduceMin()
reduce_and_p = ReduceAnd()
reduce_or_p = ReduceOr()
reduce_xor_p = ReduceXor()
argmax_p = Argmax()
argmin_p = Argmin()


# Rearranging around the folded axes.


def spread(x: Any, shape: Sequence[int], axes: Sequence[int]) -> Any:
    """A reduced array repeated along the axes it lost."""
    from .broadcasting import broadcast_in_dim

    return broadcast_in_dim(x, tuple(shape), tuple(a for a in range(len(shape)) if a not in axes))


def front(x: Any, axes: Sequence[int]) -> Any:
    """The array with the axes joined to one, which comes first."""
    from .movement import reshape, transpose

    shape = aval_of(x).shape
    kept = [a for a in range(len(shape)) if a not in axes]
    moved = transpose(x, (*axes, *kept))
    return reshape(moved, (size_of(shape[a] for a in axes), *(shape[a] for a in kept)))


def drop_front(x: Any) -> Any:
    """The array without its first axis, of size 1."""
    from .movement import squeeze

    return squeeze(x, (0,))


def join(x: Any, y: Any) -> Any:
    """Two arrays one after the other along the first axis."""
    from .joining import concatenate

    return concatenate([x, y], 0)


# User functions.


def reduce_sum(operand: Any, axes: Sequence[int]) -> Any:
    """Sum of the elements over `axes`; half precisions are added in float32.

    Args:
        operand: numbers, any shape.
        axes: non-negative axes, each once.
    Returns:
        The operand's dtype, its shape without `axes`.
    Raises:
        ValueError: axes out of range or given twice.
        TypeError: the operand is boolean.
    """
    return reduce_sum_p.bind(operand, axes=tuple(axes))


def reduce_prod(operand: Any, axes: Sequence[int]) -> Any:
    """Product of the elements over `axes`; arguments and errors as in `reduce_sum`."""
    return reduce_prod_p.bind(operand, axes=tuple(axes))


def reduce_max(operand: Any, axes: Sequence[int]) -> Any:
    """The greatest element over `axes`; NaN if any is, the dtype's least value if none is there.

    The derivative is shared equally among tied elements. Arguments as in `reduce_sum`.
    """
    return reduce_max_p.bind(operand, axes=tuple(axes))


def reduce_min(operand: Any, axes: Sequence[int]) -> Any:
    """The least element over `axes`; NaN if any is, the dtype's greatest value if none is there.

    The derivative is shared equally among tied elements. Arguments as in `reduce_sum`.
    """
    return reduce_min_p.bind(operand, axes=tuple(axes))


def reduce_and(operand: Any, axes: Sequence[int]) -> Any:
    """Bitwise and (logical for booleans) over `axes`; all ones where there is no element."""
    return reduce_and_p.bind(operand, axes=tuple(axes))


def reduce_or(operand: Any, axes: Sequence[int]) -> Any:
    """Bitwise or (logical for booleans) over `axes`; zero where there is no element."""
    return reduce_or_p.bind(operand, axes=tuple(axes))


def reduce_xor(operand: Any, axes: Sequence[int]) -> Any:
    """Bitwise exclusive or over `axes`; zero where there is no element."""
    return reduce_xor_p.bind(operand, axes=tuple(axes))


def argmax(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Index of the greatest element along `axis`: the first NaN, else the first of equals.

    Args:
        operand: numbers or booleans, any shape.
        axis: non-negative.
        index_dtype: integer dtype of the result.
    Raises:
        ValueError: the axis is empty or out of range.
        TypeError: `index_dtype` is not an integer dtype.
    """
    return argmax_p.bind(
        operand, axes=(axis,), index_dtype=dtypes.check_user_dtype_supported(index_dtype, "argmax")
    )


def argmin(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Index of the least element along `axis`; arguments and errors as in `argmax`."""
    return argmin_p.bind(
        operand, axes=(axis,), index_dtype=dtypes.check_user_dtype_supported(index_dtype, "argmin")
    )
