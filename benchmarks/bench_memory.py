"""Peak memory of the ResNet step, above what the process held before the first call."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from bench_cnn import RESNET
from peers import FailedError, environment, once
from suite import Row


def rows(settings, show):
    """The peak in the calls after the first, and in the first, which compiles."""
    later = Row(f"peak memory: {RESNET}", unit="B", goal=0.8)
    first = Row(f"peak memory with compiling: {RESNET}", unit="B")
    for contender in settings.contenders:
        if contender in ("numpy", "torch.compile"):
            continue
        found = []
        try:
            for _ in range(1 if settings.quick else 3):
                with tempfile.TemporaryDirectory() as name:
                    given = environment(Path(name))
                    found.append(once("memory", "bench_cnn", RESNET, contender, given))
        except FailedError as error:
            later.failures[contender] = str(error)
            continue
        for row, key in ((later, "steps"), (first, "first")):
            sizes = [f[key] for f in found]
            row.times[contender] = (min(sizes), statistics.median(sizes))
    for row in (later, first):
        show(row)
    return [later, first]
