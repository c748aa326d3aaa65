"""Where metrics are written: CSV, JSON lines, TensorBoard. A record is a dict with its "step".

A log begins with the history of the run, which is in the checkpoint: what a killed run wrote after
its last checkpoint is written again by the run that goes on, and never twice.
"""

from __future__ import annotations

import csv
import importlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from .checkpoints import StrPath

Record = Mapping[str, float]


class Log(Protocol):
    """What records are given to; any object with these three methods."""

    def begin(self, history: Sequence[Record]) -> None:
        """Start with these records in place of whatever there was."""

    def write(self, record: Record) -> None:
        """Add a record."""

    def close(self) -> None:
        """Let go of files."""


class JsonLinesLog:
    """One JSON object on each line of a file. NaN and infinities are written as strings."""

    def __init__(self, path: StrPath) -> None:
        self._path = Path(path)
        self._file: Any = None

    def begin(self, history: Sequence[Record]) -> None:
        """Start the file with these records."""
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "w", encoding="utf-8")  # noqa: SIM115
        for record in history:
            self.write(record)

    def write(self, record: Record) -> None:
        """Add a line; it is in the file when this returns."""
        # JSON has no word for them, and readers refuse those that Python would write.
        finite = {k: v if abs(v) < float("inf") else str(v) for k, v in record.items()}
        self._file.write(json.dumps(finite) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class CsvLog:
    """A table with a column for each metric; cells of metrics that a record lacks are empty."""

    def __init__(self, path: StrPath) -> None:
        self._path = Path(path)
        self._file: Any = None
        self._rows: list[Record] = []
        self._columns: list[str] = ["step"]

    def begin(self, history: Sequence[Record]) -> None:
        """Start the file with these records."""
        self._rows = list(history)
        self._columns = list(dict.fromkeys(["step", *[k for row in self._rows for k in row]]))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._rewrite()

    def write(self, record: Record) -> None:
        """Add a row; a metric that was not met before gets a column, and earlier rows a comma."""
        self._rows.append(record)
        unknown = [name for name in record if name not in self._columns]
        if unknown:
            self._columns += unknown
            self._rewrite()
        else:
            self._put([record])

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _rewrite(self) -> None:
        self.close()
        self._file = open(self._path, "w", encoding="utf-8", newline="")  # noqa: SIM115
        csv.writer(self._file).writerow(self._columns)
        self._put(self._rows)

    def _put(self, rows: Sequence[Record]) -> None:
        csv.DictWriter(self._file, self._columns).writerows(rows)
        self._file.flush()


class TensorBoardLog:
    """Event files that TensorBoard shows, a scalar for each metric; written by tensorboardX."""

    def __init__(self, folder: StrPath) -> None:
        self._folder = folder
        self._writer: Any = None

    def begin(self, history: Sequence[Record]) -> None:
        """Start an event file; TensorBoard drops what earlier ones have beyond these records."""
        try:
            library = importlib.import_module("tensorboardX")
        except ImportError as error:
            raise ImportError(
                "TensorBoardLog needs tensorboardX: pip install 'funcgrad[tensorboard]'"
            ) from error
        self.close()
        purge = int(history[-1]["step"]) + 1 if history else 0
        # Files are named by the second: another run in the same one would write over the first.
        suffix = f".{time.time_ns()}"
        self._writer = library.SummaryWriter(
            str(self._folder), purge_step=purge, filename_suffix=suffix
        )

    def write(self, record: Record) -> None:
        """Add each metric of a record at its step."""
        for name, value in record.items():
            if name != "step":
                self._writer.add_scalar(name, value, int(record["step"]))
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
