"""Programs that an earlier process compiled.

In: a simplified jaxpr. Out: an `Executable`, made from what the store holds where it does, else
compiled and stored. The one idea: what is needed to call a program beside its machine code is a
few numbers, so nothing of the compiler runs, or is imported, when the store has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..config import config
from ..ir.jaxpr import ClosedJaxpr
from .canonical import Canonical, NoText
from .runtime import cache
from .runtime.launch import Executable

Simplify = Callable[[ClosedJaxpr], ClosedJaxpr]


def executable_for(closed: ClosedJaxpr, simplify: Simplify) -> Executable:
    """The program of a simplified jaxpr."""
    key, captured = _key(closed)
    if key is not None:
        entry = cache.get(key)
        if entry is not None:
            from .linking import linked

            constants = [_restored(c, captured) for c in entry.meta["constants"]]
            return linked(entry.object_bytes, entry.meta, constants, closed.out_avals)
    from . import pipeline

    stages = pipeline.lower(closed, simplify)
    described: list[Any] | None = None
    if key is not None and not stages.host_calls:
        described = _described(pipeline.constants_of(stages), captured)
    if key is None or described is None:
        # It must be lowered in each process; its code at least is found by its text.
        return pipeline.executable(stages, cache.compiled(stages.llvm))
    code = pipeline.machine_code(stages)
    cache.put(key, code, {**pipeline.described(stages), "constants": described})
    return pipeline.executable(stages, code)


def _key(closed: ClosedJaxpr) -> tuple[str | None, list[np.ndarray[Any, Any]]]:
    # Whoever wants to see the stages wants them made.
    if not config.cache or config.debug:
        return None, []
    try:
        canonical = Canonical(closed)
    except NoText:
        return None, []
    return cache.key_of("program", canonical.text), canonical.captured


def _described(
    constants: Sequence[np.ndarray[Any, Any]], captured: Sequence[np.ndarray[Any, Any]]
) -> list[Any] | None:
    """Each constant as the number of a captured array, or its bytes; None if one is too large."""
    where = {id(c): k for k, c in enumerate(captured)}
    found: list[Any] = []
    for array in constants:
        if id(array) in where:
            found.append(where[id(array)])
        elif not array.ndim and array.dtype.kind in "biuf":
            found.append([array.tobytes().hex(), array.dtype.str, list(array.shape)])
        else:
            return None
    return found


def _restored(described: Any, captured: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    if isinstance(described, int):
        return captured[described]
    text, dtype, shape = described
    return np.frombuffer(bytes.fromhex(text), dtype).reshape(shape)
