"""`python -m funcgrad.as_jax script.py`, `-m module` or `-c code`: as python, with our `jax`."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from .serving import serve

_usage = """\
usage: python -m funcgrad.as_jax script.py [arguments]
       python -m funcgrad.as_jax -m module [arguments]
       python -m funcgrad.as_jax -c code [arguments]
Runs a program written for JAX on funcgrad.
"""


def main(arguments: Sequence[str]) -> int:
    """Run the program; returns the exit status where the program itself raises none."""
    first, *rest = arguments or [""]
    if first in ("-h", "--help"):
        sys.stdout.write(_usage)
        return 0
    if first in ("-m", "-c") and rest:
        what, rest = rest[0], rest[1:]
        # As python does: the current directory is where modules are looked for.
        sys.argv[:] = [first, *rest]
        sys.path[0] = "" if first == "-c" else str(Path.cwd())
    elif first and not first.startswith("-"):
        what = first
        sys.argv[:] = [what, *rest]
        sys.path[0] = str(Path(what).resolve().parent)
    else:
        sys.stderr.write(_usage)
        return 2
    with serve():
        _run(first, what)
    return 0


def _run(kind: str, what: str) -> None:
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.modules["__main__"] = fresh = ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), vars(fresh))
    else:
        runpy.run_path(what, run_name="__main__")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
