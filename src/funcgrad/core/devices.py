"""The devices arrays live on: the CPU, and what platforms beside it find when they are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..config import config


@dataclass(frozen=True, slots=True)
class Client:
    """What computes on the devices of a platform."""

    platform: str
    platform_version: str = "funcgrad"
    runtime_type: str = "funcgrad"

    def process_index(self) -> int:
        """The number of this process."""
        return 0


@dataclass(frozen=True, slots=True, repr=False)
class Device:
    """A place for arrays and computation.

    It is no tuple, so that NumPy makes arrays of devices, which meshes are of.
    """

    platform: str
    id: int = 0
    device_kind: str = "cpu"
    process_index: int = 0

    @property
    def host_id(self) -> int:
        """The number of the process that has it."""
        return self.process_index

    @property
    def local_hardware_id(self) -> int:
        """Its number in this process."""
        return self.id

    @property
    def client(self) -> Client:
        """What computes on it."""
        return Client(self.platform)

    def default_memory(self) -> Memory:
        """The memory that arrays on it are in: its own, the only one it computes on."""
        return Memory("device", self)

    def addressable_memories(self) -> list[Memory]:
        """The memories that arrays on it can be in."""
        return [self.default_memory()]

    def memory_stats(self) -> dict[str, int] | None:
        """Bytes in use, their peak and more, under JAX's names; None for the CPU."""
        found = _stats.get(self.platform)
        return None if found is None else found(self.id)

    def __repr__(self) -> str:
        return f"{self.platform.capitalize()}Device(id={self.id})"

    def __str__(self) -> str:
        return f"{self.platform.upper()}:{self.id}"


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory of a device.

    Attributes:
        kind: "device".
    """

    kind: str
    device: Device

    def addressable_by_devices(self) -> list[Device]:
        """The devices that compute on it."""
        return [self.device]


cpu_device = Device("cpu")


def cpu_devices() -> list[Device]:
    """As many CPU devices as `config.num_cpu_devices` says: they share one memory."""
    return [Device("cpu", k) for k in range(config.num_cpu_devices or 1)]


Finder = Callable[[], "list[Device]"]
_finders: dict[str, Finder] = {}
_stats: dict[str, Callable[[int], dict[str, int]]] = {}


def register(
    platforms: tuple[str, ...], finder: Finder, stats: Callable[[int], dict[str, int]]
) -> None:
    """Make a platform known under its names.

    Args:
        finder: called when its devices are asked for; `stats`: when the memory of one is.
    """
    _finders.update(dict.fromkeys(platforms, finder))
    _stats.update(dict.fromkeys(platforms, stats))


def devices(backend: str | None = None) -> list[Device]:
    """The CPU devices, or the devices of one platform: "cpu", "gpu" or "cuda".

    Raises:
        RuntimeError: the platform is not known, or not present; then it says why.
    """
    if backend in (None, "cpu"):
        return cpu_devices()
    if backend not in _finders:
        raise RuntimeError(f"Unknown backend {backend!r}: the backends are {['cpu', *_finders]}.")
    return _finders[backend]()


def local_devices(
    process_index: int | None = None, backend: str | None = None, host_id: int | None = None
) -> list[Device]:
    """The devices of a process, of which there is one, number 0.

    Raises:
        ValueError: another process.
        RuntimeError: the platform is not known, or not present.
    """
    number = host_id if process_index is None else process_index
    if number not in (None, 0):
        raise ValueError(f"Unknown process_index {number}: there is one process, number 0.")
    return devices(backend)


def device_count(backend: str | None = None) -> int:
    """How many devices there are."""
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """How many devices this process has."""
    return len(devices(backend))


def process_count(backend: str | None = None) -> int:
    """How many processes compute together: one."""
    return 1


def process_index(backend: str | None = None) -> int:
    """The number of this process among them."""
    return 0


def process_indices(backend: str | None = None) -> list[int]:
    """The numbers of the processes that compute together: one process."""
    return [0]


def default_backend() -> str:
    """Name of the platform computations run on."""
    return "cpu"
