"""Runs compiled programs with a forbidden page behind every array; a script of its own.

Arguments, constants and results end where a page ends; behind it is one that cannot be touched, and
arguments and constants cannot be written. The arena is laid out anew: each value in it has pages of
its own, with canaries around. Whoever reads or writes beyond an array stops the process, and the
last program named on stderr is at fault: `python tests/kernels/guarded.py exact 200`.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import sys
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import enable_x64
from funcgrad.control.jit import simplified
from funcgrad.kernels import custom, executables, linking, pipeline
from funcgrad.kernels.emit.program import FIRST_SLOT
from funcgrad.kernels.runtime import symbols, toolchain
from funcgrad.kernels.runtime.pool import pool

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

PAGE = mmap.PAGESIZE
CANARY = 0xA5
NONE, READ, WRITE = 0, 1, 2


class Pages:
    """Memory for arrays, each at the end of a page with a forbidden one behind it."""

    def __init__(self, sizes: list[int], alignment: int) -> None:
        """Places for arrays of so many bytes."""
        self.sizes = sizes
        self.offsets: list[int] = []
        end = 0
        for size in sizes:
            rounded = -(-size // alignment) * alignment
            end += -(-max(rounded, 1) // PAGE) * PAGE
            self.offsets.append(end - rounded)
            end += PAGE
        self.spans = [
            (o // PAGE * PAGE, o + -(-s // alignment) * alignment)
            for o, s in zip(self.offsets, sizes, strict=True)
        ]
        self.map = mmap.mmap(-1, max(end, PAGE))
        self.memory = np.frombuffer(self.map, np.uint8)
        self.memory[:] = CANARY
        self.address = self.memory.ctypes.data
        for _, stop in self.spans:
            self.protect(-(-max(stop, 1) // PAGE) * PAGE, PAGE, NONE)

    def protect(self, offset: int, size: int, how: int) -> None:
        code = ctypes.CDLL(None, use_errno=True).mprotect(
            ctypes.c_void_p(self.address + offset), ctypes.c_size_t(size), how
        )
        assert code == 0, os.strerror(ctypes.get_errno())

    def array(self, k: int) -> np.ndarray:
        return self.memory[self.offsets[k] : self.offsets[k] + self.sizes[k]]

    def check(self) -> None:
        """Nothing around the arrays was written."""
        for k, (start, stop) in enumerate(self.spans):
            begin, end = self.offsets[k], self.offsets[k] + self.sizes[k]
            assert (self.memory[start:begin] == CANARY).all(), f"written before array {k}"
            assert (self.memory[end:stop] == CANARY).all(), f"written behind array {k}"


def laid_apart(plan: pipeline.Plan) -> Pages:
    """Give every value of the arena pages of its own."""
    buffers = list(plan.offsets)
    pages = Pages([b.bytes for b in buffers], 64)
    plan.offsets.update(zip(buffers, pages.offsets, strict=True))
    for k in range(len(buffers)):
        pages.array(k)[:] = 0xFF  # NaN: nobody may rely on what was there
    return pages


def bytes_of(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).reshape(-1).view(np.uint8)


def run_guarded(stages: pipeline.Stages, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The results of a program between guards."""
    arena = laid_apart(stages.memory)
    # Written anew, for the places are others.
    stages.__dict__.pop("llvm", None)
    meta = executables.described(stages, stages.llvm)
    natives = custom.addresses(executables.natives_of(stages.host_calls))
    found = symbols.resolve(set(meta["symbols"]) - natives.keys() - {"fg_parallel_for"}) | natives
    found["fg_parallel_for"] = pool().parallel_for_address
    code = toolchain.load(toolchain.compile_text(stages.llvm), found)
    host = executables.host_of(stages.host_calls)
    called = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64)(
        lambda args, number: host(args, number) or 0
    )
    read = [bytes_of(x) for x in [*executables.constants_of(stages), *inputs]]
    outputs = linking.outputs_of(stages.simplified.out_avals)
    sizes = [int(np.prod(o.shape)) * o.dtype.itemsize for o in outputs]
    before, after = Pages([x.nbytes for x in read], 1), Pages(sizes, 1)
    for k, x in enumerate(read):
        before.array(k)[:] = x
        start, stop = before.spans[k]
        before.protect(start, -(-max(stop - start, 1) // PAGE) * PAGE, READ)
    table = (ctypes.c_void_p * (FIRST_SLOT + len(read) + len(sizes)))()
    table[0] = ctypes.cast(called, ctypes.c_void_p).value
    table[1], table[2] = pool().address, arena.address
    places = [pages.address + o for pages in (before, after) for o in pages.offsets]
    table[FIRST_SLOT:] = places
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(code.address("program"))
    assert function(ctypes.addressof(table)) == 0
    arena.check()
    after.check()
    return [after.array(k).copy().view(o.dtype).reshape(o.shape) for k, o in enumerate(outputs)]


def check(function: object, inputs: list[np.ndarray], name: object) -> None:
    """A program between guards gives what it gives elsewhere."""
    os.write(2, f"{name}\n".encode())
    closed = simplified(fg.make_jaxpr(function)(*inputs))
    leaves = [np.asarray(x) for x in fg.tree.leaves(inputs)]
    want = pipeline.compiled(pipeline.lower(closed, simplified))(leaves)
    got = run_guarded(pipeline.lower(closed, simplified), leaves)
    for a, b in zip(got, want, strict=True):
        # Complex numbers are pairs in memory.
        np.testing.assert_array_equal(a.view(b.dtype)[..., 0] if np.iscomplexobj(b) else a, b)


def drawn_programs(table: str, count: int) -> None:
    import drawn

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn.programs(table))
    def run(program: drawn.Drawn) -> None:
        with enable_x64():
            check(program, program.inputs(), program)

    run()


def gradients(count: int) -> None:
    import programs

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=list(HealthCheck),
    )
    @given(programs.programs(forward=False))
    def run(program: programs.Program) -> None:
        with enable_x64():
            inputs = [np.asarray(m) for m in programs.matrices(0)]
            check(fg.value_and_grad(lambda x, y: program(x, y).sum()), inputs, program)
            check(fg.vmap(program), [np.stack([m] * 5) for m in inputs], program)

    run()


# Of odd extents, and enough work for several threads.
LARGE = {
    "elementwise": (lambda x: (fnp.exp(fnp.sin(x)), x > 0), (333, 1021)),
    "softmax": (lambda x: fnp.exp(x) / fnp.exp(x).sum(-1, keepdims=True), (257, 1003)),
    "columns": (lambda x: (x.sum(0), x.max(0), fnp.argmin(x, 0)), (1031, 77)),
    "everything": (lambda x: (x.sum(), (x * x).mean(), fnp.argmax(x)), (301, 997)),
    "transposed": (lambda x: fnp.tanh(x.T) + 1, (517, 263)),
    "tiles": (lambda x, y: fnp.tanh(x.T) + y, (512, 384), (384, 512)),
    "layer": (lambda x, w, b: fnp.maximum(x @ w + b, 0), (131, 67), (67, 93), (93,)),
    "large layer": (lambda x, w, b: fnp.tanh(x @ w + b), (131, 301), (301, 93), (93,)),
    "large gradient": (lambda x, t, w: w - x.T @ t, (301, 131), (301, 93), (131, 93)),
    "large transposed": (lambda x, w: fnp.maximum(x @ w.T, 0), (131, 301), (93, 301)),
    "rows by rows": (lambda x, y: (x[:, None, :] - y[None, :, :]).sum(-1), (61, 7), (89, 7)),
    "small products": (lambda x, y: x @ y, (311, 3, 5), (311, 5, 7)),
    "cumulative": (lambda x: (fnp.cumsum(x, 0), fnp.cumsum(x, 1)), (129, 517)),
    "sliding": (lambda x: x[1:, 2:] * x[:-1, :-2] + fnp.pad(x, 1)[2:-1, 4:], (259, 511)),
    "gather": (lambda x: x[fnp.arange(999) * 7 % 300, 3:], (300, 31)),
    "scatter": (lambda x: fnp.zeros((50, 31)).at[fnp.arange(300) * 7 % 53].add(x), (300, 31)),
    "half": (lambda x: fnp.tanh(x.astype("float16")).sum(1), (333, 1021)),
    "sort": (lambda x: (fnp.sort(x, 0), fnp.sort(x, 1), fnp.argsort(x, 1)), (37, 1021)),
    "long sort": (lambda x: (fnp.sort(x), fnp.argsort(x, descending=True)), (33_333,)),
    "top k": (lambda x: (lax.top_k(x, 7), lax.top_k(x, 20, axis=0)), (37, 1021)),
    "long top k": (lambda x: (lax.top_k(x, 3), lax.top_k(x, 20_000)), (133_333,)),
    "fft": (lambda x: (fnp.fft.rfft2(x), fnp.fft.fft(x[:, 0])), (37, 30)),
    "long fft": (lambda x: fnp.fft.irfft(fnp.fft.rfft(x)), (3, 5000)),
    "prime fft": (lambda x: (fnp.fft.rfft(x), fnp.fft.irfft(fnp.fft.rfft(x), 67)), (5, 4099)),
    "fft of columns": (lambda x: fnp.fft.fft(x, axis=0), (3000, 5)),
    "scan": (lambda x: lax.scan(lambda c, r: (fnp.tanh(c + r), c), x[0], x), (37, 1021)),
}


def landmarks() -> None:
    from landmarks import LANDMARKS

    for name, (function, *inputs) in LANDMARKS.items():
        check(function, inputs, name)
    for name, (function, *shapes) in LARGE.items():
        inputs = [np.random.default_rng(0).normal(size=s).astype(np.float32) for s in shapes]
        check(function, inputs, name)


def strided() -> None:
    functions = {
        "columns": lambda x: x[:, 1] * x[:, 2] + x[:, 0],
        "last column": lambda x: x[:, 2] * 2,
        "first column": lambda x: x[:, 0] * 2,
        "backwards": lambda x: x[::-1, ::-1] * 2,
        "every second backwards": lambda x: x[::-2, 1] * 2,
        "stack": lambda x: fnp.stack([x[:, 0], x[:, 2], x[:, 1] * 2], -1),
        "complex": lambda x: fnp.abs(lax.complex(x[:, 0], x[:, 1]) * lax.complex(x[:, 2], x[:, 1])),
        "folds": lambda x: (x.sum(1), x.argmax(0), x.argmax(1)),
    }
    for count in (1, 2, 7, 8, 9, 16, 17, 31, 100):
        x = np.random.default_rng(0).standard_normal((count, 3)).astype(np.float32)
        for name, function in functions.items():
            check(function, [x], (name, count))


def tails() -> None:
    """Rows that end a few elements beyond whole vectors, of narrow numbers made from wide ones."""
    functions = {
        "converted": lambda x: [x.astype(d) for d in ("int8", "uint16", "bool", "bfloat16")],
        "places": lambda x: (fnp.argmax(x, 0), fnp.argmin(x[None], 0).astype("int8")),
        "running": lambda x: fnp.cumsum(x, 1).astype("int16"),
        "chosen": lambda x: fnp.where(x > 3, x, 0).astype("int8")[::-1],
    }
    for count in (1, 2, 3, 5, 9, 17, 18, 33, 65, 129):
        for dtype in ("float32", "int32", "int64", "float16"):
            x = np.random.default_rng(0).integers(0, 9, (3, count)).astype(dtype)
            for name, function in functions.items():
                with enable_x64():
                    check(function, [x], (name, count, dtype))
                    check(function, [x[:1]], (name, count, dtype, "one row"))


def trespass() -> None:
    """What the guards are for: this must stop the process."""
    pages = Pages([12], 1)
    _ = ctypes.c_float.from_address(pages.address + pages.offsets[0] + 12).value


def main(what: str, count: int) -> None:
    faulthandler.enable()
    if what in ("exact", "smooth"):
        drawn_programs(what.upper(), count)
    else:
        {
            "gradients": lambda: gradients(count),
            "landmarks": landmarks,
            "strided": strided,
            "tails": tails,
            "trespass": trespass,
        }[what]()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 40)
