"""`pmap` and `shard_map` where there is one device: axes of size 1, arrays whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from ... import numpy as fnp
from ... import tree
from ...api.mapping import vmap
from ...control.jitted import jit
from ...core.sources import user_line


def pmap(
    fun: Callable[..., Any],
    axis_name: Any = None,
    *,
    in_axes: Any = 0,
    out_axes: Any = 0,
    static_broadcasted_argnums: Any = (),
    devices: Any = None,
    backend: str | None = None,
    axis_size: int | None = None,
    donate_argnums: Any = (),
    global_arg_shapes: Any = None,
) -> Callable[..., Any]:
    """A function mapped over devices: over axes of size 1, since there is one.

    Args:
        devices: accepted for the one device.
        donate_argnums: accepted; the memory of arguments is kept.
    Raises:
        ValueError: when called, for an axis of more elements than there are devices.
    """
    static = static_broadcasted_argnums
    fixed = (static,) if isinstance(static, int) else tuple(static)

    @wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        given: Any = in_axes
        axes: list[Any] = [given] * len(args) if isinstance(given, int) else list(given)
        axes = [None if i in fixed else axis for i, axis in enumerate(axes)]
        for arg, axis in zip(args, axes, strict=True):
            _check_sizes(fun, arg, axis)
        for value in kwargs.values():
            _check_sizes(fun, value, 0)
        live = [i for i in range(len(args)) if i not in fixed]

        def on_live(values: list[Any], keywords: dict[str, Any]) -> Any:
            whole = list(args)
            for i, value in zip(live, values, strict=True):
                whole[i] = value
            return fun(*whole, **keywords)

        over = vmap(
            on_live,
            in_axes=([axes[i] for i in live], 0),
            out_axes=out_axes,
            axis_name=axis_name,
            axis_size=1,
        )
        return over([args[i] for i in live], kwargs)

    return jit(mapped, static_argnums=fixed or None)


def _check_sizes(fun: Any, arg: Any, axis: Any) -> None:
    if not isinstance(axis, int):
        return
    for leaf in tree.leaves(arg):
        shape = getattr(leaf, "shape", ())
        if shape and shape[axis] != 1:
            raise ValueError(
                f"pmap of {getattr(fun, '__name__', fun)}: axis {axis} of shape {shape} has "
                f"{shape[axis]} elements, and there is 1 device.\n"
                f"  {user_line()}\n  Map with vmap."
            )


def shard_map(
    f: Callable[..., Any] | None = None,
    /,
    *,
    out_specs: Any,
    in_specs: Any = None,
    mesh: Any = None,
    axis_names: Any = None,
    check_vma: bool = True,
) -> Any:
    """A function of the part of each array that a device holds: of whole arrays, here.

    The axes of the mesh are in scope inside, each of size 1.

    Args:
        mesh: whose axes there are; without it, `axis_names` says.
    """
    if f is None:
        return partial(
            shard_map, mesh=mesh, in_specs=in_specs, out_specs=out_specs, axis_names=axis_names
        )
    names = tuple(axis_names or (mesh.axis_names if mesh is not None else ()))

    @wraps(f)
    def whole(*args: Any) -> Any:
        inner: Callable[..., Any] = f
        for name in names:
            inner = vmap(inner, in_axes=0, out_axes=0, axis_name=name, axis_size=1)
        lead = tuple(range(len(names)))
        out = inner(*tree.map(lambda x: fnp.expand_dims(x, lead), args))
        return tree.map(lambda x: fnp.squeeze(x, lead), out)

    return whole
