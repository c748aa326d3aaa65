"""Kernels' texts compiled for this processor: the compiler of `llvm/` without a GPU.

All is that compiler's but where a thread is, how threads wait, and what a shuffle is. Threads of a
block that wait for each other are threads of the system here, and wait at its barriers; others run
one after the other.
"""

import ctypes
import ctypes.util
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from funcgrad.kernels.cuda.lanes import WARP
from funcgrad.kernels.cuda.limits import USUAL, most_shared
from funcgrad.kernels.cuda.llvm import gpu
from funcgrad.kernels.cuda.llvm.module import Module
from funcgrad.kernels.cuda.llvm.values import (
    FLOAT32,
    FLOAT64,
    INT64,
    KINDS,
    UINT16,
    Value,
)
from funcgrad.kernels.runtime import toolchain

# What a thread knows: four numbers, two barriers, and where the lanes of its warp leave values.
PLACES = ("cuda.threadIdx.x", "cuda.blockDim.x", "cuda.blockIdx.x", "cuda.gridDim.x")
BLOCK, WARPS, ROOM = 4, 5, 6
WORDS = 7
BARRIER = 64  # bytes, more than the system's


def known(body, at):
    """A number that a thread knows."""
    pointer = body.made(f"getelementptr i64, ptr %thread, i64 {at}")
    return body.result(INT64, f"load i64, ptr {pointer}", natural=True)


def wait(at, body, given):
    """All threads of a block, or of a warp, come before any goes on."""
    barrier = body.made(f"inttoptr {known(body, at).typed} to ptr")
    name = body.intrinsic("pthread_barrier_wait", "i32", ["ptr"])
    body.put(f"call i32 {name}(ptr {barrier})")
    return []


def shuffle(how, body, given):
    """A lane leaves its value, and takes that of another one."""
    value, by = given[1], body.cast(given[2], INT64)
    room = body.made(f"inttoptr {known(body, ROOM).typed} to ptr")
    lane = body.made(f"and i64 {known(body, 0).code}, {WARP - 1}")
    if how == "of":
        other = by.code
    elif how == "xor":
        other = body.made(f"xor i64 {lane}, {by.code}")
    else:
        before = body.made(f"sub i64 {lane}, {by.code}")
        none = body.made(f"icmp slt i64 {before}, 0")
        other = body.made(f"select i1 {none}, i64 {lane}, i64 {before}")
    kind = value.kind.llvm
    mine, its = (body.made(f"getelementptr i64, ptr {room}, i64 {n}") for n in (lane, other))
    body.put(f"store {value.typed}, ptr {mine}")
    wait(WARPS, body, ())
    found = Value(value.kind, body.made(f"load {kind}, ptr {its}"))
    wait(WARPS, body, ())
    return [found]


def plain(name, count, body, given):
    """A function of LLVM's, or of the C library."""
    x = given[0]
    kind = x.kind if x.kind.letter == "f" else FLOAT64
    args = [body.cast(v, kind) for v in given[:count]]
    full = f"{name}.f{kind.bits}" if name.startswith("llvm.") else name
    function = body.intrinsic(full, kind.llvm, [kind.llvm] * count)
    return [body.result(kind, f"call {kind.llvm} {function}({', '.join(a.typed for a in args)})")]


def magnitude(body, given):
    return (
        plain("llvm.fabs", 1, body, given)
        if given[0].kind.letter == "f"
        else [body.magnitude(given[0])]
    )


def from_half(body, given):
    half = body.made(f"bitcast {body.cast(given[0], UINT16).typed} to half")
    return [body.result(FLOAT32, f"fpext half {half} to float")]


def to_half(body, given):
    half = body.made(f"fptrunc {given[0].typed} to half")
    return [body.result(UINT16, f"bitcast half {half} to i16")]


def rest(body, given):
    x, y = given
    return [body.result(x.kind, f"frem {x.typed}, {y.code}")]


def atomic(op, kind, body, given):
    """Threads that do not wait run one after the other."""
    pointer, at, x = given
    place = body.element(pointer, at)
    old, new = body.load(place), body.cast(x, kind)
    if op == "add":
        code = "fadd" if kind.letter == "f" else "add"
        body.store(place, body.result(kind, f"{code} {old.typed}, {new.code}"))
    else:
        body.store(place, body.extreme(op == "max", old, new))
    return []


# Blocks run one after the other, in the order of their numbers: who waits finds what it waits for.


def next_number(body, given):
    place = body.element(*given)
    old = body.load(place)
    body.store(place, body.result(old.kind, f"add {old.typed}, 1"))
    return [body.cast(old, INT64)]


def word_at(body, given):
    return [body.load(body.element(*given))]


def put_word(body, given):
    pointer, at, x = given
    body.store(body.element(pointer, at), x)
    return []


CALLS = gpu.CALLS | {
    "abs": magnitude,
    "cuda.syncthreads": partial(wait, BLOCK),
    "cuda.syncwarp": partial(wait, WARPS),
    "cuda.shfl_sync": partial(shuffle, "of"),
    "cuda.shfl_xor_sync": partial(shuffle, "xor"),
    "cuda.shfl_up_sync": partial(shuffle, "up"),
    "next_number": next_number,
    "word_at": word_at,
    "put_word": put_word,
    "maximum_float32": partial(plain, "llvm.maximum", 2),
    "minimum_float32": partial(plain, "llvm.minimum", 2),
    "from_float16": from_half,
    "to_float16": to_half,
    "libdevice.expf": partial(plain, "expf", 1),
    "exp2_quick": partial(plain, "exp2f", 1),
    "again": lambda body, given: [body.cast(given[0], INT64)],
    "log2_quick": partial(plain, "log2f", 1),
    "libdevice.fmod": rest,
    "libdevice.fmodf": rest,
    **{
        f"libdevice.{name}{end}": partial(plain, f"llvm.{name}", 1 + (name == "copysign"))
        for name in ("floor", "ceil", "rint", "trunc", "copysign")
        for end in ("", "f")
    },
    **{
        name: partial(atomic, name.split("_")[1], KINDS[name.split("_")[2]])
        for name in gpu.CALLS
        if name.startswith("atomic")
    },
}


PRODUCTS = {
    "mma_float16": "from_float16(uint16({} & uint32(0xFFFF)))",
    "mma_bfloat16": "as_float32(uint32({} << uint32(16)))",
}
# Words of 32 bits hold two neighbours along the contraction; see `tensor_cores`.
PRODUCT = """
@device
def {name}(a0, a1, a2, a3, b0, b1, c0, c1, c2, c3):
    left = cuda.shared.array(4096, uint32)
    right = cuda.shared.array(2048, uint32)
    warp, lane = cuda.threadIdx.x // 32, cuda.threadIdx.x % 32
    quad, turn = lane // 4, lane % 4
    upper, lower, column = 128 * warp + 8 * quad, 128 * warp + 8 * quad + 64, 64 * warp + 8 * quad
    left[upper + turn] = a0
    left[upper + turn + 4] = a2
    left[lower + turn] = a1
    left[lower + turn + 4] = a3
    right[column + turn] = b0
    right[column + turn + 4] = b1
    cuda.syncwarp()
    for k in range(16):
        shift = uint32(16 * (k % 2))
        x, y = left[upper + k // 2] >> shift, left[lower + k // 2] >> shift
        u = right[64 * warp + 16 * turn + k // 2] >> shift
        v = right[64 * warp + 16 * turn + 8 + k // 2] >> shift
        s, t, p, q = {x}, {y}, {u}, {v}
        c0, c1, c2, c3 = c0 + s * p, c1 + s * q, c2 + t * p, c3 + t * q
    cuda.syncwarp()
    return c0, c1, c2, c3
"""
# A word holds a number.
ROUNDED = """
@device
def mma_tf32(a0, a1, a2, a3, b0, b1, c0, c1, c2, c3):
    left = cuda.shared.array(4096, uint32)
    right = cuda.shared.array(2048, uint32)
    warp, lane = cuda.threadIdx.x // 32, cuda.threadIdx.x % 32
    quad, turn = lane // 4, lane % 4
    upper, column = 128 * warp + 8 * quad + turn, 64 * warp + 8 * quad + turn
    left[upper] = a0
    left[upper + 4] = a2
    left[upper + 64] = a1
    left[upper + 68] = a3
    right[column] = b0
    right[column + 4] = b1
    cuda.syncwarp()
    for k in range(8):
        s, t = as_float32(left[upper - turn + k]), as_float32(left[upper - turn + 64 + k])
        p = as_float32(right[64 * warp + 16 * turn + k])
        q = as_float32(right[64 * warp + 16 * turn + 8 + k])
        c0, c1, c2, c3 = c0 + s * p, c1 + s * q, c2 + t * p, c3 + t * q
    cuda.syncwarp()
    return c0, c1, c2, c3


@device
def to_tf32(x):
    return uint32((int64(as_uint32(x)) + 0x1000) & 0xFFFFE000)
"""
# Tiles: what lanes name is left for the others of their warp; copies are made at once.
TILES = """
@device
def fetch_matrices(tiles, place):
    places = cuda.shared.array(1024, int64)
    lane = cuda.threadIdx.x % 32
    first = cuda.threadIdx.x - lane
    places[cuda.threadIdx.x] = place
    cuda.syncwarp()
    at = first + lane // 4
    a, b = tiles[places[at] + lane % 4], tiles[places[at + 8] + lane % 4]
    c, d = tiles[places[at + 16] + lane % 4], tiles[places[at + 24] + lane % 4]
    cuda.syncwarp()
    return a, b, c, d


@device
def fetch_turned(tiles, place):
    places = cuda.shared.array(1024, int64)
    lane = cuda.threadIdx.x % 32
    first = cuda.threadIdx.x - lane
    places[cuda.threadIdx.x] = place
    cuda.syncwarp()
    found = cuda.local.array(4, uint32)
    shift = uint32(16 * (lane // 4 % 2))
    for k in range(4):
        at = first + 8 * k + lane % 4 * 2
        low, high = tiles[places[at] + lane // 8], tiles[places[at + 1] + lane // 8]
        low, high = uint32(low >> shift), uint32(high >> shift)
        found[k] = uint32((low & uint32(0xFFFF)) | uint32(high << uint32(16)))
    cuda.syncwarp()
    return found[0], found[1], found[2], found[3]


@device
def copy_16(tiles, place, source, at, there):
    for k in range(4):
        tiles[place + k] = uint32(0)
        if there:
            low, high = uint32(source[at + 2 * k]), uint32(source[at + 2 * k + 1])
            tiles[place + k] = uint32(low | uint32(high << uint32(16)))


@device
def wait_copies():
    pass


@device
def pack_float16(low, high):
    return uint32(uint32(to_float16(low)) | uint32(uint32(to_float16(high)) << uint32(16)))


@device
def pack_bfloat16(low, high):
    found = uint32(0)
    for k in range(2):
        x = low if k == 0 else high
        bits = int64(as_uint32(x))
        near = uint32((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) if x == x else uint32(0x7FFF)
        found = uint32(found | uint32(near << uint32(16 * k)))
    return found
"""
WRITTEN = "fetch_matrices fetch_turned copy_16 wait_copies pack_float16 pack_bfloat16".split()
WRITTEN += ["mma_tf32", "to_tf32"]
TEXTS = (
    TILES
    + ROUNDED
    + "".join(
        PRODUCT.format(name=name, **{x: number.format(x) for x in "xyuv"})
        for name, number in PRODUCTS.items()
    )
)


class Processor(gpu.Gpu):
    """The target: functions get what their thread knows as a last argument."""

    hidden = ("ptr %thread",)
    places = {name: partial(known, at=at) for at, name in enumerate(PLACES)}

    def __init__(self, aligned):
        super().__init__((0, 0), ())
        self.aligned = aligned

    def call(self, name):
        if name == "aligned" and not self.aligned:
            return lambda body, given: [Value(KINDS["bool_"], "false", False)]
        # Products of a warp are functions of a text here.
        return None if name in PRODUCTS or name in WRITTEN else CALLS.get(name)

    def pointer(self, kind, space):
        return "ptr"

    def seen_as(self, body, p, kind):
        return f"ptr {p.code}"

    def first(self, name, kinds, space):
        return name

    def shared(self, name, kinds):
        return f"@{name} = internal global {kinds} zeroinitializer, align 16\n"

    def asked_for(self, name, kind):
        # Who asks for less is held to it by the emulator.
        return self.shared(name, f"[{most_shared(USUAL) // kind.size} x {kind.llvm}]")

    def heading(self, symbol, result, params):
        inside = ", ".join([*params, "ptr %thread"])
        return f"define internal {result} @{symbol}({inside}) alwaysinline"

    def kernel(self, symbol, params):
        return f"define void @{symbol}({', '.join([*params, 'ptr %thread'])})"

    def module(self, parts, kernel, params):
        return "\n".join(parts)


class Processors:
    """A module of kernels run here, in the place of the emulator."""

    def __init__(self, text, aligned=True, seed=0):
        # Blocks run in the order of their numbers, whatever the seed.
        self.text = text
        self.aligned = aligned
        self.loaded = {}

    def launch(self, name, blocks, threads, arrays, shared=0):
        """Run a kernel on flat arrays."""
        function, waits = self._function(name, tuple(a.dtype.name for a in arrays))
        pointers = [a.ctypes.data for a in arrays]
        warps = -(-threads // WARP)
        barriers, room = np.zeros((1 + warps) * BARRIER + 64, np.uint8), np.zeros(32 * warps)
        at = barriers.ctypes.data + -barriers.ctypes.data % 64
        told = np.zeros((threads, WORDS), np.int64)
        told[:, 0], told[:, 1], told[:, 3] = np.arange(threads), threads, blocks
        told[:, BLOCK] = at
        told[:, WARPS] = at + BARRIER * (1 + np.arange(threads) // WARP)
        told[:, ROOM] = room.ctypes.data + 8 * WARP * (np.arange(threads) // WARP)
        start = ctypes.CDLL(None).pthread_barrier_init
        for k in range(1 + warps):
            count = threads if k == 0 else min(WARP, threads - WARP * (k - 1))
            start(ctypes.c_void_p(at + BARRIER * k), None, ctypes.c_uint(count))
        calls = [
            partial(function, *pointers, told.ctypes.data + told.strides[0] * k)
            for k in range(threads)
        ]
        if not waits:
            for block in range(blocks):
                told[:, 2] = block
                for call in calls:
                    call()
            return
        meet = ctypes.CDLL(None).pthread_barrier_wait

        def run(k):
            for block in range(blocks):
                told[k, 2] = block
                calls[k]()
                # The next block has the same shared memory.
                meet(ctypes.c_void_p(at))

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, range(threads)))

    def _function(self, name, kinds):
        found = self.loaded.get((name, kinds))
        if found is None:
            text = Module(f"{self.text}\n{TEXTS}", Processor(self.aligned)).kernel(
                name, kinds, name
            )
            code = toolchain.compile_text(text, 0)
            loaded = toolchain.load(code, _symbols(), (name,))
            shape = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(kinds) + 1))
            function = shape(loaded.address(name))
            # The code lives as long as this.
            found = self.loaded[name, kinds] = function, "pthread_barrier_wait" in text, loaded
        return found[:2]


def _symbols():
    """Functions of the C library that code may call."""
    process, numbers = ctypes.CDLL(None), ctypes.CDLL(ctypes.util.find_library("m"))
    found = {"pthread_barrier_wait": process.pthread_barrier_wait}
    names = "expf fma fmaf fmod fmodf floor floorf ceil ceilf rint rintf trunc truncf"
    found |= {name: getattr(numbers, name) for name in names.split()}
    return {name: ctypes.cast(f, ctypes.c_void_p).value for name, f in found.items()}
