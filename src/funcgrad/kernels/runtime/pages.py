"""Pages of large memory: small ones for the first call, huge ones from the second on.

In: memory that nothing was written to. Out: the same memory. The one idea: what a step writes first
the system has to find and clear first. In huge pages (2 MiB) that is quick where such pages are at
hand, and slow where the host of a virtual machine has taken free ones back, while small pages (4
KiB) are nearly always at hand. Later calls are quicker in huge pages, for the processor remembers
where 512 times as much lies. So the system joins small pages to huge ones when a program is called
again, in a thread of its own.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import re
import sys
import threading
from typing import Any

import numpy as np

# Below, there are no huge pages: NumPy asks for none either.
SMALLEST = 1 << 22
_HUGE = 1 << 21
# What Linux 6.1 and later know; the module mmap has no name for it.
_JOIN = 25
_JOINING_SINCE = (6, 1)
_SETTING = "/sys/kernel/mm/transparent_hugepage/enabled"

_at_work: set[threading.Thread] = set()


@functools.cache
def can_join() -> bool:
    """Whether the system has huge pages, and joins small ones when it is told to."""
    if sys.platform != "linux" or not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return False
    numbers = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if numbers is None or tuple(map(int, numbers.groups())) < _JOINING_SINCE:
        return False
    try:
        with open(_SETTING, encoding="ascii") as file:
            # Who administers the machine may have switched them off; joining would not ask.
            return "[never]" not in file.read()
    except OSError:
        return False


@functools.cache
def _advise() -> Any:
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


def _whole(memory: np.ndarray[Any, Any]) -> tuple[int, int]:
    """Where the huge pages that lie within memory begin and end."""
    at: int = memory.ctypes.data
    return -(-at // _HUGE) * _HUGE, (at + memory.nbytes) // _HUGE * _HUGE


def in_small_pages(memory: np.ndarray[Any, Any]) -> bool:
    """Ask for small pages; whether there is something to `join` later."""
    if memory.nbytes < SMALLEST or not can_join():
        return False
    start, end = _whole(memory)
    return not _advise()(start, end - start, mmap.MADV_NOHUGEPAGE)


def join(memory: np.ndarray[Any, Any]) -> threading.Thread | None:
    """Begin to join the pages of memory, which may be in use meanwhile.

    Returns:
        The thread that does it; None where the system gives none: the pages stay small.
    """
    thread = threading.Thread(target=_join, args=(memory,), name="funcgrad-pages", daemon=True)
    _at_work.add(thread)
    try:
        thread.start()
    except RuntimeError:
        _at_work.discard(thread)
        return None
    return thread


def _join(memory: np.ndarray[Any, Any]) -> None:
    try:
        _join_each(*_whole(memory))
    finally:
        _at_work.discard(threading.current_thread())


def _join_each(start: int, end: int) -> None:
    _advise()(start, end - start, mmap.MADV_HUGEPAGE)
    for at in range(start, end, _HUGE):
        # One at a time: who writes to a page that is being joined waits for it. Where there is no
        # room for a huge page, the small ones stay.
        _advise()(at, _HUGE, _JOIN)


def _wait() -> None:
    """Let the threads end: Python warns of forks beside threads."""
    for thread in list(_at_work):
        thread.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait)
