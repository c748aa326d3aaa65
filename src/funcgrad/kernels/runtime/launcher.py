"""The machine code that puts addresses of arrays into a program's table and runs it.

The one idea: a call costs a few Python operations whatever the number of arrays, because what is
done for each one, checks included, is done by reading the objects' own headers.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...core.array import Array
from ...ir.avals import ShapedArray
from . import cache, toolchain

FIRST_SLOT = 3
MISMATCH = -(1 << 40)

# A method of a bytes object that holds the plan, called as `method(inputs, outputs)`: gives the
# outputs if the program ran, else the inputs, and what `fg_launch` gave in the plan's last place.
_METHOD = """
@fg_array = external global i8
@fg_ndarray = external global i8

define ptr @fg_method(ptr %self, ptr %args, i64 %count) {
  %plan = getelementptr i8, ptr %self, i64 32
  %inputs = load ptr, ptr %args
  %outputs.at = getelementptr i8, ptr %args, i64 8
  %outputs = load ptr, ptr %outputs.at
  %avals.at = getelementptr i8, ptr %plan, i64 40
  %avals = load ptr, ptr %avals.at
  %code = call i64 @fg_launch(ptr %plan, ptr %inputs, ptr %outputs, ptr %avals)
  %code.at = getelementptr i8, ptr %plan, i64 48
  store i64 %code, ptr %code.at
  %fine = icmp eq i64 %code, 0
  %given = select i1 %fine, ptr %outputs, ptr %inputs
  %count.held = load i64, ptr %given
  %one.more = add i64 %count.held, 1
  store i64 %one.more, ptr %given
  ret ptr %given
}
"""

# ndarray: data at 16, flags at 64; bit 0: C-contiguous, bit 8: aligned, bit 10: writeable. A
# tuple's items begin at 24; a list has the address of its items there. The plan: program, its
# table, the first slot of an input, the number of inputs, of outputs; for methods also the avals
# and a place for the code. If there are avals, the inputs are Arrays of just these; else they are
# ndarrays. Gives MISMATCH if they are not, and
# -1 - k if input k is no memory that the program can read. Results come out read-only.
_LAUNCH = """
define i64 @fg_launch(ptr %plan, ptr %inputs, ptr %outputs, ptr %avals) {
entry:
  %program = load ptr, ptr %plan
  %table.at = getelementptr i8, ptr %plan, i64 8
  %table = load ptr, ptr %table.at
  %first.at = getelementptr i8, ptr %plan, i64 16
  %first = load ptr, ptr %first.at
  %count.at = getelementptr i8, ptr %plan, i64 24
  %count = load i64, ptr %count.at
  %outs.at = getelementptr i8, ptr %plan, i64 32
  %outs = load i64, ptr %outs.at
  %items = getelementptr i8, ptr %inputs, i64 24
  %targets.at = getelementptr i8, ptr %outputs, i64 24
  %targets = load ptr, ptr %targets.at
  %results = getelementptr ptr, ptr %first, i64 %count
  %checked = icmp ne ptr %avals, null
  br label %input
input:
  %i = phi i64 [ 0, %entry ], [ %i1, %take ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %look, label %output
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
output:
  %j = phi i64 [ 0, %input ], [ %j1, %give ]
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


class Plan:
    """What a call needs to know, as a bytes object, and the calls that read it.

    Attributes:
        call: `call(inputs, outputs)`, a tuple of ndarrays and a list of them; gives 0 or a code.
            The GIL is released.
        method: `method(inputs, outputs)` on a tuple of Arrays and a list of ndarrays. It gives the
            list if the program ran. The GIL is held, and no time is lost in converting.
    """

    def __init__(
        self, program: int, table: int, first: int, inputs: int, outputs: int, avals: int
    ) -> None:
        self._launcher = launcher()
        self._bytes = struct.pack("=7q", program, table, first, inputs, outputs, avals, 0)
        self._address = id(self._bytes) + bytes.__basicsize__ - 1
        self.method = self._launcher.method_of(self._bytes)

    def call(self, inputs: tuple[Any, ...], outputs: list[Any]) -> int:
        return self._launcher.releasing(self._address, id(inputs), id(outputs), None)

    @property
    def code(self) -> int:
        """What the method found in its last call that gave the inputs."""
        return ctypes.c_int64.from_address(self._address + 48).value


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
    text = _LAUNCH + _METHOD
    for name, number in _layout().items():
        text = text.replace(f"{{{name}}}", str(number))
    types = {"fg_array": id(Array), "fg_ndarray": id(np.ndarray)}
    code = toolchain.load(cache.compiled(text), types, ("fg_launch", "fg_method"))
    kinds = (ctypes.c_int64, *[ctypes.c_void_p] * 4)
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


class _MethodDefinition(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_FASTCALL = 0x80


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
    before = _word(id(plan))
    more = [plan, plan]
    counts = _word(id(plan)) == before + len(more)
    fits = (
        payload
        and counts
        and item == listed == id(array)
        and data == array.ctypes.data
        and flags & 257 == 257
    )
    read_only = not flags & 1024
    types = _word(id(wrapped) + 8) == id(Array) and _word(id(array) + 8) == id(np.ndarray)
    if not (fits and read_only and types and aval and value):
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
