"""The primitives of collectives over named axes: psum, pmax, all_gather, ppermute and the rest.

A collective names axes that an enclosing vmap, shard_map or make_jaxpr's axis_env brought into
scope. The batch trace of an axis of vmap turns the collective into ordinary operations along the
batch axis; every other transform passes it on. What is left are axes of a mesh: there the ranks
that run the program meet, and `together` makes the results of a group from its values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from ..core.axes import move_axis, to_front
from ..core.context import axis_size_of, context, extend_axes
from ..core.primitive import AxisData, NotDifferentiable, Primitive
from ..core.ranks import Call
from ..core.sources import user_line
from ..core.staging import stage
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import Atom, ClosedJaxpr, Eqn
from ..ir.loops import Exchange, Lowered, Operand, View
from ..primitives.arithmetic import mul
from ..primitives.creation import full, iota
from ..primitives.indexing import index_take
from ..primitives.movement import reshape
from ..primitives.reduction import reduce_max, reduce_min, reduce_sum
from .groups import collected, given, within

AxisName = Any
NDArray = np.ndarray[Any, Any]


def names_of(axis_name: AxisName) -> tuple[Any, ...]:
    """The names in a name or a sequence of names."""
    return tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


class Collective(Primitive):
    """An operation over the elements of named axes; `axes` is a tuple of names."""

    named_axes = True
    cache_inference = False
    tested_in = "tests/control/test_collectives.py"

    def axis_names(self, params: dict[str, Any]) -> tuple[Any, ...]:
        """The axes a call names."""
        return names_of(params.get("axes", params.get("axis_name")))

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> Any:
        for name in self.axis_names(params):
            axis_size_of(name)
        return self.shape_rule(*avals, **params)

    def shape_rule(self, *avals: ShapedArray, **params: Any) -> Any:
        """Aval of the output, the axes being in scope."""
        return avals[0]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        names, rank = self.axis_names(params), context.rank
        outside = [name for name in names if rank is None or name not in rank.place]
        if rank is None or outside:
            raise NameError(
                f"unbound axis name: {outside[0]!r}. {self.name} runs inside vmap(axis_name=...), "
                "shard_map or pmap; in a shard_map inside of another one it can name only the axes "
                "of the inner one."
            )
        (x,) = arrays
        rest = tuple(sorted((k, v) for k, v in params.items() if k not in ("axes", "axis_name")))
        call = Call(self.name, (names, *rest), ShapedArray(x.shape, x.dtype).long())
        members = within(params.get("axis_index_groups"), rank.group(names), rank.number)
        return rank.meet(members, call, x, partial(self.together, **params))

    def together(self, values: list[NDArray], **params: Any) -> list[NDArray]:
        """The results of all ranks of a group, in new memory, from their values."""
        raise TypeError(f"{self.name} has no rule for ranks.")

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        if axis.name in self.axis_names(params):
            if args:
                self.shape_rule(_element(args[0], dims[0]), **params)
            if params.get("axis_index_groups") is not None:
                return collected(self, axis, args[0], dims[0], params)
            return self.collect(axis, args, dims, **params)
        (x,), (dim,) = args, dims
        moved = move_axis(x, dim, 0) if dim is not None else x
        return self.bind_batched(moved, dim is not None, **params), None if dim is None else 0

    def bind_batched(self, x: Any, batched: bool, **params: Any) -> Any:
        """Bind with a leading axis that is none of the collective's."""
        return self.bind(x, **params)

    def collect(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        """The collective as operations along the batch axis; `axis.name` is among its axes."""
        raise TypeError(f"{self.name} over {axis.name!r} has no batching rule.")


def _element(x: Any, dim: int | None) -> ShapedArray:
    """What one element of a batch is."""
    aval = aval_of(x)
    if dim is None:
        return aval
    return aval.update(shape=(*aval.shape[:dim], *aval.shape[dim + 1 :]))


def _staged(program: Callable[[Any], list[Any]], eqn: Eqn, name: Any, size: int) -> ClosedJaxpr:
    """A program in place of a collective over an axis."""
    with extend_axes((name, size)):
        return stage(program, [a.aval for a in eqn.invars], eqn.primitive.name)


def _exchange(kind: str, params: dict[str, Any]) -> Exchange:
    """A collective over one axis."""
    return Exchange(kind, (params["axis_name"],), groups=params.get("axis_index_groups"))


class Fold(Collective):
    """psum, pmax, pmin: one value for the whole axis.

    Attributes:
        ufunc: what folds two values.
    """

    ufunc: Any = None

    def together(self, values: list[NDArray], **params: Any) -> list[NDArray]:
        # In the order of the ranks, so that every run gives the same bits.
        return [np.array(reduce(self.ufunc, values))] * len(values)

    def exchange(self, params: dict[str, Any]) -> Exchange:
        op = self.name.removeprefix("p")
        return Exchange("reduce", params["axes"], op, groups=params.get("axis_index_groups"))

    def fold(self, x: Any) -> Any:
        """x folded along axis 0."""
        raise TypeError(f"{self.name} has no fold.")

    def repeated(self, x: Any, size: int) -> Any:
        """The fold of `size` equal values."""
        return x

    def collect(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        (x,), (dim,) = args, dims
        out = self.repeated(x, axis.size) if dim is None else self.fold(move_axis(x, dim, 0))
        rest = tuple(name for name in params["axes"] if name != axis.name)
        return (self.bind(out, axes=rest) if rest else out), None


class PSum(Fold):
    """Sum over the axes."""

    name = "psum"
    ufunc = np.add
    linear = "joint"

    def fold(self, x: Any) -> Any:
        return reduce_sum(x, (0,))

    def repeated(self, x: Any, size: int) -> Any:
        return mul(x, full((), size, aval_of(x).dtype))

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [self.bind(ct, **params)]


class PMax(Fold):
    """Maximum over the axes."""

    name = "pmax"
    ufunc = np.maximum
    jvp_term = NotDifferentiable("a maximum over a named axis has no derivative rule")

    def fold(self, x: Any) -> Any:
        return reduce_max(x, (0,))


class PMin(Fold):
    """Minimum over the axes."""

    name = "pmin"
    ufunc = np.minimum
    jvp_term = NotDifferentiable("a minimum over a named axis has no derivative rule")

    def fold(self, x: Any) -> Any:
        return reduce_min(x, (0,))


class AllGather(Collective):
    """The values of all elements of an axis, along a new array axis, or joined with `tiled`."""

    name = "all_gather"
    linear = "joint"

    def together(self, values: list[NDArray], **params: Any) -> list[NDArray]:
        join = np.concatenate if params["tiled"] else np.stack
        return [join(values, axis=params["all_gather_dimension"])] * len(values)

    def exchange(self, params: dict[str, Any]) -> Exchange:
        return _exchange("gather", params)

    def inlined(self, eqn: Eqn) -> ClosedJaxpr | None:
        """Gathered in front, where the parts lie one behind the other, then put in place."""
        params, at, size = eqn.params, eqn.params["all_gather_dimension"], eqn.params["axis_size"]
        if not at:
            return None

        def program(x: Any) -> list[Any]:
            front = {**params, "all_gather_dimension": 0, "tiled": False}
            out = move_axis(self.bind(x, **front), 0, at)
            return [reshape(out, eqn.outvars[0].aval.shape)]

        return _staged(program, eqn, params["axis_name"], size)

    def shape_rule(self, *avals: ShapedArray, **params: Any) -> Any:
        (x,) = avals
        at, size = params["all_gather_dimension"], params["axis_size"]
        shape = list(x.shape)
        if params["tiled"]:
            shape[at] *= size
        else:
            shape.insert(at, size)
        return x.update(shape=tuple(shape))

    def bind_batched(self, x: Any, batched: bool, **params: Any) -> Any:
        at = params["all_gather_dimension"]
        return self.bind(x, **{**params, "all_gather_dimension": at + batched})

    def collect(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        x = to_front(args[0], dims[0], axis.size)
        at = params["all_gather_dimension"]
        x = move_axis(x, 0, at)
        if params["tiled"]:
            shape = aval_of(x).shape
            x = reshape(x, (*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :]))
        return x, None

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        at = params["all_gather_dimension"]
        out = reduce_scatter_p.bind(
            ct,
            axis_name=params["axis_name"],
            scatter_dimension=at,
            axis_size=params["axis_size"],
            tiled=params["tiled"],
            **given(params.get("axis_index_groups")),
        )
        return [out]


class ReduceScatter(Collective):
    """Sum over an axis; each element keeps its own part of the result (psum_scatter)."""

    name = "reduce_scatter"
    linear = "joint"

    def together(self, values: list[NDArray], **params: Any) -> list[NDArray]:
        at = params["scatter_dimension"]
        pieces = np.split(reduce(np.add, values), len(values), axis=at)
        return pieces if params["tiled"] else [np.squeeze(x, at) for x in pieces]

    def exchange(self, params: dict[str, Any]) -> Exchange:
        return _exchange("scatter", params)

    def inlined(self, eqn: Eqn) -> ClosedJaxpr | None:
        """With the axis in front, where the parts lie one behind the other."""
        params, at = eqn.params, eqn.params["scatter_dimension"]
        if not at:
            return None

        def program(x: Any) -> list[Any]:
            front = {**params, "scatter_dimension": 0, "tiled": True}
            out = move_axis(self.bind(move_axis(x, at, 0), **front), 0, at)
            return [reshape(out, eqn.outvars[0].aval.shape)]

        return _staged(program, eqn, params["axis_name"], params["axis_size"])

    def shape_rule(self, *avals: ShapedArray, **params: Any) -> Any:
        (x,) = avals
        at, size = params["scatter_dimension"], params["axis_size"]
        shape = list(x.shape)
        if shape[at] % size or (not params["tiled"] and shape[at] != size):
            raise ValueError(
                f"psum_scatter: axis {at} of {x.long()} does not split over an axis of size "
                f"{size}.\n  {user_line()}"
            )
        if params["tiled"]:
            shape[at] //= size
        else:
            del shape[at]
        return x.update(shape=tuple(shape))

    def bind_batched(self, x: Any, batched: bool, **params: Any) -> Any:
        at = params["scatter_dimension"]
        return self.bind(x, **{**params, "scatter_dimension": at + batched})

    def collect(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        x = reduce_sum(to_front(args[0], dims[0], axis.size), (0,))
        at = params["scatter_dimension"]
        if params["tiled"]:
            shape = aval_of(x).shape
            x = reshape(x, (*shape[:at], axis.size, shape[at] // axis.size, *shape[at + 1 :]))
        return x, at

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        out = all_gather_p.bind(
            ct,
            axis_name=params["axis_name"],
            all_gather_dimension=params["scatter_dimension"],
            axis_size=params["axis_size"],
            tiled=params["tiled"],
            **given(params.get("axis_index_groups")),
        )
        return [out]


class PPermute(Collective):
    """Send values along pairs (source, destination); elements nobody sends to get zeros."""

    name = "ppermute"
    linear = "joint"

    def together(self, values: list[NDArray], **params: Any) -> list[NDArray]:
        outs: list[NDArray] = [np.zeros_like(values[0])] * len(values)
        for source, target in params["perm"]:
            outs[target] = values[int(source)].copy()
        return outs

    def exchange(self, params: dict[str, Any]) -> Exchange:
        return Exchange("permute", (params["axis_name"],), pairs=params["perm"])

    def collect(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        x = to_front(args[0], dims[0], axis.size)
        source = {to: frm for frm, to in params["perm"]}
        rows = [source.get(i, 0) for i in range(axis.size)]
        kept = [i in source for i in range(axis.size)]
        out = _take(x, rows)
        if not all(kept):
            mask = np.array(kept).reshape(-1, *[1] * (aval_of(x).ndim - 1))
            out = mul(out, mask.astype(aval_of(x).dtype))
        return out, 0

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        perm = tuple((to, frm) for frm, to in params["perm"])
        return [self.bind(ct, axis_name=params["axis_name"], perm=perm)]


def _take(x: Any, rows: Sequence[int]) -> Any:
    return index_take(x, (np.array(rows, np.int32),), (0,))


class AllToAll(Collective):
    """Exchange a mapped axis with an array axis."""

    name = "all_to_all"
    linear = "joint"

    def together(self, values: list[NDArray], **params: Any) -> list[NDArray]:
        pieces = [np.split(x, len(values), axis=params["split_axis"]) for x in values]
        return [
            np.concatenate(column, params["concat_axis"]) for column in zip(*pieces, strict=True)
        ]

    def exchange(self, params: dict[str, Any]) -> Exchange:
        return _exchange("all to all", params)

    def inlined(self, eqn: Eqn) -> ClosedJaxpr | None:
        """With the parts in front, one behind the other, then put in place."""
        params, size = eqn.params, eqn.params["axis_size"]
        split, concat = params["split_axis"], params["concat_axis"]
        if not split and not concat:
            return None

        def program(x: Any) -> list[Any]:
            shape = aval_of(x).shape
            x = reshape(x, (*shape[:split], size, shape[split] // size, *shape[split + 1 :]))
            x = self.bind(move_axis(x, split, 0), **{**params, "split_axis": 0, "concat_axis": 0})
            return [reshape(move_axis(x, 0, concat), eqn.outvars[0].aval.shape)]

        return _staged(program, eqn, params["axis_name"], size)

    def shape_rule(self, *avals: ShapedArray, **params: Any) -> Any:
        (x,) = avals
        split, concat, size = params["split_axis"], params["concat_axis"], params["axis_size"]
        shape = list(x.shape)
        if shape[split] % size:
            raise ValueError(
                f"all_to_all: axis {split} of {x.long()} does not split over an axis of size "
                f"{size}.\n  {user_line()}"
            )
        shape[split] //= size
        shape[concat] *= size
        return x.update(shape=tuple(shape))

    def bind_batched(self, x: Any, batched: bool, **params: Any) -> Any:
        moved = {k: params[k] + batched for k in ("split_axis", "concat_axis")}
        return self.bind(x, **{**params, **moved})

    def collect(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        split, concat = params["split_axis"], params["concat_axis"]
        x = to_front(args[0], dims[0], axis.size)
        shape = aval_of(x).shape
        at = split + 1
        x = reshape(x, (*shape[:at], axis.size, shape[at] // axis.size, *shape[at + 1 :]))
        # Axes now: source, array axes with the pieces at `at`. The pieces become the batch axis,
        # the source joins the axis it is concatenated along.
        x = move_axis(x, at, 0)
        x = move_axis(x, 1, concat + 1)
        shape = aval_of(x).shape
        at = concat + 1
        return reshape(x, (*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :])), 0

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        swapped = {"split_axis": params["concat_axis"], "concat_axis": params["split_axis"]}
        return [self.bind(ct, **{**params, **swapped})]


class PVary(Collective):
    """The same value on all ranks, taken as each rank's own: cotangents of it are added."""

    name = "pvary"
    linear = "joint"

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return arrays[0]

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered:
        return View(0)

    def forwards(self, eqn: Eqn) -> Atom:
        """Its operand: transforms are done when this is asked."""
        return eqn.invars[0]

    def collect(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        x = to_front(args[0], dims[0], axis.size)
        rest = tuple(name for name in params["axes"] if name != axis.name)
        return (self.bind(x, axes=rest) if rest else x), 0

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [psum_p.bind(ct, axes=params["axes"])]


class AxisIndex(Collective):
    """The position along a named axis."""

    name = "axis_index"
    jvp_term = NotDifferentiable("integer result", zero=True)

    def exchange(self, params: dict[str, Any]) -> Exchange:
        return Exchange("index", (params["axis_name"],))

    def impl(self, *arrays: Any, **params: Any) -> Any:
        name, rank = params["axis_name"], context.rank
        if rank is None or name not in rank.place:
            raise NameError(f"unbound axis name: {name!r}, of which axis_index asks.")
        return np.array(rank.place[name], dtypes.canonicalize_dtype("int32"))

    def shape_rule(self, *avals: ShapedArray, **params: Any) -> Any:
        return ShapedArray((), dtypes.canonicalize_dtype("int32"))

    def collect(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        return iota("int32", axis.size), 0


psum_p, pmax_p, pmin_p = PSum(), PMax(), PMin()
all_gather_p, reduce_scatter_p = AllGather(), ReduceScatter()
ppermute_p, all_to_all_p, axis_index_p = PPermute(), AllToAll(), AxisIndex()
pvary_p = PVary()
