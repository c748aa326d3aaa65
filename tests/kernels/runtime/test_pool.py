"""Jobs run whole and alike for any number of threads; idle and forked pools cost nothing."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from funcgrad.config import config
from funcgrad.kernels.runtime import machine, toolchain
from funcgrad.kernels.runtime.pool import pool

# args: the array, and its pool for the nested job. Each element is raised by its index, and the
# number of the chunk's first element is written beside it.
KERNELS = """
define void @raise(ptr %args, i64 %lo, i64 %hi) nounwind {
entry:
  %a = load ptr, ptr %args, align 8
  %q = getelementptr ptr, ptr %args, i64 1
  %b = load ptr, ptr %q, align 8
  br label %loop
loop:
  %i = phi i64 [ %lo, %entry ], [ %j, %loop ]
  %p = getelementptr i64, ptr %a, i64 %i
  %v = load i64, ptr %p, align 8
  %w = add i64 %v, %i
  store i64 %w, ptr %p, align 8
  %r = getelementptr i64, ptr %b, i64 %i
  store i64 %lo, ptr %r, align 8
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %hi
  br i1 %more, label %loop, label %end
end:
  ret void
}
declare void @fg_parallel_for(ptr, ptr, ptr, i64, i64)
define void @nested(ptr %args, i64 %lo, i64 %hi) nounwind {
  %q = getelementptr ptr, ptr %args, i64 2
  %pool = load ptr, ptr %q, align 8
  %i = getelementptr ptr, ptr %args, i64 3
  %extent = load i64, ptr %i, align 8
  call void @fg_parallel_for(ptr %pool, ptr @raise, ptr %args, i64 %extent, i64 1)
  ret void
}
define void @program(ptr %pool, ptr %args, i64 %extent, i64 %grain, i64 %times) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  call void @fg_parallel_for(ptr %pool, ptr @raise, ptr %args, i64 %extent, i64 %grain)
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %times
  br i1 %more, label %loop, label %end
end:
  ret void
}
"""


@pytest.fixture(scope="module")
def code() -> Any:
    symbols = {"fg_parallel_for": pool().parallel_for_address}
    names = ("program", "nested", "raise")
    return toolchain.load(toolchain.compile_text(KERNELS), symbols, names)


@pytest.fixture(scope="module")
def run(code: Any) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    kind = ctypes.CFUNCTYPE(None, pointer, pointer, number, number, number)
    program = kind(code.address("program"))

    def call(extent: int, grain: int, times: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Sums and first elements of chunks."""
        sums, firsts = np.zeros(extent, np.int64), np.zeros(extent, np.int64)
        args = (pointer * 2)(sums.ctypes.data, firsts.ctypes.data)
        program(pool().address, ctypes.addressof(args), extent, grain, times)
        return sums, firsts

    return call


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = config.num_threads
    yield
    config.update("num_threads", before)


def check(run: Callable[..., Any], extent: int, grain: int, times: int = 1) -> None:
    sums, firsts = run(extent, grain, times)
    index = np.arange(extent)
    np.testing.assert_array_equal(sums, times * index)
    np.testing.assert_array_equal(firsts, index // (grain if grain > 0 else extent or 1) * grain)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_every_chunk_runs_once_and_chunks_do_not_depend_on_the_threads(
    run: Callable[..., Any], threads: int
) -> None:
    config.update("num_threads", threads)
    for extent, grain in [(0, 4), (1, 1), (7, 1), (7, 3), (8, 8), (1000, 7), (9, 100), (5, 0)]:
        check(run, extent, grain)
    check(run, 64, 1, times=500)
    assert pool().threads == threads


def test_by_default_one_thread_a_processor() -> None:
    config.update("num_threads", None)
    assert pool().threads == machine.available_cores()


def test_the_address_stays_when_the_size_changes(run: Callable[..., Any]) -> None:
    config.update("num_threads", 2)
    address = pool().address
    for threads in (4, 1, 3):
        config.update("num_threads", threads)
        assert pool().threads == threads
        assert pool().address == address
        check(run, 100, 3)
    names = [thread.name for thread in threading.enumerate()]
    assert sum(name.startswith("funcgrad-") for name in names) == 2


def test_a_stopped_pool_runs_jobs_in_the_caller_and_starts_again(run: Callable[..., Any]) -> None:
    config.update("num_threads", 3)
    pool().stop()
    assert pool().threads == 3
    check(run, 100, 3)


def test_jobs_of_several_threads_at_once(run: Callable[..., Any]) -> None:
    config.update("num_threads", 3)
    failed: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for i in range(20):
                check(run, 50 + seed, 1 + i % 5, times=50)
                time.sleep(0.001 * (i % 2))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for size in (2, 4, 1, 3):
        config.update("num_threads", size)
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert not failed


def test_a_job_within_a_job_runs_in_its_thread(code: Any) -> None:
    config.update("num_threads", 3)
    made, extent = pool(), 40
    sums, firsts = np.zeros(extent, np.int64), np.zeros(extent, np.int64)
    args = (ctypes.c_void_p * 4)(sums.ctypes.data, firsts.ctypes.data, made.address, extent)
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    parallel_for = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, number, number)(
        made.parallel_for_address
    )
    # One chunk of the outer job, so that the inner ones do not write at the same time.
    parallel_for(made.address, code.address("nested"), ctypes.addressof(args), 2, 2)
    np.testing.assert_array_equal(sums, np.arange(extent))
    parallel_for(made.address, code.address("nested"), ctypes.addressof(args), 64, 1)
    np.testing.assert_array_equal(firsts, np.arange(extent))


def test_idle_threads_use_no_processor(run: Callable[..., Any]) -> None:
    config.update("num_threads", 4)
    check(run, 1000, 10, times=10)
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.01
    check(run, 1000, 10, times=10)  # and they wake


def test_sleepers_wake_for_work(code: Any) -> None:
    """A job whose chunks wait for each other ends only if several threads take part."""
    meet = """
    define void @meet(ptr %count, i64 %lo, i64 %hi) nounwind {
    entry:
      %old = atomicrmw add ptr %count, i64 1 seq_cst
      br label %wait
    wait:
      %now = load atomic i64, ptr %count seq_cst, align 8
      %all = icmp sge i64 %now, 3
      br i1 %all, label %end, label %wait
    end:
      ret void
    }
    """
    config.update("num_threads", 3)
    made = pool()
    loaded = toolchain.load(toolchain.compile_text(meet), {}, ("meet",))
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    parallel_for = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, number, number)(
        made.parallel_for_address
    )
    for pause in (0.0, 0.02, 0.0005, 0.02):
        time.sleep(pause)
        count = number(0)
        parallel_for(made.address, loaded.address("meet"), ctypes.addressof(count), 3, 1)
        assert count.value == 3


# Where other tests have loaded JAX, its own handler of forks warns.
forks = pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*_at_fork:pytest.PytestUnraisableExceptionWarning",
    "ignore:os.fork:RuntimeWarning",
)


# Without fork there is no child that could inherit threads it does not have.
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@forks
def test_a_child_has_a_fresh_pool(run: Callable[..., Any]) -> None:
    config.update("num_threads", 3)
    check(run, 100, 1)
    child = os.fork()
    if not child:
        code = 1
        try:
            check(run, 200, 3, times=100)
            code = 0 if pool().threads == 3 else 2
        finally:
            os._exit(code)
    check(run, 300, 3, times=100)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# Without fork there is no child that could inherit threads it does not have.
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@forks
def test_a_fork_while_another_thread_runs_jobs(run: Callable[..., Any]) -> None:
    config.update("num_threads", 3)
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            run(100, 1, 20)

    thread = threading.Thread(target=work)
    thread.start()
    codes: list[int] = []
    for _ in range(5):
        child = os.fork()
        if not child:
            code = 1
            try:
                check(run, 200, 3, times=10)
                code = 0
            finally:
                os._exit(code)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    over.set()
    thread.join()
    assert codes == [0] * 5


# The handler must interrupt at any place: that takes signals by a timer, which Windows lacks.
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no interval timers")
def test_a_signal_handler_may_run_jobs(run: Callable[..., Any]) -> None:
    config.update("num_threads", 2)
    handled: list[int] = []

    def handle(*_: Any) -> None:
        check(run, 30, 1, times=3)
        handled.append(pool().threads)

    previous = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            config.update("num_threads", 3 - pool().threads % 2)
            check(run, 100, 3, times=3)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert handled


SCRIPT = """
import atexit, ctypes, os, threading
atexit.register(lambda: use("at exit"))  # runs after the pool's own end
from funcgrad.kernels.runtime import toolchain
from funcgrad.kernels.runtime.pool import pool
code = toolchain.load(
    toolchain.compile_text(
        "define void @k(ptr %a, i64 %lo, i64 %hi) {{\\n"
        "  %x = atomicrmw add ptr %a, i64 1 seq_cst\\n  ret void\\n}}"
    ), {{}}, ("k",))
def use(when):
    made, count = pool(), ctypes.c_int64(0)
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 2)
    run = kind(made.parallel_for_address)
    run(made.address, code.address("k"), ctypes.addressof(count), 10, 1)
    os.write(1, f"{{when}} {{made.threads}} {{count.value}}\\n".encode())
{body}
"""


def script(body: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(body=body)],
        env=os.environ | {"FUNCGRAD_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stderr == ""
    assert run.returncode == 0
    return run.stdout.splitlines()


def test_the_threads_end_with_the_process_and_the_pool_still_answers() -> None:
    assert script("use('main')") == ["main 3 10", "at exit 1 10"]


def test_threads_that_start_the_pool_at_once() -> None:
    body = """
threads = [threading.Thread(target=use, args=("thread",)) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
workers = [t.name for t in threading.enumerate() if t.name.startswith("funcgrad-")]
print(len(workers), flush=True)
"""
    assert script(body) == ["thread 3 10"] * 8 + ["2", "at exit 1 10"]
