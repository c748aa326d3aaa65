"""Factors of batches of small matrices: a matrix in each lane of vectors, beside LAPACK's calls.

    python benchmarks/small_factors.py

What `small.lanes_of` chooses by: processor time over that of LAPACK, the first quartile of some
runs by turns. Each batch is run many times over, for a call from Python takes longer than one
matrix.
"""

from __future__ import annotations

import time

import numpy as np
from products import Runner

from funcgrad.kernels.library import (
    LibraryKernel,
    lapack,
    lapack_spectral,
    small,
    small_cholesky,
    small_lu,
    small_qr,
)
from funcgrad.kernels.library.lapack import Matrices, Triangular
from funcgrad.kernels.runtime import toolchain

ROUNDS, CALLS = 15, 1000
BATCHES, SIZES = (1, 2, 4, 1000), (3, 8, 12, 16)


def definite(x: Matrices) -> np.ndarray:
    """Symmetric matrices that all of the kernels can work on."""
    a = np.random.default_rng(0).standard_normal((x.many, x.rows, x.rows))
    return (a @ a.swapaxes(-1, -2) + np.eye(x.rows)).astype(x.dtype)


def seconds(runner: Runner, calls: int) -> float:
    """Processor time of so many runs, all chunks in one."""
    ((function, args, stage),) = runner.stages
    start = time.thread_time()
    for _ in range(calls):
        function(args, 0, stage.extent)
    return (time.thread_time() - start) / calls


def measure(name: str, x: Matrices) -> None:
    """Print a line on one batch."""
    n, bits = x.rows, toolchain.machine().vector_bits
    a, int32 = definite(x), np.int32
    # The limits say which kernel is used: here both are wanted everywhere.
    least, small.FEW = small.FEW, small.LARGEST
    kernels: dict[str, LibraryKernel | None]
    inputs, outs = [a], [np.empty_like(a)]
    if name == "lu":
        kernels = {"LAPACK": lapack.lu(x), "lanes": small_lu.lu(x, bits)}
        outs += [np.empty((x.many, n), int32), np.empty((x.many, n), int32)]
    elif name == "cholesky":
        kernels = {"LAPACK": lapack.cholesky(x), "lanes": small_cholesky.cholesky(x, bits)}
    elif name == "qr":
        kernels = {"LAPACK": lapack_spectral.qr(x, False), "lanes": small_qr.qr(x, False, bits)}
        outs += [np.empty_like(a)]
    else:
        sides = 1 if name == "solve" else n
        b = np.ones((x.many, n, sides), x.dtype)
        system = Triangular(x._replace(columns=sides), n, True, True, False, False)
        kernels = {
            "LAPACK": lapack.triangular_solve(system),
            "lanes": small_lu.triangular_solve(system, bits),
        }
        inputs, outs = [a, b], [np.empty_like(b)]
    small.FEW = least
    runners = {key: Runner(kernel, inputs, *outs) for key, kernel in kernels.items() if kernel}
    times: dict[str, list[float]] = {key: [] for key in runners}
    for _ in range(ROUNDS):
        for key, runner in runners.items():
            times[key].append(seconds(runner, max(1, CALLS // x.many)))
    lanes, whole = (sorted(times[key])[ROUNDS // 4] for key in ("lanes", "LAPACK"))
    chosen = "lanes" if small.lanes_of(x, bits, n) else "LAPACK"
    print(
        f"{name} of {x.many} {x.dtype} {n}×{n}: lanes {1e9 * lanes / x.many:.0f} ns a matrix, "
        f"{lanes / whole:.2f} of LAPACK  chosen: {chosen}",
        flush=True,
    )


if __name__ == "__main__":
    for dtype in ("float32", "float64"):
        for work in ("lu", "cholesky", "qr", "solve", "invert"):
            for size in SIZES:
                for many in BATCHES:
                    measure(work, Matrices(dtype, many, size, size))
