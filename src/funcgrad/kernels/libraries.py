"""Which kernel written by hand serves a `Library` node on this machine."""

from __future__ import annotations

from ..ir.loops import Library
from .library import LibraryKernel
from .lowering import Step


def library_kernel(what: Library, item: Step, name: str) -> LibraryKernel | None:
    """The kernel for a node, or None where there is none for its spec."""
    return None
