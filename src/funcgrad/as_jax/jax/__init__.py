"""Names of `jax` itself that funcgrad spells otherwise. Each module beside it serves one of JAX."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ... import default_device as _default
from ...api import mapping, placement
from ...control import jitted
from ...control.accelerators import home_at
from ...core.array import Array as _Array
from ...core.devices import cpu_device
from ..names import version as __version__
from .config import config as config
from .interpreters import batching
from .sharding import Sharding, device_of, devices_of
from .sharding import reshard as reshard

__version_info__ = tuple(int(part) for part in __version__.split("."))
__all__ = [
    "config",
    "default_device",
    "device_put",
    "jit",
    "live_arrays",
    "process_indices",
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
    """The tree with its leaves on a device, which each sharding given must name.

    Raises:
        RuntimeError: a device that is not present.
        ValueError: several devices for one tree.
    """
    home_at(next(iter(devices_of(src)), None))
    place = device if isinstance(device, Sharding) else _sole(device)
    return placement.device_put(x, place, donate=donate)


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
    """`funcgrad.jit`, with shardings and devices that name one device.

    Args:
        compiler_options: XLA's; there is nothing they could say to the compiler here.
    """
    options["device"] = _sole((in_shardings, out_shardings, device))
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


def process_indices(_: str | None = None) -> list[int]:
    """The numbers of the processes that compute together: one process."""
    return [0]


def live_arrays(_: str | None = None) -> list[_Array]:
    """The arrays in memory, found among all objects; slow."""
    import gc

    return [x for x in gc.get_objects() if type(x) is _Array and not x.is_deleted()]
