"""A few elements of a large array changed: in turns of a loop, with its gradient, step by step."""

from __future__ import annotations

import numpy
from works import Work, normal


def recurrence(fw, turns):
    """Each turn sets an element from one that an earlier turn may have set."""

    def end(x):
        def turn(i, x):
            return x.at[i * 3 + 1].set(fw.numpy.sin(x[i]) * 2)

        return fw.lax.fori_loop(0, turns, turn, x)

    return end


def recurrence_numpy(turns):
    def end(x):
        x = x.copy()
        for i in range(turns):
            x[i * 3 + 1] = numpy.sin(x[i]) * numpy.float32(2)
        return x

    return end


def where_large(fw, turns):
    """Each turn sets an element, if it is large."""

    def end(x):
        def turn(i, x):
            return fw.lax.cond(x[i] > 0.5, lambda x: x.at[i].set(0.5), lambda x: x, x)

        return fw.lax.fori_loop(0, turns, turn, x)

    return end


def queue(fw, turns):
    """A queue that each turn either puts a number into or takes one from."""

    def call(buffer, numbers):
        def push(buffer, first, last, number):
            return buffer.at[last].set(number), first, last + 1

        def pop(buffer, first, last, number):
            return buffer.at[first].multiply(number), first + 1, last

        def turn(state, number):
            buffer, first, last = fw.lax.cond(number > 0, push, pop, *state, number)
            return (buffer, first, last), buffer[first]

        return fw.lax.scan(turn, (buffer, 0, 0), numbers[:turns])

    return call


def slope(fw, turns):
    """The gradient of the sum of squares behind such a loop."""

    def call(x):
        return fw.grad(lambda x: fw.numpy.sum(recurrence(fw, turns)(x) ** 2))(x)

    return call


def ring(fw, turns, size):
    """A buffer that forgets: what lay where the next number goes is given out."""

    def call(buffer, numbers):
        def turn(state, number):
            buffer, at = state
            old = buffer[at]
            return (buffer.at[at].set(number), (at + 1) % size), old

        return fw.lax.scan(turn, (buffer, 0), numbers)

    return call


def cached(fw):
    """A row put into a cache that is given away, and what the row looks up in its first rows."""

    def step(cache, row, at):
        cache = fw.lax.dynamic_update_slice(cache, row[None], (at, 0))
        return cache, cache[:64] @ row

    return step


def looked_up(fw, turns):
    """The gradient with respect to a table of which each turn of a loop reads a row."""

    def call(table, x):
        def f(table):
            def turn(h, i):
                return fw.numpy.tanh(h + table[i * 7]), None

            return fw.numpy.sum(fw.lax.scan(turn, x, fw.numpy.arange(turns))[0])

        return fw.grad(f)(table)

    return call


WORKS = [
    Work(
        "1,000 elements of 1e6 set one after the other",
        lambda rng: (normal(rng, 1_000_000),),
        lambda fw: recurrence(fw, 1000),
        numpy=recurrence_numpy(1000),
    ),
    Work(
        "1,000 elements of 1e5 set where a condition holds",
        lambda rng: (normal(rng, 100_000),),
        lambda fw: where_large(fw, 1000),
    ),
    Work(
        "queue of 1e5, 1,000 numbers put in or taken",
        lambda rng: (normal(rng, 100_000), normal(rng, 1000)),
        lambda fw: queue(fw, 1000),
    ),
    Work(
        "200 elements of 1e5 set, gradient",
        lambda rng: (normal(rng, 100_000),),
        lambda fw: slope(fw, 200),
    ),
    Work(
        "ring of 1e5, 1,000 numbers through it",
        lambda rng: (normal(rng, 100_000), normal(rng, 1000)),
        lambda fw: ring(fw, 1000, 100_000),
    ),
    Work(
        "a row into a cache of 4096×512",
        lambda rng: (normal(rng, 4096, 512), normal(rng, 512), numpy.int32(77)),
        cached,
        carry=True,
    ),
    Work(
        "table of 4096×64 read in 256 turns, gradient",
        lambda rng: (normal(rng, 4096, 64), normal(rng, 64)),
        lambda fw: looked_up(fw, 256),
    ),
]
