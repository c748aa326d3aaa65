"""What a run shows while it runs: a live line on a terminal, plain lines elsewhere, on stderr."""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

from .logs import Record


class Progress:
    """The progress of a run of `total` steps, of which `done` are over; None: no end is known.

    A terminal gets a bar that moves at every step, where rich is installed; anything else gets a
    line for each record. The rate is that since the record before: compilation slows the first one
    alone.
    """

    def __init__(self, total: int | None, done: int = 0) -> None:
        self._total = total
        self._shown, self._time = done, time.perf_counter()
        self._bar = _bar() if sys.stderr.isatty() else None
        if self._bar is not None:
            self._task = self._bar.add_task(self._count(done), total=total, completed=done)
            self._bar.start()

    def step(self, n: int, record: Record | None) -> None:
        """Show that step n is over, and its record if it has one."""
        if self._bar is None:
            if record is not None:
                sys.stderr.write(self._line(n, record) + "\n")
                sys.stderr.flush()
        elif record is None:
            self._bar.update(self._task, completed=n)
        else:
            self._bar.update(self._task, completed=n, description=self._line(n, record))

    def close(self) -> None:
        """Leave the last line as it is."""
        if self._bar is not None:
            self._bar.stop()

    def _line(self, n: int, record: Record) -> str:
        numbers = [f"{name} {value:.4g}" for name, value in record.items() if name != "step"]
        now = time.perf_counter()
        rate = (n - self._shown) / max(now - self._time, 1e-9)
        self._shown, self._time = n, now
        return "  ".join([self._count(n), *numbers, f"{rate:.3g} steps/s"])

    def _count(self, n: int) -> str:
        return f"step {n}" if self._total is None else f"step {n}/{self._total}"


def _bar() -> Any:
    try:
        rich = importlib.import_module("rich.progress")
        console = importlib.import_module("rich.console").Console(stderr=True)
    except ImportError:
        return None
    # The description comes from the names of metrics: brackets in them are no markup.
    text = rich.TextColumn("{task.description}", markup=False)
    return rich.Progress(text, rich.BarColumn(), rich.TimeElapsedColumn(), console=console)
