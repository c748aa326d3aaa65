"""Where the time of compiled programs goes.

In: the records of programs whose steps are timed (`kernels.profiled`). Out: `Profile`, a table of
kernels and a file for trace viewers. The one idea: whether programs are timed is an option that
traces depend on, like any other, so that the usual programs and calls know nothing of it.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..ir.jaxpr import ClosedJaxpr
from ..locks import lock

if TYPE_CHECKING:
    from ..kernels.profiled import Line, Profiled, Record

NDArray = np.ndarray[Any, Any]
# Events of all programs together; what is beyond counts in the table, and is left out of the file.
MOST_EVENTS = 1_000_000


class Row(NamedTuple):
    """The time of one step of one program, all its runs together.

    Attributes:
        program: name of the jitted function.
        kernel: name of the kernel, or of the primitive.
        operations: the primitives it computes, in order.
        scopes: the named scopes that these are in.
        source: the user's line of the last of them.
        calls: how often it ran.
        seconds: how long, without the steps within it that have rows of their own.
        share: of the time of all rows.
        bytes_per_second: read and written, as counted from its loops.
        flops_per_second: likewise.
    """

    program: str
    kernel: str
    operations: tuple[str, ...]
    scopes: tuple[str, ...]
    source: str
    calls: int
    seconds: float
    share: float
    bytes_per_second: float
    flops_per_second: float


class Event(NamedTuple):
    """A span of time of a thread, in nanoseconds of `time.perf_counter_ns`."""

    name: str
    kind: str
    thread: int
    begin: int
    duration: int
    told: dict[str, Any]


class Totals:
    """What the runs of one program took."""

    def __init__(self, program: Profiled) -> None:
        self.name = program.name
        self.lines: Sequence[Line] = program.lines
        self.runs = np.zeros(len(self.lines), np.int64)
        self.spent = np.zeros(len(self.lines), np.int64)

    def own(self) -> NDArray:
        """Nanoseconds of each step without those of the steps within."""
        own = self.spent.copy()
        for number, line in enumerate(self.lines):
            if line.around >= 0:
                own[line.around] -= self.spent[number]
        return own


class Profile:
    """What was measured: rows of a table, and events over time.

    Attributes:
        seconds: how long the profile lasted, as far as it has come.
        program_seconds: how much of that programs ran.
        compile_seconds: how much of that they were compiled, once more for being timed.
    """

    def __init__(self, thread: int | None = None) -> None:
        self.thread = thread
        self.program_seconds = 0.0
        self.compile_seconds = 0.0
        self.events_lost = 0
        self._totals: dict[Profiled, Totals] = {}
        self._events: list[Event] = []
        self._begin = time.perf_counter_ns()
        self._end = 0

    @property
    def seconds(self) -> float:
        return ((self._end or time.perf_counter_ns()) - self._begin) / 1e9

    def stop(self) -> None:
        """Measure no more."""
        self._end = time.perf_counter_ns()

    # Measuring.

    def add(self, event: Event) -> None:
        """Note an event."""
        with _lock:
            if event.kind == "compile":
                self.compile_seconds += event.duration / 1e9
            self._events.append(event)

    def record(self, program: Profiled, record: Record) -> None:
        """Note a run of a program."""
        thread = threading.get_native_id()
        whole = Event(program.name, "program", thread, record.begin, record.end - record.begin, {})
        with _lock:
            totals = self._totals.get(program)
            if totals is None:
                totals = self._totals[program] = Totals(program)
            totals.runs += record.runs
            totals.spent += record.spent
            self.program_seconds += whole.duration / 1e9
            self._events.append(whole)
            room = max(0, MOST_EVENTS - len(self._events))
            self.events_lost += record.lost + max(0, len(record.events) - room)
            events: list[tuple[int, int, int]] = record.events[:room].tolist()
            for step, begin, duration in events:
                line = totals.lines[step]
                told = {"operations": " ".join(line.operations), "program": program.name}
                told |= {"scopes": " ".join(line.scopes), "line": line.source}
                self._events.append(Event(line.name, "kernel", thread, begin, duration, told))

    # What came of it.

    @property
    def rows(self) -> list[Row]:
        """The steps of all programs that ran, the longest first."""
        with _lock:
            found = [(t, t.own()) for t in self._totals.values()]
        whole = sum(int(own.sum()) for _, own in found) or 1
        rows: list[Row] = []
        for totals, own in found:
            for line, runs, spent in zip(totals.lines, totals.runs, own, strict=True):
                calls, seconds = int(runs), int(spent) / 1e9
                rate = calls / seconds if seconds > 0 else 0.0
                described = (line.name, line.operations, line.scopes, line.source)
                speeds = line.cost.bytes * rate, line.cost.flops * rate
                share = int(spent) / whole
                rows.append(Row(totals.name, *described, calls, seconds, share, *speeds))
        return sorted(rows, key=lambda row: -row.seconds)

    def __str__(self) -> str:
        rows = self.rows
        head = "program kernel calls ms share GB/s GFLOP/s operations scope line".split()
        cells = [head, *[_cells(row) for row in rows]]
        widths = [max(len(row[k]) for row in cells) for k in range(len(head))]
        lines = [
            "  ".join(
                text.rjust(w) if 2 <= k <= 6 else text.ljust(w)
                for k, (text, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        lines.append(
            f"{self.seconds * 1e3:.3f} ms in all: programs {self.program_seconds * 1e3:.3f} ms, "
            f"compiling them for this profile {self.compile_seconds * 1e3:.3f} ms"
        )
        return "\n".join(lines)

    __repr__ = __str__

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the events as a Chrome trace: for chrome://tracing, ui.perfetto.dev and others.

        Source: Trace Event Format, Google, "JSON Object Format" and complete events.
        """
        with _lock:
            events = list(self._events)
        process = os.getpid()
        written: list[dict[str, Any]] = [
            _named("process_name", process, 0, "funcgrad"),
            *[
                _named("thread_name", process, thread, f"thread {thread}")
                for thread in dict.fromkeys(e.thread for e in events)
            ],
        ]
        for e in sorted(events, key=lambda e: (e.begin, -e.duration)):
            place = {"pid": process, "tid": e.thread}
            span = {"ts": e.begin / 1e3, "dur": e.duration / 1e3}
            written.append({"name": e.name, "cat": e.kind, "ph": "X", **place, **span} | _args(e))
        whole: dict[str, Any] = {"traceEvents": written, "displayTimeUnit": "ms"}
        whole["otherData"] = {"events left out": self.events_lost}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(whole, file)


def _args(event: Event) -> dict[str, Any]:
    return {"args": {k: v for k, v in event.told.items() if v != ""}}


def _named(what: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}


def _cells(row: Row) -> list[str]:
    operations = " ".join(row.operations)
    return [
        row.program,
        row.kernel,
        str(row.calls),
        f"{row.seconds * 1e3:.3f}",
        f"{row.share:.1%}",
        f"{row.bytes_per_second / 1e9:.3g}",
        f"{row.flops_per_second / 1e9:.3g}",
        operations if len(operations) <= 40 else operations[:39] + "…",
        " ".join(row.scopes),
        row.source.partition(":  ")[0],
    ]


# The profiles that are under way.

_under_way: list[Profile] = []
_lock = lock()
_programs: weakref.WeakKeyDictionary[ClosedJaxpr, Profiled] = weakref.WeakKeyDictionary()


def begin(profile: Profile) -> None:
    """Let a profile get what is measured from now on."""
    with _lock:
        _under_way.append(profile)


def end(profile: Profile) -> None:
    """Let a profile get nothing more."""
    profile.stop()
    with _lock:
        _under_way.remove(profile)


def active() -> list[Profile]:
    """The profiles that get what this thread does."""
    here = threading.get_ident()
    return [p for p in list(_under_way) if p.thread in (None, here)]


def note(name: str, kind: str, begun: int, told: dict[str, Any] | None = None) -> None:
    """Tell the profiles of an event of this thread that ends now."""
    duration = time.perf_counter_ns() - begun
    event = Event(name, kind, threading.get_native_id(), begun, duration, told or {})
    for profile in active():
        profile.add(event)


def run_profiled(
    closed: ClosedJaxpr,
    arrays: Sequence[NDArray],
    simplify: Callable[[ClosedJaxpr], ClosedJaxpr],
) -> list[NDArray]:
    """The outputs of a program, run with its steps timed."""
    if not active():
        _whole_process()
    program = _programs.get(closed)
    if program is None:
        program = _compiled(closed, simplify)
    outs, record = program(arrays)
    for profile in active():
        profile.record(program, record)
    return outs


def _compiled(closed: ClosedJaxpr, simplify: Callable[[ClosedJaxpr], ClosedJaxpr]) -> Profiled:
    from ..kernels import pipeline
    from ..kernels.profiled import Profiled

    begun = time.perf_counter_ns()
    program = Profiled(pipeline.lower(simplify(closed), simplify))
    with _lock:
        _programs[closed] = program
    note(program.name, "compile", begun)
    return program


def _whole_process() -> None:
    """A profile of all that follows, printed at the end: FUNCGRAD_PROFILE=1 asks for it."""
    profile = Profile()
    begin(profile)
    atexit.register(lambda: sys.stderr.write(f"{profile}\n"))
