"""No search for garbage while a program is made.

Tracing and compiling make ten thousands of objects, all of which are needed until the program is
done. Python's collector counts objects: it would look through the new ones again and again, and
now and then through all that the process has, to find nothing. It goes on when the program is
made, unless whoever uses the library has turned it off.

There it would begin with a look through all that was made. Of the first programs of a process,
whose calls are waited for, it is told that what there is now is old: it looks there when it next
looks everywhere. Later ones are looked through, for who makes programs again and again may leave
garbage again and again, and nothing but such a look leads to one everywhere.
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
# Programs, of which each is traced and made; how many of both have been.
_FIRST = 2 * 16
_made = 0


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
                _grow_old()
                gc.enable()


def _grow_old() -> None:
    """Have the collector take what there is for old, for the first programs."""
    global _made
    # What whoever uses the library has frozen is to stay so.
    if _made < _FIRST and not gc.get_freeze_count():
        _made += 1
        gc.freeze()
        gc.unfreeze()


def _after_fork_in_child() -> None:
    """Go on: the threads that were making programs are not here."""
    global _making
    if _making and _was_on:
        gc.enable()
    _making = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
