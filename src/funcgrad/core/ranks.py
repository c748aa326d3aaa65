"""Ranks: threads that run one program on several devices, and where they meet.

In: a number of ranks, and a function of one. Out: their results, or the first error. The one idea:
a collective is a meeting of the ranks of a group; who comes last makes all the results, from the
values in the order of the ranks, so they do not depend on who was late. Nothing waits for what
cannot come: a rank that fails, or is done, or waits elsewhere, is seen by those who wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..config import config
from .context import context

Together = Callable[[list[Any]], Sequence[Any]]


class RanksDivergeError(RuntimeError):
    """Ranks of one program wait for each other at different collectives, or for ranks at an end."""


class Stopped(RuntimeError):
    """A rank that another one's error has ended."""


class Call(NamedTuple):
    """A collective as one rank calls it.

    Attributes:
        name: of the primitive; `params`: what must be the same on all ranks.
        value: the operand in words.
    """

    name: str
    params: tuple[Any, ...]
    value: str

    def __str__(self) -> str:
        return f"{self.name} over {', '.join(map(repr, self.params[0]))} of {self.value}"


class _Meeting:
    """The ranks that have come to one collective so far."""

    def __init__(self) -> None:
        self.values: dict[int, Any] = {}
        self.calls: dict[int, Call] = {}
        self.results: dict[int, Any] | None = None


class Meetings:
    """Where the ranks of one run meet."""

    def __init__(self, count: int) -> None:
        self._changed = threading.Condition()
        self._open: dict[tuple[int, ...], _Meeting] = {}
        self._waiting: dict[int, Call] = {}
        self._running = set(range(count))
        self._error: tuple[int, BaseException] | None = None

    def meet(self, rank: int, group: tuple[int, ...], call: Call, value: Any, f: Together) -> Any:
        """The rank's result of a collective of a group of ranks.

        Args:
            f: makes the results of all ranks of the group from their values, in its order.
        Raises:
            Stopped: another rank failed.
            RanksDivergeError: ranks of the group are at other collectives, or done.
        """
        with self._changed:
            self._go_on()
            meeting = self._open.setdefault(group, _Meeting())
            meeting.values[rank], meeting.calls[rank] = value, call
            if len(meeting.values) < len(group):
                self._waiting[rank] = call
                self._look()
                while meeting.results is None:
                    self._go_on()
                    self._changed.wait()
                return meeting.results[rank]
            del self._open[group]
            for other in group:
                self._waiting.pop(other, None)
        self._agree(meeting)
        made = f([meeting.values[k] for k in group])
        with self._changed:
            meeting.results = dict(zip(group, made, strict=True))
            self._changed.notify_all()
        return meeting.results[rank]

    def _agree(self, meeting: _Meeting) -> None:
        """Raise RanksDivergeError unless all ranks of a group call the same."""
        if len(set(meeting.calls.values())) > 1:
            raise RanksDivergeError(_told(meeting.calls, {}))

    def _go_on(self) -> None:
        if self._error is not None:
            raise Stopped(f"rank {self._error[0]} failed: {self._error[1]}")

    def _look(self) -> None:
        """Stop all if each rank that still runs waits: nobody is left to come."""
        if self._waiting and self._running == set(self._waiting) and self._error is None:
            first = min(self._waiting)
            done = dict.fromkeys(self._ended(), "is done")
            self._error = first, RanksDivergeError(_told(self._waiting, done))
            self._changed.notify_all()

    def _ended(self) -> list[int]:
        waited = {k for group in self._open for k in group}
        return sorted(waited - self._running)

    def leave(self, rank: int) -> None:
        """A rank is done."""
        with self._changed:
            self._running.discard(rank)
            self._look()

    def fail(self, rank: int, error: BaseException) -> None:
        """A rank has failed: those who wait stop."""
        with self._changed:
            self._running.discard(rank)
            if self._error is None and not isinstance(error, Stopped):
                self._error = rank, error
            self._changed.notify_all()

    @property
    def error(self) -> BaseException | None:
        """The error that ended the run, if one did."""
        return None if self._error is None else self._error[1]


def _told(calls: dict[int, Call], others: dict[int, str]) -> str:
    lines = {k: f"rank {k} is at {call}" for k, call in calls.items()}
    lines |= {k: f"rank {k} {what}" for k, what in others.items()}
    which = "\n".join(f"  {lines[k]}" for k in sorted(lines))
    return f"The ranks of a program wait for each other in vain:\n{which}"


class Rank:
    """One of the ranks, as a thread knows itself.

    Attributes:
        number: its place in the mesh, row-major; `place`: its place along each axis.
    """

    def __init__(
        self, number: int, places: Sequence[dict[Any, int]], meetings: Meetings, outer: Rank | None
    ) -> None:
        self.number = number
        self.place = places[number]
        self.outer = outer
        self._places = places
        self._meetings = meetings
        self._groups: dict[tuple[Any, ...], tuple[int, ...]] = {}

    def group(self, names: tuple[Any, ...]) -> tuple[int, ...]:
        """The ranks that differ from this one along these axes alone, the last axis fastest."""
        found = self._groups.get(names)
        if found is None:
            rest = [name for name in self.place if name not in names]
            same = [
                k
                for k, place in enumerate(self._places)
                if all(place[name] == self.place[name] for name in rest)
            ]
            same.sort(key=lambda k: [self._places[k][name] for name in names])
            found = self._groups[names] = tuple(same)
        return found

    def meet(self, group: tuple[int, ...], call: Call, value: Any, f: Together) -> Any:
        """The rank's result of a collective of a group of ranks."""
        return self._meetings.meet(self.number, group, call, value, f)


def run_ranks(
    places: Sequence[dict[Any, int]], run: Callable[[int], None], lines: Callable[[], str]
) -> None:
    """Run a function of the number of a rank in a thread for each; return when all are done.

    Args:
        places: of each rank, its place along each axis.
        lines: more words for an error of ranks that diverge.
    Raises:
        Exception: what the first rank to fail raised.
    """
    count, outer, options = len(places), context.rank, dict(config.__dict__)
    meetings = Meetings(count)

    def one(number: int) -> None:
        previous = context.rank
        context.rank = Rank(number, places, meetings, outer)
        try:
            run(number)
        except BaseException as error:  # it is raised again where the ranks were started
            meetings.fail(number, error)
        else:
            meetings.leave(number)
        finally:
            context.rank = previous

    def begin(number: int) -> None:
        config.__dict__.update(options)
        one(number)

    threads = [
        threading.Thread(target=begin, args=(k,), name=f"funcgrad-rank-{k}", daemon=True)
        for k in range(1, count)
    ]
    started: list[threading.Thread] = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        one(0)
    except BaseException as error:  # the system gives no more threads, or an interrupt
        meetings.fail(0, error)
    for thread in started:
        _joined(thread, meetings)
    error = meetings.error
    if isinstance(error, RanksDivergeError):
        raise RanksDivergeError(f"{error}\n{lines()}") from None
    if error is not None:
        raise error


def _joined(thread: threading.Thread, meetings: Meetings) -> None:
    """Wait for a thread; an interrupt meanwhile stops the ranks that wait."""
    try:
        thread.join()
    except BaseException as error:
        meetings.fail(0, error)
        thread.join()
