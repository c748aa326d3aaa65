"""The user's frame: which line outside this package led to an eqn or an error.

A source is the code object and instruction offset of the innermost frame that is not ours; it
costs a walk over a few frames when captured and is turned into file and line only when printed.
"""

from __future__ import annotations

import sys
from types import FrameType

from ..ir.sources import Source, internal_files, is_internal
from ..ir.sources import describe as describe
from .context import context


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
        known = internal_files.get(code.co_filename)
        if known is None:
            known = is_internal(code)
        if not known:
            return Source(code, frame.f_lasti, context.name_stack)
        frame = frame.f_back
    return Source(None, 0, context.name_stack) if context.name_stack else None


def user_line() -> str:
    """The user's current line as text, for error messages."""
    return describe(current_source())
