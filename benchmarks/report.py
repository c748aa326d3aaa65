"""Results as text: lines while the suite runs, tables for the files, a plot of the ratios."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

from gpu_table import section_of, with_section
from suite import Row
from works import OURS, PEERS

ROOT = Path(__file__).parents[1]
DATA = ROOT / "benchmarks" / "results" / "cpu.json"
TABLE = ROOT / "benchmarks" / "results" / "cpu.md"
PAGE = ROOT / "docs" / "benchmarks.md"
PLOT = ROOT / "docs" / "benchmarks.svg"
ODD_GOAL = 1.3

HOW = """\
Every work is one function, the same text for funcgrad and for JAX (`benchmarks/bench_*.py`),
jitted, with the state of a training step donated; PyTorch runs eagerly, and also with channels-last
tensors or `torch.compile` where that may help; NumPy takes part where it is fast. Each contender
has a process of its own with two threads, results are compared before anything is timed, and the
processes take turns, each when the threads of the one before rest. A time is the minimum over all
turns, with the median of the turns' medians in brackets. The ratio is our minimum over the best
peer's minimum (in brackets the same of the medians), and the goal is what it may be at most. It is
a shared machine: trust ratios, not milliseconds.
"""


def quantity(value: float, unit: str) -> str:
    """A number with a fitting unit."""
    if unit == "B":
        return f"{value / 2**20:.1f} MiB"
    for factor, name in ((1.0, "s"), (1e-3, "ms")):
        if value >= factor:
            return f"{value / factor:.3g} {name}"
    return f"{value * 1e6:.3g} µs"


def ratio_text(row: Row) -> str:
    """The ratios of a row by minimum and by median."""
    least, middle = row.ratio(0), row.ratio(1)
    return "" if least is None or middle is None else f"{least:.2f} ({middle:.2f})"


def goal_text(row: Row) -> str:
    """The goals of a row and whether they are reached."""
    goals = [] if row.goal is None else [f"≤ {row.goal:g}"]
    goals += [] if row.limit is None else [f"≤ {quantity(row.limit, row.unit)}"]
    word = {True: " yes", False: " no", None: ""}[row.reached()]
    return ", ".join(goals) + (word if goals else "")


def shortened(failure: str) -> str:
    """The last line of a traceback."""
    lines = [line for line in failure.splitlines() if line.strip()]
    named = [n for n in lines if not n.startswith((" ", "\t", "Traceback")) and ": " in n]
    return (named or lines or ["failed"])[-1][:160]


def show(row: Row, traceback: bool = False) -> None:
    """Print a row."""
    print(f"  {row.name}", flush=True)
    for name, (least, middle) in row.times.items():
        print(
            f"      {name:20s} {quantity(least, row.unit):>10s} {quantity(middle, row.unit):>10s}"
        )
    if row.times:
        print(f"      ours over the best peer: {ratio_text(row) or '-'}   goal: {goal_text(row)}")
    for name, failure in row.failures.items():
        print(f"      {name} FAILED: {failure if traceback else shortened(failure)}", flush=True)


def machine() -> str:
    """The processor in words."""
    model, flags = platform.machine(), ""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() == "flags":
                flags = value
    except OSError:
        pass  # not Linux: the architecture has to do
    widest = next((w for w in ("avx512f", "avx2") if w in flags.split()), "")
    names = {"avx512f": " with AVX-512", "avx2": " with AVX2"}
    return f"{min(2, os.cpu_count() or 1)} cores {model}{names.get(widest, '')}"


def versions(contenders: tuple[str, ...]) -> str:
    """Versions of Python and of who takes part."""
    names = dict.fromkeys(["numpy", *(c.split()[0].split(".")[0] for c in contenders)])
    found = [f"Python {platform.python_version()}"]
    for name in (*names, "llvmlite"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def stored() -> dict[str, Any]:
    """What the file of results holds: families by name."""
    return json.loads(DATA.read_text()) if DATA.exists() else {}


def store(
    families: dict[str, list[Row]], order: tuple[str, ...], contenders: tuple[str, ...], how: str
) -> None:
    """Put families into the file of results and write the tables and the plot from all of it."""
    data = stored()
    facts = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(contenders),
        "how": how,
    }
    for name, rows in families.items():
        if rows:  # what a quick run leaves out is as it was
            data[name] = {**facts, "rows": [row.as_dict() for row in rows]}
    data = {name: data[name] for name in order if name in data}
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    text = "\n".join(tables(data))
    TABLE.write_text(f"# Benchmarks on the CPU\n\n{text}")
    picture = ""
    if plot(data):
        picture = f"![our time over the best peer's, with the goals]({PLOT.name})\n\n"
    page = f"# Benchmarks\n\n{HOW}\n`make bench` writes this page.\n\n{picture}{text}"
    # What `make gpu` wrote stays.
    gpu = section_of(PAGE.read_text() if PAGE.exists() else "")
    PAGE.write_text(with_section(page, gpu))


def rows_of(data: dict[str, Any]) -> list[Row]:
    """All rows of the file of results."""
    return [Row(**row) for family in data.values() for row in family["rows"]]


def tables(data: dict[str, Any]) -> list[str]:
    """The text of the tables, line by line."""
    lines: list[str] = []
    facts = ""
    for family, held in data.items():
        new = f"{held['date']}; {held['machine']}; {held['versions']}. {held['how']}."
        if new != facts:
            lines += [new, ""]
            facts = new
        rows = [Row(**row) for row in held["rows"]]
        if not rows:  # a quick run leaves out works without a goal
            continue
        present = [c for c in (OURS, *PEERS) if any(c in r.times for r in rows)]
        head = ["work", *present, "ours over best", "goal"]
        lines += [f"## {family.removeprefix('bench_').replace('_', ' ')}", ""]
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        for row in rows:
            cells = [row.name]
            for c in present:
                least, middle = row.times.get(c, (None, None))
                missing = "failed" if c in row.failures else ""
                cells.append(
                    missing
                    if least is None
                    else f"{quantity(least, row.unit)} ({quantity(middle, row.unit)})"
                )
            lines.append("| " + " | ".join([*cells, ratio_text(row), goal_text(row)]) + " |")
        lines.append("")
        for row in rows:
            for who, failure in row.failures.items():
                lines.append(f"- {row.name}, {who}: {shortened(failure)}")
        if any(row.failures for row in rows):
            lines.append("")
    return lines + odd_sizes(rows_of(data))


def odd_sizes(rows: list[Row]) -> list[str]:
    """The table of odd sizes beside smooth ones."""
    by_name = {row.name: row for row in rows}
    lines: list[str] = []
    for row in rows:
        even = by_name.get(row.smooth or "")
        if even is None or not row.amount or not even.amount:
            continue
        if OURS not in row.times or OURS not in even.times:
            continue
        cells = [row.name, even.name]
        for c in (OURS, "jax"):
            both = c in row.times and c in even.times
            per = [r.times[c][0] / r.amount if both and r.amount else 0.0 for r in (row, even)]
            cells.append(f"{per[0] / per[1]:.2f}" if both else "")
        word = "yes" if float(cells[2]) <= ODD_GOAL else "no"
        lines.append("| " + " | ".join([*cells, f"≤ {ODD_GOAL} {word}"]) + " |")
    if not lines:
        return []
    head = "| work | smooth one | ours | JAX | goal |\n|---|---|---|---|---|"
    title = "## Odd sizes, program sizes: time for an element or eqn over that of the smooth size"
    return [title, "", head, *lines, ""]


def plot(data: dict[str, Any]) -> bool:
    """Draw the ratios as bars with their goals; False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        print("no plot: matplotlib is not installed (the extra `plot`)")
        return False
    matplotlib.use("Agg")
    # The same numbers give the same file; text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "funcgrad", "svg.fonttype": "none"})
    from matplotlib import pyplot

    rows = [row for row in rows_of(data) if row.ratio() is not None]
    if not rows:
        return False
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.22 * len(rows)), layout="constrained")
    for place, row in enumerate(rows):
        ratio = row.ratio() or 1.0
        colour = {True: "#2a7f62", False: "#b5482f", None: "#8a8f98"}[row.reached()]
        axes.barh(place, ratio - 1, left=1, height=0.7, color=colour)
        if row.goal is not None:
            axes.plot([row.goal] * 2, [place - 0.45, place + 0.45], color="black", linewidth=1.5)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("our time over the best peer's (black: goal)")
    marks = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
    least, most = axes.get_xlim()
    marks = [t for t in marks if least <= t <= most]
    axes.set_xticks(marks, [f"{t:g}" for t in marks])
    axes.set_xticks([], minor=True)
    figure.savefig(PLOT, metadata={"Date": None})
    pyplot.close(figure)
    return True
