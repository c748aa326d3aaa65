"""What the Python array API standard asks a namespace about itself, and moving to a device.

Source: https://data-apis.org/array-api/2025.12/
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..api.placement import device_put
from ..config import config
from ..control.accelerators import home_at
from ..core.devices import Device, cpu_device, devices
from ..core.remote import default_home
from ..core.trace import Tracer
from ..ir import dtypes

versions = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


def check_version(version: str | None) -> None:
    """Refuse a version of the standard that is not known.

    Raises:
        ValueError: it is none of `versions`.
    """
    if version is not None and version not in versions:
        raise ValueError(f"array API version {version!r} is not known. Known: {versions}.")


_kinds: dict[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
_unions = {
    "integral": ("signed integer", "unsigned integer"),
    "numeric": ("signed integer", "unsigned integer", "real floating", "complex floating"),
}
_wide = {"int64", "uint64", "float64", "complex128"}


class ArrayNamespaceInfo:
    """Answers about the namespace, under the configuration of the moment."""

    def capabilities(self) -> dict[str, Any]:
        """What arrays can do outside of traced functions; inside, shapes follow from a `size`."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Device:
        """The device arrays are made on."""
        home = default_home()
        return cpu_device if home is None else home.device

    def devices(self) -> list[Device]:
        """All devices."""
        return devices()

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype[Any]]:
        """The dtypes of arrays for which none is asked: 32 bits unless x64 is on."""
        home_at(device)
        return {
            "real floating": dtypes.canonicalize_dtype(float),
            "complex floating": dtypes.canonicalize_dtype(complex),
            "integral": dtypes.canonicalize_dtype(int),
            "indexing": dtypes.canonicalize_dtype(int),
        }

    def dtypes(
        self, *, device: Any = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, np.dtype[Any]]:
        """The dtypes of a kind by their names; all of the standard by default.

        Args:
            kind: "bool", "signed integer", "unsigned integer", "integral", "real floating",
                "complex floating", "numeric", or a tuple of them.
        Raises:
            ValueError: there is no kind of that name.
        """
        home_at(device)
        if kind is None:
            kind = tuple(_kinds)
        if isinstance(kind, tuple):
            found: dict[str, np.dtype[Any]] = {}
            for each in kind:
                found.update(self.dtypes(kind=each))
            return found
        if kind not in _kinds and kind not in _unions:
            raise ValueError(
                f"There is no kind of dtypes {kind!r}. Give one of {[*_kinds, *_unions]}."
            )
        names = [n for k in _unions.get(kind, (kind,)) for n in _kinds[k]]
        return {n: np.dtype(n) for n in names if config.enable_x64 or n not in _wide}


def namespace_info() -> ArrayNamespaceInfo:
    """The answers of this namespace to the questions of the array API standard."""
    return ArrayNamespaceInfo()


def to_device(self: Any, device: Any, /, *, stream: Any = None) -> Any:
    """The array on a device: itself, if it is there.

    Raises:
        RuntimeError: the device is not present.
        ValueError: a stream is given: each device has one of its own.
    """
    if stream is not None:
        raise ValueError(
            f"to_device got stream={stream!r}: each device has one stream of its own, and a CPU "
            "none. Leave it out."
        )
    home = home_at(device)
    if home is None or isinstance(self, Tracer) or self.devices() == {home.device}:
        return self
    return device_put(self, device)
