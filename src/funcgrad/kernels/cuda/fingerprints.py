"""What a user's kernel is made from, in words that another process would write too.

In: a Python function for numba.cuda. Out: nested tuples for the key of its cubin, or nothing where
a part of it has no words. The one idea: Numba reads the function's code and, as constants, what it
names outside of itself; a cubin may be kept exactly if all of that can be said.
"""

from __future__ import annotations

import builtins
import dis
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np

# Of these Numba knows all functions by name; a module of the user's could change beside the kernel.
_KNOWN = ("numba", "numba_cuda", "numpy", "math", "cmath", "operator", "builtins")


class NoWords(Exception):
    """A part of a kernel cannot be told from others that look alike."""


def fingerprint(function: Callable[..., Any]) -> tuple[Any, ...] | None:
    """What the code of a kernel depends on; None where that cannot be said."""
    try:
        return _function(function, {})
    except NoWords:
        return None


def _function(function: Any, met: dict[int, int]) -> tuple[Any, ...]:
    """A function: its code, and the values of the names that are not its own.

    Args:
        met: the functions so far, by identity: one may call itself.
    """
    if id(function) in met:
        return "again", met[id(function)]
    met[id(function)] = len(met)
    code = function.__code__
    closure = zip(code.co_freevars, function.__closure__ or (), strict=True)
    try:
        cells = [(name, _value(cell.cell_contents, met)) for name, cell in closure]
    except ValueError:  # a name of the function around that has no value yet
        raise NoWords from None
    known = function.__globals__
    outside = [
        (name, _value(known[name], met) if name in known else _builtin(name))
        for name in sorted(set(_global_names(code)))
    ]
    defaults = _value(function.__defaults__ or (), met)
    return "function", _code(code), cells, outside, defaults


def _global_names(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for x in code.co_consts:
        if isinstance(x, types.CodeType):
            yield from _global_names(x)


def _code(code: types.CodeType) -> tuple[Any, ...]:
    """Instructions with their constants and names; where the text stands is no part of it."""
    constants = [_code(x) if isinstance(x, types.CodeType) else _plain(x) for x in code.co_consts]
    names = [list(code.co_names), list(code.co_varnames), list(code.co_freevars)]
    return code.co_code, constants, names, code.co_argcount, code.co_name, code.co_exceptiontable


def _plain(x: Any) -> tuple[Any, ...]:
    """A constant, with its type."""
    kind = type(x).__name__
    if isinstance(x, (bool, int, float, complex, str, bytes)) or x is None:
        return kind, x
    if isinstance(x, (tuple, list)):
        return kind, [_plain(item) for item in cast("Sequence[Any]", x)]
    if isinstance(x, frozenset):
        return kind, sorted(repr(_plain(item)) for item in cast("frozenset[Any]", x))
    if x is ...:
        return kind, "..."
    raise NoWords


def _builtin(name: str) -> tuple[Any, ...]:
    if not hasattr(builtins, name):
        raise NoWords  # a global that has no value yet
    return "builtin", name


def _value(x: Any, met: dict[int, int]) -> tuple[Any, ...]:
    """What a name outside of the function stands for."""
    kind = f"{type(x).__module__}.{type(x).__qualname__}"
    if isinstance(x, (np.ndarray, np.generic)):
        array = np.asarray(cast("Any", x))
        if array.dtype.hasobject:
            raise NoWords
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        return kind, array.dtype, list(array.shape), order, array.tobytes()
    if isinstance(x, types.ModuleType):
        return "module", _known(x.__name__)
    if isinstance(x, np.dtype):
        return kind, x  # pyright: ignore[reportUnknownVariableType]
    plain = getattr(x, "py_func", None)
    if isinstance(plain, types.FunctionType):
        options: Any = getattr(x, "targetoptions", {})
        told = [(k, repr(options[k])) for k in sorted(options)]
        if any(" at 0x" in text for _, text in told):
            raise NoWords
        return kind, _function(plain, met), told
    if isinstance(x, types.FunctionType) and not _is_known(x.__module__ or ""):
        return _function(x, met)
    if isinstance(x, (type, types.FunctionType, types.BuiltinFunctionType, np.ufunc)):
        return "named", _known(getattr(x, "__module__", None) or "numpy"), x.__name__
    if _is_known(kind) and kind.split(".")[0].startswith("numba") and " at 0x" not in repr(x):
        return kind, repr(x)
    if isinstance(x, tuple):
        items = cast("Sequence[Any]", x)
        return kind, [*getattr(items, "_fields", ())], [_value(item, met) for item in items]
    return _plain(x)


def _is_known(name: str) -> bool:
    return name.partition(".")[0] in _KNOWN


def _known(name: str) -> str:
    if not _is_known(name):
        raise NoWords
    return name
