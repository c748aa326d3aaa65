"""`import funcgrad` beside `import jax` and `import numpy`, in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from suite import Row
from timing import interleaved
from works import OURS


def rows(settings, show):
    """Whole processes, less the interpreter's own start; NumPy is part of all of them."""
    # Byte code is kept between runs, as for an installed package.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    names = [c for c in (OURS, "jax", "torch") if c in settings.contenders]

    def run(statement):
        return lambda: subprocess.run(
            [sys.executable, "-c", statement], check=True, env=environment
        )

    with tempfile.TemporaryDirectory() as cache:
        environment["PYTHONPYCACHEPREFIX"] = cache
        contenders = {name: run(f"import {name}") for name in (*names, "numpy")}
        times = interleaved(contenders | {"nothing": run("pass")}, 3 if settings.quick else 9)
    empty = times.pop("nothing")
    net = {name: (t[0] - empty[0], t[1] - empty[1]) for name, t in times.items()}
    row = Row("import", {c: net[c] for c in names}, goal=0.4)
    against = Row("import, beside NumPy's alone", {c: net[c] for c in (OURS, "numpy")}, goal=2.0)
    for found in (row, against):
        show(found)
    return [row, against]
