"""The threads that compiled programs run on: one pool a process, resized by `config.num_threads`.

The threads are Python's, and spend their lives inside one call into compiled code (`pool_text`)
that holds no Python lock. The block of memory that programs know the pool by stays where it is, as
long as the process lives: across changes of size, after a fork, and at exit, when the threads are
gone and the caller runs every chunk by itself.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
from typing import Any

from ...config import config
from . import cache, machine, pool_text, toolchain

# A thread that does not end is in the middle of a chunk; the end of the process takes it along.
EXIT_SECONDS = 5.0

_unset: Any = object()


class Pool:
    """The threads of this process.

    Attributes:
        address: what programs are given, and hand to `fg_parallel_for`.
        parallel_for_address: address of
            `void fg_parallel_for(void *pool, void *kernel, void *args, int64 extent, int64 grain)`,
            which runs `kernel(args, lo, hi)` for all chunks of `grain` elements of [0, extent). The
            chunks depend on these two numbers only; which thread runs one is left to chance.
    """

    def __init__(self) -> None:
        self._memory = ctypes.create_string_buffer(pool_text.SIZE + 128)
        self.address: int = -(-ctypes.addressof(self._memory) // 128) * 128
        self._code = toolchain.load(
            cache.compiled(_text()), _symbols(), ("fg_parallel_for", "fg_worker", "fg_stop")
        )
        self.parallel_for_address: int = self._code.address("fg_parallel_for")
        worker = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
        self._work = worker(self._code.address("fg_worker"))
        self._tell = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._code.address("fg_stop"))
        self._lock = threading.RLock()
        self._workers: list[threading.Thread] = []
        self._changing = False
        self.closed = False
        self.asked: Any = _unset  # the value of config.num_threads that was followed
        self._reset()

    @property
    def threads(self) -> int:
        """How many threads run a job, the calling one included."""
        return len(self._workers) + 1

    def resize(self) -> None:
        """Follow `config.num_threads`."""
        with self._lock:
            asked = config.num_threads
            # A signal's handler may come here while this very thread is at it.
            if self._changing or self.closed or self.asked == asked:
                return
            self._changing = True
            try:
                self._join()
                self._start((asked or machine.available_cores()) - 1)
                self.asked = asked
            finally:
                self._changing = False

    def stop(self) -> None:
        """End the threads, after the chunks they are at; the next use starts them again."""
        with self._lock:
            self._join()
            self.asked = _unset

    def _start(self, count: int) -> None:
        for number in range(1, count + 1):
            given = (self.address, number)
            thread = threading.Thread(
                target=self._work, args=given, name=f"funcgrad-{number}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                break  # the system gives no more threads: those there are do the work
            self._workers.append(thread)
        self._write(pool_text.WORKERS, len(self._workers))

    def _join(self, timeout: float | None = None) -> None:
        if not self._workers:
            return
        self._write(pool_text.WORKERS, 0)
        self._tell(self.address)
        for thread in self._workers:
            thread.join(timeout)
        if not any(thread.is_alive() for thread in self._workers):
            self._write(pool_text.STOP, 0)
        self._workers = []

    def _write(self, offset: int, value: int) -> None:
        ctypes.c_int64.from_address(self.address + offset).value = value

    def _reset(self) -> None:
        ctypes.memset(self.address, 0, pool_text.SIZE)
        if sys.platform == "darwin":
            create = ctypes.CDLL(None).dispatch_semaphore_create
            create.argtypes, create.restype = [ctypes.c_long], ctypes.c_int64
            self._write(pool_text.SEMAPHORE, create(0))
        else:
            ctypes.CDLL(None).sem_init(ctypes.c_void_p(self.address + pool_text.SEMAPHORE), 0, 0)

    def close(self) -> None:
        """End the threads for good: the interpreter is about to."""
        with self._lock:
            self.closed = True
            self._join(EXIT_SECONDS)

    def before_fork(self) -> None:
        """End the threads, so that a child copies no half-done job of theirs, and hold changes."""
        self._lock.acquire()
        self.stop()

    def after_fork_in_parent(self) -> None:
        """Allow changes again."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: of the threads there were, only the one that forked is here."""
        self._lock = threading.RLock()
        self._changing = False
        self._workers = []
        self.asked = _unset
        self._reset()


def _text() -> str:
    return pool_text.pool_text(machine.architecture(), darwin=sys.platform == "darwin")


def _symbols() -> dict[str, int]:
    names = ["clock_gettime", "sched_yield", "usleep"]
    if sys.platform == "darwin":
        names += ["dispatch_semaphore_wait", "dispatch_semaphore_signal"]
    else:
        names += ["sem_wait", "sem_post"]
    process = ctypes.CDLL(None)
    return {name: ctypes.cast(getattr(process, name), ctypes.c_void_p).value or 0 for name in names}


_made: list[Pool] = []
_making = threading.RLock()


def pool() -> Pool:
    """The pool of this process, with the threads that `config.num_threads` asks for."""
    made = _made[0] if _made else _make()
    if made.asked != config.num_threads and not made.closed:
        made.resize()
    return made


def _make() -> Pool:
    with _making:
        if not _made:
            fresh = Pool()
            # A handler of a signal may have made one meanwhile, in this very thread.
            if not _made:
                _made.append(fresh)
                atexit.register(fresh.close)
        return _made[0]


def _each(name: str) -> Any:
    def call() -> None:
        for made in _made:
            getattr(made, name)()

    return call


def _after_fork_in_child() -> None:
    global _making
    _making = threading.RLock()
    _each("after_fork_in_child")()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_each("before_fork"),
        after_in_parent=_each("after_fork_in_parent"),
        after_in_child=_after_fork_in_child,
    )
