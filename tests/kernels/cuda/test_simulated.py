"""Kernels without shuffles in numba's CUDA simulator, a thread at a time: a second opinion."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SIMULATED = """
import math
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
try:
    from numba import cuda
except ImportError:
    sys.exit(77)
import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from tests_here import in_memory, traced
from funcgrad.control.jit import simplified
from funcgrad.core.evaluate import run_numpy
from funcgrad.kernels.cuda.emulated import words
from funcgrad.kernels.cuda.emulator import GIVEN
from funcgrad.kernels.cuda.program import cuda_program
from funcgrad.kernels.cuda.words import memory_type


def f32(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def ints(*shape):
    return np.random.default_rng(3).integers(-50, 50, shape).astype(np.int32)


PROGRAMS = {
    "chain": (lambda x: fnp.sin(x) * x + 1, f32(70)),
    "exponentials": (lambda x: fnp.exp(x) + fnp.tanh(x) + fnp.log1p(abs(x)), f32(70)),
    "error function": (lambda x: lax.erf(x) * 2, f32(70)),
    "powers": (lambda x: abs(x) ** 1.5 + lax.rsqrt(abs(x) + 1), f32(70)),
    "rounding": (lambda x: (fnp.floor(x), fnp.ceil(x), fnp.round(x), fnp.sign(x)), 3 * f32(70)),
    "extremes": (lambda x, y: (fnp.maximum(x, y), fnp.minimum(x, y)), f32(70), -f32(70)),
    "bias": (lambda x, v: x + v, f32(5, 7), f32(7)),
    "slices": (lambda x: x[3:-2] - x[:-5], f32(70)),
    "flip": (lambda x: x[::-1, ::-1] * 2, f32(5, 9)),
    "concatenation": (lambda x, y: fnp.concatenate([x, 2 * y]), f32(30), f32(35)),
    "padding": (lambda x: fnp.pad(x, 2), f32(5, 9)),
    "where": (lambda x: fnp.where(x > 0, x, -1), f32(70)),
    "gather": (lambda x, i: x[i] * 2, f32(50, 3), ints(20)),
    "tiles": (lambda x: x.T + 1, f32(33, 40)),
    "tiles and a row": (lambda x, v: x.T * v, f32(40, 33), f32(40)),
    "sum of columns": (lambda x: x.sum(0), f32(100, 6)),
    "mean of columns": (lambda x: x.mean(0), f32(40, 6)),
    "maximum of columns": (lambda x: x.max(0), f32(40, 6)),
    "short rows": (lambda x: x.sum(1), f32(40, 6)),
    "cumulative columns": (lambda x: fnp.cumsum(x, 0), f32(20, 6)),
    "cumulative maxima": (lambda x: lax.cummax(x, axis=0), f32(20, 6)),
    "scatter": (lambda x, i: x.at[i].add(1.0), f32(20, 6), ints(9) % 20),
    "scatter of elements": (lambda x, i: x.at[i].set(2.0), f32(20), ints(9) % 20),
    "scatter by segments": (
        lambda x, i, u: x.at[i].add(u), f32(500, 9), ints(90) % 20, f32(90, 9)
    ),
    "scatter to places that differ": (
        lambda x, i, u: x.at[i].add(u, unique_indices=True), f32(20, 6), np.arange(9), f32(9, 6)
    ),
    "integers": (lambda x: (x // 7, x % 5, -x, abs(x), x << 3), ints(70)),
    "bits": (lambda x: (x & 5, x | 8, x ^ 3, ~x, x >> 2), ints(70)),
    "counted bits": (lambda x: (lax.population_count(x), lax.clz(x)), ints(70)),
    "conversions": (lambda x: (x.astype(np.int8), x.astype(np.uint16), x > 0), 99 * f32(70)),
    "random bits": (lambda k: fg.random.bits(k, (70,)), fg.random.key(0)),
    "uniform numbers": (lambda k: fg.random.uniform(k, (70,)), fg.random.key(1)),
    "halves": (lambda x: x * x + x, f32(70).astype(np.float16)),
    "bfloat16": (lambda x: x * x + x, f32(70).astype(fnp.bfloat16)),
}
names = {
    **{k: v for k, v in GIVEN.items() if "." not in k and k not in ("abs", "min", "max", "bool")},
    **{t: getattr(np, t) for t in GIVEN if "int" in t[:4] or "float" in t[:5]},
    "bool_": np.bool_,
    "np": np, "math": math, "cuda": cuda, "aligned": lambda a: False,
    "device": cuda.jit(device=True), "kernel": cuda.jit,
    "libdevice": type("libdevice", (), {
        k[10:]: staticmethod(v) for k, v in GIVEN.items() if k.startswith("libdevice.")
    }),
    "load_2": None, "load_4": None, "load_8": None,
}
for name, (f, *args) in PROGRAMS.items():
    closed, inputs = traced(f, *args)
    program = cuda_program(closed, simplified)
    assert not program.refused and "shfl" not in program.text, name
    space = dict(names)
    text = "\\n".join([*program.functions, *(k.text for k in program.kernels)])
    exec(text.replace(", alignment=16", ""), space)
    memory = {}
    for buffers in (zip(program.block.inputs, inputs), program.block.constants.items()):
        memory.update((b, words(value, b)) for b, value in buffers)
    root = program.block.root
    for step in program.block.steps:
        if getattr(step, "kernel", None) and getattr(step.kernel, "copies", None) is not None:
            # The device copies by itself.
            memory[root(step.kernel.written[0])] = memory[root(step.kernel.copies)].copy()
        for kernel in program.steps[id(step)]:
            for b in kernel.params:
                memory.setdefault(root(b), np.full(root(b).size, 99, memory_type(root(b).dtype)))
            arrays = [memory[root(b)] for b in kernel.params]
            blocks, threads = kernel.launch.blocks, kernel.launch.threads
            with np.errstate(all="ignore"):
                # Lanes beyond the work only turn round: a few stand for all of a map.
                free = kernel.launch.kind in ("map", "column")
                space[kernel.name][(1, 8) if free else (blocks, threads)](*arrays)
    for b, want in zip(program.block.outputs, run_numpy(closed, inputs)):
        want = in_memory(want)
        got = memory[program.block.root(b)].view(b.dtype)[: b.size].astype(np.float64)
        np.testing.assert_allclose(got, want.astype(np.float64), 1e-5, 1e-5, err_msg=name)
print(len(PROGRAMS))
"""


@pytest.mark.slow
def test_thirty_kernels_in_the_simulator(tmp_path):
    helper = Path(__file__).with_name("running.py")
    (tmp_path / "tests_here.py").write_text(helper.read_text())
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path])
    run = subprocess.run(
        [sys.executable, "-c", SIMULATED], env=env, capture_output=True, text=True, check=False
    )
    if run.returncode == 77:
        pytest.skip("numba has no CUDA simulator here")
    assert run.returncode == 0, run.stderr[-3000:]
    assert int(run.stdout) >= 30
