"""`import funcgrad` beside `import numpy`, in fresh processes; goal: at most twice as long."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from timing import interleaved, report


def main() -> None:
    """Time the imports as whole processes, less the interpreter's own start."""
    # Byte code is kept between runs, as for an installed package.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp()
    names = ["funcgrad", "numpy"]
    try:
        import jax  # noqa: F401 - only whether it is there

        names.append("jax")
    except ImportError:
        print("jax is not installed: no peer in bench_import")

    def run(statement: str):
        return lambda: subprocess.run(
            [sys.executable, "-c", statement], check=True, env=environment
        )

    contenders = {name: run(f"import {name}") for name in names} | {"nothing": run("pass")}
    times = interleaved(contenders, rounds=9)
    empty = times.pop("nothing")
    net = {name: (t[0] - empty[0], t[1] - empty[1]) for name, t in times.items()}
    report("import, less an empty process (ms)", net, unit=1e3)
