"""First calls in fresh processes, with an empty and a warm cache; compile time by program size."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from bench_cnn import LENET, RESNET
from bench_recurrent import LSTM
from bench_transformer import TRANSFORMER
from peers import FailedError, environment, once
from suite import Row
from works import OURS

import programs

MLP = "MLP 784-512-512-10 Adam, batch 128"
STEPS = (
    ("bench_mlp", MLP),
    ("bench_cnn", LENET),
    ("bench_cnn", RESNET),
    ("bench_recurrent", LSTM),
    ("bench_transformer", TRANSFORMER),
)
CONTENDERS = (OURS, "jax")


def variables(directory, cached):
    """The environment of a process whose library keeps compiled programs in a directory."""
    jax = {
        "JAX_COMPILATION_CACHE_DIR": str(directory / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return environment(directory) | (jax if cached else {})


def summary(found):
    """Minimum and median."""
    return min(found), statistics.median(found)


def attempt(row, contender, order, family, work, given):
    """A measurement in a process of its own; a failure is written into the row."""
    try:
        return once(order, family, work, contender, given)
    except FailedError as error:
        row.failures[contender] = str(error)
        return None


def first_calls(family, work, rounds, contenders):
    """Rows of one step: cache empty, cache warm."""
    cold = Row(f"first call, empty cache: {work}", goal=1.0)
    warm = Row(f"first call, warm cache: {work}", goal=0.3, limit=0.2)
    times = {row.name: {c: [] for c in contenders} for row in (cold, warm)}
    for _ in range(rounds):
        for contender in contenders:
            with tempfile.TemporaryDirectory() as name:
                given = variables(Path(name), cached=True)
                for row in (cold, warm):
                    if contender in row.failures:
                        continue
                    found = attempt(row, contender, "first", family, work, given)
                    if found is not None:
                        times[row.name][contender].append(found["seconds"])
    for row in (cold, warm):
        row.times = {c: summary(t) for c, t in times[row.name].items() if t}
    return [cold, warm]


def by_size(kind, eqns, rounds, contenders):
    """The row of a program: no cache, so that nothing but compiling is timed."""
    row = Row(
        f"first call: {programs.name(kind, eqns)}",
        limit=4.0 if eqns == 2000 else None,
        amount=eqns,
        smooth=f"first call: {programs.name(kind, 500)}" if eqns != 500 else None,
    )
    for contender in contenders:
        found = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as name:
                given = variables(Path(name), cached=False)
                work = programs.name(kind, eqns)
                answer = attempt(row, contender, "first", "programs", work, given)
            if answer is None:
                break
            found.append(answer["seconds"])
        if found:
            row.times[contender] = summary(found)
    return row


def rows(settings, show):
    """All rows of this family."""
    rounds = 1 if settings.quick else 3
    contenders = [c for c in CONTENDERS if c in settings.contenders]
    found = []
    for family, work in STEPS:
        for row in first_calls(family, work, rounds, contenders):
            show(row)
            found.append(row)
    for kind in ("mixed", "elementwise"):
        for eqns in (500, 2000) if settings.quick else programs.SIZES:
            # JAX needs up to half a minute for the largest; the goal is an absolute one.
            found.append(by_size(kind, eqns, rounds, [OURS] if settings.quick else contenders))
            show(found[-1])
    return found
