"""A lock is taken again by the thread that has it, and is free in a forked child."""

import os
import threading

import pytest

from funcgrad.locks import lock


def test_it_is_taken_again():
    made = lock()
    with made, made:
        pass


# Without fork there is no child that could find a lock taken.
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
# Where other tests have loaded JAX, its own handler of forks warns.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*_at_fork:pytest.PytestUnraisableExceptionWarning",
    "ignore:os.fork:RuntimeWarning",
    "ignore:This process:DeprecationWarning",
)
def test_a_child_finds_it_free_and_what_it_guards_whole():
    made, begun = lock(), threading.Event()
    guarded: list[int] = []

    def hold() -> None:
        with made:
            guarded.append(1)
            begun.set()
            threading.Event().wait(0.2)
            guarded.append(2)

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(10)
    child = os.fork()
    if not child:
        os._exit(0 if made.acquire(timeout=5) and guarded == [1, 2] else 1)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with made:
        assert guarded == [1, 2]
