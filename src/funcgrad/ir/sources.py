"""Sources as text: the user's file, line and code."""

from __future__ import annotations

import linecache
import os

from .jaxpr import Source


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
