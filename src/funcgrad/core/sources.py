"""The user's frame: which line outside this package led to an eqn or an error.

A source is the code object and instruction offset of the innermost frame that is not ours; it
costs a walk over a few frames when captured and is turned into file and line only when printed.
"""

from __future__ import annotations

import linecache
import os
import sys
from types import CodeType, FrameType

from ..ir.jaxpr import Source
from .context import context

_package = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_skipped = (os.sep + "contextlib.py", os.sep + "functools.py")
_internal: dict[CodeType, bool] = {}


def is_internal(code: CodeType) -> bool:
    """Whether the code belongs to this package or to the plumbing it calls through."""
    known = _internal.get(code)
    if known is None:
        name = code.co_filename
        known = _internal[code] = name.startswith((_package, "<")) or name.endswith(_skipped)
    return known


def current_source() -> Source | None:
    """The source to record now: an override, or the innermost user frame."""
    if context.source is not None:
        return context.source
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        code = frame.f_code
        known = _internal.get(code)
        if known is None:
            known = is_internal(code)
        if not known:
            return Source(code, frame.f_lasti, context.name_stack)
        frame = frame.f_back
    return Source(None, 0, context.name_stack) if context.name_stack else None


def line_of(source: Source) -> int:
    """Line number of a source in its file; 0 when unknown."""
    if source.code is None:
        return 0
    for start, end, line in source.code.co_lines():
        if start <= source.instruction < end and line is not None:
            return line
    return source.code.co_firstlineno


def describe(source: Source | None) -> str:
    """`train.py:41 in loss:  y = x @ w`; empty when unknown."""
    if source is None or source.code is None:
        return ""
    path, line = source.code.co_filename, line_of(source)
    text = linecache.getline(path, line).strip()
    where = f"{os.path.basename(path)}:{line} in {source.code.co_name}"
    return f"{where}:  {text}" if text else where


def user_line() -> str:
    """The user's current line as text, for error messages."""
    return describe(current_source())
