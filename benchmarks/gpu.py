"""Programs on a GPU beside JAX, PyTorch and the speed of the machine itself: `make gpu`.

Writes benchmarks/results/gpu.json and the section of docs/benchmarks.md, and prints the table. What
a peer cannot do, or that it is not installed, is said in its place. Each library has a process of
its own, begun anew behind a work that failed, for a failure may leave a GPU's context unusable; and
the whole ends when its time does: what was not reached is said. Results are written as they come.
Without a GPU it says what is missing, and stops.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from importlib import import_module, metadata
from pathlib import Path

import gpu_table
from gpu_peers import CONTENDERS
from gpu_works import works

RESULT = Path(__file__).parent / "results" / "gpu.json"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
ROUNDS = 9
WARM = 3
# A process that makes a first call may take so many seconds.
FIRST_SECONDS = 110
# All of it may take so many; and this part of it is for first calls.
SECONDS, FIRST_PART = 300, 0.25
# Of the rest, this many times as much is for us as for another library: nothing else is needed.
OUR_WEIGHT = 3
PACKAGES = ("cuda-bindings", "nvmath-python", "nvidia-cudnn-frontend", "nvidia-cudnn-cu13")
PACKAGES += ("jax", "torch", "cupy-cuda13x", "numpy")


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


def contender(name):
    """A library by its name."""
    return next(kind for kind in CONTENDERS if kind.name == name)()


def times_of(name, scale, least, begin):
    """What one library takes for works from a number on: a line each, until one fails.

    Yields:
        {"absent": why}, or {"device": its name}, then {"work": name, "seconds" or "failed": ...}.
    """
    try:
        lib = contender(name)
    except Exception as error:
        yield {"absent": f"{type(error).__name__}: {error}".splitlines()[0]}
        return
    yield {"device": getattr(getattr(lib, "device", None), "device_kind", "")}
    for work in works(scale)[begin:]:
        if not lib.takes(work):
            yield {"work": work.name}
            continue
        try:
            yield {"work": work.name, "seconds": seconds(*lib.prepare(work), least)}
        except Exception as error:
            told = f"{type(error).__name__}: {error}".splitlines() or [""]
            yield {"work": work.name, "failed": told[0]}
            return


def lines_of(asked, until):
    """The lines of a process of this script, until a moment; None where that is why they end."""
    process = subprocess.Popen(
        [sys.executable, __file__, *asked], stdout=subprocess.PIPE, text=True
    )
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while True:
            try:
                line = lines.get(timeout=max(until - time.monotonic(), 0))
            except queue.Empty:
                yield None
                return
            if not line:
                return
            # What libraries print is no line of ours.
            if line.startswith("{"):
                yield json.loads(line)
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


class Table:
    """What was measured so far, written at each step.

    Args:
        options: where to, at which sizes, and until when.
    """

    def __init__(self, options, device):
        self.options = options
        self.works = works(options.scale)
        self.found = {
            "date": date.today().isoformat(),
            "device": device,
            "python": platform.python_version(),
            # Ours may be a path only.
            "versions": {"funcgrad": import_module("funcgrad").__version__}
            | {p: metadata.version(p) for p in PACKAGES if _installed(p)},
            "absent": {},
            "seconds": {work.name: {} for work in self.works},
            "first": {},
        }
        self.here = []

    def write(self):
        """What there is."""
        text = json.dumps(self.found, indent=1) + "\n"
        self.options.out.write_text(text)
        page = self.options.page.read_text() if self.options.page.exists() else ""
        section = gpu_table.section(self.found)
        self.options.page.write_text(gpu_table.with_section(page, section))

    def measure(self, name, until):
        """All times of one library; a process that ends too early is followed by another one."""
        begin = 0
        while begin < len(self.works):
            asked = ["--rows", name, str(begin)]
            asked += ["--scale", str(self.options.scale), "--least", str(self.options.least)]
            known = False
            for line in lines_of(asked, until):
                if line is None:
                    for work in self.works[begin:]:
                        self.found["seconds"][work.name][f"{name} failed"] = "no time was left"
                    return
                if "absent" in line:
                    self.found["absent"][name] = line["absent"]
                    return
                known = True
                if "work" in line:
                    begin += 1
                    self.take(name, line)
            if begin < len(self.works) and not known:
                self.found["absent"][name] = "its process ended without a word"
                return
            if begin < len(self.works) and not self.failed(name, begin - 1):
                # It died amid a work.
                line = {"work": self.works[begin].name, "failed": "its process died"}
                begin += 1
                self.take(name, line)
        self.here.append(name)

    def failed(self, name, number):
        """Whether a library failed at a work."""
        return number >= 0 and f"{name} failed" in self.found["seconds"][self.works[number].name]

    def take(self, name, line):
        """A line of a library's process."""
        row = self.found["seconds"][line["work"]]
        if "failed" in line:
            row[f"{name} failed"] = line["failed"]
        elif "seconds" in line:
            row[name] = line["seconds"]
            if name == "funcgrad":
                work = next(w for w in self.works if w.name == line["work"])
                if work.moved:
                    row["GB/s"] = work.moved / row[name] / 1e9
                if work.flops:
                    row["TFLOP/s"] = work.flops / row[name] / 1e12
        if len(line) > 1:
            own = {k: v for k, v in row.items() if k in (name, f"{name} failed")}
            print(f"{line['work']:40s}", shown(own), flush=True)
            self.write()


# First calls and peaks: in processes of their own, which hold nothing else.
FIRST = ("elementwise chain", "MLP train step", "6-layer Transformer train step")


def child(arguments, variables, limit):
    """The answer of a process of this script."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=variables, capture_output=True, text=True, timeout=limit, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "no word").splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def first_call(name, library, scale):
    """What a process of its own says: seconds of the first call, and the peak of memory."""
    lib = contender(library)
    work = next(w for w in works(scale) if w.name == name)
    call, wait = lib.prepare(work)
    start = time.perf_counter()
    wait(call())
    took = time.perf_counter() - start
    wait(call())
    return {"seconds": took, "peak": lib.peak()}


def first_calls(table, until):
    """First calls cold, then with what the first process left on disk."""
    scale = str(table.options.scale)
    for name in FIRST:
        row = table.found["first"][name] = {}
        for kind in CONTENDERS:
            if not hasattr(kind, "peak") or kind.name not in table.here:
                continue
            with tempfile.TemporaryDirectory() as directory:
                variables = os.environ | {
                    "FUNCGRAD_CACHE_DIR": directory,
                    "JAX_COMPILATION_CACHE_DIR": directory,
                    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                    "TORCHINDUCTOR_CACHE_DIR": directory,
                }
                asked = ["--first", name, kind.name, "--scale", scale]
                try:
                    found = []
                    for _ in range(2):
                        limit = min(FIRST_SECONDS, until - time.monotonic())
                        if limit <= 0:
                            raise TimeoutError("no time was left")
                        found.append(child(asked, variables, limit))
                except Exception as error:
                    row[kind.name] = {"failed": f"{type(error).__name__}: {error}"}
                    continue
                finally:
                    table.write()
            cold, disk = found
            row[kind.name] = {
                "cold": cold["seconds"], "disk": disk["seconds"], "peak": cold["peak"],
            }  # fmt: skip
            table.write()
            print(f"{'first call of ' + name:40s} {kind.name}", row[kind.name], flush=True)


def measured(options):
    """All that there is time for."""
    start = time.monotonic()
    device = import_module("funcgrad").devices("gpu")[0].device_kind
    table = Table(options, device)
    rows = options.seconds * (1 - FIRST_PART)
    for k, kind in enumerate(CONTENDERS):
        # What one library leaves of its part, the next ones have.
        now = time.monotonic()
        left = max(start + rows - now, 0)
        weight = OUR_WEIGHT if kind.name == "funcgrad" else 1
        table.measure(kind.name, now + left * weight / (len(CONTENDERS) - k - 1 + weight))
    first_calls(table, start + options.seconds)
    table.write()
    return table.found


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
    parser.add_argument("--seconds", type=float, default=SECONDS, help="that it may take")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--page", type=Path, default=PAGE, help="where the table is put")
    parser.add_argument("--first", nargs=2, metavar=("WORK", "CONTENDER"), help="one first call")
    parser.add_argument("--rows", nargs=2, metavar=("CONTENDER", "BEGIN"), help="times of one")
    options = parser.parse_args(arguments)
    # JAX would take most of the memory for itself.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if options.first:
        print(json.dumps(first_call(*options.first, options.scale)))
        return 0
    if options.rows:
        name, begin = options.rows
        for line in times_of(name, options.scale, options.least, int(begin)):
            print(json.dumps(line), flush=True)
        return 0
    try:
        found = measured(options)
    except RuntimeError as error:
        print(f"Nothing was measured: {error}", file=sys.stderr)
        return 1
    print(f"written to {options.out} and {options.page}")
    wrong = "funcgrad" in found["absent"]
    return 2 if wrong or any("funcgrad failed" in row for row in found["seconds"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
