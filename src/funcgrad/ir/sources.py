"""Sources: which code is ours, and the user's file, line and code as text.

The one idea: an eqn keeps a code object and an instruction of it, which cost nothing; file, line
and text are looked up only when somebody reads them.
"""

from __future__ import annotations

import linecache
import os
from types import CodeType
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
