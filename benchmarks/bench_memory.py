"""Peak memory of the ResNet step, above what the process held before the first call."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from bench_cnn import RESNET
from bench_compile import variables
from peers import FailedError, once
from suite import Row


def rows(settings, show):
    """The peak in calls of a program that is on disk, and in the first call, which compiles."""
    later = Row(f"peak memory, warm cache: {RESNET}", unit="B", goal=0.8)
    first = Row(f"peak memory with compiling: {RESNET}", unit="B")
    for contender in settings.contenders:
        if contender in ("numpy", "torch.compile"):
            continue
        found = []
        try:
            for _ in range(1 if settings.quick else 3):
                with tempfile.TemporaryDirectory() as name:
                    given = variables(Path(name), cached=True)
                    compiling, calling = (
                        once("memory", "bench_cnn", RESNET, contender, given) for _ in range(2)
                    )
                    found.append({"first": compiling["first"], "steps": calling["steps"]})
        except FailedError as error:
            later.failures[contender] = str(error)
            continue
        for row, key in ((later, "steps"), (first, "first")):
            sizes = [f[key] for f in found]
            row.times[contender] = (min(sizes), statistics.median(sizes))
    for row in (later, first):
        show(row)
    return [later, first]
