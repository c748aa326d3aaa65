"""What is current in this thread: the trace, the user's source, the name stack, the axis names.

One `threading.local`; the fields are plain attributes so that a bind reads them in tens of
nanoseconds. Everything here is restored by whoever sets it.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


class Context(threading.local):
    """The state of one thread.

    Attributes:
        trace: the current trace; `None` stands for evaluation before the first bind.
        source: overrides the user's frame while a jaxpr is re-traced, and within functions of ours
            that bind much.
        name_stack: `named_scope` names joined by "/".
        axis_sizes: sizes of the axis names in scope, innermost last.
        rank: which of the ranks of a program over several devices this thread is; see `core.ranks`.
    """

    trace: Any = None
    source: Any = None
    name_stack: str = ""
    axis_sizes: tuple[tuple[Any, int], ...] = ()
    rank: Any = None


context = Context()


class set_trace:
    """Make a trace current for the body of a with-statement."""

    __slots__ = ("previous", "trace")

    def __init__(self, trace: Any) -> None:
        self.trace = trace

    def __enter__(self) -> Any:
        self.previous = context.trace
        context.trace = self.trace
        return self.trace

    def __exit__(self, *_: object) -> None:
        context.trace = self.previous


@contextmanager
def extend_axes(*axes: tuple[Any, int]) -> Generator[None]:
    """Bring axis names with their sizes into scope."""
    previous = context.axis_sizes
    context.axis_sizes = (*previous, *axes)
    try:
        yield
    finally:
        context.axis_sizes = previous


def axis_size_of(name: Any) -> int:
    """Size of the named axis in scope.

    Raises:
        NameError: no enclosing vmap, shard_map, pmap or axis_env has that name.
    """
    for known, size in reversed(context.axis_sizes):
        if known == name:
            return size
    names = [known for known, _ in context.axis_sizes]
    raise NameError(
        f"unbound axis name: {name!r}. The names in scope are {names}; "
        "give vmap or pmap an axis_name, shard_map a mesh with that axis, or make_jaxpr an "
        "axis_env."
    )


@contextmanager
def push_name(name: str) -> Generator[None]:
    """Add a name to the name stack."""
    previous = context.name_stack
    context.name_stack = f"{previous}/{name}" if previous else name
    try:
        yield
    finally:
        context.name_stack = previous
