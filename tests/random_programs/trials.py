"""What is wrong with a program, in each of the ways in which it can be run.

A fault is a line of words: a wrong result, an exception, or two runs that should be the same and
differ.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass

import numpy

import funcgrad as fg
from funcgrad.config import enable_x64

from . import arithmetic, control, folds, networks, shapes
from .drawing import EXTENTS, Limits, constant, draw, dtype_text
from .running import (
    HEAD,
    Reference,
    by_jax,
    chained,
    compiled,
    dtypes,
    eager,
    emulated,
    numbers,
    same,
    text,
)
from .shrinking import shrunk

STEPS = {
    name: step
    for file in (arithmetic, shapes, folds, networks, control)
    for name, step in file.STEPS.items()
}
MODES = ("plain", "plain", "grad", "grad", "jvp", "vmap", "hvp", "each")
SIZES = {
    # The emulator takes a microsecond and more for each element that a thread computes.
    "tiny": Limits(1_500, 30_000, 6, EXTENTS[:14]),
    "small": Limits(4_000, 200_000, 8),
    "middle": Limits(),
    "large": Limits(200_000, 30_000_000),
    "huge": Limits(3_000_000, 300_000_000, 8, (*EXTENTS, 500, 1000, 4096, 10_000)),
}


@contextmanager
def threads(count):
    fg.config.update("num_threads", count)
    try:
        yield
    finally:
        fg.config.update("num_threads", None)


def by_jit(program, reference):
    """jit, called twice, beside NumPy's rules; then on one thread and on two."""
    first, again = compiled(program, reference.given)
    said = reference.wrong(first)
    if not same(first, again):
        said.append("the second call gives other bits than the first")
    found = []
    for count in (1, 2):
        with threads(count):
            found.append(compiled(program, reference.given)[0])
    if not same(*found):
        said.append("two threads give other bits than one")
    if program.donated and not same(*chained(program, reference.given)):
        said.append("donated arguments give other bits than kept ones")
    return said


def by_peer(program, reference):
    # Its rounding errors are its own.
    return reference.wrong(by_jax(program, reference.given), 4)


def by_emulator(program, reference):
    return [f for outs in emulated(program, reference) for f in reference.wrong(outs)]


WAYS = {
    "jit": by_jit,
    "eager": lambda program, reference: reference.wrong(eager(program, reference.given)),
    "jax": by_peer,
    "emulator": by_emulator,
}


@dataclass(frozen=True)
class Fault:
    """What one way of running a program says."""

    way: str
    said: str

    @property
    def kind(self):
        """What stays the same while the program is made smaller."""
        return self.way, self.said.split()[0]


def faults(program, ways):
    """The faults of a program; without any, an empty list."""
    found = []
    with enable_x64():
        try:
            reference = Reference(program)
        except Exception as error:
            return [Fault("numpy", f"{type(error).__name__}: {error}")]
        for way in ways:
            try:
                found += [Fault(way, said) for said in WAYS[way](program, reference)]
            except Exception as error:
                found.append(Fault(way, f"{type(error).__name__}: {error}"))
    return found


def drawn(seed, size="middle", modes=MODES):
    with enable_x64():
        return draw(seed, STEPS, SIZES[size], modes)


def report(program, found):
    """The faults and the smallest program found that has the first of them, to be pasted."""
    kind = found[0].kind

    def fails(smaller):
        return kind in [f.kind for f in faults(smaller, [kind[0]] if kind[0] in WAYS else [])]

    smallest = shrunk(program, fails)
    said = faults(smallest, [kind[0]] if kind[0] in WAYS else []) or found
    lines = [f"seed {program.seed}, {f.way}: {f.said}" for f in said]
    return "\n".join([*lines, "", script(smallest, kind[0])])


def script(program, way):
    """A program that can be pasted and run."""
    top = "jax" if way == "jax" else "funcgrad"
    names = dtypes(program, fg.numpy)
    head = HEAD.format(top=top, **{n: numpy.dtype(d).name for n, d in names.items()})
    tables = [
        f"    np.asarray(constant({seed}, {v.shape}, {dtype_text(v.dtype)}, {bound})),"
        for v, (seed, bound) in zip(program.inputs, numbers(program), strict=True)
    ]
    given = "\n".join(["given = [", *tables, "]"])
    donated = f", donate_argnums={program.donated}" if program.donated else ""
    call = f"print(top.jit(run{donated})(*given))"
    return "\n".join([head, inspect.getsource(constant), "", text(program), given, call])
