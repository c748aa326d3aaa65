"""Programs that an earlier process compiled.

In: a traced jaxpr. Out: an `Executable`, made from what the store holds where it does, else
simplified, compiled and stored. The one idea: what is needed to call a program beside its machine
code is a few numbers, so nothing of the compiler runs, or is imported, when the store has it; the
program is not even simplified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..config import config
from ..ir.jaxpr import ClosedJaxpr
from ..ir.loops import Native
from .canonical import Canonical, NoText
from .custom import NativeCall, NumbaKernel, host_of_natives, signature_read
from .runtime import cache
from .runtime.launch import Executable

Simplify = Callable[[ClosedJaxpr], ClosedJaxpr]

# What rules read that simplification calls.
_OPTIONS = (
    "enable_x64",
    "numpy_rank_promotion",
    "numpy_dtype_promotion",
    "default_matmul_precision",
)


def executable_for(closed: ClosedJaxpr, simplify: Simplify) -> Executable:
    """The compiled program of a traced jaxpr."""
    key, program = _key(closed)
    captured = program.captured if program else []
    if key is not None and program is not None:
        entry = cache.get(key)
        if entry is not None:
            from .linking import linked

            constants = [_restored(c, captured) for c in entry.meta["constants"]]
            natives = _natives(entry.meta["natives"], program.functions)
            host = host_of_natives(natives) if natives else None
            # Not `closed` itself: for as long as it lives, its executable is kept.
            same = partial(simplify, ClosedJaxpr(closed.jaxpr, closed.consts))
            avals = closed.out_avals
            return linked(entry.object_bytes, entry.meta, constants, avals, same, host, natives)
    from . import executables, pipeline

    stages = pipeline.lower(simplify(closed), simplify)
    described: list[Any] | None = None
    if key is not None and all(call.native for call in stages.host_calls):
        described = _described(executables.constants_of(stages), captured)
    if key is None or program is None or described is None:
        # It must be lowered in each process; its code at least is found by its text.
        return pipeline.executable(stages, cache.compiled(stages.llvm))
    code = pipeline.machine_code(stages)
    places = {id(f): k for k, f in enumerate(program.functions)}
    natives = [
        [number, places[id(native.function)], native.signature.written(), list(native.extents)]
        for number, (native, _) in executables.natives_of(stages.host_calls).items()
    ]
    meta = {
        **executables.described(stages, stages.llvm),
        "constants": described,
        "natives": natives,
    }
    cache.put(key, code, meta)
    return pipeline.executable(stages, code)


def _key(closed: ClosedJaxpr) -> tuple[str | None, Canonical | None]:
    # Whoever wants to see the stages wants them made.
    if not config.cache or config.debug:
        return None, None
    try:
        canonical = Canonical(closed, evaluated=True)
    except NoText:
        return None, None
    options = [config.read(name) for name in _OPTIONS]
    return cache.key_of("program", options, canonical.text), canonical


def _natives(written: Sequence[Any], functions: Mapping[NumbaKernel, str]) -> dict[int, NativeCall]:
    """The native calls of a stored program, to the functions that this process has for them."""
    known: list[NumbaKernel] = list(functions)
    found: dict[int, NativeCall] = {}
    for number, place, signature, extents in written:
        native = Native(known[place], signature_read(signature), tuple(extents))
        found[number] = NativeCall(native, functions[known[place]])
    return found


def _described(
    constants: Sequence[np.ndarray[Any, Any]], captured: Sequence[np.ndarray[Any, Any]]
) -> list[Any] | None:
    """Each constant as the number of a captured array, its bytes, or what a table is made from.

    Returns:
        None if one is too large.
    """
    where = {id(c): k for k, c in enumerate(captured)}
    from .library.fft_tables import recipe_of

    found: list[Any] = []
    for array in constants:
        if id(array) in where:
            found.append(where[id(array)])
        elif not array.ndim and array.dtype.kind in "biuf" and array.dtype.isbuiltin == 1:
            found.append([array.tobytes().hex(), array.dtype.str, list(array.shape)])
        elif (recipe := recipe_of(array)) is not None:
            found.append(["table", recipe])
        else:
            return None
    return found


def _restored(described: Any, captured: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    if isinstance(described, int):
        return captured[described]
    if described[0] == "table":
        from .library.fft_tables import from_recipe

        return from_recipe(described[1])
    text, dtype, shape = described
    return np.ndarray(shape, dtype, bytes.fromhex(text))
