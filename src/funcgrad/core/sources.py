"""The user's frame: which line outside this package led to an eqn or an error.

A source is the code object and instruction offset of the innermost frame that is not ours; it
costs a walk over a few frames when captured and is turned into file and line only when printed.
"""

from __future__ import annotations

import os
import sys
from types import CodeType, FrameType

from ..ir.jaxpr import Source
from ..ir.sources import describe as describe
from .context import context

_package = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Plumbing between the user and us: contexts, wrappers, and run-time checks of annotations.
_starts = (_package, "<frozen", "<@beartype")
_ends = tuple(
    os.sep + name
    for name in ("contextlib.py", "functools.py", os.path.join("jaxtyping", "_decorator.py"))
)
_internal: dict[str, bool] = {}


def is_internal(code: CodeType) -> bool:
    """Whether the code belongs to this package or to the plumbing it calls through."""
    name = code.co_filename
    known = _internal.get(name)
    if known is None:
        known = _internal[name] = name.startswith(_starts) or name.endswith(_ends)
    return known


def current_source(ours: int = 1) -> Source | None:
    """The source to record now: an override, or the innermost user frame.

    Args:
        ours: how many frames, from this one on, are known not to be the user's.
    """
    if context.source is not None:
        return context.source
    frame: FrameType | None = sys._getframe(ours)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        code = frame.f_code
        known = _internal.get(code.co_filename)
        if known is None:
            known = is_internal(code)
        if not known:
            return Source(code, frame.f_lasti, context.name_stack)
        frame = frame.f_back
    return Source(None, 0, context.name_stack) if context.name_stack else None


def user_line() -> str:
    """The user's current line as text, for error messages."""
    return describe(current_source())
