"""Matrix products by each of our kernels and by BLAS, on one thread, with nothing in cache.

    python benchmarks/products.py

What `contract.gemm_kernel` chooses by, and docs/design/0005-compiler.md speaks of: processor time
over that of BLAS in the blocks it is called for, the first quartile of some runs by turns.
"""

from __future__ import annotations

import ctypes
import re
import time

import numpy as np

from funcgrad.kernels import contract
from funcgrad.kernels.library import LibraryKernel, gemm, gemm_packed
from funcgrad.kernels.library.gemm import Gemm
from funcgrad.kernels.runtime import symbols, toolchain

ROUNDS = 15
# Rows, columns, steps of the contraction, and layouts: N as in NumPy's `@`, T transposed.
SHAPES = [
    (128, 128, 128, "NN"),
    (32, 1024, 256, "NN"),
    (128, 512, 784, "NN"),
    (128, 512, 512, "NT"),
    (784, 512, 128, "TN"),
    (1024, 512, 784, "NN"),
    (1024, 256, 256, "NN"),
    (1024, 256, 768, "NT"),
    (512, 512, 1024, "TN"),
    (1024, 1024, 1024, "NN"),
    (256, 1024, 1024, "TN"),
    (128, 1024, 2048, "TN"),
]


class Runner:
    """A kernel with operands of its own."""

    def __init__(self, kernel: LibraryKernel, inputs: list[np.ndarray], *outs: np.ndarray) -> None:
        text = "\n".join([*kernel.declarations, *kernel.functions.values()])
        found = symbols.resolve(re.findall(r"^declare \w+ @(fg_\w+)", text, re.MULTILINE))
        self.code = toolchain.load(toolchain.compile_text(text), found, list(kernel.functions))
        scratch = [np.empty(n + 64, np.uint8) for n in kernel.scratch]
        aligned = [s[-s.ctypes.data % 64 :] for s in scratch]
        self.places = {"in": inputs, "out": [*outs], "scratch": aligned}
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self.stages = [
            (
                kind(self.code.address(stage.function)),
                (ctypes.c_void_p * len(stage.args))(
                    *(self.places[where][k].ctypes.data for where, k in stage.args)
                ),
                stage,
            )
            for stage in kernel.stages
        ]

    def seconds(self) -> float:
        """Processor time of one run, chunk by chunk."""
        start = time.thread_time()
        for function, args, stage in self.stages:
            for low in range(0, stage.extent, stage.grain):
                function(args, low, min(low + stage.grain, stage.extent))
        return time.thread_time() - start


def measure(m: int, n: int, k: int, layout: str) -> None:
    """Print a line on one product."""
    left, right = layout[0] == "N", layout[1] == "T"
    rng = np.random.default_rng(0)
    a = rng.standard_normal((m, k) if left else (k, m), dtype=np.float32)
    b = rng.standard_normal((n, k) if right else (k, n), dtype=np.float32)
    g = Gemm("float32", (), m, n, k, (left, k if left else m), (right, k if right else n), n)
    bits = toolchain.machine().vector_bits
    kernels = {
        "BLAS": contract.blas_kernel(g, "product"),
        "small": gemm.build(g, "product", bits),
        "packed": gemm_packed.build(g, "product", bits),
    }
    runners = {
        name: Runner(kernel, [a, b], np.empty((m, n), np.float32))
        for name, kernel in kernels.items()
    }
    others = np.zeros(6 << 20)
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(ROUNDS):
        for name, runner in runners.items():
            others += 1.0
            times[name].append(runner.seconds())
    quartiles = {name: sorted(t)[ROUNDS // 4] for name, t in times.items()}
    chosen = (
        "small"
        if contract.is_small(g, bits)
        else "packed"
        if contract.is_packed(g, bits)
        else "BLAS"
    )
    ratios = "  ".join(f"{name} {t / quartiles['BLAS']:.2f}" for name, t in quartiles.items())
    print(f"{m}×{n}×{k} {layout}: {ratios}  chosen: {chosen}", flush=True)


if __name__ == "__main__":
    for shape in SHAPES:
        measure(*shape)
