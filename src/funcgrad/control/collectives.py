"""Collectives over named axes: psum, pmax, all_gather, ppermute and the rest.

A collective names axes that an enclosing vmap (or make_jaxpr's axis_env) brought into scope. The
batch trace of such an axis turns the collective into ordinary operations along the batch axis;
every other transform passes it on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..core.axes import move_axis, to_front
from ..core.context import axis_size_of
from ..core.primitive import AxisData, NotDifferentiable, Primitive
from ..core.sources import user_line
from ..core.trace import as_array
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of, canonical_axis
from ..primitives.arithmetic import div, mul
from ..primitives.casting import convert_element_type
from ..primitives.creation import full, iota
from ..primitives.indexing import index_take
from ..primitives.movement import reshape, transpose
from ..primitives.reduction import reduce_max, reduce_min, reduce_sum

AxisName = Any


def _names(axis_name: AxisName) -> tuple[Any, ...]:
    return tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


class Collective(Primitive):
    """An operation over the elements of named axes; `axes` is a tuple of names."""

    named_axes = True
    cache_inference = False
    tested_in = "tests/control/test_collectives.py"

    def axis_names(self, params: dict[str, Any]) -> tuple[Any, ...]:
        """The axes a call names."""
        return _names(params.get("axes", params.get("axis_name")))

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> Any:
        for name in self.axis_names(params):
            axis_size_of(name)
        return self.shape_rule(*avals, **params)

    def shape_rule(self, *avals: ShapedArray, **params: Any) -> Any:
        """Aval of the output, the axes being in scope."""
        return avals[0]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        name = self.axis_names(params)[0]
        raise NameError(
            f"unbound axis name: {name!r}. {self.name} runs inside vmap(axis_name=...)."
        )

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        if axis.name in self.axis_names(params):
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


class Fold(Collective):
    """psum, pmax, pmin: one value for the whole axis."""

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
    jvp_term = NotDifferentiable("a maximum over a named axis has no derivative rule")

    def fold(self, x: Any) -> Any:
        return reduce_max(x, (0,))


class PMin(Fold):
    """Minimum over the axes."""

    name = "pmin"
    jvp_term = NotDifferentiable("a minimum over a named axis has no derivative rule")

    def fold(self, x: Any) -> Any:
        return reduce_min(x, (0,))


class AllGather(Collective):
    """The values of all elements of an axis, along a new array axis, or joined with `tiled`."""

    name = "all_gather"
    linear = "joint"

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
        )
        return [out]


class ReduceScatter(Collective):
    """Sum over an axis; each element keeps its own part of the result (psum_scatter)."""

    name = "reduce_scatter"
    linear = "joint"

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
        )
        return [out]


class PPermute(Collective):
    """Send values along pairs (source, destination); elements nobody sends to get zeros."""

    name = "ppermute"
    linear = "joint"

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


class AxisIndex(Collective):
    """The position along a named axis."""

    name = "axis_index"
    jvp_term = NotDifferentiable("integer result", zero=True)

    def shape_rule(self, *avals: ShapedArray, **params: Any) -> Any:
        return ShapedArray((), dtypes.canonicalize_dtype("int32"))

    def collect(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        return iota("int32", axis.size), 0


psum_p, pmax_p, pmin_p = PSum(), PMax(), PMin()
all_gather_p, reduce_scatter_p = AllGather(), ReduceScatter()
ppermute_p, all_to_all_p, axis_index_p = PPermute(), AllToAll(), AxisIndex()


def _each(fun: Callable[[Any], Any], x: Any) -> Any:
    def apply(leaf: Any) -> Any:
        return fun(as_array(leaf))

    return tree.map(apply, x)


def _no_groups(groups: Any, name: str) -> None:
    if groups is not None:
        raise ValueError(f"{name}: axis_index_groups must be None under vmap, got {groups!r}.")


def psum(x: Any, axis_name: AxisName, *, axis_index_groups: Any = None) -> Any:
    """Sum of a tree of arrays over one or several named axes.

    Raises:
        NameError: an axis is not in scope.
    """
    _no_groups(axis_index_groups, "psum")
    names = _names(axis_name)
    sizes = [axis_size_of(name) for name in names]
    if isinstance(x, (int, float)) and not isinstance(x, bool):
        return x * math.prod(sizes)
    return _each(lambda leaf: psum_p.bind(_numeric(leaf), axes=names), x)


def _numeric(x: Any) -> Any:
    return convert_element_type(x, "int32") if aval_of(x).dtype == bool else x


def pmean(x: Any, axis_name: AxisName, *, axis_index_groups: Any = None) -> Any:
    """Mean of a tree of arrays over named axes."""
    total = psum(x, axis_name, axis_index_groups=axis_index_groups)
    count = math.prod(axis_size_of(name) for name in _names(axis_name))
    return _each(lambda leaf: div(leaf, full((), count, aval_of(leaf).dtype)), total)


def pmax(x: Any, axis_name: AxisName, *, axis_index_groups: Any = None) -> Any:
    """Maximum of a tree of arrays over named axes."""
    _no_groups(axis_index_groups, "pmax")
    return _each(lambda leaf: pmax_p.bind(leaf, axes=_names(axis_name)), x)


def pmin(x: Any, axis_name: AxisName, *, axis_index_groups: Any = None) -> Any:
    """Minimum of a tree of arrays over named axes."""
    _no_groups(axis_index_groups, "pmin")
    return _each(lambda leaf: pmin_p.bind(leaf, axes=_names(axis_name)), x)


def all_gather(
    x: Any,
    axis_name: AxisName,
    *,
    axis_index_groups: Any = None,
    axis: int = 0,
    tiled: bool = False,
) -> Any:
    """The values of all elements of a named axis, stacked along `axis` (joined when tiled)."""
    _no_groups(axis_index_groups, "all_gather")
    size = axis_size_of(axis_name)

    def gather_leaf(leaf: Any) -> Any:
        at = canonical_axis(axis, aval_of(leaf).ndim + (not tiled))
        return all_gather_p.bind(
            leaf, axis_name=axis_name, all_gather_dimension=at, axis_size=size, tiled=tiled
        )

    return _each(gather_leaf, x)


def psum_scatter(
    x: Any,
    axis_name: AxisName,
    *,
    scatter_dimension: int = 0,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Sum over a named axis, of which each element keeps its own part."""
    _no_groups(axis_index_groups, "psum_scatter")
    size = axis_size_of(axis_name)

    def scatter_leaf(leaf: Any) -> Any:
        at = canonical_axis(scatter_dimension, aval_of(leaf).ndim)
        return reduce_scatter_p.bind(
            leaf, axis_name=axis_name, scatter_dimension=at, axis_size=size, tiled=tiled
        )

    return _each(scatter_leaf, x)


def ppermute(x: Any, axis_name: AxisName, perm: Sequence[tuple[int, int]]) -> Any:
    """Send values along a named axis by pairs (source, destination).

    Raises:
        ValueError: a source or destination stands twice or is out of range.
    """
    size = axis_size_of(axis_name)
    pairs = tuple((int(a), int(b)) for a, b in perm)
    sources, targets = [a for a, _ in pairs], [b for _, b in pairs]
    if len(set(sources)) != len(pairs) or len(set(targets)) != len(pairs):
        raise ValueError(f"ppermute sources and destinations must be unique, got {perm!r}.")
    if not all(0 <= i < size for i in [*sources, *targets]):
        raise ValueError(f"ppermute pairs {perm!r} are out of range for an axis of size {size}.")
    return _each(lambda leaf: ppermute_p.bind(leaf, axis_name=axis_name, perm=pairs), x)


def pshuffle(x: Any, axis_name: AxisName, perm: Sequence[int]) -> Any:
    """Element i of a named axis gets the value of element `perm[i]`."""
    if sorted(perm) != list(range(len(perm))):
        raise ValueError(f"pshuffle: perm must be a permutation of 0..n-1, got {perm!r}.")
    return ppermute(x, axis_name, [(source, i) for i, source in enumerate(perm)])


def pswapaxes(x: Any, axis_name: AxisName, axis: int, *, axis_index_groups: Any = None) -> Any:
    """Swap a named axis with an array axis of the same size."""
    _no_groups(axis_index_groups, "pswapaxes")
    return all_to_all(x, axis_name, axis, axis)


def all_to_all(
    x: Any,
    axis_name: AxisName,
    split_axis: int,
    concat_axis: int,
    *,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Split along one array axis over a named axis, and join along another.

    Raises:
        ValueError: the split axis has another size than the named axis (untiled).
    """
    _no_groups(axis_index_groups, "all_to_all")
    size = axis_size_of(axis_name)

    def exchange(leaf: Any) -> Any:
        split = canonical_axis(split_axis, aval_of(leaf).ndim)
        concat = canonical_axis(concat_axis, aval_of(leaf).ndim)
        shape = aval_of(leaf).shape
        if not tiled:
            if shape[split] != size:
                raise ValueError(
                    f"all_to_all requires the size of the mapped axis ({size}) to equal the size "
                    f"of axis split_axis={split} of {aval_of(leaf).long()}.\n  {user_line()}"
                )
            # Untiled: the split axis goes away and a new one appears at `concat`.
            order = [i for i in range(len(shape)) if i != split]
            order.insert(concat, split)
            leaf = transpose(leaf, tuple(order))
            split = concat
        return all_to_all_p.bind(
            leaf, axis_name=axis_name, split_axis=split, concat_axis=concat, axis_size=size
        )

    return _each(exchange, x)


def axis_index(axis_name: AxisName) -> Any:
    """The position along a named axis, i32[]; row-major over several names."""
    names = _names(axis_name)
    index: Any = None
    for name in names:
        here = axis_index_p.bind(axis_name=name)
        size = axis_size_of(name)
        index = here if index is None else index * size + here
    return index


def axis_size(axis_name: AxisName) -> int:
    """Number of elements of the named axes."""
    return math.prod(axis_size_of(name) for name in _names(axis_name))
