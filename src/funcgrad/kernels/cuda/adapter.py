"""The only file that knows libNVVM and nvJitLink: text comes in, a cubin goes out.

    text → LLVM's language (`llvm/`) → PTX (libNVVM) → cubin (nvJitLink)

No driver is asked for anything, so that kernels are made on machines without a GPU. With
`config.lowering` "source" it is numba.cuda that makes PTX of the same text.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ...config import config
from ...errors import CompileError
from ..runtime import cache as store
from ..runtime.machine import available_cores
from .fingerprints import fingerprint
from .llvm.gpu import Gpu
from .llvm.module import Module

# What is imported, and the package that has it. Where there are two words, CUDA 13 calls it by the
# first one and CUDA 12 by the second.
_TOOLKIT = "nvidia.cu13 nvidia.cuda_nvcc"
PACKAGES = {"cuda.bindings": "cuda-bindings", _TOOLKIT: "nvidia-nvvm"}
NUMBA = {"numba_cuda": "numba-cuda"}
VERSIONED = (
    "cuda-bindings",
    "nvidia-nvvm nvidia-cuda-nvcc-cu12",
    "nvidia-nvjitlink nvidia-nvjitlink-cu12",
)
# The oldest driver for the packages of each version of CUDA.
_DRIVERS = {12: 525, 13: 580}
Made = TypeVar("Made")
TARGETS = re.compile(r"sm_(\d+)(\d)")
OLDEST = (8, 0)

# NVIDIA's library of functions, in each toolkit.
_LIBDEVICE = "nvvm/libdevice/libdevice.10.bc"
# What names a CUDA toolkit that is no package; cuda-bindings finds libNVVM there too.
TOOLKIT_VARIABLES = ("CUDA_PATH", "CUDA_HOME")
# Where NVIDIA's installer puts one.
USUAL_TOOLKIT = "/usr/local/cuda"


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


def toolkit() -> int:
    """The version of CUDA that the packages here are of, or would be."""
    return int((version_of("cuda-bindings") or "13").partition(".")[0])


def remedy() -> str:
    """The line that brings what is missing, of the version of what is there."""
    return f"pip install 'funcgrad[cuda{12 if toolkit() == 12 else 13}]'"


def remedy_of(absent: Sequence[str]) -> str:
    """The line that brings packages, or names the toolkit that has what is missing."""
    nvcc = shutil.which("nvcc")
    folders = [Path(nvcc).resolve().parents[1]] if nvcc else []
    here = [f for f in (*folders, Path(USUAL_TOOLKIT)) if (f / _LIBDEVICE).exists()]
    named = [f"export {TOOLKIT_VARIABLES[1]}={here[0]}"] if here else []
    if set(absent) == {PACKAGES.get(_TOOLKIT)} and named:
        return f"{named[0]}, the CUDA toolkit that is here; or {remedy()}"
    return remedy()


def driver_wanted() -> str:
    """From which driver on the packages can be used."""
    version = 12 if toolkit() == 12 else 13
    return f"from {_DRIVERS[version]} on for CUDA {version} (nvidia.com/drivers)"


def missing(packages: Mapping[str, str] | None = None) -> list[str]:
    """The packages that are needed to compile for a GPU, and are not installed."""
    needed = PACKAGES if packages is None else packages
    return [package for modules, package in needed.items() if not _present(modules)]


def _present(modules: str) -> bool:
    return libdevice() is not None if modules == _TOOLKIT else any(map(_found, modules.split()))


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


def require(numba: bool = False) -> None:
    """Stop where kernels for a GPU cannot be compiled.

    Args:
        numba: whether numba.cuda is needed too.
    Raises:
        ModuleNotFoundError: a package is missing.
    """
    absent = [*missing(), *(missing(NUMBA) if numba else ())]
    if absent:
        raise ModuleNotFoundError(
            f"Compiling for a GPU needs {', '.join(absent)}, which this Python does not have. "
            f"Install it: {remedy_of(absent)}"
        )


class Source(NamedTuple):
    """A kernel to compile.

    Attributes:
        text: a module of `device` functions and the kernel.
        kinds: types that its pointers point to.
        bounds: threads of a block, and how many blocks a multiprocessor shall have room for.
    """

    text: str
    name: str
    kinds: tuple[str, ...]
    bounds: tuple[int, int]


def cubins(sources: Sequence[Source], target: str) -> list[Cubin]:
    """Kernels compiled for a target, or found on disk.

    Raises:
        ModuleNotFoundError: a package is missing.
        CompileError: a text cannot be compiled.
    """
    version = capability(target)
    by_numba = config.lowering == "source"
    versions = [*_versions(), *([_version("numba-cuda")] if by_numba else ())]
    keys = [store.key_of("cuda", *source, target, versions) for source in sources]
    found: dict[str, Cubin] = {}
    for key in dict.fromkeys(keys):
        entry = store.get(key)
        if entry is not None:
            found[key] = _stored(entry)
    absent = {k: s for k, s in zip(keys, sources, strict=True) if k not in found}
    if absent:
        require(by_numba)
        make = _by_numba if by_numba else _by_nvvm
        for key, made in zip(absent, make(list(absent.values()), version), strict=True):
            _store(key, made)
            found[key] = made
    return [found[key] for key in keys]


@cache
def _versions() -> list[str]:
    file = libdevice()
    # Of a toolkit that is no package, the place and the day are all that is known without it.
    where = "" if file is None else f"{file.resolve()} {file.stat().st_mtime_ns}"
    return [*map(_version, VERSIONED), where]


def _version(packages: str) -> str:
    return f"{packages} {version_of(packages) or 'absent'}"


def custom_cubin(
    function: Any, text: str, name: str, arrays: Sequence[Any], threads: int, target: str
) -> Cubin:
    """A user's kernel compiled for a target, or found on disk.

    It is kept there if all that it is made from can be said: see `fingerprints`.

    Args:
        function: the user's, which the text calls `user`.
        arrays: dtype, rank and whether it is only read, of each argument.
    Raises:
        ModuleNotFoundError: a package is missing.
        TypeError: numba.cuda cannot compile it for these arguments.
    """
    version = capability(target)
    made_from = fingerprint(function)
    key = ""
    if made_from is not None:
        versions = [*_versions(), _version("numba-cuda"), _version("numba"), sys.version]
        kinds = [(np.dtype(dtype), rank, read) for dtype, rank, read in arrays]
        key = store.key_of("custom cuda", made_from, kinds, threads, target, versions)
        entry = store.get(key)
        if entry is not None:
            return _stored(entry)
    require(numba=True)
    ptx = _numba().custom_ptx(function, text, name, arrays, threads, version)
    made = _linked(ptx, version)
    if key:
        _store(key, made)
    return made


def _stored(entry: store.Entry) -> Cubin:
    meta: dict[str, Any] = {**entry.meta, "code": entry.object_bytes}
    return Cubin(**meta)


def _store(key: str, made: Cubin) -> None:
    store.put(key, made.code, made._replace(code=b"")._asdict() | {"code": ""})


def _numba() -> Any:
    """What makes PTX by numba.cuda, which nothing else needs."""
    return import_module(f"{__package__}.with_numba")


def _by_numba(sources: Sequence[Source], version: tuple[int, int]) -> list[Cubin]:
    def made(source: Source) -> Cubin:
        return _linked(_numba().kernel_ptx(*source, version), version)

    return [_checked(source, partial(made, source)) for source in sources]


def _by_nvvm(sources: Sequence[Source], version: tuple[int, int]) -> list[Cubin]:
    """Kernels by our own compiler: side by side, and those that are alike once."""

    def made(text: str) -> Cubin:
        return _linked(_assembly(text, version), version)

    pending: dict[str, Future[Cubin]] = {}
    with ThreadPoolExecutor(min(len(sources), available_cores())) as pool:
        texts: list[str] = []
        for source in sources:
            text = _checked(source, partial(nvvm_text, source))
            texts.append(text)
            if text not in pending:
                pending[text] = pool.submit(made, text)
        return [
            _checked(source, pending[text].result)
            for source, text in zip(sources, texts, strict=True)
        ]


def _checked(source: Source, make: Callable[[], Made]) -> Made:
    """What is made of a kernel; an error shows its text."""
    try:
        return make()
    except Exception as error:
        told = f"The GPU's kernel {source.name} does not compile: {error}\n{source.text}"
        raise CompileError(told) from error


def nvvm_text(source: Source) -> str:
    """A kernel in the language of libNVVM; the same for kernels that differ in names alone."""
    nvvm: Any = import_module("cuda.bindings.nvvm")
    module = Module(source.text, Gpu(source.bounds, nvvm.ir_version()))
    symbol = re.sub(r"\d+", "", source.name)
    return module.kernel(source.name, source.kinds, symbol)


def _assembly(text: str, version: tuple[int, int]) -> str:
    """PTX of a module."""
    nvvm: Any = import_module("cuda.bindings.nvvm")
    options = ["-opt=3", f"-arch=compute_{version[0]}{version[1]}"]
    program = nvvm.create_program()
    try:
        data = text.encode()
        nvvm.add_module_to_program(program, data, len(data), "kernel")
        try:
            nvvm.verify_program(program, len(options), options)
            if "@__nv_" in text:
                # After the check, which its own code would not pass.
                library = _library()
                nvvm.lazy_add_module_to_program(program, library, len(library), "libdevice")
            nvvm.compile_program(program, len(options), options)
        except Exception as error:
            log = bytearray(nvvm.get_program_log_size(program))
            nvvm.get_program_log(program, log)
            raise CompileError(f"{error}\n{log.decode(errors='replace')}") from error
        ptx = bytearray(nvvm.get_compiled_result_size(program))
        nvvm.get_compiled_result(program, ptx)
    finally:
        nvvm.destroy_program(program)
    return ptx.decode().strip("\0")


def libdevice() -> Path | None:
    """NVIDIA's library of functions, beside libNVVM: of a package, or of a CUDA toolkit."""
    folders = [os.environ.get(name, "") for name in TOOLKIT_VARIABLES]
    for module in filter(_found, reversed(_TOOLKIT.split())):
        spec = util.find_spec(module)
        folders = [*((spec and spec.submodule_search_locations) or ()), *folders]
    files = [Path(folder, _LIBDEVICE) for folder in folders if folder]
    return next((file for file in files if file.exists()), None)


@cache
def _library() -> bytes:
    """NVIDIA's library of functions, as bitcode."""
    file = libdevice()
    if file is None:
        raise CompileError(f"{_LIBDEVICE} is in none of {_TOOLKIT}. {remedy()}")
    return file.read_bytes()


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
        # Told of what the text asks for, then of what the cubin does.
        max(map(int, re.findall(r"(\d+) bytes smem", told)), default=0),
    )
