"""No search for garbage while a program is made.

Tracing and compiling make ten thousands of objects, all of which are needed until the program is
done. Python's collector counts objects: it would look through the new ones again and again, and
now and then through all that the process has, to find nothing. It goes on when the program is
made, unless whoever uses the library has turned it off.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from contextlib import contextmanager

from ..locks import lock

_lock = lock()
_making = 0  # how many programs are being made, in all threads and within each other
_was_on = False


@contextmanager
def put_off() -> Generator[None]:
    """Let the collector wait until the body of the with-statement, or the decorated call, ends."""
    global _making, _was_on
    with _lock:
        if not _making:
            _was_on = gc.isenabled()
            gc.disable()
        _making += 1
    try:
        yield
    finally:
        with _lock:
            # In the child of a fork it may have gone on already.
            _making = max(_making - 1, 0)
            if not _making and _was_on:
                gc.enable()


def _after_fork_in_child() -> None:
    """Go on: the threads that were making programs are not here."""
    global _making
    if _making and _was_on:
        gc.enable()
    _making = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
