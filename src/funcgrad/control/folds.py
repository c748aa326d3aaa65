"""Folds by any computation: `reduce`, `reduce_window`, `select_and_scatter`.

In: arrays, start values and a function of two scalars. Out: the folds. The one idea: the function
is traced once on scalars; a fold is written out as few applications of it to whole arrays, and
that expansion is what is evaluated, differentiated and, where need be, batched. Folds whose
function and start are those of a named reduction become that reduction.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..core.array import Array
from ..core.axes import to_front
from ..core.evaluate import eval_closed, run_numpy
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..core.staging import stage
from ..core.trace import Tracer, as_array, value_of
from ..ir.avals import ShapedArray, aval_of, size_of
from ..ir.jaxpr import ClosedJaxpr
from ..primitives import arithmetic, bits, reduction, windows
from ..primitives.arithmetic import add, mul
from ..primitives.broadcasting import broadcast
from ..primitives.comparison import eq, ge
from ..primitives.creation import full
from ..primitives.joining import concatenate
from ..primitives.kinds import check_axes, draw, reals
from ..primitives.movement import reshape
from ..primitives.selection import select
from ..primitives.slicing import pad, slice, slice_in_dim
from ..primitives.windowing import pad_numpy
from ..transforms.batch import batch_flat
from ..transforms.jvp import jvp_flat


def apply_pointwise(computation: ClosedJaxpr, *arrays: Any) -> list[Any]:
    """The computation on scalars applied at every index of arrays of one shape."""
    shape = aval_of(arrays[0]).shape
    size = size_of(shape)
    flat = [reshape(x, (size,)) for x in arrays]
    outs, dims = batch_flat(
        lambda *xs: eval_closed(computation, *xs), AxisData(None, size), flat, [0] * len(flat)
    )
    return [reshape(to_front(x, d, size), shape) for x, d in zip(outs, dims, strict=True)]


class Expanded(Primitive):
    """A primitive evaluated and transformed by its expansion into others.

    The operands come first, then one scalar start for each of them that is folded.
    """

    multiple_results = True
    widens = False
    composed = True

    def expand(self, *args: Any, **params: Any) -> list[Any]:
        """The outputs, by other primitives."""
        raise TypeError(f"{self.name} has no expansion.")

    def impl(self, *arrays: Any, **params: Any) -> Any:
        avals = tuple(ShapedArray(x.shape, x.dtype) for x in arrays)
        return run_numpy(staged(self, avals, tuple(params.items())), arrays)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return jvp_flat(lambda *xs: self.expand(*xs, **params), primals, tangents)

    def shifted(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """Params for operands with a batch axis in front; `None` batches the expansion."""
        return None

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        count = len(args) // 2
        shifted = self.shifted(params)
        if shifted is None or any(d is not None for d in dims[count:]):
            return batch_flat(lambda *xs: self.expand(*xs, **params), axis, args, dims)
        operands = [
            to_front(x, d, axis.size) for x, d in zip(args[:count], dims[:count], strict=True)
        ]
        return self.bind(*operands, *args[count:], **shifted), [0] * count


@functools.lru_cache(maxsize=256)
def staged(
    primitive: Expanded, avals: tuple[ShapedArray, ...], params: tuple[tuple[str, Any], ...]
) -> ClosedJaxpr:
    """The expansion of a primitive as a jaxpr."""
    return stage(lambda *xs: primitive.expand(*xs, **dict(params)), avals, primitive.name)


def check_computation(name: str, operands: Sequence[ShapedArray], jaxpr: ClosedJaxpr) -> None:
    """Raise TypeError unless operands share a shape and the computation keeps their dtypes."""
    wanted = [x.dtype for x in operands]
    found = [x.dtype for x in jaxpr.out_avals]
    problem = None
    if len({x.shape for x in operands}) > 1:
        problem = "operands must have one shape"
    elif wanted != found or any(x.shape for x in jaxpr.out_avals):
        outs = ", ".join(x.long() for x in jaxpr.out_avals)
        problem = f"the computation must return scalars of the operands' dtypes, got {outs}"
    elif [a.dtype for a in jaxpr.in_avals] != [*wanted, *wanted]:
        starts = ", ".join(a.dtype.name for a in jaxpr.in_avals[: len(wanted)])
        problem = f"start values must have the operands' dtypes, got {starts}"
    if problem:
        raise TypeError(
            f"{name}: {problem}; operands are {', '.join(x.long() for x in operands)}.\n"
            f"  {user_line()}\n  Convert with astype."
        )


class Reduce(Expanded):
    """Axes of some arrays folded together by an associative computation."""

    name = "reduce"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        operands = avals[: len(avals) // 2]
        check_computation(self.name, operands, params["jaxpr"])
        dimensions: tuple[int, ...] = params["dimensions"]
        check_axes(self.name, dimensions, operands[0])
        shape = tuple(n for i, n in enumerate(operands[0].shape) if i not in dimensions)
        return [x.update(shape=shape, weak_type=False) for x in operands]

    def expand(self, *args: Any, **params: Any) -> list[Any]:
        count = len(args) // 2
        rest = [reduction.front(x, params["dimensions"]) for x in args[:count]]
        shape = aval_of(rest[0]).shape[1:]
        starts = [broadcast(s, shape) for s in args[count:]]
        if aval_of(rest[0]).shape[0] == 0:
            return starts
        # Neighbours are paired, so that the order of the elements is kept.
        while (length := aval_of(rest[0]).shape[0]) > 1:
            even = length - length % 2
            left = [slice_in_dim(x, 0, even, 2) for x in rest]
            right = [slice_in_dim(x, 1, even, 2) for x in rest]
            paired = apply_pointwise(params["jaxpr"], *left, *right)
            if length % 2:
                last = [slice_in_dim(x, even, length) for x in rest]
                paired = [concatenate([x, y], 0) for x, y in zip(paired, last, strict=True)]
            rest = paired
        folded = [reshape(x, shape) for x in rest]
        return apply_pointwise(params["jaxpr"], *starts, *folded)

    def shifted(self, params: dict[str, Any]) -> dict[str, Any]:
        return {**params, "dimensions": tuple(d + 1 for d in params["dimensions"])}

    def examples(self) -> Iterator[Example]:
        zero, one = np.zeros(()), np.ones(())
        for shape, dimensions in (
            ((3, 4), (0,)),
            ((5,), (0,)),
            ((2, 0), (1,)),
            ((2, 3, 2), (2, 0)),
        ):
            params = {"jaxpr": product_and_sum(), "dimensions": dimensions}
            x, y = draw(reals(0.5, 2.0), shape, 3), draw(reals(-1.0, 1.0), shape, 4)
            yield Example((x, y, one, zero), params, differentiable=(0, 1))


@functools.lru_cache(maxsize=1)
def product_and_sum() -> ClosedJaxpr:
    """The composition of affine maps, as a computation for examples: associative, in order."""

    def compose(a: Any, b: Any, c: Any, d: Any) -> list[Any]:
        return [mul(a, c), add(mul(c, b), d)]

    return stage(compose, [ShapedArray((), np.float64)] * 4)


class ReduceWindow(Expanded):
    """Windows of some arrays folded together by a computation."""

    name = "reduce_window"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        operands = avals[: len(avals) // 2]
        check_computation(self.name, operands, params["jaxpr"])
        shape = windows.windowed_shape(self.name, operands[0], params)
        return [x.update(shape=shape, weak_type=False) for x in operands]

    def expand(self, *args: Any, **params: Any) -> list[Any]:
        count = len(args) // 2
        shape = windows.windowed_shape(self.name, aval_of(args[0]), params)
        found = [broadcast(s, shape) for s in args[count:]]
        if 0 in shape:
            return found
        padded = [
            pad(x, s, pad_config(params)) for x, s in zip(args[:count], args[count:], strict=True)
        ]
        inside = inside_mask(aval_of(args[0]).shape, params)
        for places in windows.offset_slices(shape, params):
            part = [cut(x, places) for x in padded]
            folded = apply_pointwise(params["jaxpr"], *found, *part)
            # Padding takes no part: the start need not be an identity of the computation.
            real = inside[tuple(places)]
            masked = [select(real, a, b) for a, b in zip(folded, found, strict=True)]
            found = folded if real.all() else masked
        return found

    def shifted(self, params: dict[str, Any]) -> dict[str, Any]:
        return windows.shifted_params(params)

    def examples(self) -> Iterator[Example]:
        zero, one = np.zeros(()), np.ones(())
        for shape, window in windows.window_cases[:5]:
            x, y = draw(reals(0.5, 2.0), shape, 3), draw(reals(-1.0, 1.0), shape, 4)
            params = {"jaxpr": product_and_sum(), **window}
            yield Example((x, y, one, zero), params, differentiable=(0, 1))


class SelectAndScatter(Expanded):
    """The source of every window scattered to the element of the operand that wins it."""

    name = "select_and_scatter"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        operand, source, _ = avals
        check_computation(self.name, (operand,), params["scatter_jaxpr"])
        shape = windows.windowed_shape(self.name, operand, params)
        windows.check_same_shape(self.name, source, shape, operand)
        return [operand.update(weak_type=False)]

    def expand(self, *args: Any, **params: Any) -> list[Any]:
        operand, source, start = args
        shape = aval_of(source).shape
        config = pad_config(params)
        padded = pad(operand, start, config)
        out = broadcast(start, aval_of(padded).shape)
        if 0 in shape:
            return [broadcast(start, aval_of(operand).shape)]
        offsets = list(windows.offset_slices(shape, params))
        best, winner = cut(padded, offsets[0]), full(shape, 0, np.int32)
        inside = inside_mask(aval_of(operand).shape, params)
        known = inside[offsets[0]]
        for k, places in enumerate(offsets[1:], 1):
            part = cut(padded, places)
            (keeps,) = apply_pointwise(params["select_jaxpr"], best, part)
            # Elements win over padding, wherever they come.
            real = inside[places]
            keeps = select(known & real, keeps, ~real)
            known = known | real
            best = select(keeps, best, part)
            winner = select(keeps, winner, full(shape, k, np.int32))
        for k, places in enumerate(offsets):
            (scattered,) = apply_pointwise(params["scatter_jaxpr"], cut(out, places), source)
            mine = eq(winner, full(shape, k, np.int32))
            out = put(out, select(mine, scattered, cut(out, places)), places)
        return [pad(out, start, [(-low, -high, 0) for low, high, _ in config])]

    def examples(self) -> Iterator[Example]:
        scalar = ShapedArray((), np.float64)

        def wins(a: Any, b: Any) -> list[Any]:
            return [ge(a, b)]

        def sums(a: Any, b: Any) -> list[Any]:
            return [add(a, b)]

        computations = {
            "select_jaxpr": stage(wins, [scalar] * 2),
            "scatter_jaxpr": stage(sums, [scalar] * 2),
        }
        for shape, window in (windows.window_cases[0], windows.window_cases[3]):
            x = draw(reals(-2.0, 2.0), shape, 6)
            count = windows.windowed_shape("", aval_of(x), window)
            source = draw(reals(-2.0, 2.0), count, 7)
            args = x, source, np.zeros(())
            yield Example(args, {**computations, **window}, differentiable=(1,))


def inside_mask(shape: Sequence[int], params: dict[str, Any]) -> Any:
    """Which elements of the padded array are the operand's, as a NumPy array."""
    ones = np.ones(shape, np.bool_)
    return pad_numpy(ones, False, params["padding"], params["base_dilation"])


def pad_config(params: dict[str, Any]) -> list[tuple[int, int, int]]:
    """Padding of an operand for its windows, as `pad` takes it."""
    pairs = zip(params["padding"], params["base_dilation"], strict=True)
    return [(low, high, step - 1) for (low, high), step in pairs]


def cut(x: Any, places: Sequence[Any]) -> Any:
    """The elements at static slices."""
    return slice(x, [p.start for p in places], [p.stop for p in places], [p.step for p in places])


def put(x: Any, part: Any, places: Sequence[Any]) -> Any:
    """The array with the elements at static slices replaced."""
    shape = aval_of(x).shape
    config = [(p.start, n - p.stop, p.step - 1) for p, n in zip(places, shape, strict=True)]
    aval = aval_of(part)
    here = pad(full(aval.shape, True, np.bool_), np.zeros((), np.bool_), config)
    return select(here, pad(part, np.zeros((), aval.dtype), config), x)


reduce_p = Reduce()
reduce_window_p = ReduceWindow()
select_and_scatter_p = SelectAndScatter()


# User functions.


def trace_computation(
    name: str, computation: Callable[..., Any], starts: Sequence[Any], structure: Any
) -> ClosedJaxpr:
    """The jaxpr of a function of two trees of scalars.

    Raises:
        TypeError: it depends on traced values, or returns another structure.
    """
    avals = [aval_of(s).strong() for s in starts]

    def flat(*values: Any) -> list[Any]:
        halves = values[: len(avals)], values[len(avals) :]
        out = computation(*(tree.unflatten(structure, half) for half in halves))
        leaves, found = tree.flatten(out)
        if found != structure:
            raise TypeError(
                f"{name}: the computation returned the structure {found}, the operands have "
                f"{structure}.\n  {user_line()}\n  Return one value for each operand."
            )
        return leaves

    closed = stage(flat, [*avals, *avals], name)
    if any(isinstance(c, Tracer) for c in closed.consts):
        raise TypeError(
            f"{name}: the computation uses a traced value from outside.\n  {user_line()}\n"
            "  Pass it as an operand, or make it a constant."
        )
    return closed


def known_start(start: Any) -> Any:
    """The start value as a NumPy scalar array where it is known, else `None`."""
    value = value_of(as_array(start))
    return value.numpy() if type(value) is Array and value.shape == () else None


def named_fold(computation: Any, starts: Sequence[Any]) -> str | None:
    """Name of the reduction that a computation and its start stand for."""
    start = known_start(starts[0]) if len(starts) == 1 else None
    if start is None:
        return None
    dtype: Any = start.dtype
    table: list[tuple[Any, str, Any]] = [
        (arithmetic.add, "sum", reduction.zero),
        (arithmetic.mul, "prod", reduction.one),
        (arithmetic.max, "max", reduction.lowest),
        (arithmetic.min, "min", reduction.highest),
    ]
    if dtype.kind in "biu":
        table += [
            (bits.bitwise_and, "and", reduction.all_ones),
            (bits.bitwise_or, "or", reduction.zero),
            (bits.bitwise_xor, "xor", reduction.zero),
        ]
    for function, name, identity in table:
        if computation is function and start == np.asarray(identity(dtype)).astype(dtype):
            return name
    return None


def fold_operands(name: str, operands: Any, init_values: Any) -> tuple[list[Any], list[Any], Any]:
    """Leaves of the operands and starts, and their structure.

    Raises:
        ValueError: the structures differ, there are no operands, or a start is no scalar.
    """
    leaves, structure = tree.flatten(operands)
    starts, found = tree.flatten(init_values)
    problem = None
    if structure != found:
        problem = f"operands have the structure {structure}, init_values {found}"
    elif not leaves:
        problem = "there must be at least one operand"
    elif any(aval_of(s).shape for s in starts):
        problem = f"init_values must be scalars, got {[aval_of(s).long() for s in starts]}"
    if problem:
        raise ValueError(
            f"{name}: {problem}.\n  {user_line()}\n  Give one scalar start for each operand."
        )
    strong: list[Any] = []
    for x, start in zip(leaves, starts, strict=True):
        aval = aval_of(start)
        # A Python number takes the dtype of its operand.
        takes = aval.weak_type and not isinstance(start, Tracer)
        dtype = aval_of(x).dtype if takes else aval.dtype
        strong.append(full((), start, dtype) if aval.weak_type else start)
    return leaves, strong, structure


def reduce(
    operands: Any,
    init_values: Any,
    computation: Callable[[Any, Any], Any],
    dimensions: Sequence[int],
) -> Any:
    """Axes of one or more arrays folded away by an associative computation.

    Args:
        operands: an array, or a tree of arrays of one shape.
        init_values: a scalar for each of them, an identity of the computation.
        computation: takes two trees of scalars like `operands`, returns one; it is traced once.
        dimensions: axes to fold.
    Returns:
        A tree like `operands` of arrays without `dimensions`.
    Raises:
        ValueError: structures that differ, or axes out of range.
        TypeError: shapes or dtypes that differ, or a computation that uses traced values.
    """
    leaves, starts, structure = fold_operands("reduce", operands, init_values)
    name = named_fold(computation, starts)
    axes = tuple(int(d) for d in dimensions)
    if name is not None and aval_of(leaves[0]).dtype == aval_of(starts[0]).dtype:
        return tree.unflatten(structure, [getattr(reduction, f"reduce_{name}")(leaves[0], axes)])
    jaxpr = trace_computation("reduce", computation, starts, structure)
    return tree.unflatten(structure, reduce_p.bind(*leaves, *starts, jaxpr=jaxpr, dimensions=axes))


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable[[Any, Any], Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: Any = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """Every window of one or more arrays folded by a computation.

    Args:
        operand: an array, or a tree of arrays of one shape.
        init_value: a scalar for each, where folds start. Padding takes no part.
        computation: takes two trees of scalars like `operand`, returns one; it is traced once.
        window_dimensions, window_strides, padding, base_dilation, window_dilation: as in
            `windows.reduce_window_sum`.
    Raises:
        ValueError, TypeError: as in `reduce`; or not one window param for each axis.
    """
    leaves, starts, structure = fold_operands("reduce_window", operand, init_value)
    params = windows.window_params(
        aval_of(leaves[0]).shape,
        window_dimensions,
        window_strides,
        padding,
        base_dilation,
        window_dilation,
    )
    name = named_fold(computation, starts)
    if name in ("sum", "max", "min") and aval_of(leaves[0]).dtype == aval_of(starts[0]).dtype:
        primitive = getattr(windows, f"reduce_window_{name}_p")
        return tree.unflatten(structure, [primitive.bind(leaves[0], **params)])
    jaxpr = trace_computation("reduce_window", computation, starts, structure)
    outs = reduce_window_p.bind(*leaves, *starts, jaxpr=jaxpr, **params)
    return tree.unflatten(structure, outs)


def select_and_scatter(
    operand: Any,
    select: Callable[[Any, Any], Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None,
    padding: Any,
    source: Any,
    init_value: Any,
    scatter: Callable[[Any, Any], Any],
) -> Any:
    """The source of every window combined into the element of the operand that wins it.

    Args:
        operand: numbers, any shape.
        select: of two scalars, whether the first wins.
        window_dimensions, window_strides, padding: the windows of the operand.
        source: one value for each window.
        init_value: scalar that the output starts from.
        scatter: combines what is there with a source.
    Returns:
        An array of the operand's shape and dtype.
    Raises:
        TypeError: shapes or dtypes that do not fit.
    """
    aval = aval_of(operand)
    _, (start,), structure = fold_operands("select_and_scatter", operand, init_value)
    params = windows.window_params(aval.shape, window_dimensions, window_strides, padding)
    computations = {
        "select_jaxpr": trace_computation("select", select, [start], structure),
        "scatter_jaxpr": trace_computation("scatter", scatter, [start], structure),
    }
    return select_and_scatter_p.bind(operand, source, start, **computations, **params)[0]
