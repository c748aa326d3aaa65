"""The user's frame: which line outside this package led to an eqn or an error.

A source is the code object and instruction offset of the innermost frame that is not ours; it
costs a walk over a few frames when captured and is turned into file and line only when printed.
"""

from __future__ import annotations

from ..ir.sources import Source, innermost
from ..ir.sources import describe as describe
from .context import context


def current_source(ours: int = 1) -> Source | None:
    """The source to record now: an override, or the innermost user frame.

    Args:
        ours: how many frames, from this one on, are known not to be the user's.
    """
    if context.source is not None:
        return context.source
    return innermost(ours + 1, context.name_stack)


def user_line() -> str:
    """The user's current line as text, for error messages."""
    return describe(current_source())
