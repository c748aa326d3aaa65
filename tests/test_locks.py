"""A lock is taken again by the thread that has it, and is free in a forked child."""

import importlib
import os
import sys
import threading
import time

import pytest

from funcgrad.locks import lock


def test_it_is_taken_again():
    made = lock()
    with made, made:
        pass


# Where other tests have loaded JAX, its own handler of forks warns.
forks = pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*_at_fork:pytest.PytestUnraisableExceptionWarning",
    "ignore:os.fork:RuntimeWarning",
    "ignore:This process:DeprecationWarning",
)


# Without fork there is no child that could find a lock taken.
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@forks
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


# Without fork there is no child that could find a module half imported.
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@forks
def test_a_child_imports_anew_what_another_thread_was_importing(tmp_path, monkeypatch):
    (tmp_path / "imported_slowly.py").write_text("import time\ntime.sleep(0.3)\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    thread = threading.Thread(target=importlib.import_module, args=("imported_slowly",))
    thread.start()
    while "imported_slowly" not in sys.modules:
        time.sleep(0.001)
    child = os.fork()
    if not child:
        importer = threading.Thread(
            target=lambda: os._exit(0 if importlib.import_module("imported_slowly").whole else 2)
        )
        importer.start()
        importer.join(20)
        os._exit(1)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sys.modules.pop("imported_slowly").whole
