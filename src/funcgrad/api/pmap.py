"""pmap: a function of one element, run for each element of a mapped axis on a device of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from .. import tree
from ..control.flat import FlatFunction, check_leaves, name_of, wraps
from ..control.jitted import jit, with_static
from ..control.shard_map import sharded
from ..core.axes import broadcast_at
from ..core.devices import Device
from ..core.devices import devices as devices_of
from ..core.meshes import Mesh, PartitionSpec, default_devices
from ..core.sources import user_line
from ..ir.avals import ShapedArray, aval_of
from ..primitives.movement import reshape
from .mapping import in_dims, mapped_size, out_dims, positive


class _Unnamed:
    """The name of an axis that was given none."""

    def __repr__(self) -> str:
        return "<unnamed axis>"


def pmap(
    fun: Callable[..., Any],
    axis_name: Any = None,
    *,
    in_axes: Any = 0,
    out_axes: Any = 0,
    static_broadcasted_argnums: int | Iterable[int] = (),
    devices: Sequence[Device] | None = None,
    backend: str | None = None,
    axis_size: int | None = None,
    donate_argnums: int | Iterable[int] = (),
) -> Any:
    """A function that applies fun along an axis of its arguments, each element on another device.

    It is `jit` of `shard_map`: compiled once, and run by all devices at once.

    Args:
        fun: a function of pytrees of arrays.
        axis_name: a name for the axis, for collectives such as `lax.psum` inside fun.
        in_axes: which axis of each argument to map over: an int, `None` (all devices get the same),
            or a tree prefix of such values. Keyword arguments are mapped over axis 0.
        out_axes: where the mapped axis goes in the result; `None`: the first device's is taken.
        static_broadcasted_argnums: positions of arguments that are Python values; hashable.
        devices: which ones, in order; by default the first of `funcgrad.devices(backend)`.
        backend: "cpu" or "gpu".
        axis_size: size of the axis, where no argument tells it.
        donate_argnums: positions of arguments whose memory the call may reuse.
    Returns:
        A jitted function.
    Raises:
        TypeError: fun is not callable.
        ValueError: when called: the axis has more elements than there are devices, or sizes differ.
    """
    if not callable(fun):
        raise TypeError(f"Expected a callable value, got {fun!r}. pmap takes a function.")
    name = _Unnamed() if axis_name is None else axis_name
    nums = static_broadcasted_argnums
    fixed = (nums,) if isinstance(nums, int) else tuple(nums)
    each: Any = None if in_axes is None or isinstance(in_axes, int) else tuple(in_axes)

    @wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        there = {i % len(args) for i in fixed}
        live = [i for i in range(len(args)) if i not in there]
        given = tuple([args[i] for i in live]), kwargs
        call = with_static(fun, (tuple((i, _Value(args[i])) for i in sorted(there)), ()))
        mine: Any = in_axes if each is None else each
        if each is not None and len(each) == len(args):
            mine = tuple([each[i] for i in live])
        dims = in_dims(mine, *given, "pmap")
        leaves, in_tree = tree.flatten(given)
        check_leaves(given, leaves, f"the arguments of pmap({name_of(fun)}) ")
        size = mapped_size(call, given, leaves, dims, axis_size, "pmap")
        mesh = Mesh(_devices(devices, backend, size), (name,))
        dims = [positive(d, x) for x, d in zip(leaves, dims, strict=True)]
        flat = FlatFunction(call, in_tree, name=name_of(fun))
        return _on_each(flat, mesh, leaves, dims, out_axes)

    donated = donate_argnums if isinstance(donate_argnums, int) else tuple(donate_argnums)
    return jit(mapped, static_argnums=fixed or None, donate_argnums=donated)


class _Value(NamedTuple):
    """A static argument, as `with_static` takes it."""

    value: Any


def _on_each(
    flat: FlatFunction, mesh: Mesh, leaves: Sequence[Any], dims: Sequence[Any], out_axes: Any
) -> Any:
    """The result of a function that each device of a mesh runs on its element of a mapped axis."""
    (name,) = mesh.axis_names
    wanted: list[Any] = []

    def one(*parts: Any) -> list[Any]:
        elements = [x if d is None else _without(x, d) for x, d in zip(parts, dims, strict=True)]
        outs = flat(*elements)
        wanted[:] = out_dims(out_axes, flat.out_tree, "pmap")
        return [x if d is None else _with(x, d) for x, d in zip(outs, wanted, strict=True)]

    def specs_of(_: Any, avals: Sequence[ShapedArray]) -> list[PartitionSpec]:
        return [_spec(name, w, a.ndim) for w, a in zip(wanted, avals, strict=True)]

    avals = [
        aval_of(x) if d is None else _part(aval_of(x), d) for x, d in zip(leaves, dims, strict=True)
    ]
    specs = [_spec(name, d, a.ndim) for d, a in zip(dims, avals, strict=True)]
    whole = FlatFunction(one, tree.structure(((0,) * len(leaves), {})), name=flat.name)
    outs = sharded(whole, mesh, specs, specs_of, leaves, avals, check=False)
    return tree.unflatten(flat.out_tree, outs)


def _devices(devices: Sequence[Device] | None, backend: str | None, size: int) -> list[Device]:
    """As many devices as the mapped axis has elements.

    Raises:
        ValueError: there are fewer.
    """
    if devices is None:
        devices = default_devices() if backend is None else devices_of(backend)
    if size > len(devices):
        raise ValueError(
            f"pmap over an axis of {size} elements needs {size} devices, and there are "
            f"{len(devices)}: {', '.join(map(str, devices))}.\n  {user_line()}\n  Map with vmap; "
            f'or, on a CPU, config.update("num_cpu_devices", {size}) gives as many devices.'
        )
    return list(devices[:size])


def _spec(name: Any, dim: int | None, ndim: int) -> PartitionSpec:
    if dim is None:
        return PartitionSpec()
    return PartitionSpec(*[None] * (dim % ndim), (name,))


def _part(aval: ShapedArray, dim: int) -> ShapedArray:
    return aval.update(shape=(*aval.shape[:dim], 1, *aval.shape[dim + 1 :]))


def _without(x: Any, dim: int) -> Any:
    shape = aval_of(x).shape
    return reshape(x, (*shape[:dim], *shape[dim + 1 :]))


def _with(x: Any, dim: int) -> Any:
    return broadcast_at(x, 1, dim % (aval_of(x).ndim + 1))
