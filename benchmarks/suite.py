"""The run of a family: contenders prepare a work, results are compared, then turns are timed."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from peers import FailedError, Peer
from works import OURS, Work, difference

REFERENCES = ("jax", "torch", "numpy")


@dataclass(frozen=True)
class Settings:
    """How long things are timed.

    Attributes:
        rounds: turns that each contender has.
        seconds: length of a turn.
        quick: works with a goal and odd sizes only; odd sizes beside JAX only; few program sizes.
        contenders: who takes part, ours first.
        traceback: print the whole traceback of what fails.
    """

    rounds: int
    seconds: float
    quick: bool
    contenders: tuple[str, ...]
    traceback: bool = False


@dataclass
class Row:
    """One line of the tables.

    Attributes:
        times: minimum and median of each contender, in the unit.
        unit: "s", or "B" for memory.
        goal: our minimum over the best peer's, at most.
        limit: our minimum, at most.
        failures: what went wrong, by contender.
    """

    name: str
    times: dict[str, tuple[float, float]] = field(default_factory=dict)
    unit: str = "s"
    goal: float | None = None
    limit: float | None = None
    amount: float | None = None
    smooth: str | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def ratio(self, which: int = 0) -> float | None:
        """Ours over the best peer, by minimum (0) or median (1)."""
        peers = [t[which] for name, t in self.times.items() if name != OURS]
        if OURS not in self.times or not peers:
            return None
        return self.times[OURS][which] / max(min(peers), 1e-12)

    def reached(self) -> bool | None:
        """Whether the goals are reached; None where there is none, or nothing to compare."""
        ratio = self.ratio()
        if OURS not in self.times:
            return None if self.goal is None and self.limit is None else False
        held: list[bool] = []
        if self.goal is not None and ratio is not None:
            held.append(ratio <= self.goal)
        if self.limit is not None:
            held.append(self.times[OURS][0] <= self.limit)
        return all(held) if held else None

    def as_dict(self) -> dict[str, Any]:
        """For the file of results."""
        return asdict(self)


def agreeing(work: Work, files: dict[str, Path], row: Row) -> list[str]:
    """Whose results agree with the reference's; the others are written into the row."""
    results: dict[str, list[Any]] = {}
    for name, path in files.items():
        with np.load(path) as stored:
            results[name] = [stored[f"arr_{k}"] for k in range(len(stored.files))]
    reference = next((name for name in REFERENCES if name in results), None)
    if reference is None:
        return list(results)
    kept: list[str] = []
    for name, found in results.items():
        gap = difference(found, results[reference])
        if gap <= work.tolerance:
            kept.append(name)
        else:
            shapes = [[a.shape for a in r] for r in (found, results[reference])]
            why = f"{gap:.1e} of the greatest value" if shapes[0] == shapes[1] else f"{shapes}"
            row.failures[name] = f"the result is not {reference}'s: {why}"
    return kept


def prepared(work: Work, peers: dict[str, Peer], directory: Path, row: Row) -> list[str]:
    """Who did the work once, with the right result."""
    files = {name: directory / f"{k}.npz" for k, name in enumerate(peers)}
    for name, peer in peers.items():
        peer.tell("prepare", work=work.name, results=str(files[name]))
    done: dict[str, Path] = {}
    for name, peer in peers.items():
        try:
            peer.answer()
            done[name] = files[name]
        except FailedError as error:
            row.failures[name] = str(error)
    return agreeing(work, done, row)


def measured(work: Work, peers: dict[str, Peer], settings: Settings, directory: Path) -> Row:
    """The row of a work."""
    row = Row(
        work.name,
        goal=work.goal,
        limit=work.limit,
        amount=work.amount,
        smooth=work.smooth,
    )
    ready = prepared(work, peers, directory, row)
    least: dict[str, list[float]] = {name: [] for name in ready}
    middle: dict[str, list[float]] = {name: [] for name in ready}
    for turn in range(settings.rounds):
        # Nobody always comes after the same neighbour.
        for name in ready[turn % len(ready) :] + ready[: turn % len(ready)] if ready else []:
            if name in row.failures:
                continue
            try:
                found = peers[name].ask("time", seconds=settings.seconds)["times"]
            except FailedError as error:
                row.failures[name] = str(error)
                continue
            least[name].append(min(found))
            middle[name].append(statistics.median(found))
            peers[name].rest()
    for name in ready:
        if name not in row.failures and least[name]:
            row.times[name] = (min(least[name]), statistics.median(middle[name]))
    for name in peers:
        if name not in row.failures:
            peers[name].tell("drop")
            peers[name].answer()
    return row


def contenders_of(work: Work, settings: Settings) -> list[str]:
    """Who does a work, ours first."""
    found = [c for c in work.contenders() if c in settings.contenders]
    only_few = settings.quick and work.smooth is not None and "jax" in found
    return [OURS, "jax"] if only_few else found


def run_works(family: str, works: list[Work], settings: Settings, show: Any) -> list[Row]:
    """The rows of a family of works, each shown when it is there."""
    if settings.quick:
        even = {w.smooth for w in works}
        works = [w for w in works if w.goal or w.limit or w.smooth or w.name in even]
    taking_part = [
        c for c in settings.contenders if any(c in contenders_of(w, settings) for w in works)
    ]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        processes = {c: Peer(family, c, directory) for c in taking_part}
        try:
            for work in works:
                wanted = {c: processes[c] for c in contenders_of(work, settings)}
                rows.append(measured(work, wanted, settings, directory))
                show(rows[-1])
        finally:
            for process in processes.values():
                process.close()
    return rows
