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
from . import cache, toolchain

FIRST_SLOT = 3
MISMATCH = -(1 << 40)

# What the code calls for: functions of Python and of NumPy's C API, and two types.
_OUTSIDE = """
@fg_array = external global i8
@fg_ndarray = external global i8
declare ptr @PyList_New(i64)
declare ptr @PyType_GenericAlloc(ptr, i64)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyArray_NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
"""

# ndarray: data at 16, flags at 64; bit 0: C-contiguous, bit 8: aligned, bit 10: writeable. A
# tuple's items begin at 24; a list has the address of its items there. The plan: program, its
# table, the first slot of an input, the number of inputs, of outputs; for methods also the avals,
# the forms of the outputs and a place for the code.

# Puts the addresses of the inputs into the table. If there are avals, the inputs are Arrays of just
# these; else they are ndarrays. Gives MISMATCH if they are not, -1 - k if input k is no memory that
# the program can read, else 0.
_COLLECT = """
define internal i64 @fg_collect(ptr %plan, ptr %inputs, ptr %avals) {
entry:
  %first.at = getelementptr i8, ptr %plan, i64 16
  %first = load ptr, ptr %first.at
  %count.at = getelementptr i8, ptr %plan, i64 24
  %count = load i64, ptr %count.at
  %items = getelementptr i8, ptr %inputs, i64 24
  %checked = icmp ne ptr %avals, null
  br label %input
input:
  %i = phi i64 [ 0, %entry ], [ %i1, %take ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %look, label %done
look:
  %item.at = getelementptr ptr, ptr %items, i64 %i
  %item = load ptr, ptr %item.at
  br i1 %checked, label %kind, label %flags
kind:
  %type.at = getelementptr i8, ptr %item, i64 8
  %type = load ptr, ptr %type.at
  %is.array = icmp eq ptr %type, @fg_array
  br i1 %is.array, label %sort, label %mismatch
sort:
  %aval.at = getelementptr i8, ptr %item, i64 {aval}
  %aval = load ptr, ptr %aval.at
  %wanted.at = getelementptr ptr, ptr %avals, i64 %i
  %wanted = load ptr, ptr %wanted.at
  %same = icmp eq ptr %aval, %wanted
  br i1 %same, label %value, label %mismatch
value:
  %value.at = getelementptr i8, ptr %item, i64 {value}
  %held = load ptr, ptr %value.at
  %held.type.at = getelementptr i8, ptr %held, i64 8
  %held.type = load ptr, ptr %held.type.at
  %is.memory = icmp eq ptr %held.type, @fg_ndarray
  br i1 %is.memory, label %flags, label %unfit
flags:
  %array = phi ptr [ %item, %look ], [ %held, %value ]
  %flags.at = getelementptr i8, ptr %array, i64 64
  %has = load i32, ptr %flags.at
  %both = and i32 %has, 257
  %good = icmp eq i32 %both, 257
  br i1 %good, label %take, label %unfit
take:
  %data.at = getelementptr i8, ptr %array, i64 16
  %data = load ptr, ptr %data.at
  %slot = getelementptr ptr, ptr %first, i64 %i
  store ptr %data, ptr %slot
  %i1 = add i64 %i, 1
  br label %input
mismatch:
  ret i64 {mismatch}
unfit:
  %k = sub i64 -1, %i
  ret i64 %k
done:
  ret i64 0
}
"""

# Runs a program on ndarrays, into a list of ndarrays, which come out read-only. Gives what
# `fg_collect` or the program gave.
_LAUNCH = """
define i64 @fg_launch(ptr %plan, ptr %inputs, ptr %outputs) {
entry:
  %found = call i64 @fg_collect(ptr %plan, ptr %inputs, ptr null)
  %fine = icmp eq i64 %found, 0
  br i1 %fine, label %open, label %unfit
unfit:
  ret i64 %found
open:
  %program = load ptr, ptr %plan
  %table.at = getelementptr i8, ptr %plan, i64 8
  %table = load ptr, ptr %table.at
  %first.at = getelementptr i8, ptr %plan, i64 16
  %first = load ptr, ptr %first.at
  %count.at = getelementptr i8, ptr %plan, i64 24
  %count = load i64, ptr %count.at
  %outs.at = getelementptr i8, ptr %plan, i64 32
  %outs = load i64, ptr %outs.at
  %targets.at = getelementptr i8, ptr %outputs, i64 24
  %targets = load ptr, ptr %targets.at
  %results = getelementptr ptr, ptr %first, i64 %count
  br label %output
output:
  %j = phi i64 [ 0, %open ], [ %j1, %give ]
  %left = icmp slt i64 %j, %outs
  br i1 %left, label %give, label %run
give:
  %target.at = getelementptr ptr, ptr %targets, i64 %j
  %target = load ptr, ptr %target.at
  %room.at = getelementptr i8, ptr %target, i64 16
  %room = load ptr, ptr %room.at
  %result = getelementptr ptr, ptr %results, i64 %j
  store ptr %room, ptr %result
  %set.at = getelementptr i8, ptr %target, i64 64
  %set = load i32, ptr %set.at
  %read.only = and i32 %set, -1025
  store i32 %read.only, ptr %set.at
  %j1 = add i64 %j, 1
  br label %output
run:
  %code = call i32 %program(ptr %table)
  %wide = sext i32 %code to i64
  ret i64 %wide
}
"""

# A method of a bytes object that holds the plan, called as `method(inputs, avals)` with two tuples:
# makes the results, Arrays of these avals, and runs the program. Gives a list of them, or the
# inputs where they do not fit; then the plan's last place says why. The results are made before
# the inputs are looked at, since making an object may run whatever a garbage collection runs.
_METHOD = """
define ptr @fg_method(ptr %self, ptr %args, i64 %size) {
entry:
  %plan = getelementptr i8, ptr %self, i64 32
  %inputs = load ptr, ptr %args
  %given.at = getelementptr i8, ptr %args, i64 8
  %given = load ptr, ptr %given.at
  %given.items = getelementptr i8, ptr %given, i64 24
  %program = load ptr, ptr %plan
  %table.at = getelementptr i8, ptr %plan, i64 8
  %table = load ptr, ptr %table.at
  %first.at = getelementptr i8, ptr %plan, i64 16
  %first = load ptr, ptr %first.at
  %count.at = getelementptr i8, ptr %plan, i64 24
  %count = load i64, ptr %count.at
  %outs.at = getelementptr i8, ptr %plan, i64 32
  %outs = load i64, ptr %outs.at
  %avals.at = getelementptr i8, ptr %plan, i64 40
  %avals = load ptr, ptr %avals.at
  %forms.at = getelementptr i8, ptr %plan, i64 48
  %forms = load ptr, ptr %forms.at
  %results = getelementptr ptr, ptr %first, i64 %count
  %list = call ptr @PyList_New(i64 %outs)
  %no.list = icmp eq ptr %list, null
  br i1 %no.list, label %no.memory, label %open
open:
  %targets.at = getelementptr i8, ptr %list, i64 24
  %targets = load ptr, ptr %targets.at
  br label %output
output:
  %j = phi i64 [ 0, %open ], [ %j1, %wrap ]
  %left = icmp slt i64 %j, %outs
  br i1 %left, label %make, label %collect
make:
  %form = getelementptr [3 x i64], ptr %forms, i64 %j
  %type = load ptr, ptr %form
  %rank.at = getelementptr i8, ptr %form, i64 8
  %rank = load i32, ptr %rank.at
  %shape.at = getelementptr i8, ptr %form, i64 16
  %shape = load ptr, ptr %shape.at
  call void @Py_IncRef(ptr %type)
  %array = call ptr @PyArray_NewFromDescr(ptr @fg_ndarray, ptr %type, i32 %rank, ptr %shape,
                                          ptr null, ptr null, i32 0, ptr null)
  %no.array = icmp eq ptr %array, null
  br i1 %no.array, label %drop, label %hold
hold:
  %set.at = getelementptr i8, ptr %array, i64 64
  %set = load i32, ptr %set.at
  %read.only = and i32 %set, -1025
  store i32 %read.only, ptr %set.at
  %room.at = getelementptr i8, ptr %array, i64 16
  %room = load ptr, ptr %room.at
  %result = getelementptr ptr, ptr %results, i64 %j
  store ptr %room, ptr %result
  %new = call ptr @PyType_GenericAlloc(ptr @fg_array, i64 0)
  %no.new = icmp eq ptr %new, null
  br i1 %no.new, label %drop.array, label %wrap
wrap:
  %value.at = getelementptr i8, ptr %new, i64 {value}
  store ptr %array, ptr %value.at
  %aval.from = getelementptr ptr, ptr %given.items, i64 %j
  %aval = load ptr, ptr %aval.from
  call void @Py_IncRef(ptr %aval)
  %aval.at = getelementptr i8, ptr %new, i64 {aval}
  store ptr %aval, ptr %aval.at
  %target = getelementptr ptr, ptr %targets, i64 %j
  store ptr %new, ptr %target
  %j1 = add i64 %j, 1
  br label %output
collect:
  %found = call i64 @fg_collect(ptr %plan, ptr %inputs, ptr %avals)
  %fine = icmp eq i64 %found, 0
  br i1 %fine, label %run, label %unfit
run:
  call i32 %program(ptr %table)
  ret ptr %list
unfit:
  %found.at = getelementptr i8, ptr %plan, i64 56
  store i64 %found, ptr %found.at
  call void @Py_DecRef(ptr %list)
  call void @Py_IncRef(ptr %inputs)
  ret ptr %inputs
drop.array:
  call void @Py_DecRef(ptr %array)
  br label %drop
drop:
  call void @Py_DecRef(ptr %list)
  br label %no.memory
no.memory:
  ret ptr null
}
"""


class Forms:
    """Dtypes and shapes of results, as machine code reads them: three words each."""

    def __init__(self, results: Sequence[tuple[tuple[int, ...], Any]]) -> None:
        self._dtypes = [np.dtype(dtype) for _, dtype in results]
        self._shapes = [(ctypes.c_ssize_t * len(shape))(*shape) for shape, _ in results]
        words = [
            word
            for dtype, shape in zip(self._dtypes, self._shapes, strict=True)
            for word in (id(dtype), len(shape), ctypes.addressof(shape))
        ]
        self._words: Any = (ctypes.c_int64 * len(words))(*words)
        self.address = ctypes.addressof(self._words)


class Plan:
    """What a call needs to know, as a bytes object, and the calls that read it.

    Attributes:
        call: `call(inputs, outputs)`, a tuple of ndarrays and a list of them; gives 0 or a code.
            The GIL is released.
        method: `method(inputs, avals)` on a tuple of Arrays and one of the avals of the results. It
            gives a list of Arrays if the program ran, else the inputs. The GIL is held, and no time
            is lost in converting.
    """

    def __init__(
        self,
        program: int,
        table: int,
        first: int,
        inputs: int,
        outputs: int,
        avals: int,
        forms: int,
    ) -> None:
        self._launcher = launcher()
        words = (program, table, first, inputs, outputs, avals, forms, 0)
        self._bytes = struct.pack("=8q", *words)
        self._address = id(self._bytes) + bytes.__basicsize__ - 1
        self.method = self._launcher.method_of(self._bytes)

    def call(self, inputs: tuple[Any, ...], outputs: list[Any]) -> int:
        return self._launcher.releasing(self._address, id(inputs), id(outputs))

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
    text = _OUTSIDE + _COLLECT + _LAUNCH + _METHOD
    for name, number in _layout().items():
        text = text.replace(f"{{{name}}}", str(number))
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
    found = {"fg_array": id(Array), "fg_ndarray": id(np.ndarray)}
    for name in ("PyList_New", "PyType_GenericAlloc", "Py_IncRef", "Py_DecRef"):
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


_FASTCALL = 0x80
# Places in the table of NumPy's C API.
_ARRAY_TYPE, _NEW_FROM_DESCR = 2, 94


def _layout() -> dict[str, int]:
    """What the launcher reads by offset, held against what Python says of the same objects."""
    array = np.arange(3.0)
    given, held = (array,), [array]
    wrapped = Array(array, ShapedArray((3,), np.float64))
    item = _word(id(given) + 24)
    listed = _word(_word(id(held) + 24))
    data = _word(id(array) + 16)
    flags = ctypes.c_int32.from_address(id(array) + 64).value
    aval, value = _slot(wrapped, wrapped.aval), _slot(wrapped, array)
    plan = struct.pack("=q", 12345)
    payload = _word(id(plan) + 32) == 12345 and bytes.__basicsize__ == 33
    fits = (
        payload and item == listed == id(array) and data == array.ctypes.data and flags & 257 == 257
    )
    read_only = not flags & 1024
    types = _word(id(wrapped) + 8) == id(Array) and _word(id(array) + 8) == id(np.ndarray)
    numpy_fits = _word(_numpy_api() + 8 * _ARRAY_TYPE) == id(np.ndarray)
    if not (fits and read_only and types and aval and value and numpy_fits):
        raise RuntimeError(
            "This build of Python or NumPy keeps tuples, lists or arrays in another layout than "
            "compiled programs read. Set FUNCGRAD_LOWERING=numpy, which runs programs without "
            "compiling."
        )
    return {"aval": aval, "value": value, "mismatch": MISMATCH}


def _word(address: int | None) -> int:
    return ctypes.c_void_p.from_address(address or 0).value or 0


def _slot(owner: Any, held: Any) -> int:
    """The offset at which an object keeps the address of another; 0 if it does not."""
    offsets = range(16, type(owner).__basicsize__, 8)
    return next((k for k in offsets if _word(id(owner) + k) == id(held)), 0)
