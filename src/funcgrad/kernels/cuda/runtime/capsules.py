"""DLPack capsules: memory of a device as other libraries hand it on.

In: an address, a shape, a dtype, or a capsule. Out: a capsule, or what one says. The one idea:
NumPy makes the capsule, of an array that keeps what keeps the memory, and the structure in it is
written over with ctypes. So what lets go of it is NumPy's C code, which a consumer may call while
its error is on the way; a function of Python must not be called then, and the error would be lost.

Source: https://dmlc.github.io/dlpack/latest/c_api.html
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ....ir import dtypes

CUDA, CUDA_MANAGED = 2, 13
_READ_ONLY, _COPIED = 1, 2
_NAMES = {False: b"dltensor", True: b"dltensor_versioned"}
_USED = {False: b"used_dltensor", True: b"used_dltensor_versioned"}
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_NARROW = {
    (4, 16): "bfloat16",
    (7, 8): "float8_e3m4",
    (8, 8): "float8_e4m3",
    (9, 8): "float8_e4m3b11fnuz",
    (10, 8): "float8_e4m3fn",
    (11, 8): "float8_e4m3fnuz",
    (12, 8): "float8_e5m2",
    (13, 8): "float8_e5m2fnuz",
    (14, 8): "float8_e8m0fnu",
}


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    )


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Plain(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_uint32 * 2),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


class Described(NamedTuple):
    """An array in a device's memory.

    Attributes:
        strides: elements from one index to the next; None: in C order.
        device: DLPack's kind of device, and its number.
        release: to be called when the memory is not used any more.
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    dtype: np.dtype[Any]
    device: tuple[int, int]
    read_only: bool
    release: Callable[[], None]


_python = ctypes.pythonapi
# The capsule as an address.
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_IsValid", _python)
)
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", _python)
)
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_SetName", _python)
)


class _Lent(np.ndarray[Any, Any]):
    """What NumPy makes a capsule of: its memory is a single element's, and is never read.

    Attributes:
        keep: lives as long as somebody may use the memory that the capsule is written to say.
    """

    keep: Any


def capsule(what: Described, keep: Any, versioned: bool, copied: bool = False) -> Any:
    """A capsule of an array.

    Args:
        keep: lives as long as somebody may use the memory.
        versioned: as of DLPack 1.0, which can say "read-only" and "copied".
    Raises:
        BufferError: DLPack has no number for the dtype.
    """
    code, bits = code_of(what.dtype)
    size, count = what.dtype.itemsize, len(what.shape)
    like = np.dtype("c16" if size == 16 else f"u{size}")
    lent = _Lent(what.shape, like, bytearray(size), strides=(0,) * count)
    lent.keep = keep
    given = lent.__dlpack__(max_version=(1, 0) if versioned else None)
    address = _pointer(id(given), _NAMES[versioned])
    assert address is not None
    made: Any = (_Versioned if versioned else _Plain).from_address(address)
    tensor = made.tensor
    tensor.data, tensor.offset = what.address, 0
    tensor.device = (ctypes.c_int32 * 2)(*what.device)
    tensor.code, tensor.bits, tensor.lanes = code, bits, 1
    if tensor.strides:  # else in C order
        steps = what.strides or row_strides(what.shape)
        for k, step in enumerate(steps):
            tensor.strides[k] = step
    if versioned:
        made.version = (ctypes.c_uint32 * 2)(1, 0)
        made.flags = (_READ_ONLY if what.read_only else 0) | (_COPIED if copied else 0)
    return given


def opened(given: Any) -> Described:
    """What a capsule says; it is used up by that.

    Raises:
        BufferError: it is no capsule of DLPack 0 or 1, was used, or its dtype has no name here.
    """
    whose = id(given)
    found = [v for v, name in _NAMES.items() if _is_valid(whose, name)]
    if not found:
        raise BufferError(
            f"{given!r} is no DLPack capsule that nobody has used. Give the array it comes from."
        )
    versioned = found[0]
    address = _pointer(whose, _NAMES[versioned])
    assert address is not None
    held: Any = (_Versioned if versioned else _Plain).from_address(address)
    if versioned and held.version[0] != 1:
        major, minor = held.version
        raise BufferError(f"DLPack {major}.{minor} is not understood here, but 0 and 1 are.")
    tensor = held.tensor
    dtype = dtype_of(tensor.code, tensor.bits, tensor.lanes)
    shape = tuple(tensor.shape[k] for k in range(tensor.ndim))
    strides = tuple(tensor.strides[k] for k in range(tensor.ndim)) if tensor.strides else None
    _rename(given, _USED[versioned])

    def release() -> None:
        if held.deleter:
            _Deleter(held.deleter)(address)

    read_only = bool(versioned and held.flags & _READ_ONLY)
    start = (tensor.data or 0) + tensor.offset
    device = tensor.device[0], tensor.device[1]
    return Described(start, shape, strides, dtype, device, read_only, release)


def row_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Elements from one index to the next, in C order."""
    found: list[int] = []
    step = 1
    for extent in reversed(shape):
        found.append(step)
        step *= extent
    return tuple(reversed(found))


def code_of(dtype: np.dtype[Any]) -> tuple[int, int]:
    """DLPack's number and bits of a dtype.

    Raises:
        BufferError: it has none.
    """
    for pair, name in _NARROW.items():
        if name == dtype.name:
            return pair
    if dtype.isbuiltin != 1 or dtype.kind not in _CODES:
        raise BufferError(
            f"DLPack has no number for {dtypes.short_name(dtype)}. Give the array another dtype, "
            "or a key's words (random.key_data)."
        )
    return _CODES[dtype.kind], dtype.itemsize * 8


def dtype_of(code: int, bits: int, lanes: int) -> np.dtype[Any]:
    """The dtype of a number and its bits.

    Raises:
        BufferError: there is none here.
    """
    if lanes == 1 and (code, bits) in _NARROW:
        return np.dtype(_NARROW[code, bits])
    for kind, number in _CODES.items():
        if number == code and lanes == 1 and bits % 8 == 0:
            try:
                return np.dtype(f"{kind}{bits // 8}" if kind != "b" else "?")
            except TypeError:
                break
    raise BufferError(f"Elements of {lanes} × {bits} bits of DLPack's kind {code} have no dtype.")
