"""Warnings that point at the user's line.

The one idea: a warning is counted, so that whoever leaves out work that was done before knows that
the work says something.
"""

from __future__ import annotations

import sys
import threading
import warnings
from types import FrameType

from .sources import is_internal


class _Count(threading.local):
    issued = 0


_count = _Count()


def caution(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn, at the innermost line that is not of this package."""
    _count.issued += 1
    level = 1
    frame: FrameType | None = sys._getframe()  # pyright: ignore[reportPrivateUsage]
    while frame is not None and is_internal(frame.f_code):
        level += 1
        frame = frame.f_back
    warnings.warn(text, category, stacklevel=level)


def cautions() -> int:
    """How many warnings there were in this thread."""
    return _count.issued
