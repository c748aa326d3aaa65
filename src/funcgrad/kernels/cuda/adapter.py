"""The only file that knows numba.cuda and nvJitLink: text comes in, a cubin goes out.

Of numba.cuda are used: `compile`, functions that are inlined, intrinsics and launch bounds. No
driver is asked for anything, so that kernels are made on machines without a GPU.
"""

from __future__ import annotations

import itertools
import linecache
import re
import warnings
from collections.abc import Sequence
from functools import cache
from importlib import import_module, metadata, util
from typing import Any, NamedTuple

import numpy as np

from ...errors import CompileError
from ..runtime import cache as store
from .intrinsics import intrinsics

# What is imported, and the package that has it. Where there are two words, CUDA 13 calls it by the
# first one and CUDA 12 by the second.
PACKAGES = {
    "numba_cuda": "numba-cuda",
    "cuda.bindings": "cuda-bindings",
    "nvidia.cu13 nvidia.cuda_nvcc": "nvidia-nvvm",
}
VERSIONED = (
    "numba-cuda",
    "cuda-bindings",
    "nvidia-nvvm nvidia-cuda-nvcc-cu12",
    "nvidia-nvjitlink nvidia-nvjitlink-cu12",
)
REMEDY = "pip install 'funcgrad[cuda13]'"
TARGETS = re.compile(r"sm_(\d+)(\d)")
OLDEST = (8, 0)

_serial = itertools.count()


class Cubin(NamedTuple):
    """A kernel in machine code.

    Attributes:
        code: the cubin, which a driver loads.
        ptx: what it was assembled from, and `entry`: the kernel's name there.
        registers: of each thread.
        spills: bytes that do not fit in registers, stored and loaded.
        shared: bytes of shared memory of each block.
    """

    code: bytes
    ptx: str
    entry: str
    registers: int
    spills: int
    shared: int


def missing() -> list[str]:
    """The packages that are needed to compile for a GPU, and are not installed."""
    return [
        package for modules, package in PACKAGES.items() if not any(map(_found, modules.split()))
    ]


def version_of(packages: str) -> str | None:
    """The version of the first of some packages that is installed."""
    for package in packages.split():
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return None


def _found(module: str) -> bool:
    try:
        return util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def capability(target: str) -> tuple[int, int]:
    """Major and minor number of a target such as "sm_90".

    Raises:
        ValueError: it is no target, or one too old.
    """
    found = TARGETS.fullmatch(target)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        raise ValueError(
            f"target {target!r} is not known: it is 'sm_80' or newer, as in "
            "jit(f).lower(x).compile(target='sm_90')."
        )
    return int(found[1]), int(found[2])


def require() -> None:
    """Stop where kernels for a GPU cannot be compiled.

    Raises:
        ModuleNotFoundError: a package is missing.
    """
    absent = missing()
    if absent:
        raise ModuleNotFoundError(
            f"Compiling for a GPU needs {', '.join(absent)}, which this Python does not have. "
            f"Install it: {REMEDY}"
        )


def cubin(
    text: str, name: str, kinds: Sequence[str], bounds: tuple[int, int], target: str
) -> Cubin:
    """A kernel compiled for a target, or found on disk.

    Args:
        text: a module of `device` functions and the kernel.
        kinds: types that its pointers point to.
        bounds: threads of a block, and how many blocks a multiprocessor shall have room for.
    Raises:
        ModuleNotFoundError: a package is missing.
        CompileError: the text cannot be compiled.
    """
    version = capability(target)
    key = store.key_of("cuda", text, name, list(kinds), bounds, target, _versions())
    entry = store.get(key)
    if entry is None:
        require()
        made = _compiled(text, name, kinds, bounds, version)
        store.put(key, made.code, made._replace(code=b"")._asdict() | {"code": ""})
        return made
    meta: dict[str, Any] = {**entry.meta, "code": entry.object_bytes}
    return Cubin(**meta)


@cache
def _versions() -> list[str]:
    return [f"{packages} {version_of(packages) or 'absent'}" for packages in VERSIONED]


def _plain(function: Any) -> Any:
    return function


@cache
def _namespace() -> dict[str, Any]:
    """What the text of a kernel may name."""
    cuda: Any = import_module("numba.cuda")
    extending: Any = import_module("numba.cuda.extending")
    types: Any = import_module("numba.cuda.types")
    return {
        **{t.__name__: t for t in (np.int8, np.int16, np.int32, np.int64, np.float32, np.float64)},
        **{t.__name__: t for t in (np.uint8, np.uint16, np.uint32, np.uint64)},
        "bool_": np.bool_,
        "np": np,
        "math": import_module("math"),
        "cuda": cuda,
        "libdevice": import_module("numba.cuda.libdevice"),
        "fg_special_gammaln": import_module("math").lgamma,
        "device": cuda.jit(device=True, inline="always"),
        "kernel": _plain,
        **intrinsics(extending, types),
    }


def custom_cubin(
    function: Any, text: str, name: str, arrays: Sequence[Any], threads: int, target: str
) -> Cubin:
    """A user's kernel compiled for a target; it is not kept on disk.

    Args:
        function: the user's, which the text calls `user`.
        arrays: dtype, rank and whether it is only read, of each argument.
    Raises:
        ModuleNotFoundError: a package is missing.
        TypeError: numba.cuda cannot compile it for these arguments.
    """
    version = capability(target)
    require()
    cuda: Any = import_module("numba.cuda")
    types: Any = import_module("numba.cuda.types")
    support: Any = import_module("numba.cuda.np.numpy_support")
    given = [
        types.Array(support.from_dtype(dtype), rank, "C", readonly=read)
        for dtype, rank, read in arrays
    ]
    names: dict[str, Any] = {"kernel": _plain}
    names["user"] = cuda.jit(device=True, inline="always")(function)
    try:
        exec(compile(text, f"<funcgrad cuda {name}>", "exec"), names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options: dict[str, Any] = {"device": False, "abi": "numba", "launch_bounds": threads}
            ptx, _ = cuda.compile(names[name], types.void(*given), cc=version, **options)
        return _linked(ptx, version)
    except Exception as error:
        shown = ", ".join(map(str, given))
        raise TypeError(
            f"numba.cuda cannot compile the kernel {function.__name__} for the arguments ({shown})."
            f"\n{error}\n  What is read arrives as read-only arrays, scalars where the rank is 0; "
            "the arrays to write follow. Functions that it calls need "
            "cuda.jit(device=True, inline='always')."
        ) from error


def _compiled(
    text: str, name: str, kinds: Sequence[str], bounds: tuple[int, int], version: tuple[int, int]
) -> Cubin:
    cuda: Any = import_module("numba.cuda")
    types: Any = import_module("numba.cuda.types")
    file = f"<funcgrad cuda {name} {next(_serial)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names = dict(_namespace())
    pointers = [types.CPointer(getattr(types, kind)) for kind in kinds]
    try:
        exec(compile(text, file, "exec"), names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ptx, _ = cuda.compile(
                names[name],
                types.void(*pointers),
                cc=version,
                device=False,
                abi="numba",
                launch_bounds=bounds,
            )
        return _linked(ptx, version)
    except Exception as error:
        raise CompileError(f"The GPU's kernel {name} does not compile: {error}\n{text}") from error
    finally:
        linecache.cache.pop(file, None)


def _linked(ptx: str, version: tuple[int, int]) -> Cubin:
    link: Any = import_module("cuda.bindings.nvjitlink")
    options = [f"-arch=sm_{version[0]}{version[1]}", "-verbose", "-O3"]
    handle = link.create(len(options), options)
    try:
        data = ptx.encode()
        link.add_data(handle, link.InputType.PTX, data, len(data), "kernel")
        link.complete(handle)
        code = bytearray(link.get_linked_cubin_size(handle))
        link.get_linked_cubin(handle, code)
        log = bytearray(link.get_info_log_size(handle))
        link.get_info_log(handle, log)
    finally:
        link.destroy(handle)
    told = log.decode(errors="replace")
    entry = re.search(r"\.entry\s+(\w+)", ptx)

    def number(pattern: str) -> int:
        return sum(map(int, re.findall(pattern, told)))

    return Cubin(
        bytes(code),
        ptx,
        entry[1] if entry else "",
        number(r"Used (\d+) registers"),
        number(r"(\d+) bytes spill"),
        number(r"(\d+) bytes smem"),
    )
