"""The only file that knows numba.cuda: users' kernels, and the oracle of our own compiler.

Of numba.cuda are used: `compile`, functions that are inlined, intrinsics and launch bounds. No
driver is asked for anything, so that kernels are made on machines without a GPU.
"""

from __future__ import annotations

import itertools
import linecache
import warnings
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from .intrinsics import intrinsics

_serial = itertools.count()


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
        "device": cuda.jit(device=True, inline="always"),
        "kernel": _plain,
        **intrinsics(extending, types),
    }


def custom_ptx(
    function: Any,
    text: str,
    name: str,
    arrays: Sequence[Any],
    threads: int,
    version: tuple[int, int],
) -> str:
    """A user's kernel as PTX.

    Args:
        function: the user's, which the text calls `user`.
        arrays: dtype, rank and whether it is only read, of each argument.
    Raises:
        TypeError: numba.cuda cannot compile it for these arguments.
    """
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
        return ptx
    except Exception as error:
        shown = ", ".join(map(str, given))
        raise TypeError(
            f"numba.cuda cannot compile the kernel {function.__name__} for the arguments ({shown})."
            f"\n{error}\n  What is read arrives as read-only arrays, scalars where the rank is 0; "
            "the arrays to write follow. Functions that it calls need "
            "cuda.jit(device=True, inline='always')."
        ) from error


def kernel_ptx(
    text: str, name: str, kinds: Sequence[str], bounds: tuple[int, int], version: tuple[int, int]
) -> str:
    """A kernel of our own as PTX."""
    cuda: Any = import_module("numba.cuda")
    types: Any = import_module("numba.cuda.types")
    file = f"<funcgrad cuda {name} {next(_serial)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names = dict(_namespace())
    pointers = [types.CPointer(getattr(types, kind)) for kind in kinds]
    options: dict[str, Any] = {"device": False, "abi": "numba", "launch_bounds": bounds}
    try:
        exec(compile(text, file, "exec"), names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ptx, _ = cuda.compile(names[name], types.void(*pointers), cc=version, **options)
        return ptx
    finally:
        linecache.cache.pop(file, None)
