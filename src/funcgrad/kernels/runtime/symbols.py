"""Addresses of the C functions that generated code may call, by the names it calls them by.

    fg_<routine>         a routine of BLAS with the arguments of cblas: fg_sgemm is cblas_sgemm
    fg_lapack_<routine>  a routine of LAPACK with Fortran's arguments: fg_lapack_sgetrf is sgetrf_
    fg_special_<name>    a special function of float64 arguments, of scipy
    fg_parallel_for      of the pool
    any other name       a function of the C library: pow, fmod, memcpy

Each library is loaded when the first of its functions is asked for. The BLAS is one of our own,
bound to one thread: what runs in parallel are the chunks that call it.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

from ...locks import lock

# What LLVM calls of itself: for copies and fills, and for operations the processor lacks.
IMPLICIT = (
    "memcpy memmove memset fmod fmodf fma fmaf pow powf exp expf exp2 exp2f log logf log2 log2f "
    "log10 log10f sin sinf cos cosf tan tanf floor floorf ceil ceilf trunc truncf rint rintf round "
    "roundf ldexp ldexpf"
).split()

BLAS_PACKAGE = "scipy_openblas32"

_lock = lock()


def resolve(names: Iterable[str] = ()) -> dict[str, int]:
    """The addresses of some functions, and of those that generated code may call unasked.

    Raises:
        KeyError: there is no function of that name.
        ImportError: the package with the function is not installed.
    """
    return implicit() | {name: address(name) for name in names}


@cache
def implicit() -> dict[str, int]:
    """The functions of the C library that the code generator calls of itself."""
    return {name: address(name) for name in IMPLICIT}


def address(name: str) -> int:
    """The address of a function; see the module for the names.

    Raises:
        KeyError: there is no function of that name.
        ImportError: the package with the function is not installed.
    """
    with _lock:  # a library loaded twice at once would be let go of once
        return _address(name)


@cache
def _address(name: str) -> int:
    if name == "fg_parallel_for":
        from .pool import pool

        return pool().parallel_for_address
    if name.startswith("fg_special_"):
        return _special(name.removeprefix("fg_special_"))
    if name.startswith("fg_lapack_"):
        return _of_library(blas(), f"scipy_{name.removeprefix('fg_lapack_')}_", name)
    if name.startswith("fg_"):
        return _of_library(blas(), f"scipy_cblas_{name.removeprefix('fg_')}", name)
    return _of_library(_process(), name, name)


@cache
def blas() -> ctypes.CDLL:
    """The BLAS library, bound to one thread.

    Raises:
        ImportError: the package is not installed, or is damaged.
    """
    path = _blas_path()
    # With as many threads as processors, loading would start them, and each takes memory. The
    # package itself is not imported: it would offer its functions to scipy, whose own BLAS is to
    # keep its threads.
    variable = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(variable)
    os.environ[variable] = "1"
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"The BLAS library {path} cannot be loaded: {error}") from error
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
    library.scipy_openblas_set_num_threads(1)
    return library


def blas_identity() -> str:
    """What tells one release of the BLAS library from another; empty where there is none."""
    try:
        status = os.stat(_blas_path())
    except (ImportError, OSError):
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def _blas_path() -> str:
    spec = importlib.util.find_spec(BLAS_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        held = os.path.join(folder, "lib")
        for name in sorted(os.listdir(held) if os.path.isdir(held) else ()):
            if "scipy_openblas" in name and name.endswith((".so", ".dylib", ".dll")):
                return os.path.join(held, name)
    missing = "is not installed" if spec is None else "holds no library"
    raise ImportError(
        f"Compiled matrix products need OpenBLAS, and the package {BLAS_PACKAGE} {missing}. "
        "Install it: pip install --force-reinstall scipy-openblas32"
    )


@cache
def _process() -> ctypes.CDLL:
    return ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)


def _of_library(library: ctypes.CDLL, symbol: str, name: str) -> int:
    function: Any = getattr(library, symbol, None)
    found = ctypes.cast(function, ctypes.c_void_p).value
    if not found:
        raise KeyError(f"there is no C function {name!r}")
    return found


def _special(name: str) -> int:
    capsules: dict[str, Any] = importlib.import_module("scipy.special.cython_special").__pyx_capi__
    # Functions of several types are there once for each, under numbered names. They take one more
    # argument, which tells them how Python called them, and which they do not read.
    named = re.compile(rf"(__pyx_fuse_[0-9_]+)?{re.escape(name)}")
    wanted = re.compile(r"double \((double, )+int __pyx_skip_dispatch\)")
    for key in sorted(capsules):
        signature = _capsule_name(capsules[key])
        if named.fullmatch(key) and wanted.fullmatch(signature.decode()):
            found = _capsule_pointer(capsules[key], signature)
            if found:
                return found
    raise KeyError(f"there is no special function {name!r} of float64 arguments")


_capsule_name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
    ("PyCapsule_GetName", ctypes.pythonapi)
)
_capsule_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
