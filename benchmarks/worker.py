"""The process of one contender: prepares works and times them when told to, on two threads.

Run by `peers.py` as `worker.py serve <family> <contender>`: a line of JSON comes in, one goes out.
`worker.py first <family> <work> <contender>` times the first call of a fresh process, and
`worker.py memory ...` measures the memory of a few calls; both print one line of JSON.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
import time
import traceback
from typing import Any

import numpy as np
from works import OURS, Work, leaves, map_tree, sample

SEED = 20261121


class TorchTools:
    """What a PyTorch version of a work is given."""

    def __init__(self, torch: Any, variant: str) -> None:
        self.torch = torch
        self.channels_last = variant == "torch channels-last"
        self._compiles = variant == "torch.compile"

    def tensor(self, x: Any) -> Any:
        """A tensor with its own copy of the data."""
        return self.torch.tensor(np.asarray(x))

    def compiled(self, f: Any) -> Any:
        """The function under torch.compile, where that is the variant."""
        return self.torch.compile(f, fullgraph=True) if self._compiles else f

    def _layout(self, x: Any) -> Any:
        kind = self.torch.channels_last if self.channels_last else self.torch.contiguous_format
        return x.contiguous(memory_format=kind)

    def images(self, x: Any) -> Any:
        """Images NHWC as PyTorch's NCHW."""
        return self._layout(self.tensor(x).permute(0, 3, 1, 2))

    def kernels(self, w: Any) -> Any:
        """Kernels HWIO as PyTorch's OIHW; everything else as it is."""
        return self._layout(self.tensor(w).permute(3, 2, 0, 1)) if w.ndim == 4 else self.tensor(w)

    def shown(self, x: Any) -> Any:
        """Gradients of kernels as HWIO; everything else as it is."""
        return x.permute(2, 3, 1, 0) if x.ndim == 4 else x


class Library:
    """A work under our jit or JAX's, or done eagerly by one of us."""

    def __init__(self, work: Work, fw: Any) -> None:
        self.work, self.fw = work, fw
        self.inputs = work.inputs(np.random.default_rng(SEED))
        donated = (0,) if work.carry else ()
        function = work.function(fw)
        self.function = function if work.eager else fw.jit(function, donate_argnums=donated)
        self.reset()

    def reset(self) -> None:
        """The arguments as they were at first."""
        self.arguments = tuple(
            x if k in self.work.plain else map_tree(self.fw.numpy.array, x)
            for k, x in enumerate(self.inputs)
        )
        self.fw.block_until_ready(list(leaves(self.arguments)))

    def run(self, count: int) -> Any:
        """The output of the last of some calls."""
        function, (first, *rest) = self.function, self.arguments
        carry, waits, wait = self.work.carry, self.work.waits, self.fw.block_until_ready
        out = None
        for _ in range(count):
            out = function(first, *rest)
            if carry:
                first = out[0]
            if waits:
                wait(out)
        wait(out)
        self.arguments = (first, *rest)
        return out

    def results(self) -> list[Any]:
        """The checked part of one call's output."""
        out = map_tree(np.asarray, self.run(1))
        return [np.asarray(x) for x in leaves(self.work.checked(self.inputs, out))]


class Eager:
    """A work in PyTorch or NumPy: a function of nothing."""

    def __init__(self, work: Work, call: Any, to_array: Any) -> None:
        self.call, self._to_array = call, to_array

    def reset(self) -> None:
        """What eager libraries start from does not matter to their speed."""

    def run(self, count: int) -> Any:
        """The output of the last of some calls."""
        out = None
        for _ in range(count):
            out = self.call()
        return out

    def results(self) -> list[Any]:
        """The output of one call."""
        return [self._to_array(x) for x in leaves(self.run(1))]


def prepare(work: Work, contender: str) -> Any:
    """The work as the contender does it."""
    if contender in (OURS, "jax"):
        return Library(work, importlib.import_module(contender))
    inputs = work.inputs(np.random.default_rng(SEED))
    if contender == "numpy":
        return Eager(work, lambda: work.numpy(*inputs), np.asarray)
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    call = work.torch(TorchTools(torch, contender), *inputs)
    return Eager(work, call, lambda x: np.asarray(x.detach()) if hasattr(x, "detach") else x)


def timed(runner: Any, seconds: float) -> list[float]:
    """Seconds a call, for as many samples as fit into the time; one at least.

    The first call, which finds the caches full of somebody else's data, counts only where it alone
    takes longer than that.
    """
    runner.reset()
    start = time.perf_counter()
    runner.run(1)
    once = time.perf_counter() - start
    if once > seconds > 0:
        return [once]
    count = max(1, int(3e-4 / max(once, 1e-7)))
    found: list[float] = []
    end = time.perf_counter() + seconds
    while not found or time.perf_counter() < end:
        start = time.perf_counter()
        runner.run(count)
        found.append((time.perf_counter() - start) / count)
    return found


def works_of(family: str) -> dict[str, Work]:
    """The works of a family by name."""
    return {work.name: work for work in importlib.import_module(family).WORKS}


class Server:
    """Answers the orders of the suite."""

    def __init__(self, family: str, contender: str) -> None:
        self.works, self.contender = works_of(family), contender
        self.runner: Any = None

    def prepare(self, work: str, results: str) -> dict[str, Any]:
        """Do the work once and leave its results in a file."""
        self.runner = None
        start = time.perf_counter()
        self.runner = prepare(self.works[work], self.contender)
        found = [sample(x) for x in self.runner.results()]
        first = time.perf_counter() - start
        np.savez(results, *found)
        return {"first": first}

    def time(self, seconds: float) -> dict[str, Any]:
        """Time the prepared work."""
        return {"times": timed(self.runner, seconds)}

    def drop(self) -> dict[str, Any]:
        """Let go of the prepared work."""
        self.runner = None
        return {}


def serve(family: str, contender: str) -> None:
    """Answer until the input ends. What the libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = Server(family, contender)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(server, order.pop("do"))(**order)
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def first_call(family: str, name: str, contender: str) -> dict[str, Any]:
    """Seconds of the first call, import and inputs left out."""
    runner = prepare(works_of(family)[name], contender)
    start = time.perf_counter()
    runner.run(1)
    return {"seconds": time.perf_counter() - start}


def memory(family: str, name: str, contender: str) -> dict[str, Any]:
    """Bytes above what the process held before the first call: at most while compiling and
    running it, and at most in the calls after it."""
    runner = prepare(works_of(family)[name], contender)
    before = trimmed()
    runner.run(1)
    with_first = resident("VmHWM")
    trimmed()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the greatest resident size starts again from the present one
    runner.run(3)
    return {"first": with_first - before, "steps": resident("VmHWM") - before}


def resident(field: str) -> int:
    """A size of this process in bytes, from the kernel's account."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise RuntimeError(f"the kernel gives no {field}")


def trimmed() -> int:
    """Resident bytes after the allocator gave back what it keeps."""
    ctypes.CDLL(None).malloc_trim(0)
    return resident("VmRSS")


def main() -> None:
    """Serve, or measure one call."""
    order, *arguments = sys.argv[1:]
    if order == "serve":
        serve(*arguments)
        return
    measure = {"first": first_call, "memory": memory}[order]
    print(json.dumps(measure(*arguments)))


if __name__ == "__main__":
    main()
