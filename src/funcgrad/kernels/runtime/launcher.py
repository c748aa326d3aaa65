"""The machine code that puts addresses of arrays into a program's table and runs it.

The one idea: a call costs a few Python operations whatever the number of arrays, because what is
done for each one is done by machine code: it checks arguments by reading the objects' own headers,
and makes results by the C API of Python and NumPy.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ...core.array import Array
from ...ir.avals import ShapedArray
from . import cache, launcher_text, toolchain
from .wanted import numbers_lie_as_read

FIRST_SLOT = 3
MISMATCH = -(1 << 40)
# Less the number of an input, the code of one that is to be converted and has no memory for that.
ROOMLESS = MISMATCH - 1


class Forms:
    """Dtypes and shapes of results, as machine code reads them: four words each.

    Args:
        results: shape, dtype, and what makes the array; None where NumPy shall.
    """

    def __init__(
        self, results: Sequence[tuple[tuple[int, ...], Any, Callable[[], Any] | None]]
    ) -> None:
        self._dtypes = [np.dtype(dtype) for _, dtype, _ in results]
        self._shapes = [(ctypes.c_ssize_t * len(shape))(*shape) for shape, _, _ in results]
        self._makers = [maker for _, _, maker in results]
        words = [
            word
            for dtype, shape, maker in zip(self._dtypes, self._shapes, self._makers, strict=True)
            for word in (id(dtype), len(shape), ctypes.addressof(shape), id(maker) if maker else 0)
        ]
        self._words: Any = (ctypes.c_int64 * len(words))(*words)
        self.address = ctypes.addressof(self._words)


class Plan:
    """What a call needs to know, as a bytes object, and the calls that read it.

    Attributes:
        call: `call(inputs, outputs)`, a tuple of ndarrays and a list of them; gives 0 or a code.
            The GIL is released.
        method: `method(inputs, avals, wanted)` on a tuple of inputs, one of the avals of the
            results, and `Wanted.records`. It gives a list of Arrays if the program ran, else the
            inputs. No time is lost in converting. It is for programs without call-outs.

    Args:
        releases: whether the method lets go of the GIL while the program runs.
    """

    def __init__(
        self,
        program: int,
        table: int,
        first: int,
        inputs: int,
        outputs: int,
        forms: int,
        releases: bool,
    ) -> None:
        self._launcher = launcher()
        self._numbers = np.empty(16 * inputs, np.uint8)
        numbers = self._numbers.ctypes.data
        self._rooms: Any = (ctypes.c_void_p * inputs)()
        self._narrowed: dict[int, np.ndarray[Any, Any]] = {}
        self._held: Any = (ctypes.c_void_p * max(inputs, 1))()
        rooms, held = ctypes.addressof(self._rooms), ctypes.addressof(self._held)
        words = (program, table, first, inputs, outputs, numbers, forms, 0, rooms)
        self._bytes = struct.pack("=10q", *words, held if releases else 0)
        self._address = id(self._bytes) + bytes.__basicsize__ - 1
        self.method = self._launcher.method_of(self._bytes)

    def call(self, inputs: tuple[Any, ...], outputs: list[Any]) -> int:
        return self._launcher.releasing(self._address, id(inputs), id(outputs))

    def make_room(self, k: int, size: int) -> None:
        """Give input k memory of `size` bytes to be converted in; it stays for later calls."""
        self._narrowed[k] = memory = np.empty(size, np.uint8)
        self._rooms[k] = memory.ctypes.data

    @property
    def code(self) -> int:
        """What the method found in its last call that gave the inputs."""
        return ctypes.c_int64.from_address(self._address + 56).value


class Launcher(NamedTuple):
    """What makes a program run: a C function, and a maker of methods of plans."""

    releasing: Any
    method_of: Callable[[bytes], Any]
    code: toolchain.LoadedCode


@functools.cache
def launcher() -> Launcher:
    """The launcher of this process.

    Raises:
        RuntimeError: arrays, tuples or lists lie otherwise in memory than the launcher reads them.
    """
    text = launcher_text.program(_layout())
    code = toolchain.load(cache.compiled(text), _outside(), ("fg_launch", "fg_method"))
    kinds = (ctypes.c_int64, *[ctypes.c_void_p] * 3)
    releasing = ctypes.CFUNCTYPE(*kinds)(code.address("fg_launch"))
    definition = _MethodDefinition(b"run", code.address("fg_method"), _FASTCALL, None)
    make: Any = ctypes.pythonapi["PyCFunction_NewEx"]
    make.argtypes, make.restype = (
        (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p),
        ctypes.py_object,
    )

    def method_of(plan: bytes) -> Any:
        return make(ctypes.addressof(definition), plan, None)

    return Launcher(releasing, method_of, code)


def _outside() -> dict[str, int]:
    """Addresses of what the launcher calls for."""
    found = {"fg_array": id(Array), "fg_ndarray": id(np.ndarray), "fg_true": id(True)}
    for name in _OF_PYTHON:
        found[name] = ctypes.cast(ctypes.pythonapi[name], ctypes.c_void_p).value or 0
    return found | {"PyArray_NewFromDescr": _word(_numpy_api() + 8 * _NEW_FROM_DESCR)}


def _numpy_api() -> int:
    """The address of the table of NumPy's C API, whose places are the same in every release."""
    pointer: Any = ctypes.pythonapi["PyCapsule_GetPointer"]
    pointer.argtypes, pointer.restype = (ctypes.py_object, ctypes.c_char_p), ctypes.c_void_p
    module: Any = import_module("numpy._core._multiarray_umath")
    return pointer(module._ARRAY_API, None)


class _MethodDefinition(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_OF_PYTHON = (
    "PyEval_RestoreThread",
    "PyEval_SaveThread",
    "PyList_New",
    "PyLong_AsLongLongAndOverflow",
    "PyObject_CallNoArgs",
    "PyType_GenericAlloc",
    "Py_IncRef",
    "Py_DecRef",
)
_FASTCALL = 0x80
# Places in the table of NumPy's C API.
_ARRAY_TYPE, _NEW_FROM_DESCR = 2, 94


def _layout() -> dict[str, int]:
    """What the launcher reads by offset, held against what Python says of the same objects."""
    array = np.arange(3.0)
    given, held = (array,), [array]
    wrapped = Array(array, ShapedArray((3,), np.float64))
    items = tuple.__basicsize__
    item = _word(id(given) + items)
    listed = _word(_word(id(held) + 24))
    data = _word(id(array) + 16)
    flags = ctypes.c_int32.from_address(id(array) + 64).value
    aval, value = _slot(wrapped, wrapped.aval), _slot(wrapped, array)
    plan = struct.pack("=q", 12345)
    payload = _word(id(plan) + 32) == 12345 and bytes.__basicsize__ == 33
    fits = (
        payload and item == listed == id(array) and data == array.ctypes.data and flags & 257 == 257
    )
    rank = ctypes.c_int32.from_address(id(array) + 24).value
    fits = fits and rank == 1 and _word(_word(id(array) + 32)) == 3
    fits = fits and _word(id(array) + 56) == id(array.dtype) and numbers_lie_as_read()
    read_only = not flags & 1024
    types = _word(id(wrapped) + 8) == id(Array) and _word(id(array) + 8) == id(np.ndarray)
    numpy_fits = _word(_numpy_api() + 8 * _ARRAY_TYPE) == id(np.ndarray)
    if not (fits and read_only and types and aval and value and numpy_fits):
        raise RuntimeError(
            "This build of Python or NumPy keeps tuples, lists or arrays in another layout than "
            "compiled programs read. Set FUNCGRAD_LOWERING=numpy, which runs programs without "
            "compiling."
        )
    places = {"items": items, "aval": aval, "value": value}
    return places | {"mismatch": MISMATCH, "roomless": ROOMLESS}


def _word(address: int | None) -> int:
    return ctypes.c_void_p.from_address(address or 0).value or 0


def _slot(owner: Any, held: Any) -> int:
    """The offset at which an object keeps the address of another; 0 if it does not."""
    offsets = range(16, type(owner).__basicsize__, 8)
    return next((k for k in offsets if _word(id(owner) + k) == id(held)), 0)
