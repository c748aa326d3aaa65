"""Run the benchmarks: contenders in processes of their own, by turns.

Tables are written to `results/cpu.md` and `docs/benchmarks.md`, numbers to `results/cpu.json`.

Run: python benchmarks/run.py [--quick] [name ...]
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time

import report
from peers import present
from suite import Settings, run_works

NAMES = (
    "bench_mlp",
    "bench_cnn",
    "bench_recurrent",
    "bench_transformer",
    "bench_per_example",
    "bench_private",
    "bench_elementwise",
    "bench_rows",
    "bench_contraction",
    "bench_derivatives",
    "bench_branches",
    "bench_special",
    "bench_factors",
    "bench_fourier",
    "bench_images",
    "bench_arrays",
    "bench_formulas",
    "bench_loops",
    "bench_indexing",
    "bench_updates",
    "bench_calls",
    "bench_compile",
    "bench_memory",
    "bench_import",
    "bench_eager",
    "bench_tracing",
)


def options(arguments: list[str] | None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description="Benchmarks beside JAX, PyTorch and NumPy.")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="few, short turns: minutes in all")
    parser.add_argument("--check", action="store_true", help="compare results, hardly time them")
    parser.add_argument("--rounds", type=int, help="turns of each contender")
    parser.add_argument("--seconds", type=float, help="length of a turn")
    parser.add_argument("--only", default="", help="works whose name contains this text")
    parser.add_argument("--peers", help="contenders beside ours, with commas between")
    parser.add_argument("--traceback", action="store_true", help="print whole tracebacks")
    parser.add_argument("--no-write", action="store_true", help="leave the files of results alone")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    return given


def settings_of(given: argparse.Namespace) -> Settings:
    """How long things are timed, and who takes part."""
    wanted = None if given.peers is None else [p.strip() for p in given.peers.split(",")]
    contenders = present(wanted)
    rounds, seconds = (3, 0.1) if given.quick else (9, 0.4)
    if given.check:
        rounds, seconds = 1, 0.0
    # Compiling with PyTorch takes longer than a quick run may.
    if given.quick or given.check:
        contenders = [c for c in contenders if c != "torch.compile" or wanted]
    return Settings(
        rounds=given.rounds or rounds,
        seconds=seconds if given.seconds is None else given.seconds,
        quick=given.quick,
        contenders=tuple(contenders),
        traceback=given.traceback,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the named benchmarks, or all; 1 if a contender failed at something."""
    given = options(arguments)
    settings = settings_of(given)
    families = {}
    begin = time.perf_counter()
    for name in given.names or NAMES:
        module = importlib.import_module(name)
        print(f"\n{name}: {module.__doc__.splitlines()[0]}", flush=True)
        show = lambda row: report.show(row, settings.traceback)  # noqa: E731
        if hasattr(module, "WORKS"):
            works = [work for work in module.WORKS if given.only in work.name]
            families[name] = run_works(name, works, settings, show)
        elif hasattr(module, "rows"):
            families[name] = module.rows(settings, show)
        else:
            module.main()
    how = f"{settings.rounds} turns of {settings.seconds:g} s"
    if families and not (given.no_write or given.check or given.only):
        report.store(families, NAMES, settings.contenders, how)
    rows = [row for found in families.values() for row in found]
    goals = [row.reached() for row in rows if row.reached() is not None]
    failed = [row for row in rows if row.failures]
    print(f"\n{how}; {time.perf_counter() - begin:.0f} s in all")
    print(f"goals reached: {sum(goals)} of {len(goals)}; works with failures: {len(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
