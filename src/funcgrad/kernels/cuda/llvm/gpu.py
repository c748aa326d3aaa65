"""What a kernel's text says of a GPU, in NVVM's language.

In: names such as `cuda.threadIdx.x` and `load_4`. Out: lines. One target of the compiler; another
one, for processors, is the tests'.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..instructions import INSTRUCTIONS, REGISTERS, Instruction
from ..words import ATOMICS
from .functions import Argument, Function
from .matrices import MATRICES
from .module import Call, Place
from .values import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    KINDS,
    UINT32,
    UINT64,
    Kind,
    Pointer,
    Value,
    constant,
)

# A thread moves so many bytes in one instruction.
_MOVE = 16
_HEAD = """target triple = "nvptx64-unknown-cuda"
target datalayout = "e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-\
i128:128:128-f32:32:32-f64:64:64-v16:16:16-v32:32:32-v64:64:64-v128:128:128-n16:32:64"
"""
_SPACES = {"global": 1, "shared": 3, "local": 0}
# What a thread reads of its place, and up to where it can go.
_REGISTERS = {
    "cuda.threadIdx.x": ("tid", 1024),
    "cuda.blockDim.x": ("ntid", 1025),
    "cuda.blockIdx.x": ("ctaid", 2**31 - 1),
    "cuda.gridDim.x": ("nctaid", 2**31 - 1),
}
# Shuffles: how the other lane is named, and the last lane of a segment.
_SHUFFLES = {"shfl": (0, 31), "shfl_up": (1, 0), "shfl_xor": (3, 31)}
# Words that blocks of a launch tell each other: nothing else is ordered by them.
_NUMBER = "atom.add.relaxed.gpu.global.u64 $0, [$1], 1;"
_LOOK = "ld.relaxed.gpu.global.u64 $0, [$1];"
_PUT = "st.relaxed.gpu.global.u64 [$0], $1;"
_LIBRARY = {"floor": 1, "ceil": 1, "rint": 1, "trunc": 1, "copysign": 2, "fmod": 2}


def place(body: Function, name: str) -> Value:
    """Where a thread is."""
    register, end = _REGISTERS[name]
    function = body.intrinsic(f"llvm.nvvm.read.ptx.sreg.{register}.x", "i32", [])
    read = body.made(f"call i32 {function}(), !range {body.module.range_of(end)}")
    return body.result(INT64, f"zext i32 {read} to i64", natural=True)


def lane_of_grid(body: Function, given: Sequence[Argument]) -> list[Value]:
    """The number of a thread among all."""
    block = _product(body, "cuda.blockIdx.x", "cuda.blockDim.x")
    at = body.target.places["cuda.threadIdx.x"](body)
    return [body.result(INT64, f"add nuw nsw {block.typed}, {at.code}", natural=True)]


def lanes_of_grid(body: Function, given: Sequence[Argument]) -> list[Value]:
    """How many threads there are."""
    return [_product(body, "cuda.gridDim.x", "cuda.blockDim.x")]


def _product(body: Function, one: str, other: str) -> Value:
    x, y = (body.target.places[name](body) for name in (one, other))
    return body.result(INT64, f"mul nuw nsw {x.typed}, {y.code}", natural=True)


def _wait(name: str, argument: str, body: Function, given: Sequence[Argument]) -> list[Value]:
    kinds = ["i32"] if argument else []
    body.put(f"call void {body.intrinsic(name, 'void', kinds)}({argument})")
    return []


def _shuffle(how: str, body: Function, given: Sequence[Any]) -> list[Value]:
    """The value of another lane, in words of 32 bits."""
    mode, last = _SHUFFLES[how]
    mask, other = (body.cast(given[k], INT32) for k in (0, 2))
    value, words = given[1], list[str]()
    whole = body.bits(value, UINT32 if value.kind.bits == 32 else UINT64)
    function = body.intrinsic("llvm.nvvm.shfl.sync.i32", "{i32, i1}", ["i32"] * 5)
    for at in range(0, whole.kind.bits, 32):
        part = whole if not at else body.result(UINT64, f"lshr {whole.typed}, {at}")
        word = body.cast(part, UINT32)
        call = f"call {{i32, i1}} {function}(i32 {mask.code}, i32 {mode}, {word.typed}, "
        found = body.made(f"{call}i32 {other.code}, i32 {last})")
        words.append(body.made(f"extractvalue {{i32, i1}} {found}, 0"))
    if len(words) == 1:
        return [body.bits(Value(UINT32, words[0]), value.kind)]
    low, high = (body.result(UINT64, f"zext i32 {w} to i64") for w in words)
    high = body.result(UINT64, f"shl {high.typed}, 32")
    both = body.result(UINT64, f"or {high.typed}, {low.code}")
    return [body.bits(both, value.kind)]


def _assembled(code: Instruction, body: Function, given: Sequence[Any]) -> list[Value]:
    """An instruction of PTX; what it is given is converted first."""
    kinds = [KINDS[k] for k in code.results]
    pairs = zip(given, code.operands, strict=True)
    args = ", ".join(body.cast(x, KINDS[k]).typed for x, k in pairs)
    result = kinds[0].llvm if len(kinds) == 1 else f"{{{', '.join(k.llvm for k in kinds)}}}"
    how, end = (" sideeffect", " #1") if code.together else ("", "")
    text = f'"{code.text}", "{code.constraints}"'
    return body.parts(body.made(f"call {result} asm{how} {text}({args}){end}"), kinds)


def bits(source: Kind, target: Kind, body: Function, given: Sequence[Any]) -> list[Value]:
    """The bits of a number."""
    return [body.bits(body.cast(given[0], source), target)]


def rounded_once(body: Function, given: Sequence[Any]) -> list[Value]:
    """x · y + z."""
    kind = body.together(*given)
    x, y, z = (body.cast(v, kind) for v in given)
    name = body.intrinsic(f"llvm.fma.f{kind.bits}", kind.llvm, [kind.llvm] * 3)
    return [body.result(kind, f"call {kind.llvm} {name}({x.typed}, {y.typed}, {z.typed})")]


def root(body: Function, given: Sequence[Any]) -> list[Value]:
    """The square root."""
    (x,) = given
    name = body.intrinsic(f"llvm.sqrt.f{x.kind.bits}", x.kind.llvm, [x.kind.llvm])
    return [body.result(x.kind, f"call {x.kind.llvm} {name}({x.typed})")]


def _library(name: str, kind: Kind, body: Function, given: Sequence[Any]) -> list[Value]:
    """A function of NVIDIA's library."""
    args = [body.cast(x, kind) for x in given]
    function = body.intrinsic(name, kind.llvm, [kind.llvm] * len(args))
    codes = ", ".join(x.typed for x in args)
    return [body.result(kind, f"call {kind.llvm} {function}({codes})")]


def _magnitude(body: Function, given: Sequence[Any]) -> list[Value]:
    (x,) = given
    if x.kind.letter != "f":
        return [body.magnitude(x)]
    return _library(f"__nv_fabs{'f' * (x.kind == FLOAT32)}", x.kind, body, given)


def _moved(count: int, load: bool, body: Function, given: Sequence[Any]) -> list[Value]:
    """Neighbours from memory to a thread's own array, or back, 16 bytes at once.

    The array is read and written by elements, so that LLVM makes registers of it.
    """
    pointer, start, room = given
    size = pointer.kind.size
    each = min(max(_MOVE // size, 1), count)
    # Small numbers are moved as words: only those are moved four at once.
    part = KINDS["uint32"] if size < 4 <= each * size else pointer.kind
    vector = f"<{each * size // part.size} x {part.llvm}>"
    for first in range(0, count, each):
        outside = body.element(pointer, body.result(INT64, f"add nuw nsw {start.typed}, {first}"))
        there = body.target.seen_as(body, outside, vector)
        inside = [body.element(room, constant(first + i, INT64)) for i in range(each)]
        groups = [inside[i : i + part.size // size] for i in range(0, each, part.size // size)]
        if load:
            found = body.made(f"load {vector}, {there}, align {each * size}")
            for i, places in enumerate(groups):
                x = body.result(part, f"extractelement {vector} {found}, i32 {i}")
                _spread(body, x, places)
            continue
        whole = "undef"
        for i, places in enumerate(groups):
            x = _gathered(body, places, part)
            whole = body.made(f"insertelement {vector} {whole}, {x.typed}, i32 {i}")
        body.put(f"store {vector} {whole}, {there}, align {each * size}")
    return []


def _spread(body: Function, word: Value, places: list[Pointer]) -> None:
    """Write the numbers that lie in a word."""
    for k, p in enumerate(places):
        at = body.result(word.kind, f"lshr {word.typed}, {k * p.kind.bits}") if k else word
        body.store(p, at)


def _gathered(body: Function, places: list[Pointer], kind: Kind) -> Value:
    """The numbers of some places in one word."""
    found, *more = [body.load(p) for p in places]
    if not more:
        return found
    whole = body.result(kind, f"zext {found.typed} to {kind.llvm}")
    for k, x in enumerate(more, 1):
        high = body.result(kind, f"zext {x.typed} to {kind.llvm}")
        high = body.result(kind, f"shl {high.typed}, {k * x.kind.bits}")
        whole = body.result(kind, f"or {whole.typed}, {high.code}")
    return whole


def _aligned(body: Function, given: Sequence[Any]) -> list[Value]:
    """Whether an address is a multiple of 16."""
    address = body.made(f"ptrtoint {body.address(given[0])} to i64")
    low = body.made(f"and i64 {address}, {_MOVE - 1}")
    return [body.result(BOOL, f"icmp eq i64 {low}, 0")]


def _atomic(op: str, kind: Kind, body: Function, given: Sequence[Any]) -> list[Value]:
    """An operation on an element in memory that nobody else comes between."""
    pointer, at, x = given
    # There is one addition of whole numbers, which wraps, with or without a sign.
    letter = {"f": "f", "u": "u", "i": "u" if op == "add" else "s"}[kind.letter]
    address = body.made(f"ptrtoint {body.address(body.element(pointer, at))} to i64")
    text = f"red.relaxed.gpu.global.{op}.{letter}{kind.bits} [$0], $1;"
    registers = f"l,{REGISTERS[kind.name]},~{{memory}}"
    value = body.cast(x, kind)
    body.put(f'call void asm sideeffect "{text}", "{registers}"(i64 {address}, {value.typed})')
    return []


def _looked(text: str, kind: Kind, body: Function, given: Sequence[Any]) -> list[Value]:
    """What lies in a word that other blocks change meanwhile."""
    address = body.made(f"ptrtoint {body.address(body.element(*given))} to i64")
    return [
        body.result(kind, f'call i64 asm sideeffect "{text}", "=l,l,~{{memory}}"(i64 {address})')
    ]


def _put(body: Function, given: Sequence[Any]) -> list[Value]:
    """Change a word that other blocks look at meanwhile."""
    pointer, at, x = given
    address = body.made(f"ptrtoint {body.address(body.element(pointer, at))} to i64")
    word = body.cast(x, UINT64)
    body.put(f'call void asm sideeffect "{_PUT}", "l,l,~{{memory}}"(i64 {address}, {word.typed})')
    return []


class Gpu:
    """The target: one kernel for one launch.

    Args:
        bounds: threads of a block, and how many blocks a multiprocessor shall have room for.
        version: NVVM's, of its language and of what it knows of lines.
    """

    hidden = ()

    def __init__(self, bounds: tuple[int, int], version: Sequence[int]) -> None:
        self.bounds = bounds
        self.version = version

    @property
    def places(self) -> dict[str, Place]:
        """By name: where a thread is."""
        return _PLACES

    def call(self, name: str) -> Call | None:
        """What writes a call; None if a text defines it."""
        return CALLS.get(name)

    def pointer(self, kind: str, space: str) -> str:
        """The type of a pointer."""
        number = _SPACES[space]
        return f"{kind} addrspace({number})*" if number else f"{kind}*"

    def seen_as(self, body: Function, p: Pointer, kind: str) -> str:
        """A pointer to what lies there as another type."""
        goal = self.pointer(kind, p.space)
        return f"{goal} {body.made(f'bitcast {body.address(p)} to {goal}')}"

    def first(self, name: str, kinds: str, space: str) -> str:
        """A pointer to the first element of an array of the module's."""
        return (
            f"getelementptr inbounds ({kinds}, {self.pointer(kinds, space)} {name}, i64 0, i64 0)"
        )

    def shared(self, name: str, kinds: str) -> str:
        """The line of an array that the threads of a block share."""
        return f"@{name} = internal addrspace(3) global {kinds} undef, align 16\n"

    def asked_for(self, name: str, kind: Kind) -> str:
        """The line of what a launch asks for of the memory that the threads of a block share."""
        return f"@{name} = external addrspace(3) global [0 x {kind.llvm}], align 16\n"

    def heading(self, symbol: str, result: str, params: list[str]) -> str:
        """The line that begins a function that others call."""
        return f"define internal {result} @{symbol}({', '.join(params)}) #0"

    def kernel(self, symbol: str, params: list[str]) -> str:
        """The line that begins a kernel."""
        return f"define void @{symbol}({', '.join(params)})"

    def module(self, parts: Sequence[str], kernel: str, params: Sequence[str]) -> str:
        """All of it."""
        entry = f"void ({', '.join(params)})* @{kernel}"
        marks = {"kernel": 1, "maxntidx": self.bounds[0], "minctasm": self.bounds[1]}
        lines = [
            f'!{k + 1} = !{{{entry}, !"{m}", i32 {n}}}' for k, (m, n) in enumerate(marks.items())
        ]
        versions = ", ".join(f"i32 {n}" for n in self.version)
        end = [
            "attributes #0 = { alwaysinline convergent nounwind }",
            "attributes #1 = { convergent nounwind }",
            "!nvvmir.version = !{!0}",
            "!nvvm.annotations = !{!1, !2, !3}",
            f"!0 = !{{{versions}}}",
            *lines,
        ]
        return "\n".join([_HEAD, *parts, *end, ""])


_PLACES: dict[str, Place] = {name: partial(place, name=name) for name in _REGISTERS}
CALLS: dict[str, Call] = {
    **{name: partial(_assembled, code) for name, code in INSTRUCTIONS.items()},
    **MATRICES,
    **{f"atomic_{op}_{name}": partial(_atomic, op, KINDS[name]) for op, name in ATOMICS},
    **{f"load_{n}": partial(_moved, n, True) for n in (2, 4, 8)},
    **{f"store_{n}": partial(_moved, n, False) for n in (2, 4, 8)},
    **{f"cuda.{how}_sync": partial(_shuffle, how) for how in _SHUFFLES},
    **{f"libdevice.{n}": partial(_library, f"__nv_{n}", FLOAT64) for n in _LIBRARY},
    **{f"libdevice.{n}f": partial(_library, f"__nv_{n}f", FLOAT32) for n in (*_LIBRARY, "exp")},
    "next_number": partial(_looked, _NUMBER, INT64),
    "word_at": partial(_looked, _LOOK, UINT64),
    "put_word": _put,
    "as_float32": partial(bits, UINT32, FLOAT32),
    "as_float64": partial(bits, UINT64, FLOAT64),
    "as_uint32": partial(bits, FLOAT32, UINT32),
    "as_uint64": partial(bits, FLOAT64, UINT64),
    "abs": _magnitude,
    "aligned": _aligned,
    "cuda.fma": rounded_once,
    "math.sqrt": root,
    "cuda.grid": lane_of_grid,
    "cuda.gridsize": lanes_of_grid,
    "cuda.syncthreads": partial(_wait, "llvm.nvvm.barrier0", ""),
    "cuda.syncwarp": partial(_wait, "llvm.nvvm.bar.warp.sync", "i32 -1"),
}
