"""Runs a library kernel by itself: compiled, its arrays between canaries, chunks in any order."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import numpy as np

from funcgrad.kernels.library import LibraryKernel
from funcgrad.kernels.runtime import symbols, toolchain

MARGIN = 64  # bytes around every array that a kernel may not touch


def guarded(nbytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Aligned memory of so many bytes, filled with 0xA5, between canaries; and the whole."""
    whole = np.full(nbytes + 2 * MARGIN + 128, 0xA5, np.uint8)
    start = -whole.ctypes.data % 64 + MARGIN
    return whole[start : start + nbytes], whole


class Program:
    """A compiled kernel with its scratch memory."""

    def __init__(self, kernel: LibraryKernel, target: Any = None) -> None:
        self.kernel = kernel
        names = list(kernel.functions)
        lines = "\n".join([*kernel.declarations, *kernel.functions.values()]).splitlines()
        # Functions of the same text, which in a program are one, say the same of their loops.
        said = dict.fromkeys(line for line in lines if line.startswith("!"))
        text = "\n".join([*(line for line in lines if line not in said), *said])
        called = symbols.resolve(re.findall(r"^declare \w+ @(fg_\w+)", text, re.MULTILINE))
        self.code = toolchain.load(toolchain.compile_text(text, 1, target), called, names)
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self.functions = {name: kind(self.code.address(name)) for name in names}
        self.scratch = [guarded(n) for n in kernel.scratch]
        self.tables = [table.values() for table in kernel.tables]

    def prepare(self, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> list[Any]:
        scratch = [s for s, _ in self.scratch]
        places = {"in": inputs, "out": outputs, "scratch": scratch, "table": self.tables}
        launches: list[Any] = []
        for stage in self.kernel.stages:
            table = (ctypes.c_void_p * len(stage.args))(
                *(places[kind][i].ctypes.data for kind, i in stage.args)
            )
            launches.append((self.functions[stage.function], table, stage))
        return launches

    def run(self, launches: list[Any], backwards: bool = False) -> None:
        for function, table, stage in launches:
            starts = range(0, stage.extent, stage.grain)
            for lo in reversed(starts) if backwards else starts:
                function(table, lo, min(stage.extent, lo + stage.grain))

    def __call__(
        self, inputs: list[np.ndarray], shape: Any, dtype: Any, there: np.ndarray | None = None
    ) -> np.ndarray:
        """The output of this shape, which was `there` before; canaries are checked."""
        return self.several(inputs, [(shape, dtype)], there)[0]

    def several(
        self, inputs: list[np.ndarray], outputs: list[Any], there: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """The outputs of these shapes and dtypes; canaries are checked."""
        sizes = [int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in outputs]
        outs = [guarded(nbytes) for nbytes in sizes]
        if there is not None:
            outs[0][0][:] = there.reshape(-1).view(np.uint8)
        copies: list[np.ndarray] = []
        for x in inputs:
            # An input is only aligned to its elements.
            memory = np.full(x.nbytes + 2 * MARGIN, 0xFF, np.uint8)
            start = -memory.ctypes.data % 64 + x.itemsize
            memory[start : start + x.nbytes] = np.ascontiguousarray(x).reshape(-1).view(np.uint8)
            copies.append(memory[start : start + x.nbytes].view(x.dtype))
        self.run(self.prepare(copies, [out for out, _ in outs]), backwards=True)
        for inner, outer in [*outs, *self.scratch]:
            start = inner.ctypes.data - outer.ctypes.data
            assert (outer[:start] == 0xA5).all(), "written before an array"
            assert (outer[start + len(inner) :] == 0xA5).all(), "written behind an array"
        return [
            out.view(dtype).reshape(shape).copy()
            for (out, _), (shape, dtype) in zip(outs, outputs, strict=True)
        ]
