"""vmap: a function of one element made a function of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from ..control.flat import FlatFunction, argument_names, check_leaves, name_of, wraps
from ..core.axes import move_axis, to_axis
from ..core.primitive import AxisData
from ..core.sources import user_line
from ..core.trace import as_array
from ..ir.avals import aval_of
from ..transforms.batch import batch_flat


def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
) -> Callable[..., Any]:
    """A function that applies fun along an axis of its arguments.

    Args:
        fun: a function of pytrees of arrays.
        in_axes: which axis of each argument to map over: an int, `None` (the same for all), or a
            tuple with such a value, or a tree prefix of such values, for each positional
            argument. Keyword arguments are mapped over axis 0. What is not mapped may be anything.
        out_axes: where the mapped axis goes in the result: an int, `None` (the result must not
            depend on it), or a tree prefix.
        axis_name: a name for the axis, for collectives such as `lax.psum` inside fun.
        axis_size: size of the axis, where no argument tells it.
        spmd_axis_name: accepted for compatibility; ignored.
    Returns:
        The mapped function.
    Raises:
        TypeError: in_axes is no int, None, or tuple.
        ValueError: in_axes does not fit the arguments, sizes differ, or an axis is out of range.
    """
    if not callable(fun):
        raise TypeError(f"Expected a callable value, got {fun!r}. vmap takes a function.")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if not (in_axes is None or isinstance(in_axes, (int, tuple))):
        raise TypeError(
            "vmap in_axes must be an int, None, or a tuple of entries corresponding to the "
            f"positional arguments passed to the function, but got {in_axes!r}."
        )
    given: dict[str, Any] = {"in_axes": in_axes, "out_axes": out_axes}
    for what, axes in given.items():
        bad = [a for a in tree.leaves(axes) if type(a) is not int]
        if bad:
            raise TypeError(f"vmap {what} must hold ints and None only, but got {bad[0]!r}.")

    @wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, in_tree = tree.flatten((args, kwargs))
        dims = in_dims(in_axes, args, kwargs)
        arrays = [x for x, d in zip(leaves, dims, strict=True) if d is not None]
        check_leaves((args, kwargs), arrays, f"the arguments of vmap({name_of(fun)}) ")
        size = mapped_size(fun, (args, kwargs), leaves, dims, axis_size)
        dims = [positive(d, x) for x, d in zip(leaves, dims, strict=True)]
        flat = FlatFunction(fun, in_tree)
        outs, found = batch_flat(flat, AxisData(axis_name, size), leaves, dims)
        wanted = out_dims(out_axes, flat.out_tree)
        done = [
            _place(x, d, w, size, axis_name) for x, d, w in zip(outs, found, wanted, strict=True)
        ]
        return tree.unflatten(flat.out_tree, done)

    return mapped


def in_dims(
    in_axes: Any, args: tuple[Any, ...], kwargs: dict[str, Any], what: str = "vmap"
) -> list[Any]:
    """The mapped axis of each leaf of the arguments.

    Raises:
        ValueError: in_axes is no prefix of the arguments.
    """
    count = len(args)
    if isinstance(in_axes, tuple):
        given: Any = in_axes  # pyright: ignore[reportUnknownVariableType]
        count = len(given)
    if count != len(args):
        raise ValueError(
            f"{what} in_axes must be an int, None, or a tuple of entries corresponding to the "
            f"positional arguments passed to the function, but got len(in_axes)={count}, "
            f"len(args)={len(args)}.\n  {user_line()}"
        )
    try:
        dims = tree.flatten_prefix(in_axes, args)
    except ValueError as error:
        raise ValueError(
            f"{what} in_axes specification must be a tree prefix of the corresponding value, got "
            f"{in_axes!r}. {error}\n  {user_line()}"
        ) from error
    return [*dims, *[0] * len(tree.leaves(kwargs))]


def positive(dim: int | None, x: Any) -> int | None:
    """An axis counted from the front."""
    return dim if dim is None or dim >= 0 else dim + aval_of(x).ndim


def mapped_size(
    fun: Callable[..., Any],
    given: tuple[tuple[Any, ...], dict[str, Any]],
    leaves: Sequence[Any],
    dims: Sequence[Any],
    axis_size: int | None,
    what: str = "vmap",
) -> int:
    """The size of the mapped axis, which all arguments must agree on.

    Args:
        given: positional and keyword arguments, of which `leaves` are the leaves.
    Raises:
        ValueError: they do not agree, none has one, or an axis is out of range.
    """
    args, kwargs = given
    sizes: list[int | None] = []
    for i, x in enumerate(leaves):
        d: int | None = dims[i]
        if d is None:
            sizes.append(None)
            continue
        shape: tuple[int, ...] = aval_of(x).shape
        if not -len(shape) <= d < len(shape):
            name = argument_names(fun, args, kwargs)[i]
            raise ValueError(
                f"{what} was requested to map its argument {name} along axis {d}, which implies "
                f"that its rank should be at least {d + 1 if d >= 0 else -d}, but is only "
                f"{len(shape)} (its shape is {shape}).\n  {user_line()}"
            )
        sizes.append(shape[d])
    found = {s for s in sizes if s is not None}
    if axis_size is not None:
        found.add(axis_size)
    if len(found) == 1:
        return found.pop()
    if not found:
        raise ValueError(
            f"{what} must have at least one non-None value in in_axes, or axis_size."
            f"\n  {user_line()}"
        )
    lines = [f"{what} got inconsistent sizes for array axes to be mapped:\n  {user_line()}"]
    names = argument_names(fun, args, kwargs)
    for name, x, d, size in zip(names, leaves, dims, sizes, strict=True):
        if size is not None:
            long = aval_of(x).long()
            lines.append(f"  * axis {d} of argument {name} of type {long} has size {size}")
    if axis_size is not None:
        lines.append(f"  * axis_size is {axis_size}")
    raise ValueError("\n".join([*lines, "  Set in_axes to None for what is not mapped."]))


def out_dims(out_axes: Any, out_tree: Any, what: str = "vmap") -> list[Any]:
    """The mapped axis of each leaf of the result.

    Raises:
        ValueError: out_axes is no prefix of it.
    """
    whole = tree.unflatten(out_tree, [object()] * out_tree.num_leaves)
    if isinstance(out_axes, list):
        out_axes = tuple(out_axes)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    try:
        return tree.flatten_prefix(out_axes, whole)
    except ValueError as error:
        raise ValueError(
            f"{what} out_axes is {out_axes!r}, which is no tree prefix of the result {out_tree}. "
            f"{error}\n  {user_line()}"
        ) from error


def _place(x: Any, dim: int | None, wanted: int | None, size: int, name: Any) -> Any:
    """The output with its batch axis where out_axes wants it."""
    if wanted is None:
        if dim is not None:
            raise ValueError(
                f"vmap has mapped output (axis_name={name}) but out_axes is None: the result "
                f"depends on the mapped axis.\n  {user_line()}\n  Give its position in out_axes."
            )
        return as_array(x)
    rank = aval_of(x).ndim + (dim is None)
    if not -rank <= wanted < rank:
        raise ValueError(
            f"vmap out_axes is {wanted}, which is out of range for an output of rank {rank} "
            f"(the mapped axis counted).\n  {user_line()}"
        )
    target = wanted % rank
    return as_array(to_axis(x, None, size, target) if dim is None else move_axis(x, dim, target))
