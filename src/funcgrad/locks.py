"""Locks that neither a signal's handler nor a forked child waits for without end.

A handler runs within the thread that it interrupts, so locks may be taken again by the thread that
has them. A child has one thread, so the parent takes every lock before it forks: what they guard is
whole in the child, and free. The locks of higher layers are taken first, as code takes them too.
"""

from __future__ import annotations

import os
import threading


def lock() -> threading.RLock:
    """A lock of a module, which lives as long as the process."""
    made = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=made.acquire, after_in_parent=made.release, after_in_child=made.release
        )
    return made
