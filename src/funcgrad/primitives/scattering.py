"""Scatter: windows of an array written, added to, multiplied or limited at computed places.

In: an operand, an array of index vectors, an update for each. Out: the operand with its windows
replaced or combined with the updates. The one idea: every kind shares the geometry of gather and
differs in one fold of the updates that meet at one place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from ..core.axes import to_front
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..core.staging import stage
from ..core.zeros import UndefinedPrimal, instantiate
from ..ir.avals import ShapedArray, aval_of, size_of
from ..ir.jaxpr import ClosedJaxpr, Eqn, Jaxpr
from ..ir.loops import Expr, IndexTuple, Lowered, Map, Operand, apply
from .gathering import (
    GatherScatterMode,
    check_numbers,
    find_windows,
    goes_along,
    rows_within,
    shifted,
    window_order,
)
from .kinds import draw, fold_op, integers, reals
from .lowered_indexing import IndexedWindows, scattered
from .scatter_folds import apply_repeatedly, fold, replace
from .scatter_places import ScatterDimensionNumbers, gather_back, gather_numbers, window_sizes
from .selection import zeros_of


class Scatter(Primitive):
    """The operand with windows replaced; of updates that meet the last one stays.

    Attributes:
        op: the operation of the compiled scatter.
    """

    name = "scatter"
    op: ClassVar[str] = "set"

    def combine(self, view: Any, rows: Any, updates: Any, **params: Any) -> None:
        """Work the updates into `view` at `rows` along its leading axes."""
        if params["update_jaxpr"] is None:
            replace(view, rows, updates)
        else:
            apply_repeatedly(view, rows, params["update_jaxpr"], params["update_consts"])

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        operand, indices, updates = avals
        numbers: ScatterDimensionNumbers = params["dimension_numbers"]
        if operand.dtype != updates.dtype:
            raise TypeError(
                f"lax.scatter requires arguments to have the same dtypes, got operand "
                f"{operand.long()} and updates {updates.long()}.\n  {user_line()}\n"
                "  Convert the updates with astype."
            )
        check_numbers("scatter", operand, indices, gather_numbers(numbers))
        problem = None
        window_dims = numbers.update_window_dims
        left_out = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
        rank = len(indices.shape) - 1 + len(window_dims)
        batch = tuple(n for i, n in enumerate(updates.shape) if i not in window_dims)
        if len(updates.shape) != rank:
            problem = f"needs updates of rank {rank}"
        elif not all(0 <= d < rank for d in window_dims):
            problem = f"got update_window_dims outside of [0, {rank})"
        elif len(operand.shape) != len(window_dims) + len(left_out):
            problem = "needs every operand axis to be a window, inserted or batching axis"
        elif batch != indices.shape[:-1]:
            problem = "needs an update for each index vector"
        else:
            sizes = window_sizes(len(operand.shape), updates.shape, numbers)
            kept = [d for d in range(len(operand.shape)) if d not in left_out]
            if any(sizes[d] > operand.shape[d] for d in kept):
                problem = "got windows larger than the operand"
        if problem:
            raise TypeError(
                f"scatter {problem}: got operand {operand.long()}, indices {indices.long()}, "
                f"updates {updates.long()}, {numbers}.\n  {user_line()}\n"
                "  x.at[...] works these numbers out."
            )
        return operand

    def impl(self, *arrays: Any, **params: Any) -> Any:
        operand, indices, updates = arrays
        out = np.array(operand, order="C")
        if not updates.size or not out.size:
            return out
        numbers: ScatterDimensionNumbers = params["dimension_numbers"]
        sizes = window_sizes(out.ndim, updates.shape, numbers)
        along = goes_along(0, out.shape, indices.shape, gather_numbers(numbers), sizes)
        rows = rows_within(indices, out.shape[0], params["mode"]) if along else None
        if rows is not None:
            self.combine(out, [rows.ravel()], updates.reshape(-1, *out.shape[1:]), **params)
            return out
        windows = find_windows(out.shape, indices, gather_numbers(numbers), sizes)
        order = window_order(windows, numbers.update_window_dims, updates.ndim)
        new = updates.transpose(np.argsort(order))
        new = new.reshape(-1, *new.shape[len(windows.shape) :])
        rows = [np.broadcast_to(r, windows.shape).ravel() for r in windows.rows]
        if params["mode"] is not GatherScatterMode.CLIP and not windows.valid.all():
            inner = len(windows.shape) - windows.valid.ndim
            valid = windows.valid.reshape(windows.valid.shape + (1,) * inner)
            kept = np.broadcast_to(valid, windows.shape).ravel()
            rows, new = [r[kept] for r in rows], new[kept]
        self.combine(windows.view(out), rows, new, **params)
        return out

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        if params["update_jaxpr"] is not None:
            raise TypeError(
                f"scatter_apply cannot be differentiated.\n  {user_line()}\n"
                "  Gather the elements, apply the function, and set them."
            )
        operand, indices, updates = primals
        dx, dy = instantiate(tangents[0]), instantiate(tangents[2])
        if params["unique_indices"]:
            out = self.bind(operand, indices, updates, **params)
            return out, self.bind(dx, indices, dy, **params)
        # Which of several updates stays is the back end's choice, so it is asked once, with
        # numbers for updates; primal and tangent both follow it.
        untouched, winner = self._winners(operand, indices, updates, params)
        x, dx = kept_where(untouched, operand), kept_where(untouched, dx)
        y, dy = kept_where(winner, updates), kept_where(winner, dy)
        return bind_add(x, indices, y, params), bind_add(dx, indices, dy, params)

    def _winners(
        self, operand: Any, indices: Any, updates: Any, params: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Where the operand stays untouched, and which elements of the updates stay."""
        from .arithmetic import add
        from .broadcasting import broadcast_in_dim
        from .comparison import eq
        from .creation import full, iota
        from .movement import reshape

        shape = aval_of(updates).shape
        numbers: ScatterDimensionNumbers = params["dimension_numbers"]
        batch = tuple(1 if i in numbers.update_window_dims else n for i, n in enumerate(shape))
        count = size_of(batch)
        ids = reshape(add(iota(np.uint32, count), np.uint32(1)), batch)
        ids = broadcast_in_dim(ids, shape, tuple(range(len(shape))))
        zeros = full(aval_of(operand).shape, 0, np.uint32)
        scattered = self.bind(zeros, indices, ids, **params)
        gathered = gather_back(scattered, indices, shape, params, fill_value=0)
        return eq(scattered, zeros), eq(ids, gathered)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        from .creation import full

        operand, indices, updates = args
        if not params["unique_indices"]:
            raise TypeError(
                f"scatter can be transposed only with unique_indices=True.\n  {user_line()}\n"
                "  Promise unique indices, or add to zeros with scatter_add."
            )
        shape, dtype = aval_of(updates).shape, aval_of(ct).dtype
        result: list[Any] = [None, None, None]
        if isinstance(operand, UndefinedPrimal):
            result[0] = self.bind(ct, indices, full(shape, 0, dtype), **params)
        if isinstance(updates, UndefinedPrimal):
            result[2] = gather_back(ct, indices, shape, params, fill_value=0)
        return result

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        operand, indices, updates = args
        n: ScatterDimensionNumbers = params["dimension_numbers"]
        operand = to_front(operand, dims[0], axis.size)
        updates = to_front(updates, dims[2], axis.size)
        window, batching = shifted(n.update_window_dims), shifted(n.operand_batching_dims)
        index_batching = n.scatter_indices_batching_dims
        if dims[1] is None:
            # The batch axis is one more axis of every window.
            window = (0, *window)
        else:
            indices = to_front(indices, dims[1], axis.size)
            batching, index_batching = (0, *batching), (0, *shifted(index_batching))
        numbers = ScatterDimensionNumbers(
            window,
            shifted(n.inserted_window_dims),
            shifted(n.scatter_dims_to_operand_dims),
            batching,
            index_batching,
        )
        return self.bind(operand, indices, updates, **{**params, "dimension_numbers": numbers}), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        x, indices, updates = operands
        if self.op == "set" and params["update_jaxpr"] is not None:
            return None
        if 0 in x.shape or 0 in updates.shape:
            return Map(x.at)
        numbers: ScatterDimensionNumbers = params["dimension_numbers"]
        rank = len(indices.shape) - 1 + len(numbers.update_window_dims)
        own = sum(map(len, (numbers[0], numbers[1], numbers[3])))
        sizes = window_sizes(own, updates.shape[:rank], numbers)
        clip, apart = params["mode"] is GatherScatterMode.CLIP, params["unique_indices"]
        windows = IndexedWindows(x.shape, indices, numbers, sizes, clip)
        return scattered(fold_op(self.op, x.dtype), x, self.worked_in(updates), windows, apart)

    def worked_in(self, updates: Operand) -> Operand:
        """The updates as the operation of the compiled scatter takes them."""
        return updates

    def examples(self) -> Iterator[Example]:
        for shape, index, update_shape, numbers, mode, unique in _examples():
            params = {
                "dimension_numbers": numbers,
                "indices_are_sorted": False,
                "unique_indices": unique,
                "mode": mode,
                "update_jaxpr": combiner(self.name, np.dtype(np.float64)),
                "update_consts": (),
            }
            args = (draw(reals(0.5, 1.5), shape, 3), index, draw(reals(0.5, 1.5), update_shape, 6))
            yield Example(args, params, self.differentiable(unique))

    def differentiable(self, unique: bool) -> tuple[int, ...]:
        """The operands that derivatives exist for."""
        return (0, 2)


def _examples() -> Iterator[Any]:
    fill, clip = GatherScatterMode.FILL_OR_DROP, GatherScatterMode.CLIP
    promise = GatherScatterMode.PROMISE_IN_BOUNDS
    rows = ScatterDimensionNumbers((1,), (0,), (0,))
    yield (4, 3), np.array([[2], [0], [2], [-1], [9]]), (5, 3), rows, fill, False
    yield (4, 3), np.array([[2], [0], [7]], np.int8), (3, 3), rows, clip, False
    yield (4, 3), np.array([[2], [0]], np.uint8), (2, 3), rows, promise, True
    yield (
        (4,),
        draw(integers(0, 4), (6, 1), 3),
        (6,),
        rows._replace(update_window_dims=()),
        fill,
        False,
    )
    both = ScatterDimensionNumbers((), (0, 1), (1, 0))
    yield (4, 3), draw(integers(-1, 5), (2, 5, 2), 4), (2, 5), both, fill, False
    boxes = ScatterDimensionNumbers((0, 2), (), (0, 1))
    yield (4, 5), draw(integers(-1, 4), (3, 2), 5), (2, 3, 3), boxes, clip, False
    yield (4, 5), np.array([[0, 1], [2, 2]]), (2, 2, 3), boxes, fill, True
    walked = ScatterDimensionNumbers((1,), (1,), (1,), (0,), (1,))
    yield (3, 4, 2), draw(integers(0, 4), (2, 3, 1), 6), (2, 2, 3), walked, fill, False
    yield (3, 4, 2), draw(integers(0, 4), (1, 3, 1), 6), (1, 2, 3), walked, promise, True
    yield (4,), np.array([2]), (), ScatterDimensionNumbers((), (0,), (0,)), fill, True
    yield (4,), np.zeros((0, 1), np.int32), (0,), rows._replace(update_window_dims=()), fill, False


class ScatterFold(Scatter):
    """A scatter that combines updates with what is there by an associative function."""

    ufunc: ClassVar[np.ufunc]
    inner: ClassVar[np.ufunc]

    def combine(self, view: Any, rows: Any, updates: Any, **params: Any) -> None:
        fold(self.ufunc, self.inner, view, rows, updates, params["unique_indices"])


class ScatterAdd(ScatterFold):
    """The operand with the updates added."""

    name = "scatter-add"
    op = "add"
    ufunc = inner = np.add
    linear = "joint"
    linear_operands = slice(0, 3, 2)

    def onto(self, eqn: Eqn) -> ClosedJaxpr:
        """The program of an eqn: itself."""

        def run(*args: Any) -> list[Any]:
            return [self.bind(*args, **eqn.params)]

        return stage(run, [a.aval for a in eqn.invars], self.name)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        out = self.bind(*primals, **params)
        dx, dy = instantiate(tangents[0]), instantiate(tangents[2])
        return out, self.bind(dx, primals[1], dy, **params)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        operand, indices, updates = args
        result: list[Any] = [None, None, None]
        if isinstance(operand, UndefinedPrimal):
            result[0] = ct
        if isinstance(updates, UndefinedPrimal):
            found = gather_back(ct, indices, updates.aval.shape, params, fill_value=0)
            result[2] = self.signed(found)
        return result

    def signed(self, ct: Any) -> Any:
        """The cotangent of the updates, from that of the output at their place."""
        return ct


class ScatterSub(ScatterAdd):
    """The operand with the updates subtracted."""

    name = "scatter-sub"
    ufunc = np.subtract
    inner = np.add

    def worked_in(self, updates: Operand) -> Operand:
        def negated(index: IndexTuple, guard: Expr | None) -> Expr:
            return apply("neg", updates.at(index, guard))

        return updates._replace(read=negated)

    def signed(self, ct: Any) -> Any:
        from .arithmetic import neg

        return neg(ct)


class ScatterMul(ScatterFold):
    """The operand multiplied by the updates."""

    name = "scatter-mul"
    op = "mul"
    ufunc = inner = np.multiply

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return Primitive.jvp(self, primals, tangents, **params)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        from .arithmetic import mul

        operand, indices, updates = primals
        if i == 0:
            return self.bind(t, indices, updates, **params)
        self.check_unique(params)
        return mul(operand, bind_add(zeros_of(operand), indices, t, params))

    def check_unique(self, params: dict[str, Any]) -> None:
        """Raise TypeError unless the indices are promised to be unique."""
        if not params["unique_indices"]:
            raise TypeError(
                "scatter_mul can be differentiated by its updates only with unique_indices=True."
                f"\n  {user_line()}\n  Promise unique indices: x.at[i].mul(y, unique_indices=True)."
            )

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        from .arithmetic import mul

        operand, indices, updates = args
        if isinstance(operand, UndefinedPrimal):
            return [self.bind(ct, indices, updates, **params), None, None]
        self.check_unique(params)
        shape = updates.aval.shape
        return [None, None, gather_back(mul(ct, operand), indices, shape, params, fill_value=0)]

    def differentiable(self, unique: bool) -> tuple[int, ...]:
        return (0, 2) if unique else (0,)


class ScatterExtremum(ScatterFold):
    """The operand limited by the updates; tangents of equal extrema are averaged."""

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        from .arithmetic import add, div, mul, sub
        from .comparison import eq
        from .creation import full_like
        from .selection import select

        operand, indices, updates = primals
        dx, dy = instantiate(tangents[0]), instantiate(tangents[2])
        out = self.bind(operand, indices, updates, **params)
        ones, zeros = full_like(updates, 1), full_like(updates, 0)
        shape = aval_of(updates).shape

        def at(x: Any) -> Any:
            return gather_back(x, indices, shape, params, fill_value=1)

        def count(of: Any) -> Any:
            return at(bind_add(zeros_of(operand), indices, of, params))

        target = at(out)
        wins, stays = eq(updates, target), eq(at(operand), target)
        winners = count(select(wins, ones, zeros))
        share = div(ones, select(stays, add(winners, ones), winners))
        # What the operand loses where it is replaced is spread over the updates of that place.
        change = div(sub(select(stays, share, zeros), ones), count(ones))
        part = add(mul(at(dx), change), mul(dy, select(wins, share, zeros)))
        return out, bind_add(dx, indices, part, params)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return Primitive.transpose(self, ct, *args, **params)


class ScatterMin(ScatterExtremum):
    """The smaller of the operand and the updates."""

    name = "scatter-min"
    op = "min"
    ufunc = inner = np.minimum


class ScatterMax(ScatterExtremum):
    """The larger of the operand and the updates."""

    name = "scatter-max"
    op = "max"
    ufunc = inner = np.maximum


scatter_p = Scatter()
scatter_add_p = ScatterAdd()
scatter_sub_p = ScatterSub()
scatter_mul_p = ScatterMul()
scatter_min_p = ScatterMin()
scatter_max_p = ScatterMax()


def bind_add(x: Any, indices: Any, updates: Any, params: dict[str, Any]) -> Any:
    """x with updates added at the places of another scatter."""
    jaxpr = combiner("scatter-add", aval_of(x).dtype)
    return scatter_add_p.bind(x, indices, updates, **{**params, "update_jaxpr": jaxpr})


def kept_where(mask: Any, x: Any) -> Any:
    """x where the mask holds, else zero."""
    from .selection import select

    return select(mask, x, zeros_of(x))


@functools.lru_cache(maxsize=256)
def combiner(name: str, dtype: np.dtype[Any]) -> Jaxpr | None:
    """The program on scalars that a scatter combines with, as its eqn shows it."""
    from . import arithmetic

    functions: dict[str, Callable[[Any, Any], Any]] = {
        "scatter-add": arithmetic.add,
        "scatter-sub": arithmetic.sub,
        "scatter-mul": arithmetic.mul,
        "scatter-min": arithmetic.min,
        "scatter-max": arithmetic.max,
    }
    if name not in functions:
        return None
    scalar = ShapedArray((), dtype)

    def on_scalars(x: Any, y: Any) -> list[Any]:
        return [functions[name](x, y)]

    return stage(on_scalars, [scalar, scalar]).jaxpr
