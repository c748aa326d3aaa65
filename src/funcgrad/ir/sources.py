"""Sources: which code is ours, and the user's file, line and code as text.

The one idea: an eqn keeps a code object and an instruction of it, which cost nothing; file, line
and text are looked up only when somebody reads them.
"""

from __future__ import annotations

import linecache
import os
import sys
from types import CodeType, FrameType
from typing import Any, NamedTuple

_package = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Plumbing between the user and us: contexts, wrappers, and run-time checks of annotations.
_starts = (_package, "<frozen", "<@beartype")
_ends = tuple(
    os.sep + name
    for name in ("contextlib.py", "functools.py", os.path.join("jaxtyping", "_decorator.py"))
)
internal_files: dict[str, bool] = {}


class Source(NamedTuple):
    """Where in the user's file an eqn came from; resolved to text only when printed."""

    code: Any
    instruction: int
    name_stack: str = ""


def is_internal(code: CodeType) -> bool:
    """Whether the code belongs to this package or to the plumbing it calls through."""
    name = code.co_filename
    known = internal_files.get(name)
    if known is None:
        known = internal_files[name] = name.startswith(_starts) or name.endswith(_ends)
    return known


def innermost(ours: int = 1, name_stack: str = "") -> Source | None:
    """The source of the innermost frame that is the user's.

    Args:
        ours: how many frames, from this one on, are known not to be the user's.
    """
    frame: FrameType | None = sys._getframe(ours)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        code = frame.f_code
        known = internal_files.get(code.co_filename)
        if known is None:
            known = is_internal(code)
        if not known:
            return Source(code, frame.f_lasti, name_stack)
        frame = frame.f_back
    return Source(None, 0, name_stack) if name_stack else None


def in_line() -> str:
    """A line break and the user's current line, for the end of a message; empty when unknown."""
    line = describe(innermost(2))
    return f"\n  {line}" if line else ""


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
