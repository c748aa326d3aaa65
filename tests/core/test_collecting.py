"""The collector waits while programs are made, and goes on as it was."""

import gc
import os
import weakref

import numpy as np
import pytest

import funcgrad as fg
from funcgrad.core import collecting


@pytest.fixture(autouse=True)
def collector():
    """The collector as it was before the test."""
    was_on = gc.isenabled()
    yield
    (gc.enable if was_on else gc.disable)()


@pytest.mark.parametrize("on", [True, False])
def test_it_is_off_within_and_afterwards_as_it_was(on):
    (gc.enable if on else gc.disable)()
    with collecting.put_off():
        assert not gc.isenabled()
        with collecting.put_off():
            pass
        assert not gc.isenabled()
    assert gc.isenabled() == on


def test_an_error_lets_it_go_on():
    gc.enable()
    with pytest.raises(KeyError), collecting.put_off():
        raise KeyError
    assert gc.isenabled()


class Knot:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self):
        self.itself = self


def looked_through():
    """How many objects are young before and after a program with 5,000 of its own is made."""
    gc.enable()
    gc.collect()
    with collecting.put_off():
        kept = [Knot() for _ in range(5000)]
        gc.disable()
        before = len(gc.get_objects(generation=0))
    gc.disable()
    young = len(gc.get_objects(generation=0))
    assert len(kept) == 5000
    return before, young


def test_of_first_programs_all_is_old(monkeypatch):
    monkeypatch.setattr(collecting, "_made", 0)
    before, young = looked_through()
    assert before >= 5000 > 100 > young


def test_of_later_programs_all_is_young(monkeypatch):
    monkeypatch.setattr(collecting, "_made", collecting._FIRST)
    before, _ = looked_through()
    assert before >= 5000
    assert collecting._made == collecting._FIRST


def test_what_was_frozen_stays_so(monkeypatch):
    monkeypatch.setattr(collecting, "_made", 0)
    gc.enable()
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with collecting.put_off():
            pass
        assert gc.get_freeze_count() == frozen
        assert collecting._made == 0
    finally:
        gc.unfreeze()


def test_garbage_of_first_programs_is_found(monkeypatch):
    monkeypatch.setattr(collecting, "_made", 0)
    gc.enable()
    with collecting.put_off():
        freed = weakref.ref(Knot())
    assert freed() is not None
    gc.collect()
    assert freed() is None


def test_tracing_and_compiling_put_it_off_and_calls_do_not():
    gc.enable()
    seen = []

    @fg.jit
    def f(x):
        seen.append(gc.isenabled())
        return fg.pure_callback(lambda y: (seen.append(gc.isenabled()), y)[1], x, x)

    f(np.ones(3, np.float32))
    assert seen == [False, True]
    assert gc.isenabled()


# Without fork there is no child in which nobody makes programs.
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
# Where other tests have loaded JAX, its own handler of forks warns.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*_at_fork:pytest.PytestUnraisableExceptionWarning",
    "ignore:os.fork:RuntimeWarning",
)
def test_it_goes_on_in_a_forked_child():
    gc.enable()
    with collecting.put_off():
        child = os.fork()
        if not child:
            os._exit(0 if gc.isenabled() else 1)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert gc.isenabled()
