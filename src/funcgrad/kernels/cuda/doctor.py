"""What is missing before kernels for a GPU can be made, and before they can run.

In: this machine. Out: a few lines, each with the line that mends it. The one idea: the driver is
asked as programs ask it, wherever the loader finds it, so that what is said here is what they
will meet; no package is imported for it.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from . import adapter, cublaslt, cudnn, nccl

_LIBRARY = "libcuda.so.1"


class Found(NamedTuple):
    """What the driver says: the CUDA that it supports (0: no driver), its GPUs, or an error."""

    version: int
    devices: tuple[str, ...]
    error: str = ""


def report() -> tuple[str, bool]:
    """The lines, and whether nothing is missing."""
    rows: list[tuple[str, str, str]] = []
    absent = adapter.missing()
    for package in adapter.VERSIONED:
        version, name = adapter.version_of(package), package.split()[0]
        file = adapter.libdevice()
        if version:
            rows.append((name, version, ""))
        elif name == "nvidia-nvvm" and file is not None:
            rows.append((name, f"of the toolkit that {file} is of", ""))
        else:
            rows.append((name, "missing: no kernel can be compiled", adapter.remedy_of([name])))
            absent.append(name)
    for package in adapter.NUMBA.values():
        version = adapter.version_of(package)
        lack = "missing: kernels of custom_kernel(cuda=) cannot be compiled"
        rows.append((package, version or lack, "" if version else adapter.remedy()))
    version = adapter.version_of(cublaslt.PACKAGE)
    lack = "missing: products are done by kernels of our own"
    rows.append((cublaslt.PACKAGE, version or lack, "" if version else adapter.remedy()))
    version = adapter.version_of(cudnn.PACKAGE)
    lack = "missing: convolutions are done by kernels of our own"
    rows.append((cudnn.PACKAGE, version or lack, "" if version else cudnn.remedy()))
    if version and not adapter.version_of(cudnn.LIBRARIES):
        state = "no package: only a libcudnn.so.9 that the loader finds will do"
        rows.append((cudnn.LIBRARIES.split()[0], state, cudnn.remedy()))
    version = adapter.version_of(nccl.PACKAGE)
    lack = "missing: programs run on one GPU, collectives of several do not"
    rows.append((nccl.PACKAGE, version or lack, "" if version else nccl.remedy()))
    found = ask()
    wanted, fits = adapter.toolkit(), found.version // 1000 >= adapter.toolkit()
    told = f"of CUDA {found.version // 1000}.{found.version % 1000 // 10}"
    newer = f"install NVIDIA's driver, {adapter.driver_wanted()}"
    if not found.version:
        rows.append(("driver", "missing: kernels can be compiled, not run", newer))
    elif not fits:
        state = f"{told}, too old for packages of CUDA {wanted}"
        rows.append(("driver", state, f"pip install 'funcgrad[cuda12]', or {newer}"))
    else:
        rows.append(("driver", told, ""))
    if found.devices:
        rows.append(("devices", ", ".join(found.devices), ""))
    else:
        remedy = (
            "run where /dev/nvidia0 is; in a container, with --gpus all; and look at "
            "CUDA_VISIBLE_DEVICES"
        )
        rows.append(("devices", f"none{found.error and f' ({found.error})'}", remedy))
    width = max(len(what) for what, _, _ in rows)
    lines = [
        f"{what:<{width}}  {state}" + (f"\n{'':<{width}}  mended by: {line}" if line else "")
        for what, state, line in rows
    ]
    return "\n".join(lines) + "\n", not absent and fits and bool(found.devices)


def ask() -> Found:
    """What the driver says."""
    try:
        cuda = ctypes.CDLL(_LIBRARY)
    except OSError:
        return Found(0, ())
    number = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(number))
    version = number.value
    code = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(number))
    if code:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(code, ctypes.byref(text))
        return Found(version, (), (text.value or b"").decode(errors="replace"))
    names: list[str] = []
    for k in range(number.value):
        device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
        cuda.cuDeviceGet(ctypes.byref(device), k)
        cuda.cuDeviceGetName(name, 256, device)
        names.append(name.value.decode(errors="replace"))
    return Found(version, tuple(names))
