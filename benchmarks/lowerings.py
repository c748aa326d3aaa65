"""First calls of one program of 20 kernels, as machine code and as Python text under Numba.

    python benchmarks/lowerings.py

Each in a process of its own and without the store of programs: what docs/design/0005-compiler.md
says of compile times.
"""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import time
import numpy as np
import funcgrad as fg
import funcgrad.numpy as fnp

def f(xs):  # other shapes, so other kernels; 4 operations each
    return [fnp.sqrt(x * x + 1.0) * 0.5 - x for x in xs]

xs = [fnp.ones((300 + k, 7)) for k in range(20)]
start = time.perf_counter()
fg.jit(f)(xs)
print(time.perf_counter() - start)
"""


def seconds(lowering: str) -> float:
    """The first call under a lowering, the least of three processes."""
    environment = {**os.environ, "FUNCGRAD_CACHE": "0", "FUNCGRAD_LOWERING": lowering}
    command = [sys.executable, "-c", PROGRAM]
    runs = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    return min(float(run.stdout) for run in runs)


if __name__ == "__main__":
    fast, source = seconds("fast"), seconds("source")
    print(
        f"machine code {fast * 1e3:.0f} ms, Numba {source * 1e3:.0f} ms: {source / fast:.1f} times"
    )
