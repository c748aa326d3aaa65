"""Measuring where time goes: `profile`, and traces under JAX's names.

    with funcgrad.profile() as p:
        step(params, batch)
    print(p)
    p.save("trace.json")

Programs that `jit` runs inside are compiled once more, in a form that takes the time of each
kernel; outside, nothing is measured and nothing is slower.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from .config import config
from .control import profiling
from .control.profiling import Profile as Profile
from .control.profiling import Row as Row
from .locks import lock

F = TypeVar("F", bound=Callable[..., Any])


@contextmanager
def profile() -> Generator[Profile]:
    """Measure the kernels of the programs that this thread runs in the block.

    The first run of a program in a profile traces and compiles it for that; `compile_seconds` says
    how long it took. Programs of `lower(...).compile()` are not measured, nor what runs outside of
    `jit`. While threads share a kernel, its time is that of the calling thread.

    Returns:
        A `Profile`: printed, it is a table; `rows` are its lines, `save` writes a Chrome trace.
    """
    found = Profile(threading.get_ident())
    before = config.override("profile", True)
    profiling.begin(found)
    try:
        yield found
    finally:
        profiling.end(found)
        config.override("profile", before)


class _Traces:
    """The one trace that `start_trace` began."""

    directory: Path | None = None
    profile: Profile | None = None
    guard = lock()


def start_trace(
    log_dir: str | os.PathLike[str],
    create_perfetto_link: bool = False,
    create_perfetto_trace: bool = False,
    profiler_options: Any = None,
) -> None:
    """Measure the programs of all threads until `stop_trace`.

    Args:
        log_dir: where `stop_trace` writes `trace-<time>.json`, a Chrome trace, and
            `trace-<time>.txt`, the table of `profile`.
        create_perfetto_link: accepted; open the file with ui.perfetto.dev.
        create_perfetto_trace: accepted; the file is one.
        profiler_options: accepted for compatibility.
    Raises:
        RuntimeError: a trace is under way.
    """
    with _Traces.guard:
        if _Traces.profile is not None:
            raise RuntimeError(
                f"A trace into {_Traces.directory} is under way, and there is one at a time. "
                "Call stop_trace first."
            )
        _Traces.directory, _Traces.profile = Path(log_dir), Profile()
        profiling.begin(_Traces.profile)
        config.update("profile", True)


def stop_trace() -> None:
    """End the trace that `start_trace` began, and write its files.

    Raises:
        RuntimeError: no trace is under way.
    """
    with _Traces.guard:
        found, place = _Traces.profile, _Traces.directory
        if found is None or place is None:
            raise RuntimeError("No trace is under way. Call start_trace first.")
        config.update("profile", False)
        profiling.end(found)
        _Traces.profile = None
        place.mkdir(parents=True, exist_ok=True)
        name = f"trace-{time.strftime('%Y%m%d-%H%M%S')}-{time.perf_counter_ns() % 10**9:09d}"
        found.save(place / f"{name}.json")
        (place / f"{name}.txt").write_text(f"{found}\n", encoding="utf-8")


@contextmanager
def trace(
    log_dir: str | os.PathLike[str],
    create_perfetto_link: bool = False,
    create_perfetto_trace: bool = False,
    profiler_options: Any = None,
) -> Generator[None]:
    """`start_trace` before a block and `stop_trace` after it."""
    start_trace(log_dir, create_perfetto_link, create_perfetto_trace, profiler_options)
    try:
        yield
    finally:
        stop_trace()


class TraceAnnotation:
    """A span of the user's own among the events of a profile: a block of Python.

    Args:
        name: what it is called.
        kwargs: more to be told of it.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.name = name
        self.told = {key: str(value) for key, value in kwargs.items()}
        self._begun: list[int] = []

    def __enter__(self) -> TraceAnnotation:
        self._begun.append(time.perf_counter_ns())
        return self

    def __exit__(self, *_: object) -> None:
        profiling.note(self.name, "annotation", self._begun.pop(), self.told)


class StepTraceAnnotation(TraceAnnotation):
    """A `TraceAnnotation` of one step of training, whose number is `step_num`."""


def annotate_function(func: F, name: str | None = None, **decorator_kwargs: Any) -> F:
    """The function, each of its calls in a `TraceAnnotation`.

    Args:
        func: any function.
        name: by default the function's own.
        decorator_kwargs: more to be told of it.
    """
    called = name or getattr(func, "__qualname__", repr(func))

    @wraps(func)
    def annotated(*args: Any, **kwargs: Any) -> Any:
        with TraceAnnotation(called, **decorator_kwargs):
            return func(*args, **kwargs)

    found: Any = annotated
    return found


__all__ = [
    "Profile",
    "Row",
    "StepTraceAnnotation",
    "TraceAnnotation",
    "annotate_function",
    "profile",
    "start_trace",
    "stop_trace",
    "trace",
]
