"""The kinds of primitives, and the rules each kind gives for free.

Elementwise: broadcasting, dtype checks, batching, examples. Movement: linear in its operand.
Reduction: output shape and batching over `axes`. What follows from the kind is written here
once; a primitive adds only what is its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..core.axes import move_axis
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..core.zeros import Zero
from ..ir import dtypes, loops, narrow
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import Expr, Fold, IndexTuple, Lowered, Map, Operand


class Domain(NamedTuple):
    """Where generated tests draw values: an interval, and the dtype."""

    low: float
    high: float
    dtype: Any = np.float64


def reals(low: float, high: float) -> Domain:
    """Float64 values in the interval."""
    return Domain(low, high)


def integers(low: int, high: int, dtype: Any = np.int32) -> Domain:
    """Integers in the half-open interval."""
    return Domain(low, high, np.dtype(dtype))


def draw(domain: Domain, shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    """Values of a domain, the same for the same seed."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(domain.dtype).kind
    if kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if kind in "iu":
        return rng.integers(int(domain.low), int(domain.high), shape).astype(domain.dtype)
    values = rng.uniform(domain.low, domain.high, shape)
    if kind == "c":
        values = values + 1j * rng.uniform(domain.low, domain.high, shape)
    return values.astype(domain.dtype)


def broadcast_avals(name: str, avals: Sequence[ShapedArray]) -> tuple[int, ...]:
    """The common shape; scalars and axes of size 1 stretch.

    Raises:
        TypeError: the ranks differ, or two extents do.
    """
    first = avals[0].shape
    if all(a.shape == first for a in avals):
        return first
    shapes = [a.shape for a in avals if a.shape]
    if len({len(s) for s in shapes}) > 1:
        raise TypeError(
            f"{name}: arrays must have the same number of dimensions, got "
            f"{', '.join(a.long() for a in avals)}.\n  {user_line()}\n"
            "  Reshape one of them, or use the numpy function, which adds axes."
        )
    result: list[int] = []
    for axis, extents in enumerate(zip(*shapes, strict=True)):
        sizes = {e for e in extents if e != 1}
        if len(sizes) > 1:
            raise TypeError(
                f"{name} got incompatible shapes for broadcasting: "
                f"{', '.join(a.long() for a in avals)} "
                f"(axis {axis}: {' against '.join(map(str, extents))}).\n  {user_line()}\n"
                "  Give the axes one extent, or size 1."
            )
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


class Elementwise(Primitive):
    """One scalar function applied at every index.

    Attributes:
        accepts: abstract dtypes the operands may have; empty means any number or bool.
        domains: for each operand, where tests draw values.
        same_dtype: whether all operands must have one dtype.
        reads_bits: kinds of dtypes (i, u, f) for which the result depends on their width.
        op: the scalar operation it is compiled to, when that has another name.
        scalar: the expression of an element from those of the operands, and the params; None
            when it is the scalar operation alone.
    """

    pointwise = True
    accepts: ClassVar[tuple[Any, ...]] = ()
    domains: ClassVar[tuple[Domain, ...]] = (reals(-2.0, 2.0),)
    same_dtype: ClassVar[bool] = True
    reads_bits: ClassVar[str] = ""
    op: ClassVar[str] = ""
    scalar: Any = None

    def result_dtype(self, *operand_dtypes: np.dtype[Any], **params: Any) -> Any:
        """Dtype of the output; that of the first operand unless overridden."""
        return operand_dtypes[0]

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        self.check_dtypes(avals)
        shape = broadcast_avals(self.name, avals)
        dtype = self.result_dtype(*[a.dtype for a in avals], **params)
        weak = all(a.weak_type for a in avals) and (dtype == avals[0].dtype or dtype.kind == "f")
        return ShapedArray(shape, dtype, weak)

    def check_dtypes(self, avals: Sequence[ShapedArray]) -> None:
        """Raise TypeError when the operands' dtypes are refused."""
        if self.same_dtype and any(a.dtype != avals[0].dtype for a in avals[1:]):
            raise TypeError(
                f"lax.{self.name} requires arguments to have the same dtypes, got "
                f"{', '.join(a.long() for a in avals)}.\n  {user_line()}\n"
                "  Convert one of them with astype, or use the numpy function, which promotes."
            )
        for i, a in enumerate(avals):
            if narrow.kinds.get(a.dtype.type, "none") in self.reads_bits:
                raise TypeError(
                    f"{self.name} does not accept dtype {dtypes.short_name(a.dtype)} at position "
                    f"{i}: its numbers are stored in more bits than they have.\n  {user_line()}\n"
                    f"  Convert with astype to {narrow.wide_of(a.dtype).name}, and back."
                )
            if self.accepts and not any(dtypes.issubdtype(a.dtype, k) for k in self.accepts):
                names = ", ".join(k.__name__ for k in self.accepts)
                raise TypeError(
                    f"{self.name} does not accept dtype {dtypes.short_name(a.dtype)} at position "
                    f"{i}: it takes {names}.\n  {user_line()}\n  Convert with astype."
                )
            if not self.accepts and dtypes.is_opaque(a.dtype):
                raise TypeError(
                    f"{self.name} does not accept dtype {dtypes.short_name(a.dtype)} at position "
                    f"{i}.\n  {user_line()}"
                )

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        aligned, dim = align_batches(axis, args, dims)
        return self.bind(*aligned, **params), dim

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        op = self.op or self.name
        if self.scalar is None and op not in loops.SCALAR_OPS:
            return None

        def at(index: IndexTuple) -> Expr:
            elements = [stretched(x, index) for x in operands]
            return self.scalar(*elements, **params) if self.scalar else loops.apply(op, *elements)

        return Map(at)

    def examples(self) -> Iterator[Example]:
        count = len(self.domains)
        yield Example(tuple(draw(d, (2, 3), 7 + i) for i, d in enumerate(self.domains)))
        yield Example(tuple(draw(d, (), 17 + i) for i, d in enumerate(self.domains)))
        if count > 1:
            shapes = [(2, 3), (), (2, 1)]
            yield Example(tuple(draw(d, shapes[i % 3], 27 + i) for i, d in enumerate(self.domains)))


def stretched(x: Operand, index: IndexTuple) -> Expr:
    """The element of an operand at an index of the output: axes of size 1 and scalars repeat."""
    if not x.shape:
        return x.at(())
    pairs = zip(x.shape, index, strict=True)
    return x.at([loops.zero_index if n == 1 else i for n, i in pairs])


def align_batches(
    axis: AxisData, args: Sequence[Any], dims: Sequence[int | None]
) -> tuple[list[Any], int]:
    """Operands whose batch axes line up for an elementwise primitive, and that axis."""
    shapes = {aval_of(x).shape for x in args}
    first = next(d for d in dims if d is not None)
    if len(shapes) == 1 and all(d == first for d in dims):
        return list(args), first
    rank = max(len(aval_of(x).shape) - (d is not None) for x, d in zip(args, dims, strict=True))
    aligned: list[Any] = []
    for x, d in zip(args, dims, strict=True):
        if d is None:
            if aval_of(x).shape:
                x = expand_at(x, 0, 1)
        else:
            x = move_axis(x, d, 0)
            x = expand_at(x, 1, rank + 1 - len(aval_of(x).shape))
        aligned.append(x)
    return aligned, 0


def expand_at(x: Any, at: int, count: int) -> Any:
    """The array with `count` axes of size 1 inserted before axis `at`."""
    from .broadcasting import expand_dims

    return expand_dims(x, tuple(range(at, at + count))) if count else x


def unbroadcast(ct: Any, aval: ShapedArray) -> Any:
    """The cotangent of an operand that was stretched to the output's shape: summed back."""
    if isinstance(ct, Zero) or aval_of(ct).shape == aval.shape:
        return ct
    from .movement import reshape
    from .reduction import reduce_sum

    shape = aval_of(ct).shape
    if not aval.shape:
        return reduce_sum(ct, tuple(range(len(shape))))
    axes = tuple(i for i, (a, b) in enumerate(zip(aval.shape, shape, strict=True)) if a != b)
    return reshape(reduce_sum(ct, axes), aval.shape)


class Unary(Elementwise):
    """An elementwise function of one operand."""


class Binary(Elementwise):
    """An elementwise function of two operands."""

    domains = (reals(-2.0, 2.0), reals(-2.0, 2.0))


class Movement(Primitive):
    """Rearranges elements: linear in its operands, the same for every dtype."""

    linear = "joint"


class Reduction(Primitive):
    """Folds the `axes` of its one operand away.

    Batching shifts the axes; `out dtype` is the operand's unless overridden. `op` is the operation
    of the fold it is compiled to.
    """

    accepts: ClassVar[tuple[Any, ...]] = ()
    op: ClassVar[str] = ""

    def result_dtype(self, dtype: np.dtype[Any], **params: Any) -> Any:
        """Dtype of the output."""
        return dtype

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        axes: tuple[int, ...] = params["axes"]
        check_axes(self.name, axes, x)
        if self.accepts and not any(dtypes.issubdtype(x.dtype, k) for k in self.accepts):
            names = ", ".join(k.__name__ for k in self.accepts)
            raise TypeError(
                f"{self.name} does not accept dtype {dtypes.short_name(x.dtype)} at position 0: "
                f"it takes {names}.\n  {user_line()}"
            )
        shape = tuple(extent for i, extent in enumerate(x.shape) if i not in axes)
        return ShapedArray(shape, self.result_dtype(x.dtype, **params), x.weak_type)

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        (x,), (dim,) = args, dims
        assert dim is not None
        axes = tuple(a + (a >= dim) for a in params["axes"])
        out_dim = dim - sum(a < dim for a in axes)
        return self.bind(x, **{**params, "axes": axes}), out_dim

    def fold_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The dtype of the accumulator."""
        return dtype

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,) = operands
        axes: list[int] = sorted(params["axes"])
        work = self.fold_dtype(x.dtype)
        if not axes:
            return Map(x.at)
        kept = [a for a in range(len(x.shape)) if a not in axes]

        def at(index: IndexTuple, folded: IndexTuple) -> Expr:
            places = dict(zip((*kept, *axes), (*index, *folded), strict=True))
            return loops.cast(x.at([places[a] for a in range(len(x.shape))]), work)

        return Fold(fold_op(self.op, x.dtype), tuple(x.shape[a] for a in axes), at, work)


def fold_op(op: str, dtype: np.dtype[Any]) -> str:
    """The operation a fold uses: extrema of truth values are `or` and `and`."""
    return {"max": "or", "min": "and"}.get(op, op) if dtype.kind == "b" else op


def check_axes(name: str, axes: Sequence[int], x: ShapedArray) -> None:
    """Raise ValueError for axes out of range or given twice."""
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name} got duplicate axes {tuple(axes)}.\n  {user_line()}")
    if not all(0 <= a < len(x.shape) for a in axes):
        raise ValueError(
            f"{name} got axes {tuple(axes)} out of range for {x.long()}: "
            f"axes lie in [0, {len(x.shape) - 1}].\n  {user_line()}"
        )
