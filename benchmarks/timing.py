"""Interleaved timing: every contender takes its turn in each round; minimum and median count."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def interleaved(
    contenders: dict[str, Callable[[], object]], rounds: int = 15, calls: int = 1
) -> dict[str, tuple[float, float]]:
    """Seconds a call, as (minimum, median) over the rounds, for each contender."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        call()
    for _ in range(rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            for _ in range(calls):
                call()
            times[name].append((time.perf_counter() - start) / calls)
    return {name: (min(t), statistics.median(t)) for name, t in times.items()}


def report(title: str, times: dict[str, tuple[float, float]], unit: float = 1e6) -> None:
    """Print the table; ratios are to the first contender, which is funcgrad."""
    first = next(iter(times.values()))
    print(f"\n{title}")
    print(f"  {'':28s} {'min':>10s} {'median':>10s}   ours over it")
    for name, (least, middle) in times.items():
        print(
            f"  {name:28s} {least * unit:10.2f} {middle * unit:10.2f}   "
            f"{first[0] / least:6.2f} {first[1] / middle:6.2f}"
        )
