"""What is known of this machine and of its code generator without loading the generator."""

from __future__ import annotations

import importlib.util
import os
import platform
from functools import cache

# Lines of Linux's description of a processor that code may depend on.
_TOLD = (
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "flags",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "Features",
)


def available_cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def architecture() -> str:
    """The family of the processor, as LLVM's triples begin: x86_64, aarch64, arm64."""
    return {"AMD64": "x86_64"}.get(platform.machine(), platform.machine())


@cache
def hardware() -> str | None:
    """What tells one kind of processor from another; None where the system does not say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            # Of the first processor: the file is made while it is read.
            first = file.read(1 << 14).partition("\n\n")[0]
    except OSError:
        return None
    told = dict(line.split(":", 1) for line in first.splitlines() if ":" in line)
    named = {name.strip(): value.strip() for name, value in told.items()}
    lines = [f"{name}: {named[name]}" for name in _TOLD if name in named]
    uses = {"flags", "Features"} & named.keys()
    return "\n".join([platform.system(), architecture(), *lines]) if uses else None


@cache
def generator() -> str:
    """What tells one installed release of llvmlite from another; empty where there is none."""
    spec = importlib.util.find_spec("llvmlite")
    if spec is None or spec.origin is None:
        return ""
    folder = os.path.dirname(spec.origin)
    found: list[str] = []
    for name in ("__init__.py", "_version.py"):
        try:
            status = os.stat(os.path.join(folder, name))
        except OSError:
            continue
        found.append(f"{name} {status.st_size} {status.st_mtime_ns}")
    return " ".join([folder, *found])
