"""Batches of a source: order, position, and the thread that reads ahead.

The order of an epoch is a function of seed and epoch, the key of a batch one of seed, epoch and
position. The state that says where a run is belongs to the batch given out last, however far the
thread has read ahead: batches travel through the queue together with the state after them.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import random
from ..config import config
from ..core.sources import user_line
from .sources import Source, arrays

Transform = Callable[[Any, Any], Any]
_fields = ("epoch", "position", "seed")


@dataclass(frozen=True)
class _Plan:
    """What is read, and how: all that does not change while batches are given out."""

    source: Source
    batch_size: int
    seed: int
    epochs: int | None
    shuffle: bool
    drop_last: bool
    transform: Transform | None
    prefetch: int

    def order(self, epoch: int) -> np.ndarray[Any, Any]:
        """The rows of an epoch, i64[n]."""
        n = len(self.source)
        if not self.shuffle:
            return np.arange(n)
        # NumPy keeps the stream of a bit generator from release to release, but not what
        # Generator.permutation makes of it: ranks of raw draws are the same everywhere.
        draws = np.random.PCG64(np.random.SeedSequence((self.seed, epoch))).random_raw(n)
        return np.argsort(draws, kind="stable")

    def has_batch(self, position: int) -> bool:
        """Whether an epoch goes on at a position."""
        left = len(self.source) - position
        return left >= self.batch_size if self.drop_last else left > 0

    def from_state(self, epoch: int, position: int) -> Iterator[tuple[Any, tuple[int, int]]]:
        """Batches from a state on, each with the state after it."""
        while self.epochs is None or epoch < self.epochs:
            order = self.order(epoch) if self.has_batch(position) else None
            while order is not None and self.has_batch(position):
                rows = order[position : position + self.batch_size]
                batch = self.source.take(rows)
                if self.transform is not None:
                    key = random.fold_in(random.key(self.seed), epoch)
                    batch = self.transform(random.fold_in(key, position), batch)
                position += len(rows)
                after = (epoch, position) if self.has_batch(position) else (epoch + 1, 0)
                yield batch, after
            epoch, position = epoch + 1, 0


@dataclass(frozen=True)
class _Failed:
    error: BaseException


_end = object()


def _put(ahead: queue.Queue[Any], item: Any, stop: threading.Event) -> None:
    """Hand an item over, unless nobody wants it any more."""
    while not stop.is_set():
        try:
            return ahead.put(item, timeout=0.05)
        except queue.Full:
            continue


def _read_ahead(
    items: Iterator[Any],
    ahead: queue.Queue[Any],
    stop: threading.Event,
    settings: Mapping[str, Any],
) -> None:
    # Settings belong to a thread: a transform must see those of the loop that it works for.
    vars(config).update(settings)
    try:
        for item in items:
            _put(ahead, item, stop)
            if stop.is_set():
                return
        _put(ahead, _end, stop)
    except BaseException as error:
        _put(ahead, _Failed(error), stop)


class _Thread:
    """Items of an iterator, made by a thread that is a few of them ahead."""

    def __init__(self, items: Iterator[Any], depth: int) -> None:
        self._ahead: queue.Queue[Any] = queue.Queue(depth)
        stop = threading.Event()
        thread = threading.Thread(
            target=_read_ahead,
            args=(items, self._ahead, stop, dict(vars(config))),
            name="funcgrad.data",
            daemon=True,
        )
        # The thread knows the queue and not this object, so that it ends when this is collected;
        # at exit it must be out of every library before Python takes them down.
        self.close = weakref.finalize(self, _join, thread, stop)
        thread.start()

    def __iter__(self) -> _Thread:
        return self

    def __next__(self) -> Any:
        item = self._ahead.get()
        if item is _end:
            raise StopIteration
        if isinstance(item, _Failed):
            raise item.error
        return item


def _join(thread: threading.Thread, stop: threading.Event) -> None:
    stop.set()
    # The collector may run in the thread itself, which then ends by the flag.
    if thread is not threading.current_thread():
        thread.join()


class Batches:
    """An iterator over batches that knows where it is and can go on from there.

    `state` is `{"epoch", "position", "seed"}`: epochs completed, rows given out in this one, and
    the seed. `restore(state)` makes this or another iterator over the same source go on from
    there with the same batches. `close()` ends the thread that reads ahead.
    """

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self._at = (0, 0)
        self._items: Any = None

    @property
    def state(self) -> dict[str, int]:
        """Where the iterator is, after the batch given out last."""
        epoch, position = self._at
        return {"epoch": epoch, "position": position, "seed": self._plan.seed}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go on from a state.

        Raises:
            ValueError: no state of this source: other fields, another seed, or rows beyond it.
        """
        fits = set(state) == set(_fields) and all(int(state[k]) >= 0 for k in _fields)
        rows = len(self._plan.source)
        if not fits or state["seed"] != self._plan.seed or state["position"] > rows:
            raise ValueError(
                f"Batches.restore: {dict(state)} is no state of {rows} rows in the order of "
                f"seed {self._plan.seed}.\n  {user_line()}\n"
                "  Give the state of a run over the same source, with the same seed."
            )
        self.close()
        self._at = (int(state["epoch"]), int(state["position"]))

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Any:
        if self._items is None:
            items = self._plan.from_state(*self._at)
            self._items = _Thread(items, self._plan.prefetch) if self._plan.prefetch else items
        try:
            batch, self._at = next(self._items)
        except Exception:
            # A failed read is tried again by the next call, and not skipped.
            self.close()
            raise
        return batch

    def close(self) -> None:
        """End the thread that reads ahead; the next batch starts another."""
        if self._items is not None:
            self._items.close()
            self._items = None


def batches(
    source: Any,
    batch_size: int,
    *,
    seed: int = 0,
    epochs: int | None = None,
    shuffle: bool = True,
    drop_last: bool = True,
    transform: Transform | None = None,
    prefetch: int = 2,
) -> Batches:
    """Batches of a source, shuffled anew in each epoch, read ahead by a thread.

    Args:
        source: a `Source`, or a pytree of arrays of shape [n, ...].
        batch_size: rows in a batch.
        seed: with the number of the epoch, it determines the order of the rows.
        epochs: how often each row is given out; without end by default.
        shuffle: False for the order of the source.
        drop_last: leave out the rows at the end of an epoch that do not fill a batch, so that
            every batch has the same shape; else the last batch is smaller.
        transform: transform(key, batch) -> batch, with a key that depends on seed, epoch and
            position alone. It runs in the thread, with the settings of the caller's.
        prefetch: how many batches the thread may be ahead; 0 reads in the caller's thread.
    Raises:
        ValueError: a batch size below 1 or above the number of rows, negative seed or prefetch.
    """
    rows = source if isinstance(source, Source) else arrays(source)
    if batch_size < 1 or (drop_last and batch_size > len(rows)):
        raise ValueError(
            f"data.batches: a batch of {batch_size} rows out of {len(rows)}.\n  {user_line()}\n"
            "  Give a batch_size from 1 to the number of rows, or drop_last=False."
        )
    if seed < 0 or prefetch < 0 or (epochs is not None and epochs < 0) or not len(rows):
        raise ValueError(
            f"data.batches: {len(rows)} rows, seed={seed}, prefetch={prefetch}, epochs={epochs}.\n"
            f"  {user_line()}\n  Give rows, and numbers that are not negative."
        )
    return Batches(_Plan(rows, batch_size, seed, epochs, shuffle, drop_last, transform, prefetch))
