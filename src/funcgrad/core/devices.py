"""The devices arrays live on. Here: the CPU; accelerators register theirs beside it."""

from __future__ import annotations

from typing import NamedTuple


class Device(NamedTuple):
    """A place for arrays and computation."""

    platform: str
    id: int = 0
    device_kind: str = "cpu"
    process_index: int = 0

    def __repr__(self) -> str:
        return f"{self.platform.capitalize()}Device(id={self.id})"

    def __str__(self) -> str:
        return f"{self.platform.upper()}:{self.id}"


cpu_device = Device("cpu")


def devices(backend: str | None = None) -> list[Device]:
    """All devices, or those of one platform.

    Raises:
        RuntimeError: the platform is not present.
    """
    if backend not in (None, "cpu"):
        raise RuntimeError(f"Unknown backend {backend!r}: the backends present are ['cpu'].")
    return [cpu_device]


def check_device(device: object) -> None:
    """Raise RuntimeError unless a `device=` argument names a device that is present."""
    if device is None or device == cpu_device or device == "cpu":
        return
    raise RuntimeError(
        f"Unknown device {device!r}: the devices present are [{cpu_device}]. Leave device out."
    )


def local_devices(backend: str | None = None) -> list[Device]:
    """The devices of this process."""
    return devices(backend)


def device_count(backend: str | None = None) -> int:
    """How many devices there are."""
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """How many devices this process has."""
    return len(local_devices(backend))


def process_count() -> int:
    """How many processes compute together: one."""
    return 1


def process_index() -> int:
    """The number of this process among them."""
    return 0


def default_backend() -> str:
    """Name of the platform computations run on."""
    return "cpu"
