"""What is missing before kernels for a GPU can be made, and before they can run.

In: this machine. Out: a few lines, each with the line that mends it. Nothing is imported for it but
the tables of what is installed.
"""

from __future__ import annotations

import ctypes.util
import os
import re
from pathlib import Path

from . import adapter, cublaslt, nccl

_KERNEL_MODULE = Path("/proc/driver/nvidia/version")


def report() -> tuple[str, bool]:
    """The lines, and whether nothing is missing."""
    rows: list[tuple[str, str, str]] = []
    absent = adapter.missing()
    for package in adapter.VERSIONED:
        version, name = adapter.version_of(package), package.split()[0]
        if version:
            rows.append((name, version, ""))
        else:
            rows.append((name, "missing: no kernel can be compiled", adapter.remedy()))
            absent.append(name)
    for package in adapter.NUMBA.values():
        version = adapter.version_of(package)
        lack = "missing: kernels of custom_kernel(cuda=) cannot be compiled"
        rows.append((package, version or lack, "" if version else adapter.remedy()))
    version = adapter.version_of(cublaslt.PACKAGE)
    lack = "missing: products are done by kernels of our own"
    rows.append((cublaslt.PACKAGE, version or lack, "" if version else adapter.remedy()))
    version = adapter.version_of(nccl.PACKAGE)
    lack = "missing: programs run on one GPU, collectives of several do not"
    rows.append((nccl.PACKAGE, version or lack, "" if version else nccl.remedy()))
    driver = _driver()
    if driver:
        rows.append(("driver", driver, ""))
    else:
        remedy = f"install NVIDIA's driver, {adapter.driver_wanted()}"
        rows.append(("driver", "missing: kernels can be compiled, not run", remedy))
    devices = _devices()
    if devices:
        rows.append(("devices", ", ".join(devices), ""))
    else:
        remedy = "run where /dev/nvidia0 is; in a container, with --gpus all"
        rows.append(("devices", "none", remedy))
    width = max(len(what) for what, _, _ in rows)
    lines = [
        f"{what:<{width}}  {state}" + (f"\n{'':<{width}}  mended by: {line}" if line else "")
        for what, state, line in rows
    ]
    return "\n".join(lines) + "\n", not absent and bool(driver and devices)


def _driver() -> str:
    """The version of the driver; empty without one."""
    if not ctypes.util.find_library("cuda"):
        return ""
    try:
        told = _KERNEL_MODULE.read_text()
    except OSError:
        return "there, of unknown version"
    found = re.search(r"(\d+\.\d+(\.\d+)?)", told)
    return found[1] if found else "there, of unknown version"


def _devices() -> list[str]:
    """The devices whose files are there."""
    try:
        return sorted(
            f"/dev/{name}" for name in os.listdir("/dev") if re.fullmatch(r"nvidia\d+", name)
        )
    except OSError:
        return []
