"""Where the time of first calls goes: the steps of `bench_compile`, phase by phase.

    python benchmarks/first_call.py [--cold] [--rounds N] [--only TEXT]

Each call is the first of its process, whose programs are on disk, or with --cold are not. A phase
is the time in one function of the package, less that in phases within it; the median of some
processes is shown, and in brackets how many pages were touched for the first time: the system
clears each.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from functools import wraps
from pathlib import Path
from typing import Any

from bench_compile import STEPS, variables
from peers import answer_of, start
from worker import prepare, works_of
from works import OURS

# Phase, module and function, the last after the name of its class where it is a method.
PHASES = (
    ("trace", "control.jitted", "stage"),
    ("key of the program", "kernels.warm", "_key"),
    ("read from disk", "kernels.runtime.cache", "get"),
    ("simplify", "control.jit", "simplify"),
    ("kernels as loops", "kernels.pipeline", "lower"),
    ("text of kernels", "kernels.emit.program", "ProgramEmitter.module"),
    ("LLVM", "kernels.runtime.toolchain", "compile_text"),
    ("write to disk", "kernels.runtime.cache", "put"),
    ("start of threads", "kernels.runtime.pool", "pool"),
    ("addresses of libraries", "kernels.runtime.symbols", "resolve"),
    ("load", "kernels.runtime.toolchain", "load"),
    ("run", "kernels.runtime.launch", "Executable.__call__"),
    ("run", "kernels.runtime.launch", "Executable.on_leaves"),
)
IMPORTS, GARBAGE, REST = "imports", "search for garbage", "all else"
LATER = 5


class Clock:
    """Seconds and pages of the phases of this process; of nested ones the innermost counts."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
        self._open = [REST]
        self._since = self._now()

    def _now(self) -> tuple[float, int]:
        return time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def _count(self) -> None:
        now, before = self._now(), self._since
        spent = self.spent[self._open[-1]]
        spent[0] += now[0] - before[0]
        spent[1] += now[1] - before[1]
        self._since = now

    def enter(self, phase: str) -> None:
        """Begin a phase within the present one."""
        self._count()
        self._open.append(phase)

    def leave(self) -> None:
        """Go on with the phase around."""
        self._count()
        self._open.pop()

    def timed(self, phase: str, function: Any) -> Any:
        """The function as a phase."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.enter(phase)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return call

    def watch(self) -> None:
        """Time the phases of modules that are there, and of others once they are imported."""
        bootstrap: Any = importlib._bootstrap
        load = self.timed(IMPORTS, bootstrap._find_and_load)
        waiting = list(PHASES)

        def find_and_load(*args: Any) -> Any:
            module = load(*args)
            self._wrap(waiting)
            return module

        bootstrap._find_and_load = find_and_load
        self._wrap(waiting)
        steps = {"start": lambda: self.enter(GARBAGE), "stop": self.leave}
        gc.callbacks.append(lambda step, _: steps[step]())

    def _wrap(self, waiting: list[tuple[str, str, str]]) -> None:
        for row in list(waiting):
            phase, module, path = row
            owner: Any = sys.modules.get(f"{OURS}.{module}")
            *classes, name = path.split(".")
            for part in classes:
                owner = getattr(owner, part, None)
            # A module that is still being imported may not have it yet.
            if hasattr(owner, name):
                setattr(owner, name, self.timed(phase, getattr(owner, name)))
                waiting.remove(row)


def measure(family: str, name: str) -> dict[str, Any]:
    """Seconds and pages by phase of the first call, and the seconds of a later one."""
    runner = prepare(works_of(family)[name], OURS)
    clock = Clock()
    clock.watch()
    start = time.perf_counter()
    clock.enter(REST)
    runner.run(1)
    clock.leave()
    whole = time.perf_counter() - start
    spent = {phase: tuple(counts) for phase, counts in clock.spent.items()}
    later: list[float] = []
    for _ in range(LATER):
        start = time.perf_counter()
        runner.run(1)
        later.append(time.perf_counter() - start)
    return {"spent": spent, "whole": whole, "later": statistics.median(later)}


def rounds_of(family: str, work: str, cold: bool, rounds: int) -> list[dict[str, Any]]:
    """What some processes measured."""
    with tempfile.TemporaryDirectory() as name:
        given = variables(Path(name), cached=True)
        found: list[dict[str, Any]] = []
        for k in range(rounds if cold else rounds + 1):
            if cold:
                given = variables(Path(name, str(k)), cached=True)
            process = start(["--measure", family, work], given, program="first_call.py")
            found.append(answer_of(process))
    return found if cold else found[1:]


def show(work: str, found: list[dict[str, Any]]) -> None:
    """Print the table of one work."""
    print(f"\n{work}")
    phases = dict.fromkeys([*(phase for phase, _, _ in PHASES), IMPORTS, GARBAGE, REST])
    for phase in phases:
        spent = [f["spent"].get(phase, (0.0, 0)) for f in found]
        seconds, pages = (statistics.median(column) for column in zip(*spent, strict=True))
        if seconds:
            print(f"  {phase:24s} {seconds * 1e3:9.1f} ms  ({pages:.0f})")
    for title, key in (("first call", "whole"), ("a later call", "later")):
        seconds = statistics.median(f[key] for f in found)
        print(f"  {title:24s} {seconds * 1e3:9.1f} ms")


def main() -> None:
    """Measure one call, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", action="store_true", help="with nothing on disk")
    parser.add_argument("--rounds", type=int, default=5, help="processes for each step")
    parser.add_argument("--only", default="", help="steps whose name contains this")
    parser.add_argument("--measure", nargs=2, metavar=("FAMILY", "WORK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    for family, work in STEPS:
        if options.only in work:
            show(work, rounds_of(family, work, options.cold, options.rounds))


if __name__ == "__main__":
    main()
