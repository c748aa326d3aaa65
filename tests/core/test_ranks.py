"""Threads that run one program: where they meet, and that none waits in vain."""

import threading

import numpy as np
import pytest

from funcgrad.config import config
from funcgrad.core.context import context
from funcgrad.core.ranks import Call, RanksDivergeError, run_ranks

LINE = [{"i": k} for k in range(3)]
SQUARE = [{"a": a, "b": b} for a in range(2) for b in range(2)]


def meet(value, names=("i",), what="psum"):
    def together(values):
        return [list(values)] * len(values)

    return context.rank.meet(
        context.rank.group(names), Call(what, (names,), "float32[]"), value, together
    )


def run(places, f):
    found = {}

    def one(number):
        found[number] = f(number)

    run_ranks(places, one, lambda: "lines")
    return found


def test_a_group_meets_in_its_order():
    assert run(LINE, meet) == {k: [0, 1, 2] for k in range(3)}
    assert run(SQUARE, lambda k: meet(k, ("a",))) == {0: [0, 2], 1: [1, 3], 2: [0, 2], 3: [1, 3]}
    assert run(SQUARE, lambda k: meet(k, ("b", "a")))[0] == [0, 2, 1, 3]
    many = run(LINE, lambda k: [meet(k + n)[0] for n in range(200)])
    assert many[2] == list(range(200))


def test_ranks_have_the_options_of_who_starts_them():
    previous = config.override("debug", 3)
    try:
        assert run(LINE, lambda _: config.debug) == dict.fromkeys(range(3), 3)
    finally:
        config.override("debug", previous)
    assert context.rank is None


def fails(k):
    if k == 1:
        raise OSError("no disk")
    return meet(k)


def is_done(k):
    return k if k == 1 else meet(k)


def calls_another(k):
    return meet(k, what="pmax" if k == 1 else "psum")


def crosses(k):
    return [meet(k, (name,)) for name in ("ab" if k in (0, 3) else "ba")]


@pytest.mark.parametrize(
    ("places", "f", "error", "text"),
    [
        (LINE, fails, OSError, "no disk"),
        (
            LINE,
            is_done,
            RanksDivergeError,
            r"(?s)rank 0 is at psum over 'i'.*rank 1 is done.*lines",
        ),
        (LINE, calls_another, RanksDivergeError, r"(?s)rank 0 is at psum.*rank 1 is at pmax"),
        (
            SQUARE,
            crosses,
            RanksDivergeError,
            r"(?s)rank 0 is at psum over 'a'.*rank 2 is at psum over 'b'",
        ),
    ],
)
def test_nobody_waits_for_what_cannot_come(places, f, error, text):
    for _ in range(5):
        with pytest.raises(error, match=text):
            run(places, f)
    assert not [t for t in threading.enumerate() if t.name.startswith("funcgrad-rank")]


def test_an_error_while_results_are_made_ends_all():
    def together(values):
        raise MemoryError("too much")

    with pytest.raises(MemoryError, match="too much"):
        run(
            LINE,
            lambda k: context.rank.meet(
                context.rank.group(("i",)), Call("x", (("i",),), ""), k, together
            ),
        )


def test_a_thread_that_cannot_start_ends_all(monkeypatch):
    start = threading.Thread.start

    def refused(thread):
        if thread.name == "funcgrad-rank-2":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.raises(RuntimeError, match="can't start"):
        run(LINE, meet)


def test_ranks_within_ranks():
    def outer(k):
        inner = run([{"j": 0}, {"j": 1}], lambda j: meet((k, j), ("j",)))
        return meet(inner[0])

    assert run(LINE, outer)[1] == [[(k, 0), (k, 1)] for k in range(3)]


def test_sums_have_the_same_bits_whoever_is_late():
    rng = np.random.default_rng(0)
    values = [rng.normal(size=50).astype(np.float32) for _ in range(3)]
    from funcgrad.control.exchanges import psum_p

    found = {
        run(LINE, lambda k: psum_p.impl(values[k], axes=("i",)).tobytes())[0] for _ in range(20)
    }
    assert len(found) == 1
