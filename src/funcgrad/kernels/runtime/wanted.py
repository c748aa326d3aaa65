"""What a program takes for an input, as the launcher reads it.

In: the avals of the inputs. Out: `Wanted`, eight words for each: the aval of an Array; dtype, rank
and shape of an ndarray; then, if it has axes, a dtype of twice the bits that is converted, whether
to floats, nothing, and of how many numbers; if it has none, two types of numbers that are read
where they lie, one that is converted, and how. The one idea: what has the right dtype in NumPy's or
Python's memory is read there, what has the dtype that NumPy chose unasked is converted by machine
code, and Python is asked only for all else.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...config import config
from ...core.array import to_ndarray
from ...ir import dtypes
from ...ir.avals import ShapedArray, aval_of

# Three is no word in the header of a number, so it is found only where the number is.
_NUMBERS: tuple[Any, ...] = (
    *(kind(3) for kind in (np.int8, np.int16, np.int32, np.int64)),
    *(kind(3) for kind in (np.uint8, np.uint16, np.uint32, np.uint64)),
    *(kind(3) for kind in (np.float16, np.float32, np.float64, np.complex64, np.complex128)),
    *(np.True_, True, 3, 3.0, 3 + 0j),
)
_INSIDE = 16
# How the launcher converts a number, by its type and the dtype it becomes.
_HOW: dict[tuple[type, str], int] = {
    (float, "float32"): 0,
    (np.float64, "float32"): 0,
    (complex, "complex64"): 1,
    (np.complex128, "complex64"): 1,
    (int, "int32"): 2,
    (int, "int64"): 3,
    (bool, "bool"): 4,
}


class Wanted:
    """What the inputs of a program must be, under the options that are in force now.

    Attributes:
        records: the words, for `Plan.method`; they are good while this object lives.
    """

    def __init__(self, avals: Sequence[ShapedArray]) -> None:
        self._avals = tuple(avals)
        self._shapes = [(ctypes.c_int64 * len(a.shape))(*a.shape) for a in self._avals]
        words = [
            word
            for aval, shape in zip(self._avals, self._shapes, strict=True)
            for word in (id(aval), _dtype_of(aval), len(shape), ctypes.addressof(shape))
            + (_wider_of(aval) if aval.shape else _numbers_of(aval, config.enable_x64))
        ]
        self.records = struct.pack(f"={len(words)}q", *words)

    def size_of(self, k: int) -> int:
        """Bytes of input k."""
        return self._avals[k].size * self._avals[k].dtype.itemsize


_WIDER = {
    "float32": np.dtype(np.float64),
    "complex64": np.dtype(np.complex128),
    "int32": np.dtype(np.int64),
    "uint32": np.dtype(np.uint64),
}


def _wider_of(aval: ShapedArray) -> tuple[int, int, int, int]:
    """The dtype of ndarrays that become this one, whether it is of floats, 0, how many numbers."""
    wider = _WIDER.get(aval.dtype.name)
    if wider is None or aval.weak_type or dtypes.canonicalize_dtype(wider) != aval.dtype:
        return 0, 0, 0, 0
    amount = aval.size * (2 if aval.dtype.kind == "c" else 1)
    return id(wider), int(aval.dtype.kind in "fc"), 0, amount


def _dtype_of(aval: ShapedArray) -> int:
    """The address of the dtype of ndarrays that have this aval; 0 if none has."""
    # NumPy has one object for a dtype of its own, and one for each that was registered.
    return id(aval.dtype) if aval.dtype.isbuiltin and not aval.weak_type else 0


@functools.cache
def _numbers_of(aval: ShapedArray, x64: bool) -> tuple[int, int, int, int]:
    """Two types whose numbers are read in place, one that is converted, and how; 0 for none."""
    del x64  # what aval a number has depends on it
    readable: list[int] = []
    converted: list[tuple[int, int]] = []
    for number in _NUMBERS:
        if aval_of(number) is not aval:
            continue
        kind: Any = type(number)  # pyright: ignore[reportUnknownVariableType]
        memory = to_ndarray(number).tobytes()
        how = _HOW.get((kind, aval.dtype.name))
        if how is not None:
            converted.append((id(kind), how))
        elif ctypes.string_at(id(number) + _INSIDE, len(memory)) == memory:
            readable.append(id(kind))
    first, second, *_ = (*readable, 0, 0)
    other, how = converted[0] if converted else (0, 0)
    return first, second, other, how


def numbers_lie_as_read() -> bool:
    """Whether Python's floats and complex numbers lie where the launcher reads them."""
    whole, parts = 3.25, 3.25 + 2.5j
    found = (ctypes.c_double * 2).from_address(id(parts) + _INSIDE)
    lone = ctypes.c_double.from_address(id(whole) + _INSIDE).value
    return lone == whole and tuple(found) == (parts.real, parts.imag)
