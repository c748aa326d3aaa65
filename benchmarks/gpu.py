"""Programs on a GPU beside JAX, PyTorch and the speed of the machine itself: `make gpu`.

Writes benchmarks/results/gpu.json and the section of docs/benchmarks.md, and prints the table. What
a peer cannot do, or that it is not installed, is said in its place. Without a GPU it says what is
missing, and stops.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib import import_module, metadata
from pathlib import Path

import gpu_steps as steps
import gpu_table
import numpy as np

RESULT = Path(__file__).parent / "results" / "gpu.json"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
ROUNDS = 9
WARM = 3
# A process that makes a first call may take so many seconds.
FIRST_SECONDS = 110


def f32(*shape):
    return np.random.default_rng(0).standard_normal(shape, np.float32)


class Work:
    """What is timed.

    Args:
        make: of a library's namespaces (`np`, `nn`, `grad`), the function.
        moved: bytes that must go through memory at least; `flops`: floating-point operations.
        torch: PyTorch's version, `torch(tools, *args)`, where the text is not one for it too.
        carry: the first argument is a state: donated, and replaced by the first output.
        plain: whether it is an array function without derivatives, which CuPy has too.
    """

    def __init__(self, name, make, args, moved=0, flops=0, torch=None, carry=False, plain=False):
        self.torch = torch
        self.carry = carry
        self.plain = plain
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
        Work("elementwise chain", chain, [f32(n)], 8 * n, plain=True),
        Work("its gradient", chain_gradient, [f32(n)], 8 * n),
        Work("sum", lambda lib: lambda x: x.sum(), [f32(n)], 4 * n, plain=True),
        Work("column sums", lambda lib: lambda x: x.sum(0), [f32(n // 64, 64)], 4 * n, plain=True),
        Work("cumsum", lambda lib: lambda x: lib.np.cumsum(x, 0), [f32(n)], 8 * n, plain=True),
        Work(
            "cumsum of rows",
            lambda lib: lambda x: lib.np.cumsum(x, -1),
            [f32(n // 64, 64)],
            8 * n,
            plain=True,
        ),
        Work("transposition", lambda lib: lambda x: x.T + 0, [f32(n // 64, 64)], 8 * n, plain=True),
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
                 [f32(side, side), f32(side, side)], flops=2 * side**3, plain=True)
        )  # fmt: skip
    wide = 1024 if scale == 1 else 8
    params = [(f32(wide, wide) * 0.02, f32(wide)) for _ in range(4)]
    flops = 6 * 4 * wide * wide * wide
    found += [
        Work("MLP train step", mlp, [params, f32(wide, wide)], flops=flops),
        *trained(scale == 1),
        Work("empty call", lambda lib: lambda x: x, [f32(4)]),
        Work("50 kernels", fifty, [f32(64, 64) if scale == 1 else f32(4, 4)]),
    ]
    return found


def trained(full):
    """The steps of networks; their states are donated."""
    heads = 8 if full else 2
    sizes = {
        "LSTM train step": (128, 64, 512, 512) if full else (3, 2, 4, 4),
        "ResNet-18 train step": (128, 32, 64, 10) if full else (1, 4, 2, 4, 2, 1),
        "6-layer Transformer train step": (6, 16, 512, 512) if full else (1, 1, 4, 4),
    }
    parts = {
        "LSTM train step": (steps.lstm_step, steps.lstm, steps.lstm_torch),
        "ResNet-18 train step": (steps.resnet18_step, steps.resnet18, steps.resnet18_torch),
        "6-layer Transformer train step": (
            steps.transformer_step(heads), steps.transformer, steps.transformer_torch(heads),
        ),
    }  # fmt: skip
    return [
        Work(name, make, args(*sizes[name]), torch=torch, carry=True)
        for name, (make, args, torch) in parts.items()
    ]


class Ours:
    """funcgrad."""

    name = "funcgrad"

    def __init__(self):
        fg = import_module("funcgrad")
        self.np, self.nn, self.grad = import_module("funcgrad.numpy"), fg.nn, fg.grad
        self.fg, self.fw, self.device = fg, fg, fg.devices("gpu")[0]

    def takes(self, work):
        """Whether it can say what the work is."""
        return True

    def prepare(self, work):
        """A call that puts one run into the queue, and one that waits for what it gave."""
        args = self.fg.device_put(work.args, self.device)
        if not work.carry:
            f = self.fg.jit(work.make(self))
            return lambda: f(*args), self.fg.block_until_ready
        f = self.fg.jit(work.make(self), donate_argnums=0)
        state = [args[0]]

        def call():
            state[0], value = f(state[0], *args[1:])
            return value

        return call, self.fg.block_until_ready

    def peak(self):
        """The most bytes that were in use in this process."""
        return self.device.memory_stats()["peak_bytes_in_use"]


class Jax(Ours):
    """JAX, where it has a GPU."""

    name = "jax"

    def __init__(self):
        jax = import_module("jax")
        self.np, self.nn, self.grad = import_module("jax.numpy"), jax.nn, jax.grad
        self.fg, self.fw, self.device = jax, jax, jax.devices("gpu")[0]


class TorchNN:
    """Functions of `nn` under the names that works call them by."""

    def __init__(self, torch):
        functional = torch.nn.functional
        self.softmax = lambda x, axis: functional.softmax(x, axis)
        self.log_softmax = lambda x, axis: functional.log_softmax(x, axis)


class Torch:
    """PyTorch, eagerly."""

    name = "torch"
    compiles = False

    def __init__(self):
        self.torch = import_module("torch")
        if not self.torch.cuda.is_available():
            raise RuntimeError("this PyTorch has no CUDA")
        self.np, self.nn = self.torch, TorchNN(self.torch)
        self.tools = steps.Tools(self.torch, self.compiles)

    def grad(self, f):
        """The gradient with respect to the first argument, a tree of tensors."""
        pytree = import_module("torch.utils._pytree")

        def slopes(x, *rest):
            leaves, tree = pytree.tree_flatten(x)
            leaves = [leaf.detach().requires_grad_(True) for leaf in leaves]
            value = f(pytree.tree_unflatten(leaves, tree), *rest)
            return pytree.tree_unflatten(self.torch.autograd.grad(value, leaves), tree)

        return slopes

    def takes(self, work):
        """Steps that have a version for it, and what is one text for all."""
        return work.torch is not None or not work.carry

    def prepare(self, work):
        """As of `Ours`."""
        wait = lambda _: self.torch.cuda.synchronize()  # noqa: E731 - one of a pair
        if work.torch is not None:
            return work.torch(self.tools, *work.args), wait
        args = steps.map_tree(self.tools.tensor, tuple(work.args))
        f = self.tools.compiled(work.make(self))
        return lambda: f(*args), wait

    def peak(self):
        """As of `Ours`."""
        return self.torch.cuda.max_memory_allocated()


class Compiled(Torch):
    """PyTorch through torch.compile."""

    name = "torch.compile"
    compiles = True


class Cupy:
    """CuPy: array functions without derivatives."""

    name = "cupy"

    def __init__(self):
        self.np = self.cupy = import_module("cupy")
        self.cupy.cuda.runtime.getDeviceCount()

    def takes(self, work):
        """What has no derivative."""
        return work.plain

    def prepare(self, work):
        """As of `Ours`."""
        args = [self.cupy.asarray(a) for a in work.args]
        f = work.make(self)
        return lambda: f(*args), lambda _: self.cupy.cuda.Device().synchronize()


CONTENDERS = (Ours, Jax, Torch, Compiled, Cupy)


def seconds(call, wait, least):
    """Seconds of one run, the median of several rounds of as many runs as take `least`."""
    for _ in range(WARM):
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
    for kind in CONTENDERS:
        try:
            found.append(kind())
        except Exception as error:
            if kind is Ours:
                raise
            absent[kind.name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return found, absent


# First calls and peaks: in processes of their own, which hold nothing else.
FIRST = ("elementwise chain", "MLP train step", "6-layer Transformer train step")


def child(arguments, variables):
    """The answer of a process of this script."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=variables, capture_output=True, text=True, timeout=FIRST_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "no word").splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def first_call(name, contender, scale):
    """What a process of its own says: seconds of the first call, and the peak of memory."""
    lib = next(kind for kind in CONTENDERS if kind.name == contender)()
    work = next(w for w in works(scale) if w.name == name)
    call, wait = lib.prepare(work)
    start = time.perf_counter()
    wait(call())
    took = time.perf_counter() - start
    wait(call())
    return {"seconds": took, "peak": lib.peak()}


def first_calls(found, scale):
    """First calls cold, then with what the first process left on disk."""
    rows = {}
    for name in FIRST:
        rows[name] = {}
        for lib in found:
            if not hasattr(lib, "peak"):
                continue
            with tempfile.TemporaryDirectory() as directory:
                variables = os.environ | {
                    "FUNCGRAD_CACHE_DIR": directory,
                    "JAX_COMPILATION_CACHE_DIR": directory,
                    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                    "TORCHINDUCTOR_CACHE_DIR": directory,
                }
                asked = ["--first", name, lib.name, "--scale", str(scale)]
                try:
                    cold, disk = (child(asked, variables) for _ in range(2))
                except Exception as error:
                    rows[name][lib.name] = {"failed": f"{type(error).__name__}: {error}"}
                    continue
            rows[name][lib.name] = {
                "cold": cold["seconds"], "disk": disk["seconds"], "peak": cold["peak"],
            }  # fmt: skip
            print(f"{'first call of ' + name:36s} {lib.name}", rows[name][lib.name], flush=True)
    return rows


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
    packages = (
        "funcgrad", "numba-cuda", "cuda-bindings", "jax", "torch", "cupy-cuda13x", "numpy",
    )  # fmt: skip
    versions = {p: metadata.version(p) for p in packages if _installed(p)}
    return {
        "date": date.today().isoformat(),
        "device": ours.device.device_kind,
        "python": platform.python_version(),
        "versions": versions,
        "absent": absent,
        "seconds": rows,
        "first": first_calls(found, scale),
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
        f"{k} {v * 1e6:.1f} us" if k in gpu_table.PEERS
        else f"{v:.1f} {k}" if isinstance(v, float) else f"{k}: {v}"
        for k, v in row.items()
    )  # fmt: skip


def main(arguments=None):
    """Measure, write and print; 1 where there is no GPU, 2 where a work of ours failed."""
    parser = argparse.ArgumentParser(description="Times on a GPU.")
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes")
    parser.add_argument("--least", type=float, default=0.02, help="seconds of a round")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--page", type=Path, default=PAGE, help="where the table is put")
    parser.add_argument("--first", nargs=2, metavar=("WORK", "CONTENDER"), help="one first call")
    options = parser.parse_args(arguments)
    # JAX would take most of the memory for itself.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if options.first:
        print(json.dumps(first_call(*options.first, options.scale)))
        return 0
    try:
        found = measured(options.scale, options.least)
    except RuntimeError as error:
        print(f"Nothing was measured: {error}", file=sys.stderr)
        return 1
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    page = options.page.read_text() if options.page.exists() else ""
    options.page.write_text(gpu_table.with_section(page, gpu_table.section(found)))
    print(f"written to {options.out} and {options.page}")
    return 2 if any("funcgrad failed" in row for row in found["seconds"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
