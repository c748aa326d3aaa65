"""Names of `jax` itself that funcgrad spells otherwise. Each module beside it serves one of JAX."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ... import default_device as _default
from ... import tree
from ...api import mapping, placement
from ...control import jitted
from ...control.accelerators import home_at
from ...control.layouts import reshard as reshard
from ...core.array import Array as _Array
from ...core.devices import cpu_device
from ...core.formats import Format
from ..names import version as __version__
from .config import config as config
from .interpreters import batching
from .sharding import PartitionSpec, Sharding, device_of, devices_of

__version_info__ = tuple(int(part) for part in __version__.split("."))
__all__ = [
    "config",
    "default_device",
    "device_put",
    "jit",
    "live_arrays",
    "reshard",
    "vmap",
]


def device_put(
    x: Any,
    device: Any = None,
    *,
    src: Any = None,
    donate: bool = False,
    may_alias: bool | None = None,
) -> Any:
    """The tree with its leaves on a device, or by shardings.

    Raises:
        RuntimeError: a device that is not present.
        ValueError: several devices for one tree.
    """
    home_at(next(iter(devices_of(src)), None))
    place = device if isinstance(device, Sharding) or _several(device) else _sole(device)
    return placement.device_put(x, place, donate=donate)


def _several(places: Any) -> bool:
    """Whether a tree has formats, shardings over several devices, or specs of the mesh set."""
    leaves = tree.leaves(places)
    return any(
        isinstance(x, (Format, PartitionSpec)) or (isinstance(x, Sharding) and x.num_devices > 1)
        for x in leaves
    )


def _sole(places: Any) -> Any:
    """The one device that is named, if any is; the devices of the CPU have one memory.

    Raises:
        ValueError: there are several.
    """
    named = list(dict.fromkeys(devices_of(places)))
    if len(named) > 1 and all(getattr(d, "platform", d) == "cpu" for d in named):
        return cpu_device
    if len(named) > 1:
        raise ValueError(
            f"{', '.join(map(str, named))} are named together, and what is put or runs is on one "
            "device. Put each part where it belongs by a call of its own."
        )
    return named[0] if named else None


def jit(
    fun: Callable[..., Any] | None = None,
    /,
    *,
    in_shardings: Any = None,
    out_shardings: Any = None,
    compiler_options: dict[str, Any] | None = None,
    device: Any = None,
    **options: Any,
) -> Any:
    """`funcgrad.jit`; shardings that name one device only say where the program runs.

    Args:
        compiler_options: XLA's; there is nothing they could say to the compiler here.
    """
    shardings = (in_shardings, out_shardings)
    if _several(shardings):
        options |= {"in_shardings": in_shardings, "out_shardings": out_shardings}
        options["device"] = device
    else:
        options["device"] = _sole((*shardings, device))
    return jitted.jit(**options) if fun is None else jitted.jit(fun, **options)


@wraps(mapping.vmap)
def vmap(fun: Callable[..., Any], *options: Any, **named: Any) -> Callable[..., Any]:
    """`funcgrad.vmap`, which refuses what a library would batch in its own way."""
    mapped = mapping.vmap(fun, *options, **named)

    @wraps(mapped)
    def call(*args: Any, **kwargs: Any) -> Any:
        if batching.vmappables:
            batching.refuse_vmappables((args, kwargs))
        return mapped(*args, **kwargs)

    return call


class default_device(_default):
    """Arrays made inside are made on the device, which a sharding may name."""

    def __init__(self, device: Any) -> None:
        super().__init__(device_of(device))


def live_arrays(_: str | None = None) -> list[_Array]:
    """The arrays in memory, found among all objects; slow."""
    import gc

    return [x for x in gc.get_objects() if type(x) is _Array and not x.is_deleted()]
