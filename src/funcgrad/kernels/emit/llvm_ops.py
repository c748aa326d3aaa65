"""Scalar operations as LLVM instructions, on one lane or on many.

In: an operation, operand names and dtypes. Out: the name of the result. The one idea: a vector
instruction reads like the scalar one with another type, so every operation is written once.
bool is i1 in registers and a byte in memory; 16-bit floats compute in float32 and round back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from ...ir import dtypes
from ...ir.loops import DType
from .writer import Writer

float32, float64 = np.dtype(np.float32), np.dtype(np.float64)


def is_small_float(dtype: DType) -> bool:
    """Whether arithmetic on the dtype is done in float32."""
    return dtype == np.float16 or dtype == dtypes.bfloat16


def is_float(dtype: DType) -> bool:
    """Whether the dtype is a real floating one the emitters know."""
    return dtype.kind == "f" or dtype == dtypes.bfloat16


@cache
def supported(dtype: DType) -> bool:
    """Whether values of the dtype can be held in registers."""
    return dtype.kind in "biu" or dtype.name in ("float16", "float32", "float64", "bfloat16")


@cache
def register_type(dtype: DType) -> str:
    """The LLVM type of one lane."""
    if dtype.kind == "b":
        return "i1"
    if dtype.kind in "iu":
        return f"i{8 * dtype.itemsize}"
    # LLVM's own bfloat calls a library where the processor lacks it: here it is its bits.
    return {"float16": "half", "float32": "float", "float64": "double", "bfloat16": "i16"}[
        dtype.name
    ]


def memory_type(dtype: DType) -> str:
    """The LLVM type of one element in memory."""
    return "i8" if dtype.kind == "b" else register_type(dtype)


def typed(kind: str, lanes: int) -> str:
    """A vector type, or the scalar type for one lane."""
    return kind if lanes == 1 else f"<{lanes} x {kind}>"


def constant_text(value: Any, dtype: DType) -> str:
    """A scalar constant of a dtype."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind in "iu":
        bits = 8 * dtype.itemsize
        number = int(value) & ((1 << bits) - 1)
        return str(number - (1 << bits) if number >> (bits - 1) else number)
    with np.errstate(all="ignore"):
        exact = np.asarray(value).astype(dtype)
    if dtype == np.float16:
        return f"0xH{int(exact.view(np.uint16)):04X}"
    if dtype == dtypes.bfloat16:
        return str(int(exact.view(np.int16)))
    return f"0x{struct.unpack('<Q', struct.pack('<d', float(exact)))[0]:016X}"


def mask_text(lanes: Iterable[bool]) -> str:
    """A mask that is known."""
    return "<" + ", ".join(f"i1 {str(lane).lower()}" for lane in lanes) + ">"


def known_lanes(mask: str) -> list[bool] | None:
    """The lanes of a mask that `mask_text` wrote; None for any other."""
    return [word.endswith("true") for word in mask[:-1].split(",")] if mask[0] == "<" else None


def suffix(kind: str, lanes: int) -> str:
    """How an intrinsic names a type: f32, v8f32, v4i64."""
    short = {"float": "f32", "double": "f64", "half": "f16"}.get(kind, kind)
    return short if lanes == 1 else f"v{lanes}{short}"


_BINARY_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "rem": "frem"}
_BINARY_INT = {
    **dict(zip("add sub mul and or xor".split(), "add sub mul and or xor".split(), strict=True)),
    "shift_left": "shl",
    "shift_right_logical": "lshr",
    "shift_right_arithmetic": "ashr",
}
_INTRINSICS_FLOAT = {
    "min": "minimum",
    "max": "maximum",
    "abs": "fabs",
    "sqrt": "sqrt",
    "floor": "floor",
    "ceil": "ceil",
    "round": "rint",
    "trunc": "trunc",
    "copysign": "copysign",
    "fma": "fma",
}
# What gives one of its operands, or a number with no more digits; and what an instruction rounds.
_EXACT = {*"neg abs min max floor ceil round trunc copysign".split()}
_OF_UPPER_HALVES = {*_EXACT, *"add sub mul div sqrt fma".split()}
_COMPARE_FLOAT = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}


class Ops:
    """Writes operations into a function; `level` says in front of which open loop."""

    def __init__(self, writer: Writer) -> None:
        self.w = writer

    def intrinsic(
        self, name: str, kind: str, lanes: int, args: list[str], level: int, extra: str = ""
    ) -> str:
        """A call of an LLVM intrinsic whose operands and result have one type."""
        vector = typed(kind, lanes)
        full = f"llvm.{name}.{suffix(kind, lanes)}"
        params = ", ".join([vector] * len(args)) + (f", {extra.split()[0]}" if extra else "")
        at = self.w.declare(full, f"{vector} ({params})")
        text = ", ".join(f"{vector} {a}" for a in args) + (f", {extra}" if extra else "")
        return self.w.value(f"call {vector} {at}({text})", level)

    def apply(self, op: str, args: list[str], dtype: DType, lanes: int, level: int) -> str:
        """The operation on operands of one dtype; comparisons give i1."""
        if is_small_float(dtype):
            wide = [self.cast(a, dtype, float32, lanes, level) for a in args]
            result = self.apply(op, wide, float32, lanes, level)
            if op in _COMPARE_FLOAT or op == "is_finite":
                return result
            if dtype == dtypes.bfloat16 and op in _OF_UPPER_HALVES:
                return self._to_bfloat16(result, lanes, level, op not in _EXACT, False)
            return self.cast(result, float32, dtype, lanes, level)
        if dtype.kind == "f":
            return self._float(op, args, dtype, lanes, level)
        return self._integer(op, args, dtype, lanes, level)

    def _float(self, op: str, args: list[str], dtype: DType, lanes: int, level: int) -> str:
        kind = register_type(dtype)
        vector = typed(kind, lanes)
        if op in _BINARY_FLOAT:
            return self.w.value(f"{_BINARY_FLOAT[op]} {vector} {args[0]}, {args[1]}", level)
        if op in _COMPARE_FLOAT:
            return self.w.value(f"fcmp {_COMPARE_FLOAT[op]} {vector} {args[0]}, {args[1]}", level)
        if op == "neg":
            return self.w.value(f"fneg {vector} {args[0]}", level)
        if op == "is_finite":
            size = self.intrinsic("fabs", kind, lanes, args, level)
            limit = constant_text(np.inf, dtype)
            limit = limit if lanes == 1 else f"splat ({kind} {limit})"
            return self.w.value(f"fcmp olt {vector} {size}, {limit}", level)
        return self.intrinsic(_INTRINSICS_FLOAT[op], kind, lanes, args, level)

    def _integer(self, op: str, args: list[str], dtype: DType, lanes: int, level: int) -> str:
        kind = register_type(dtype)
        vector = typed(kind, lanes)
        signed = dtype.kind == "i"
        sign = "s" if signed else "u"
        if dtype.kind == "b":
            op = {"add": "or", "mul": "and", "max": "or", "min": "and"}.get(op, op)
        if op in _BINARY_INT:
            return self.w.value(f"{_BINARY_INT[op]} {vector} {args[0]}, {args[1]}", level)
        if op in ("div", "rem"):
            if lanes > 1 and dtype.itemsize <= 4 and args[1].startswith("%"):
                return self._divided(op, args, dtype, lanes, level)
            return self.w.value(f"{sign}{op} {vector} {args[0]}, {args[1]}", level)
        if op in ("eq", "ne", "lt", "le", "gt", "ge"):
            how = op if op in ("eq", "ne") else sign + op
            return self.w.value(f"icmp {how} {vector} {args[0]}, {args[1]}", level)
        if op in ("min", "max"):
            return self.intrinsic(f"{sign}{op}", kind, lanes, args, level)
        if op == "neg":
            return self.w.value(
                f"sub {vector} zeroinitializer, {args[0]}"
                if lanes > 1
                else f"sub {vector} 0, {args[0]}",
                level,
            )
        if op == "not":
            ones = "true" if kind == "i1" else "-1"
            ones = ones if lanes == 1 else f"splat ({kind} {ones})"
            return self.w.value(f"xor {vector} {args[0]}, {ones}", level)
        if op == "abs":
            return (
                args[0]
                if not signed
                else self.intrinsic("abs", kind, lanes, args, level, "i1 false")
            )
        if op == "population_count":
            return self.intrinsic("ctpop", kind, lanes, args, level)
        if op == "clz":
            return self.intrinsic("ctlz", kind, lanes, args, level, "i1 false")
        if op == "is_finite":
            return "true" if lanes == 1 else "splat (i1 true)"
        return self._integer_special(op, args, dtype, lanes, level)

    def _divided(self, op: str, args: list[str], dtype: DType, lanes: int, level: int) -> str:
        """A quotient or remainder of integers by way of floats, which vectors divide.

        A quotient that is no integer is 1 / divisor at least from the next one. Of 32 bits that is
        2^-32 of it or more, of 16 bits 2^-16: float64 and float32 do not round it away.
        """
        wide = float32 if dtype.itemsize <= 2 else float64
        kind, real = typed(register_type(dtype), lanes), typed(register_type(wide), lanes)
        a, b = (self.cast(x, dtype, wide, lanes, level) for x in args)
        exact = self.w.value(f"fdiv {real} {a}, {b}", level)
        how = "fptosi" if dtype.kind == "i" else "fptoui"
        quotient = self.w.value(f"{how} {real} {exact} to {kind}", level)
        if op == "div":
            return quotient
        whole = self.w.value(f"mul {kind} {quotient}, {args[1]}", level)
        return self.w.value(f"sub {kind} {args[0]}, {whole}", level)

    def _integer_special(
        self, op: str, args: list[str], dtype: DType, lanes: int, level: int
    ) -> str:
        kind, signed = register_type(dtype), dtype.kind == "i"
        if op == "sign":
            high = self.intrinsic(
                "smin" if signed else "umin",
                kind,
                lanes,
                [args[0], self.splat(kind, "1", lanes)],
                level,
            )
            if not signed:
                return high
            return self.intrinsic("smax", kind, lanes, [high, self.splat(kind, "-1", lanes)], level)
        if op == "mulhi":
            bits = 8 * dtype.itemsize
            wide = typed(f"i{2 * bits}", lanes)
            extend = "sext" if signed else "zext"
            narrow = typed(kind, lanes)
            a, b = (self.w.value(f"{extend} {narrow} {x} to {wide}", level) for x in args)
            product = self.w.value(f"mul {wide} {a}, {b}", level)
            by = self.splat(f"i{2 * bits}", str(bits), lanes)
            shifted = self.w.value(f"lshr {wide} {product}, {by}", level)
            return self.w.value(f"trunc {wide} {shifted} to {narrow}", level)
        raise AssertionError(f"no instruction for {op} of {dtype.name}")

    def splat(self, kind: str, scalar: str, lanes: int) -> str:
        """A constant on all lanes."""
        return scalar if lanes == 1 else f"splat ({kind} {scalar})"

    def cast(self, x: str, source: DType, target: DType, lanes: int, level: int) -> str:
        """x converted: floats saturate into integers and NaN becomes 0, as in JAX."""
        if source == target:
            return x
        if is_small_float(source) and target != float32:
            x, source = self.cast(x, source, float32, lanes, level), float32
        if is_small_float(target) and source != float32:
            x, source = self.cast(x, source, float32, lanes, level), float32
        if source == target:
            return x
        if target == dtypes.bfloat16:
            return self._to_bfloat16(x, lanes, level)
        if source == dtypes.bfloat16:
            return self._from_bfloat16(x, lanes, level)
        a, b = register_type(source), register_type(target)
        from_type, to_type = typed(a, lanes), typed(b, lanes)
        if target.kind == "b":
            return self._to_bool(x, source, lanes, level)
        if is_float(source) and is_float(target):
            how = "fpext" if source.itemsize < target.itemsize else "fptrunc"
        elif is_float(target):
            how = "sitofp" if source.kind == "i" else "uitofp"
        elif is_float(source):
            if target.itemsize < 4:
                return self._to_narrow(x, source, target, lanes, level)
            name = "fptosi.sat" if target.kind == "i" else "fptoui.sat"
            full = f"llvm.{name}.{suffix(b, lanes)}.{suffix(a, lanes)}"
            at = self.w.declare(full, f"{to_type} ({from_type})")
            return self.w.value(f"call {to_type} {at}({from_type} {x})", level)
        elif a == b:
            return x
        elif source.kind != "b" and source.itemsize > target.itemsize:
            how = "trunc"
        else:
            how = "sext" if source.kind == "i" else "zext"
        return self.w.value(f"{how} {from_type} {x} to {to_type}", level)

    def _to_narrow(self, x: str, source: DType, target: DType, lanes: int, level: int) -> str:
        """A float as an integer of 8 or 16 bits, by way of 32, for which there are instructions."""
        kind = register_type(source)
        vector, info = typed(kind, lanes), np.iinfo(target)
        low, high = (
            self.splat(kind, constant_text(float(end), source), lanes)
            for end in (info.min, info.max)
        )
        zero = self.splat(kind, constant_text(0.0, source), lanes)
        for how, other in (("ord", zero), ("ogt", low), ("olt", high)):
            holds = self.w.value(f"fcmp {how} {vector} {x}, {other}", level)
            x = self.w.value(
                f"select {typed('i1', lanes)} {holds}, {vector} {x}, {vector} {other}", level
            )
        wide = typed("i32", lanes)
        number = self.w.value(f"fptosi {vector} {x} to {wide}", level)
        narrow = typed(register_type(target), lanes)
        return self.w.value(f"trunc {wide} {number} to {narrow}", level)

    def _to_bfloat16(
        self, x: str, lanes: int, level: int, rounded: bool = True, checked: bool = True
    ) -> str:
        """The upper half of a float32, rounded to even or as it is; NaN stays NaN.

        Not `checked`: a NaN has no bits in its lower half, with which it might become an infinity.
        What instructions make of bfloat16s has none: it is an operand's, or the processor's own.
        """
        wide, narrow = typed("i32", lanes), typed("i16", lanes)

        def op(name: str, a: str, n: int) -> str:
            return self.w.value(f"{name} {wide} {a}, {self.splat('i32', str(n), lanes)}", level)

        bits = self.w.value(f"bitcast {typed('float', lanes)} {x} to {wide}", level)
        half = op("lshr", bits, 16)
        if rounded:
            near = op("add", bits, 0x7FFF)
            half = op("lshr", self.w.value(f"add {wide} {near}, {op('and', half, 1)}", level), 16)
        if checked:
            quiet = op("or", op("lshr", bits, 16), 0x40)
            nan = self.w.value(f"fcmp uno {typed('float', lanes)} {x}, {x}", level)
            which = f"{typed('i1', lanes)} {nan}, {wide} {quiet}, {wide} {half}"
            half = self.w.value(f"select {which}", level)
        return self.w.value(f"trunc {wide} {half} to {narrow}", level)

    def _from_bfloat16(self, x: str, lanes: int, level: int) -> str:
        wide, narrow = typed("i32", lanes), typed("i16", lanes)
        longer = self.w.value(f"zext {narrow} {x} to {wide}", level)
        high = self.w.value(f"shl {wide} {longer}, {self.splat('i32', '16', lanes)}", level)
        return self.w.value(f"bitcast {wide} {high} to {typed('float', lanes)}", level)

    def _to_bool(self, x: str, source: DType, lanes: int, level: int) -> str:
        vector = typed(register_type(source), lanes)
        zero = self.splat(register_type(source), constant_text(0, source), lanes)
        if is_float(source):
            return self.w.value(f"fcmp une {vector} {x}, {zero}", level)
        return self.w.value(f"icmp ne {vector} {x}, {zero}", level)

    def bitcast(self, x: str, source: DType, target: DType, lanes: int, level: int) -> str:
        """The bits of x as another dtype of the same width."""
        if source.kind == "b" or target.kind == "b":
            return self.cast(x, source, target, lanes, level)
        a, b = typed(register_type(source), lanes), typed(register_type(target), lanes)
        return x if a == b else self.w.value(f"bitcast {a} {x} to {b}", level)

    def select(
        self, c: str, x: str, y: str, dtype: DType, lanes: int, level: int, one_condition: bool
    ) -> str:
        """x where c holds, else y; `one_condition`: a scalar condition for all lanes."""
        vector = typed(register_type(dtype), lanes)
        condition = "i1" if one_condition else typed("i1", lanes)
        return self.w.value(f"select {condition} {c}, {vector} {x}, {vector} {y}", level)
