"""shard_map: a function of the parts that one device has made a function of whole arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .. import tree
from ..control.flat import FlatFunction, argument_names, check_leaves, name_of, wraps
from ..control.shard_map import sharded
from ..control.tracing import drop
from ..core.context import context
from ..core.meshes import Mesh, PartitionSpec, current_mesh, local_shape, whole_shape
from ..core.sources import user_line
from ..ir.avals import ShapedArray, aval_of


def shard_map(
    f: Callable[..., Any] | None = None,
    /,
    *,
    out_specs: Any,
    in_specs: Any = None,
    mesh: Mesh | None = None,
    axis_names: Any = frozenset(),
    check_vma: bool = True,
) -> Any:
    """A function of whole arrays: f runs on each device of a mesh, on the parts that are there.

    The axes of the mesh are in scope inside: `lax.psum(x, "i")` adds over the devices along "i".
    f is traced once, for all devices. Used as a decorator too.

    Args:
        f: a function of pytrees of arrays.
        out_specs: a PartitionSpec for each result, or a tree prefix of them: how the parts that the
            devices return make a whole. Over axes it does not name they must be the same on all
            devices; the first one's is taken.
        in_specs: likewise, a tuple for the positional arguments: which part each device is given.
            None stands for an argument that is no array and is passed as it is.
        mesh: the devices; by default that of `set_mesh`.
        axis_names: the axes of the mesh that are meant; by default all. Along the others one device
            does the work.
        check_vma: whether results must be seen, from the program, to be the same over the axes that
            their specs do not name.
    Returns:
        A function of positional arguments.
    Raises:
        TypeError: mesh or specs are none.
        ValueError: a spec names an axis that is not there, does not fit its array, or leaves out
            an axis that a result varies over.
        RanksDivergeError: when called: the devices came to different collectives.
    """
    if f is None:
        options: dict[str, Any] = {"in_specs": in_specs, "mesh": mesh, "axis_names": axis_names}
        return partial(shard_map, out_specs=out_specs, check_vma=check_vma, **options)
    if not callable(f):
        raise TypeError(f"shard_map requires a callable for its first argument, got {f!r}.")

    if in_specs is None:
        raise TypeError(
            "shard_map was given no in_specs. Give a PartitionSpec for each argument, or one for "
            "all; None only inside of a tuple, for arguments that are no arrays."
        )

    @wraps(f)
    def mapped(*args: Any) -> Any:
        return _called(f, args, _mesh(mesh, axis_names), (in_specs, out_specs), check_vma)

    return mapped


def _called(
    f: Callable[..., Any], args: tuple[Any, ...], mesh: Mesh, specs: tuple[Any, Any], check: bool
) -> Any:
    """The result of a function that runs on each device of a mesh."""
    in_specs, out_specs = specs
    _check_specs(in_specs, "in_specs", mesh)
    _check_specs(out_specs, "out_specs", mesh)
    ins = _prefix(in_specs, args, "in_specs")
    leaves, in_tree = tree.flatten((args, {}))
    fixed = [s is None for s in ins]
    flat = _with_fixed(f, leaves, fixed, in_tree)
    arrays, given, names = (drop(x, fixed) for x in (leaves, ins, argument_names(f, args, {})))
    check_leaves(args, arrays, f"the arguments of shard_map({name_of(f)}) ")
    avals = [
        _local(aval_of(x), s, mesh, name) for x, s, name in zip(arrays, given, names, strict=True)
    ]
    outs_of = partial(_result_specs, out_specs, mesh)
    return sharded(flat, mesh, given, outs_of, arrays, avals, check)


def _result_specs(
    out_specs: Any, mesh: Mesh, out_tree: Any, avals: Sequence[ShapedArray]
) -> list[PartitionSpec]:
    """A spec for each result.

    Raises:
        ValueError: out_specs is no prefix of the result, or a spec does not fit.
    """
    whole = tree.unflatten(out_tree, [object()] * out_tree.num_leaves)
    found = _prefix(out_specs, whole, "out_specs")
    paths = [tree.keystr(path) for path, _ in tree.leaves_with_path(whole)]
    for a, s, path in zip(avals, found, paths, strict=True):
        _check_out(a, s, mesh, f"the result{path}")
    return found


def _mesh(mesh: Any, axis_names: Any) -> Mesh:
    """The mesh of the axes that are meant.

    Raises:
        ValueError: there is none, it has no such axes, or they are in scope already.
    """
    found = current_mesh() if mesh is None else mesh
    if found is None:
        raise ValueError(
            f"shard_map was given no mesh, and none is set.\n  {user_line()}\n  Give mesh=, or "
            "call it inside of `with funcgrad.set_mesh(mesh):`."
        )
    if not isinstance(found, Mesh):
        raise TypeError(
            f"shard_map requires a Mesh as mesh=, got {found!r}.\n  {user_line()}\n"
            "  Make one by funcgrad.make_mesh((4,), ('i',))."
        )
    names = frozenset([axis_names] if isinstance(axis_names, str) else axis_names)
    absent = names - set(found.axis_names)
    if absent or found.empty:
        raise ValueError(
            f"shard_map: axis_names={sorted(map(str, names))}, and the axes of the mesh are "
            f"{found.axis_names}.\n  {user_line()}"
        )
    if names and names != frozenset(found.axis_names):
        found = found.over(names)
    taken = [name for name, _ in context.axis_sizes if name in found.axis_names]
    if taken:
        raise ValueError(
            f"shard_map over the axis {taken[0]!r} inside of one, or of a vmap, that has that name "
            f"already.\n  {user_line()}\n  Give axis_names= the others, or give it another name."
        )
    return found


def _check_specs(specs: Any, what: str, mesh: Mesh) -> None:
    """Raise unless a tree holds specs that name axes of the mesh."""
    for spec in tree.leaves(specs):
        if not isinstance(spec, PartitionSpec):
            raise TypeError(
                f"shard_map {what} must hold PartitionSpecs, got {spec!r}.\n  {user_line()}\n"
                "  Give funcgrad.P('i') for what is divided over the axis 'i', P() for the rest."
            )
        unknown = sorted(map(str, spec.mentioned() - set(mesh.axis_names)))
        if unknown:
            raise ValueError(
                f"shard_map {what} has {spec!r}, which names the axis {unknown[0]!r}; the axes "
                f"here are {mesh.axis_names}.\n  {user_line()}"
            )


def _prefix(specs: Any, whole: Any, what: str) -> list[Any]:
    """A spec for each leaf.

    Raises:
        ValueError: the specs are no prefix of the tree.
    """
    try:
        return tree.flatten_prefix(tuple(specs) if isinstance(specs, list) else specs, whole)  # pyright: ignore[reportUnknownArgumentType]
    except ValueError as error:
        raise ValueError(
            f"shard_map {what} must be a tree prefix of what it is for, got {specs!r}. {error}\n"
            f"  {user_line()}"
        ) from error


def _with_fixed(
    f: Callable[..., Any], leaves: Sequence[Any], fixed: list[bool], in_tree: Any
) -> FlatFunction:
    """A flat function of the arguments that are arrays, the others put in place."""
    if not any(fixed):
        return FlatFunction(f, in_tree)

    def call(*arrays: Any) -> Any:
        given = iter(arrays)
        whole = [x if k else next(given) for x, k in zip(leaves, fixed, strict=True)]
        args, _ = tree.unflatten(in_tree, whole)
        return f(*args)

    return FlatFunction(call, tree.structure(((0,) * fixed.count(False), {})), name=name_of(f))


def _local(aval: ShapedArray, spec: PartitionSpec, mesh: Mesh, name: str) -> ShapedArray:
    """The aval of a part of an argument.

    Raises:
        ValueError: it cannot be divided so.
    """
    try:
        return aval.update(shape=local_shape(spec, aval.shape, mesh.shape))
    except ValueError as error:
        raise ValueError(
            f"shard_map in_specs gives {spec!r} for {name}, which is {aval.long()}, on a mesh of "
            f"{mesh.shape}: {error}.\n  {user_line()}"
        ) from None


def _check_out(aval: ShapedArray, spec: Any, mesh: Mesh, name: str) -> None:
    """Raise ValueError for a spec that does not fit a part of a result."""
    if spec is None:
        raise ValueError(
            f"shard_map out_specs gives None for {name}, {aval.long()}.\n  {user_line()}\n"
            "  Give P() for what is the same on all devices."
        )
    try:
        whole_shape(spec, aval.shape, mesh.shape)
    except ValueError as error:
        raise ValueError(
            f"shard_map out_specs gives {spec!r} for {name}, of which each device has "
            f"{aval.long()}: {error}.\n  {user_line()}\n  A scalar needs an axis to be put beside "
            "others: return x[None], or reduce it by lax.psum and give P()."
        ) from None
