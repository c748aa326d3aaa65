"""`jax.extend.backend`: which platforms are present."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from .... import default_backend, devices, process_index

__all__ = ["Backend", "backends", "get_backend"]


class Backend(NamedTuple):
    """One platform, as `jax.extend.backend.get_backend` gives it."""

    platform: str

    def devices(self) -> list[Any]:
        """Its devices."""
        return devices(self.platform)

    def local_devices(self) -> list[Any]:
        """Those of this process: all."""
        return devices(self.platform)

    def device_count(self) -> int:
        """How many there are."""
        return len(devices(self.platform))

    def local_device_count(self) -> int:
        """How many this process has."""
        return len(devices(self.platform))

    def process_index(self) -> int:
        """The place of this process among all that work together."""
        return process_index()


def get_backend(platform: str | None = None) -> Backend:
    """A platform: that of the default device unless it is named.

    Raises:
        RuntimeError: it is not present.
    """
    name = default_backend() if platform is None else platform
    return Backend(devices(name)[0].platform)


def backends() -> dict[str, list[Any]]:
    """The devices of each platform that is present, by the name that JAX has for it."""
    found: dict[str, list[Any]] = {"cpu": devices("cpu")}
    with suppress(RuntimeError):  # says why there are none
        found["cuda"] = devices("gpu")
    return found
