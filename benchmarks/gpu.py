"""Programs on a GPU beside JAX, PyTorch and the speed of the machine itself: `make gpu`.

Writes benchmarks/results/gpu.json and prints the table. What a peer cannot do, or that it is not
installed, is said in its place. Without a GPU it says what is missing, and stops.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from datetime import date
from importlib import import_module, metadata
from pathlib import Path

import numpy as np

RESULT = Path(__file__).parent / "results" / "gpu.json"
ROUNDS = 9


def f32(*shape):
    return np.random.default_rng(0).standard_normal(shape, np.float32)


class Work:
    """What is timed.

    Args:
        make: of a library's namespaces (`np`, `nn`, `grad`), the function.
        moved: bytes that must go through memory at least; `flops`: floating-point operations.
    """

    def __init__(self, name, make, args, moved=0, flops=0):
        self.name = name
        self.make = make
        self.args = args
        self.moved = moved
        self.flops = flops


def chain(lib):
    return lambda x: lib.np.tanh(x) * x + lib.np.exp(-x * x) * 0.5


def chain_gradient(lib):
    return lib.grad(lambda x: chain(lib)(x).sum())


def softmax(lib):
    return lambda x: lib.nn.softmax(x, axis=-1)


def layer_norm(lib):
    def f(x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / lib.np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)

    return f


def layer_norm_gradient(lib):
    return lib.grad(lambda x: (layer_norm(lib)(x) ** 3).sum())


def cross_entropy_gradient(lib):
    return lib.grad(lambda x: -lib.nn.log_softmax(x, axis=-1)[:, 0].mean())


def mlp(lib):
    def loss(params, x):
        for w, b in params:
            x = lib.np.tanh(x @ w + b)
        return (x * x).mean()

    def step(params, x):
        slopes = lib.grad(loss)(params, x)
        return [(w - 0.1 * v, b - 0.1 * c) for (w, b), (v, c) in zip(params, slopes, strict=True)]

    return step


def fifty(lib):
    def f(x):
        for _ in range(50):
            x = lib.np.cumsum(x, axis=-1) * 0.01
        return x

    return f


def works(scale):
    """The table of works; `scale` shrinks them."""
    n = max(int(1e8 * scale), 64)
    rows = [128, 1024, 8192, 65536] if scale == 1 else [128]
    found = [
        Work("elementwise chain", chain, [f32(n)], 8 * n),
        Work("its gradient", chain_gradient, [f32(n)], 8 * n),
        Work("sum", lambda lib: lambda x: x.sum(), [f32(n)], 4 * n),
        Work("column sums", lambda lib: lambda x: x.sum(0), [f32(n // 64, 64)], 4 * n),
        Work(
            "cumsum of rows", lambda lib: lambda x: lib.np.cumsum(x, -1), [f32(n // 64, 64)], 8 * n
        ),
        Work("transposition", lambda lib: lambda x: x.T + 0, [f32(n // 64, 64)], 8 * n),
    ]
    for row in rows:
        x = f32(max(int(2**26 * scale) // row, 2), row)
        for name, make in (
            ("softmax", softmax),
            ("layer norm", layer_norm),
            ("layer norm's gradient", layer_norm_gradient),
            ("cross-entropy's gradient", cross_entropy_gradient),
        ):
            found.append(Work(f"{name}, rows of {row}", make, [x], 8 * x.size))
    for side in [256, 1024, 4096, 8192] if scale == 1 else [64]:
        found.append(
            Work(f"product of {side}", lambda lib: lambda x, y: x @ y,
                 [f32(side, side), f32(side, side)], flops=2 * side**3)
        )  # fmt: skip
    wide = 1024 if scale == 1 else 24
    params = [(f32(wide, wide) * 0.02, f32(wide)) for _ in range(4)]
    flops = 6 * 4 * wide * wide * wide
    found += [
        Work("MLP train step", mlp, [params, f32(wide, wide)], flops=flops),
        Work("empty call", lambda lib: lambda x: x, [f32(4)]),
        Work("50 kernels", fifty, [f32(64, 64)]),
    ]
    return found


class Ours:
    """funcgrad."""

    name = "funcgrad"

    def __init__(self):
        fg = import_module("funcgrad")
        self.np, self.nn, self.grad = import_module("funcgrad.numpy"), fg.nn, fg.grad
        self.fg, self.device = fg, fg.devices("gpu")[0]

    def takes(self, work):
        """Whether it can say what the work is."""
        return True

    def prepare(self, work):
        """A call that puts one run into the queue, and one that waits for what it gave."""
        f = self.fg.jit(work.make(self))
        args = self.fg.device_put(work.args, self.device)
        return lambda: f(*args), self.fg.block_until_ready


class Jax(Ours):
    """JAX, where it has a GPU."""

    name = "jax"

    def __init__(self):
        jax = import_module("jax")
        self.np, self.nn, self.grad = import_module("jax.numpy"), jax.nn, jax.grad
        self.fg, self.device = jax, jax.devices("gpu")[0]


class Torch:
    """PyTorch's products: the rest of its table is another language."""

    name = "torch"

    def __init__(self):
        self.torch = import_module("torch")
        if not self.torch.cuda.is_available():
            raise RuntimeError("this PyTorch has no CUDA")

    def takes(self, work):
        """Plain operators alone."""
        return work.name.startswith("product")

    def prepare(self, work):
        """As of `Ours`."""
        args = [self.torch.tensor(a, device="cuda") for a in work.args]
        return lambda: work.make(None)(*args), lambda _: self.torch.cuda.synchronize()


def seconds(call, wait, least):
    """Seconds of one run, the median of several rounds of as many runs as take `least`."""
    wait(call())
    wait(call())
    wait(call())
    runs = 1
    while True:
        start = time.perf_counter()
        for _ in range(runs):
            out = call()
        wait(out)
        took = time.perf_counter() - start
        if took > least or runs > 10_000:
            break
        runs *= 2
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(runs):
            out = call()
        wait(out)
        found.append((time.perf_counter() - start) / runs)
    return statistics.median(found)


def libraries():
    """Those that are here, and why others are not."""
    found, absent = [], {}
    for kind in (Ours, Jax, Torch):
        try:
            found.append(kind())
        except Exception as error:
            if kind is Ours:
                raise
            absent[kind.name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return found, absent


def measured(scale, least):
    """All times, with what they mean for the machine."""
    found, absent = libraries()
    ours = found[0]
    rows = {}
    for work in works(scale):
        row = {}
        for lib in found:
            if not lib.takes(work):
                continue
            try:
                row[lib.name] = seconds(*lib.prepare(work), least)
            except Exception as error:
                row[f"{lib.name} failed"] = f"{type(error).__name__}: {error}".splitlines()[0]
        if "funcgrad" in row and work.moved:
            row["GB/s"] = work.moved / row["funcgrad"] / 1e9
        if "funcgrad" in row and work.flops:
            row["TFLOP/s"] = work.flops / row["funcgrad"] / 1e12
        rows[work.name] = row
        print(f"{work.name:36s}", shown(row), flush=True)
    packages = ("funcgrad", "numba-cuda", "cuda-bindings", "jax", "torch", "numpy")
    versions = {p: metadata.version(p) for p in packages if _installed(p)}
    return {
        "date": date.today().isoformat(),
        "device": ours.device.device_kind,
        "python": platform.python_version(),
        "versions": versions,
        "absent": absent,
        "seconds": rows,
    }


def _installed(package):
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def shown(row):
    """A row in words."""
    return "  ".join(
        f"{k} {v * 1e6:.1f} us" if k in ("funcgrad", "jax", "torch")
        else f"{v:.1f} {k}" if isinstance(v, float) else f"{k}: {v}"
        for k, v in row.items()
    )  # fmt: skip


def main(arguments=None):
    """Measure, write and print; 1 where there is no GPU, 2 where a work of ours failed."""
    parser = argparse.ArgumentParser(description="Times on a GPU.")
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes")
    parser.add_argument("--least", type=float, default=0.02, help="seconds of a round")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args(arguments)
    # JAX would take most of the memory for itself.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        found = measured(options.scale, options.least)
    except RuntimeError as error:
        print(f"Nothing was measured: {error}", file=sys.stderr)
        return 1
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"written to {options.out}")
    return 2 if any("funcgrad failed" in row for row in found["seconds"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
