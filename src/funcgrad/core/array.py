"""The Array: an immutable value on NumPy memory.

In: NumPy arrays and scalars. Out: NumPy arrays without a copy (read-only), DLPack, pickles. The
one idea: an Array owns memory that nobody writes to, so sharing it is always safe. Operators and
most methods are installed by `funcgrad.numpy`, the same on Array and Tracer.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from ..ir import dtypes
from ..ir.avals import AnyArray, ShapedArray, aval_of
from .devices import Device, cpu_device
from .shardings import Shard, Sharding, SingleDeviceSharding, shards_of
from .sources import user_line


class Array(AnyArray):
    """An n-dimensional array in memory, that cannot be changed."""

    __slots__ = ("__weakref__", "_value", "aval")
    __array_priority__ = 1000

    def __init__(self, value: np.ndarray[Any, Any], aval: ShapedArray | None = None) -> None:
        """Wrap memory that nobody else writes to; the caller vouches for that."""
        value.setflags(write=False)
        self._value: np.ndarray[Any, Any] | None = value
        self.aval = ShapedArray(value.shape, value.dtype) if aval is None else aval

    @staticmethod
    def of(value: np.ndarray[Any, Any], aval: ShapedArray) -> Array:
        """Wrap read-only memory whose aval is known: what results of programs are."""
        new = object.__new__(Array)
        new._value = value
        new.aval = aval
        return new

    # The contents.

    def numpy(self) -> np.ndarray[Any, Any]:
        """The memory as a read-only NumPy array, without a copy."""
        if self._value is None:
            raise RuntimeError(
                f"Array has been deleted with shape={self.aval.long()}: it was donated to a "
                "jitted call or deleted.\n"
                f"  {user_line()}\n  Use the result of that call, or do not donate it."
            )
        return self._value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        value = self.numpy()
        if dtype is not None and np.dtype(dtype) != value.dtype:
            if copy is False:
                raise ValueError(f"a copy is needed to give {self.aval.long()} as {dtype}.")
            return value.astype(dtype)
        return value.copy() if copy else value

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        memory: Any = self.numpy()
        if max_version is None or max_version[0] < 1:
            # Capsules before DLPack 1.0 cannot say "read-only": the consumer gets its own memory.
            if copy is False:
                raise BufferError(
                    f"__dlpack__ with copy=False cannot share {self.aval.long()}: arrays are "
                    f"read-only, which DLPack {max_version or 'without max_version'} cannot say.\n"
                    f"  {user_line()}\n  Give max_version=(1, 0), or allow the copy."
                )
            memory, copy = memory.copy(), None
        options = {"max_version": max_version, "dl_device": dl_device, "copy": copy}
        return memory.__dlpack__(stream=stream, **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __reduce__(self) -> Any:
        return _rebuild, (self.numpy(), self.aval.weak_type)

    def __bool__(self) -> bool:
        if self.aval.size != 1:
            raise ValueError(
                f"The truth value of an array with {self.aval.size} elements is ambiguous: "
                f"got shape {self.aval.shape}. Use .any() or .all()."
            )
        if dtypes.is_key_dtype(self.aval.dtype):
            raise TypeError("A key has no truth value. Compare it, or test random.key_data of it.")
        return bool(self.numpy())

    def __int__(self) -> int:
        return int(self._scalar())

    def __float__(self) -> float:
        return float(self._scalar())

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def _scalar(self) -> Any:
        """The one element of an array of shape ()."""
        if self.aval.shape:
            raise TypeError(
                "Only scalar arrays can be converted to Python scalars; got "
                f"{self.aval.long()}. Index or reduce it first."
            )
        return self.numpy().item()

    def __index__(self) -> int:
        if self.aval.shape or not dtypes.issubdtype(self.aval.dtype, np.integer):
            raise TypeError(f"only integer scalars can be an index, got {self.aval.long()}.")
        return int(self.numpy())

    def __len__(self) -> int:
        if not self.aval.shape:
            raise TypeError("len() of unsized object: the array has no axis.")
        return self.aval.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.aval.shape:
            raise TypeError("iteration over a 0-d array: index or ravel it first.")
        item: Any = getattr(self, "__getitem__")  # noqa: B009 - installed by funcgrad.numpy
        return (item(i) for i in range(self.aval.shape[0]))

    def __hash__(self) -> NoReturn:
        raise TypeError("unhashable type: 'Array'. Use .item() or .tobytes() as a key.")

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.aval.shape == () and spec else str(self)

    def item(self, *args: int) -> Any:
        """The element as a Python scalar."""
        return self.numpy().item(*args)

    def tolist(self) -> Any:
        """The elements as nested lists of Python scalars."""
        return self.numpy().tolist()

    def tobytes(self) -> bytes:
        """The elements in C order as bytes."""
        return self.numpy().tobytes()

    # Life and place.

    def block_until_ready(self) -> Array:
        """The array itself: CPU results are ready when they are returned."""
        self.numpy()
        return self

    def copy_to_host_async(self) -> None:
        """Nothing to do: the memory is the host's."""

    def devices(self) -> set[Device]:
        """The devices that hold the array."""
        return {cpu_device}

    def platform(self) -> str:
        """The platform of the devices that hold the array, such as "cpu"."""
        return next(iter(self.devices())).platform

    @property
    def device(self) -> Device:
        return cpu_device

    @property
    def committed(self) -> bool:
        return False

    @property
    def sharding(self) -> Sharding:
        """Which part of the array lies on which device: all of it on one."""
        return SingleDeviceSharding(self.device)

    @property
    def format(self) -> Any:
        """The order of the elements in memory, row-major, and the sharding."""
        from .formats import row_major

        return row_major(len(self.aval.shape), self.sharding)

    @property
    def addressable_shards(self) -> list[Shard]:
        """The parts of the array, each with `device`, `index`, `replica_id` and `data`."""
        return shards_of(self.sharding, self.aval.shape, [self])

    @property
    def global_shards(self) -> list[Shard]:
        """All parts of the array: those of this process."""
        return self.addressable_shards

    def addressable_data(self, index: int) -> Array:
        """The part that one of the devices has, in their order."""
        return self.addressable_shards[index].data

    def is_deleted(self) -> bool:
        """Whether the memory was given away by donation or `delete`."""
        return self._value is None

    def delete(self) -> None:
        """Let go of the memory; any later use raises RuntimeError."""
        self._value = None

    @property
    def is_fully_addressable(self) -> bool:
        return True

    @property
    def is_fully_replicated(self) -> bool:
        return True

    def is_ready(self) -> bool:
        """True: results are there when a call returns."""
        return True

    def on_device_size_in_bytes(self) -> int:
        """The size of the elements in memory."""
        return self.numpy().nbytes

    def unsafe_buffer_pointer(self) -> int:
        """Address of the first element."""
        return self.numpy().ctypes.data

    def __repr__(self) -> str:
        if self._value is None:
            return f"Array(<deleted>, {self.aval.long()})"
        weak = ", weak_type=True" if self.aval.weak_type else ""
        if dtypes.is_opaque(self.aval.dtype):
            return f"Array({self.aval.shape}, dtype={dtypes.short_name(self.aval.dtype)})"
        value = self._value
        if self.aval.dtype.isbuiltin != 1:
            # NumPy prints the numbers of ml_dtypes one by one, without their common width.
            value = value.astype("f4" if dtypes.issubdtype(self.aval.dtype, np.floating) else "i4")
        text = np.array2string(value, separator=", ", prefix="Array(")
        shape = f", shape={self.aval.shape}" if not self.aval.size and self.ndim != 1 else ""
        return f"Array({text}{shape}, dtype={self.aval.dtype.name}{weak})"

    def __str__(self) -> str:
        return repr(self) if self._value is None else str(self._value)


def _rebuild(value: np.ndarray[Any, Any], weak_type: bool) -> Array:
    return Array(value, ShapedArray(value.shape, value.dtype, weak_type))


# Typed as anything: what it is a type of differs between releases of NumPy.
_scalar: Any = np.generic


def to_ndarray(x: Any, aval: ShapedArray | None = None) -> np.ndarray[Any, Any]:
    """A NumPy array nobody writes to: an Array's memory, or a copy in our dtypes.

    Args:
        aval: of x, if it is known.
    Raises:
        TypeError: x is not an array value.
    """
    if type(x) is Array:
        return x.numpy()
    aval = aval_of(x) if aval is None else aval
    if isinstance(x, np.ndarray):
        array: Any = x  # pyright: ignore[reportUnknownVariableType]
        native = array.dtype.isnative and array.dtype == aval.dtype
        if native and not array.flags.writeable and array.base is None:
            return array
        return array.astype(aval.dtype, order="C") if native else _cast(array, aval)
    if isinstance(x, int) and not isinstance(x, bool):
        return _integer(x, aval)
    if isinstance(x, _scalar):
        return _cast(np.asarray(x), aval)
    if isinstance(x, (bool, float, complex)):
        return _cast(np.asarray(x), aval)
    if isinstance(x, Array):
        return x.numpy()
    return to_ndarray(x.__jax_array__())


# A context in which NumPy warns of nothing. To enter a copy takes a fraction of the time in which
# `errstate` makes one, and a copy may be entered by several threads, one each.
_quiet = contextvars.copy_context()
_quiet.run(np.seterr, all="ignore")


def _cast(array: Any, aval: ShapedArray) -> np.ndarray[Any, Any]:
    """A copy in the dtype of the aval; what is too large for it becomes infinite, silently."""
    if array.dtype.kind in "biu":
        return array.astype(aval.dtype, order="C")
    return _quiet.copy().run(array.astype, aval.dtype, "C")


def _integer(x: int, aval: ShapedArray) -> np.ndarray[Any, Any]:
    try:
        return np.array(x, aval.dtype)
    except OverflowError as error:
        raise OverflowError(
            f"Python int {x} is too large to convert to {aval.dtype.name}. "
            "Enable 64-bit types (config.enable_x64) or give the dtype."
        ) from error
