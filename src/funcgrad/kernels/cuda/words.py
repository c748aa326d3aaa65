"""Scalar operations and small functions as numba.cuda reads them.

In: an operation, the texts of its operands and their dtype. Out: text, and the functions it calls.
The one idea: what the CPU's printer writes, with other names for what a GPU does by an instruction
(fused products, shuffles, roundings) and for the bits of a number; the rest is the same text, so
both give the same values. The names that no text defines are listed in `GIVEN`: `llvm/gpu.py` and
`intrinsics` have them for a GPU, `emulator` for NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir.loops import DType, int64
from ...ir.nests import identity_of
from ..emit.llvm_ops import is_float, is_small_float
from ..emit.source import Library
from ..emit.source_helpers import HELPERS, called, saturating
from ..emit.source_ops import SourceOps, Text, memory_name, register_name, typed
from .instructions import INSTRUCTIONS

# Operations that a GPU does on an element in memory at once, whoever else does one.
ATOMICS = frozenset(
    {("add", name) for name in ("float32", "float64", "int32", "uint32", "int64", "uint64")}
    | {(op, name) for op in ("min", "max") for name in ("int32", "uint32", "int64", "uint64")}
)
GIVEN = frozenset(
    [
        *INSTRUCTIONS,
        *(f"atomic_{op}_{name}" for op, name in ATOMICS),
        *"as_float32 as_float64 as_uint32 as_uint64 aligned".split(),
        *"fetch_matrices fetch_turned copy_16 wait_copies".split(),
        *(f"{way}_{count}" for way in ("load", "store") for count in (2, 4, 8)),
        *"next_number word_at put_word".split(),
    ]
)
ALL_LANES = "0xFFFFFFFF"
_LAST_LANE = 31
_LIBDEVICE = {
    "floor": "floor",
    "ceil": "ceil",
    "round": "rint",
    "trunc": "trunc",
    "copysign": "copysign",
    "rem": "fmod",
}

_TEXTS = {
    "minimum_float64": '''
def minimum_float64(x, y):
    """The smaller float; NaN if either is NaN; -0 is smaller than 0."""
    least = x if x < y or (x == y and as_uint64(x) > as_uint64(y)) else y
    return x + y if x != x or y != y else least
''',
    "maximum_float64": '''
def maximum_float64(x, y):
    """The larger float; NaN if either is NaN; 0 is larger than -0."""
    most = x if x > y or (x == y and as_uint64(x) < as_uint64(y)) else y
    return x + y if x != x or y != y else most
''',
    **{name: HELPERS[name] for name in ("above", "below")},
    "larger": HELPERS["larger"],
    "smaller": HELPERS["smaller"],
    "quotient": HELPERS["quotient"],
    "remainder": HELPERS["remainder"],
    "population_count": HELPERS["population_count"],
    "leading_zeros": HELPERS["leading_zeros"],
    "high_product": HELPERS["high_product"],
    "high_signed_product": HELPERS["high_signed_product"],
    "round_float16": HELPERS["round_float16"],
    "round_bfloat16": HELPERS["round_bfloat16"],
    "from_bfloat16": '''
def from_bfloat16(bits):
    """The float32 of a bfloat16, which is given by its bits."""
    return as_float32(uint32(bits) << uint32(16))
''',
    "to_bfloat16": '''
def to_bfloat16(x):
    """The bits of the bfloat16 that is nearest to a float32; ties go to even."""
    whole = int64(as_uint32(x))
    near = (whole + 0x7FFF + ((whole >> 16) & 1)) >> 16
    return uint16((whole >> 16) | 0x40 if x != x else near)
''',
    "hear_word": '''
def hear_word(told, place):
    """The 32 bits that another block leaves in a word, once they are there."""
    word = word_at(told, place)
    while word == uint64(0):
        word = word_at(told, place)
    return word >> uint64(32)
''',
    "tell_word": '''
def tell_word(told, place, bits):
    """Leave 32 bits in a word for other blocks, and beside them that they are there."""
    put_word(told, place, (bits << uint64(32)) | uint64(1))
''',
    "fma_float32": '''
def fma_float32(x, y, z):
    """x · y + z, rounded once."""
    return cuda.fma(x, y, z)
''',
    "fma_float64": '''
def fma_float64(x, y, z):
    """x · y + z, rounded once."""
    return cuda.fma(x, y, z)
''',
}


class CudaOps(SourceOps):
    """Writes operations; `needed` holds the names of the functions they call."""

    def helper(self, name: str) -> str:
        assert name in GIVEN or name in _TEXTS, name
        if name not in GIVEN:
            self.needed[name] = None
        return name

    def defined(self, name: str, text: str) -> str:
        """The name of a function of this text, which the module will hold."""
        self.needed[name] = text
        return name

    def _float(self, op: str, args: list[Text], dtype: DType) -> Text:
        codes = ", ".join(a.code for a in args)
        if op in ("min", "max"):
            return Text(f"{self.helper(f'{op}imum_{dtype.name}')}({codes})")
        if op == "is_finite":
            return Text(f"abs({codes}) < {dtype.name}(np.inf)", False)
        if op == "sqrt":
            return Text(f"math.sqrt({codes})")
        if op in _LIBDEVICE:
            end = "f" if dtype == np.float32 else ""
            return Text(f"libdevice.{_LIBDEVICE[op]}{end}({codes})")
        return super()._float(op, args, dtype)

    def bitcast(self, x: Text, source: DType, target: DType) -> Text:
        if (not is_float(source) and not is_float(target)) or source == target:
            return super().bitcast(x, source, target)
        if is_small_float(source) or is_small_float(target):
            return super().bitcast(x, source, target)
        bits = 8 * source.itemsize
        if is_float(source):
            return typed(Text(f"as_uint{bits}({typed(x, source.name).code})"), target.name)
        return Text(f"as_float{bits}({typed(x, f'uint{bits}').code})")

    def loaded(self, code: str, dtype: DType) -> Text:
        if dtype.kind == "b":
            return Text(f"{code} != uint8(0)", False)
        return super().loaded(code, dtype)

    def stored(self, x: Text, dtype: DType) -> str:
        return typed(x, "uint8").code if dtype.kind == "b" else super().stored(x, dtype)


def memory_type(dtype: DType) -> str:
    """The type of an element in the memory of a GPU; truth values are bytes."""
    return "uint8" if dtype.kind == "b" else memory_name(dtype)


class CudaLibrary(Library):
    """The functions that kernels call: arithmetic, and folds over the lanes of a team."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: CudaOps = CudaOps()

    def definitions(self) -> list[str]:
        found: dict[str, str] = {}
        wanted = [*self.ops.needed, *called(" ".join(self.elementary.values()))]
        while wanted:
            name = wanted.pop()
            if name in found or name in GIVEN:
                continue
            text = self._text(name)
            if text is None:
                continue
            found[name] = f"@device\n{text.strip()}\n"
            wanted += called(text)
        own = {name: f"@device\n{text}" for name, text in self.elementary.items()}
        return _in_order({**found, **own})

    def _text(self, name: str) -> str | None:
        kind: Any = self.ops.needed.get(name)
        if isinstance(kind, str):
            return kind
        return saturating(kind) if kind is not None else _TEXTS.get(name)

    # Folds over the lanes of a warp and of a block.

    def join(self, op: str, dtype: DType, x: str, y: str) -> str:
        """Two folded values as one."""
        return self.ops.apply(op, [Text(x), Text(y)], dtype).code

    def folded(self, op: str, dtype: DType, block: bool) -> str:
        """The name of the function that folds the values of a team's lanes; all of them get it."""
        warp = f"warp_{op}_{dtype.name}"
        others = (exchanged("x", n, dtype) for n in (16, 8, 4, 2, 1))
        lines = [f"    x = {self.join(op, dtype, 'x', other)}\n" for other in others]
        text = f'def {warp}(x):\n    """What the lanes of a warp have, folded by {op}."""\n'
        self.ops.defined(warp, f"{text}{''.join(lines)}    return x\n")
        if not block:
            return warp
        first = self.ops.constant(identity_of(op, dtype), dtype)
        name = f"block_{op}_{dtype.name}"
        kept = self.ops.stored(Text("x"), dtype)
        found = self.ops.loaded("room[lane]", dtype).code
        return self.ops.defined(
            name,
            f'''def {name}(x, room):
    """What the threads of a block have, folded by {op}; room holds a value of each warp."""
    x = {warp}(x)
    warp, lane = cuda.threadIdx.x // 32, cuda.threadIdx.x % 32
    if lane == 0:
        room[warp] = {kept}
    cuda.syncthreads()
    y = {first}
    if lane < cuda.blockDim.x // 32:
        y = {found}
    cuda.syncthreads()
    return {warp}(y)
''',
        )

    def before_lanes(self, op: str, dtype: DType) -> str:
        """The name of the function that folds what lanes before each have, and what all have."""
        first = self.ops.constant(identity_of(op, dtype), dtype)
        steps = "".join(
            f"""    y = {exchanged("x", n, dtype, "shfl_up")}
    if lane >= {n}:
        x = {self.join(op, dtype, "y", "x")}
"""
            for n in (1, 2, 4, 8, 16)
        )
        name = f"before_lanes_{op}_{dtype.name}"
        return self.ops.defined(
            name,
            f'''def {name}(x):
    """What the lanes before each one of a warp have, folded by {op}, and what all of them have."""
    lane = cuda.threadIdx.x % 32
{steps}    y = {exchanged("x", 1, dtype, "shfl_up")}
    if lane == 0:
        y = {first}
    return y, {exchanged("x", _LAST_LANE, dtype, "shfl")}
''',
        )

    def before_warps(self, op: str, dtype: DType) -> str:
        """The name of the function that folds what warps before each have, and what all have."""
        first = self.ops.constant(identity_of(op, dtype), dtype)
        name = f"before_warps_{op}_{dtype.name}"
        return self.ops.defined(
            name,
            f'''def {name}(x, room):
    """What the warps before each one have, folded by {op}, and what all have; x is a warp's."""
    warp, lane = cuda.threadIdx.x // 32, cuda.threadIdx.x % 32
    if lane == 0:
        room[warp] = {self.ops.stored(Text("x"), dtype)}
    cuda.syncthreads()
    before, all_of_them = {first}, {first}
    other = 0
    while other < cuda.blockDim.x // 32:
        y = {self.ops.loaded("room[other]", dtype).code}
        if other < warp:
            before = {self.join(op, dtype, "before", "y")}
        all_of_them = {self.join(op, dtype, "all_of_them", "y")}
        other += 1
    cuda.syncthreads()
    return before, all_of_them
''',
        )

    def placed(self, op: str, dtype: DType, block: bool) -> str:
        """The name of the function that finds the extreme value of a team, and its place."""
        better = self.ops.helper("larger" if op == "argmax" else "smaller")
        warp = f"warp_{op}_{dtype.name}"
        steps = "".join(
            f"""    y = {exchanged("x", n, dtype)}
    other = {exchanged("place", n, int64)}
    if {better}(y, other, x, place):
        x = y
        place = other
"""
            for n in (16, 8, 4, 2, 1)
        )
        what = "The extreme value of the lanes of a warp, and where it is."
        text = f'def {warp}(x, place):\n    """{what}"""\n'
        self.ops.defined(warp, f"{text}{steps}    return x, place\n")
        if not block:
            return warp
        name = f"block_{op}_{dtype.name}"
        first = self.ops.constant(identity_of(op, dtype), dtype)
        return self.ops.defined(
            name,
            f'''def {name}(x, place, room, places):
    """The extreme value of a block's threads, and where it is."""
    x, place = {warp}(x, place)
    warp, lane = cuda.threadIdx.x // 32, cuda.threadIdx.x % 32
    if lane == 0:
        room[warp] = {self.ops.stored(Text("x"), dtype)}
        places[warp] = place
    cuda.syncthreads()
    x, place = {first}, int64({2**63 - 1})
    if lane < cuda.blockDim.x // 32:
        x = {self.ops.loaded("room[lane]", dtype).code}
        place = places[lane]
    cuda.syncthreads()
    return {warp}(x, place)
''',
        )


def exchanged(x: str, which: int, dtype: DType, how: str = "shfl_xor") -> str:
    """The value of another lane; shuffles know 32 and 64 bits, signed or floating."""
    head, tail = f"cuda.{how}_sync({ALL_LANES}, ", f", {which})"
    if dtype.kind == "f" or is_small_float(dtype) or dtype.name in ("int32", "int64"):
        return f"{head}{x}{tail}"
    if dtype.kind == "b":
        return f"({head}int32({x}){tail} != 0)"
    wide = "int64" if dtype.itemsize == 8 else "int32"
    return f"{register_name(dtype)}({head}{wide}({x}){tail})"


def _in_order(texts: dict[str, str]) -> list[str]:
    """Definitions, each after those it calls."""
    done: dict[str, str] = {}

    def add(name: str) -> None:
        if name in done or name not in texts:
            return
        for other in sorted(called(texts[name]) - {name}):
            add(other)
        done[name] = texts[name]

    for name in sorted(texts):
        add(name)
    return list(done.values())
