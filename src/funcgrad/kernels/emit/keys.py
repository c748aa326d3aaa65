"""Floats as unsigned integers in their order, for folds that look for the greatest or least.

In: floats, one or one a lane. Out: keys. The one idea: the bits of a float, with those behind the
sign turned over where it is set, are an integer in the order of the numbers, -0 before 0 and NaN at
both ends. Counted from where the numbers begin, or from behind their end, both ends are one, at
which NaN wins. To compare keys is one instruction, where floats take six for zeros and NaN.
"""

from __future__ import annotations

import numpy as np

from ...ir.loops import DType
from .llvm_ops import Ops, constant_text, register_type, typed


def held_as(dtype: DType) -> DType:
    """The dtype of the keys of floats."""
    return np.dtype(f"u{dtype.itemsize}")


def key_of(ops: Ops, op: str, x: str, dtype: DType, lanes: int, level: int) -> str:
    """The key of a float for a fold `op`, max or min."""
    vector, floats = (typed(register_type(d), lanes) for d in (held_as(dtype), dtype))
    if vector != floats:
        x = ops.w.value(f"bitcast {floats} {x} to {vector}", level)
    return _moved(
        ops, _turned(ops, x, dtype, lanes, level), -_first(op, dtype), dtype, lanes, level
    )


def float_of(ops: Ops, op: str, key: str, dtype: DType, lanes: int, level: int) -> str:
    """The float of a key."""
    vector, floats = (typed(register_type(d), lanes) for d in (held_as(dtype), dtype))
    x = _moved(ops, key, _first(op, dtype), dtype, lanes, level)
    x = _turned(ops, x, dtype, lanes, level)
    return x if vector == floats else ops.w.value(f"bitcast {vector} {x} to {floats}", level)


def worst(op: str, dtype: DType, lanes: int) -> str:
    """The key that a fold starts from: of the infinity that loses against every number."""
    text = constant_text(0 if op == "max" else -1, held_as(dtype))
    return text if lanes == 1 else f"splat ({register_type(held_as(dtype))} {text})"


def _first(op: str, dtype: DType) -> int:
    """What has the key 0, as an integer in order: -inf, or what comes behind inf."""
    bits = np.asarray(np.inf).astype(dtype).view(held_as(dtype))
    return -int(bits) - 1 if op == "max" else int(bits) + 1


def _turned(ops: Ops, x: str, dtype: DType, lanes: int, level: int) -> str:
    """The bits behind the sign turned over where it is set; twice is nothing."""
    kind, count = register_type(held_as(dtype)), 8 * dtype.itemsize
    vector = typed(kind, lanes)
    rest = ops.splat(kind, str((1 << (count - 1)) - 1), lanes)
    sign = ops.w.value(f"ashr {vector} {x}, {ops.splat(kind, str(count - 1), lanes)}", level)
    low = ops.w.value(f"and {vector} {sign}, {rest}", level)
    return ops.w.value(f"xor {vector} {x}, {low}", level)


def _moved(ops: Ops, x: str, by: int, dtype: DType, lanes: int, level: int) -> str:
    held = held_as(dtype)
    far = ops.splat(register_type(held), constant_text(by, held), lanes)
    return ops.w.value(f"add {typed(register_type(held), lanes)} {x}, {far}", level)
