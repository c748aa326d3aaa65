"""Locks that neither a signal's handler nor a forked child waits for without end.

A handler runs within the thread that it interrupts, so locks may be taken again by the thread that
has them. A child has one thread, so the parent takes every lock before it forks: what they guard is
whole in the child, and free. The locks of higher layers are taken first, as code takes them too.

Modules have locks of Python's own while they are imported. Of those it frees none in a child, which
would wait for a thread that it has not; what was half imported is imported anew there.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any


def lock() -> threading.RLock:
    """A lock of a module, which lives as long as the process."""
    made = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=made.acquire, after_in_parent=made.release, after_in_child=made.release
        )
    return made


def _forget_half_imported() -> None:
    """Forget what another thread was importing when this process was forked."""
    # Python's table of these locks is private: without it, children are as Python leaves them.
    locks: dict[Any, Any] = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", {})
    for name, reference in list(locks.items()):
        owner = getattr(reference(), "owner", None)
        if owner not in (None, threading.get_ident()):
            locks.pop(name, None)
            sys.modules.pop(name, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_half_imported)
