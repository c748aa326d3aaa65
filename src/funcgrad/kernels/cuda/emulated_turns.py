"""Blocks that wait for each other, emulated: a few at a time, in an order that a seed chooses.

In: how many blocks, and what runs one of them. Out: all have run. The one idea: a GPU has room for
some blocks only, begins them in any order, and lets none go before it has ended; so a block that
waits for one that has not begun may wait for ever, and that is found.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from threading import Semaphore, Thread

from .lanes import EmulationError

ROOM = 3


class Turns:
    """Who may go on: one block, until it has told something or has looked for a word in vain."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.back = Semaphore(0)
        self.gates: dict[int, Semaphore] = {}
        self.now = 0
        self.idle: set[int] = set()  # those that have looked in vain since somebody told something
        self.failure: BaseException | None = None

    def all(self, count: int, run: Callable[[int], None]) -> None:
        """Run blocks.

        Raises:
            EmulationError: all that have begun wait, and there is no room for others.
        """
        order = self.random.sample(range(count), count)
        threads: dict[int, Thread] = {}
        while order or self.gates:
            while order and len(self.gates) < ROOM and self.failure is None:
                block = order.pop()
                self.gates[block] = Semaphore(0)
                threads[block] = Thread(target=self._one, args=(block, run), daemon=True)
                threads[block].start()
            if not self.gates:
                break
            if self.idle >= set(self.gates) and self.failure is None:
                self.failure = EmulationError(
                    "blocks wait for what those that have begun do not tell"
                )
            self.now = self.random.choice(sorted(self.gates))
            self.gates[self.now].release()
            self.back.acquire()
        for thread in threads.values():
            thread.join()
        if self.failure is not None:
            raise self.failure

    def _one(self, block: int, run: Callable[[int], None]) -> None:
        self.gates[block].acquire()
        try:
            run(block)
        except BaseException as error:
            self.failure = self.failure or error
        del self.gates[block]
        self.idle.clear()
        self.back.release()

    def give(self, moved: bool) -> None:
        """Let another block go on.

        Args:
            moved: whether this one did not look in vain.
        """
        block = self.now
        self.idle = set() if moved else self.idle | {block}
        self.back.release()
        self.gates[block].acquire()
        if self.failure is not None:
            raise self.failure
