"""Large memory comes in small pages first, and is joined to huge ones when it is used again."""

from __future__ import annotations

import mmap
import os
import re
import threading

import numpy as np
import pytest

import funcgrad as fg
from funcgrad.kernels.runtime import launch, pages

MEBI = 1 << 20

joining = pytest.mark.skipif(
    not pages.can_join(), reason="the system has no huge pages, or joins none when it is told to"
)


def huge_bytes(memory):
    """How much of memory is in huge pages, by the system's account of the mapping around it."""
    at, found, inside = memory.ctypes.data + memory.nbytes // 2, 0, False
    with open("/proc/self/smaps", encoding="utf-8") as file:
        for line in file:
            bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
            if bounds:
                start, end = (int(x, 16) for x in bounds.groups())
                inside = start <= at < end
            elif inside and line.startswith("AnonHugePages"):
                found = int(line.split()[1]) << 10
    return found


def program(x):
    """Sums between matrix products, so that there are 16 MiB between two kernels."""
    y = fg.numpy.tanh(x @ x.T)
    return (y @ y).sum(0)


def given():
    """2048 rows, whose products take 16 MiB."""
    rng = np.random.default_rng(0)
    return fg.numpy.asarray(rng.standard_normal((2048, 64), dtype=np.float32) / 64)


def fresh(size):
    """Memory that nobody had before: what is freed stays in the pages that it was in."""
    return np.frombuffer(mmap.mmap(-1, size), np.uint8)


@joining
def test_pages_are_small_until_they_are_joined():
    memory = fresh(16 * MEBI)
    assert pages.in_small_pages(memory)
    memory[:] = np.arange(memory.size, dtype=np.uint8)
    assert not huge_bytes(memory)
    thread = pages.join(memory)
    assert thread is not None
    thread.join()
    assert huge_bytes(memory) >= 8 * MEBI
    assert np.array_equal(memory, np.arange(memory.size, dtype=np.uint8))


@joining
def test_what_is_written_meanwhile_stays():
    memory = np.empty(64 * MEBI, np.uint8)
    assert pages.in_small_pages(memory)
    memory[:] = 1
    thread = pages.join(memory)
    assert thread is not None
    turn = 0
    while thread.is_alive() or turn < 4:
        turn = (turn + 1) % 200
        memory[:] = turn
        memory += 1
        assert (memory == turn + 1).all()
    thread.join()


def test_little_memory_is_left_alone():
    assert not pages.in_small_pages(np.empty(pages.SMALLEST - 1, np.uint8))


def test_systems_that_cannot_join_keep_their_pages(monkeypatch):
    monkeypatch.setattr(pages, "can_join", lambda: False)
    assert not pages.in_small_pages(np.empty(16 * MEBI, np.uint8))


@joining
def test_forks_wait_for_pages():
    memory = np.ones(32 * MEBI, np.uint8)
    thread = pages.join(memory)
    assert thread is not None
    child = os.fork()
    if not child:
        os._exit(0)
    assert not thread.is_alive()
    assert os.waitpid(child, 0)[1] == 0


def test_without_a_thread_pages_stay_small(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert pages.join(np.empty(16 * MEBI, np.uint8)) is None


@joining
def test_the_second_call_joins_and_none_after_it(monkeypatch):
    joined = []

    def join(memory):
        joined.append(pages_join(memory))

    pages_join = pages.join
    monkeypatch.setattr(pages, "join", join)
    f, x = fg.jit(program), given()
    first = np.asarray(f(x))
    assert not joined
    second = np.asarray(f(x))
    assert len(joined) == 1
    joined[0].join()
    assert np.array_equal(first, second)
    assert np.array_equal(first, np.asarray(f(x)))
    assert len(joined) == 1


@joining
def test_long_programs_begin_with_huge_pages(monkeypatch):
    monkeypatch.setattr(launch, "_LONG_NANOSECONDS", 0.0)
    joined = []
    monkeypatch.setattr(pages, "join", joined.append)
    f, x = fg.jit(lambda x: program(x) + 1), given()
    f(x)
    f(x)
    assert not joined
