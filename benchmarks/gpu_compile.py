"""Time of a first call on a GPU, from nothing and from disk: kernels are compiled, none is run.

    python benchmarks/gpu_compile.py [--numba] [--target sm_90] [words of names ...]

Needs the packages of the extra `cuda13` or `cuda12`, no GPU. A row is a program: its kernels and
how many of them differ; seconds until the program is lowered; seconds of our compiler (from text to
LLVM's language), of libNVVM (to PTX) and of nvJitLink (to machine code), of all kernels; then
what a caller waits for in all: kernels go side by side, on so many cores as there are, and again
with cubins on disk. `--numba` adds what numba.cuda takes in our compiler's and libNVVM's place.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from types import SimpleNamespace

import bench_mlp
import gpu_works as gpu
import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.config import config
from funcgrad.kernels.cuda import adapter

LIBRARY = SimpleNamespace(np=fnp, nn=fg.nn, grad=fg.grad, fw=fg)
# Our stages, by what the adapter calls them.
STAGES = {"nvvm_text": "ours", "_assembly": "NVVM", "_linked": "nvJitLink"}
HEAD = "program|kernels|differ|lowered|ours|NVVM|nvJitLink|from nothing|from disk|numba.cuda"


def programs():
    """By name: a function and its arguments."""
    rows = gpu.f32(4096, 1024)
    found = {
        "elementwise chain": (gpu.chain(LIBRARY), [rows]),
        "softmax": (gpu.softmax(LIBRARY), [rows]),
        "layer norm's gradient": (gpu.layer_norm_gradient(LIBRARY), [rows]),
        "product": (lambda x, y: x @ y, [gpu.f32(4096, 1024), gpu.f32(1024, 4096)]),
        "sort": (fnp.sort, [gpu.f32(64, 4096)]),
    }
    mlp = bench_mlp.work("MLP, a step of Adam", 128, (784, 512, 256, 10))
    found[mlp.name] = mlp.function(fg), mlp.inputs(np.random.default_rng(0))
    return found | {w.name: (w.make(LIBRARY), w.args) for w in gpu.trained(True)}


def timed(spent):
    """The adapter's stages, with the time of each added up; threads of one process meet there."""

    def counting(name, function):
        def call(*args):
            start = time.perf_counter()
            found = function(*args)
            spent[name] += time.perf_counter() - start
            spent[f"{name} calls"] += 1
            return found

        return call

    for name in STAGES:
        setattr(adapter, name, counting(name, getattr(adapter, name)))


def seconds(f):
    """What a call takes, and what it gives."""
    start = time.perf_counter()
    found = f()
    return time.perf_counter() - start, found


def lowered_for_gpu(f, args):
    """A program whose kernels have their texts."""
    lowered = fg.jit(f).lower(*args)
    assert lowered.cuda.kernels
    return lowered


def row(name, f, args, target, spent, numba):
    """The cells of a program."""
    spent.clear()
    lowering, lowered = seconds(lambda: lowered_for_gpu(f, args))
    cold, made = seconds(lambda: lowered.compile(target=target))
    differ, stages = spent["_assembly calls"], [spent[stage] for stage in STAGES]
    warm, _ = seconds(lambda: lowered.compile(target=target))
    cells = [f"{x:.2f}" for x in (lowering, *stages, cold, warm)]
    other = ""
    if numba:
        config.update("lowering", "source")
        spent.clear()
        config.update("cache", False)
        whole, _ = seconds(lambda: lowered.compile(target=target))
        other = f"{whole - spent['_linked']:.1f}"
        config.update("cache", True)
        config.update("lowering", "fast")
    return [name, str(len(made.kernels)), str(int(differ)), *cells, other]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--numba", action="store_true")
    parser.add_argument("--target", default="sm_90")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    spent = Counter()
    timed(spent)
    with tempfile.TemporaryDirectory() as folder:
        config.update("cache_dir", folder)
        once, _ = seconds(lambda: fg.jit(fnp.sin).lower(1.0).compile(target=options.target))
        print(f"first of a process, with all that is imported for it: {once:.2f} s\n")
        print(f"| {HEAD.replace('|', ' | ')} |\n{'|---' * (HEAD.count('|') + 1)}|")
        for name, (f, args) in programs().items():
            if all(word in name for word in options.words):
                cells = row(name, f, args, options.target, spent, options.numba)
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
