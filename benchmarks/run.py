"""Run the benchmarks and print ratios; peers run in the same process, interleaved.

Run: python benchmarks/run.py [name ...]
"""

from __future__ import annotations

import importlib
import sys

NAMES = ("bench_eager", "bench_tracing", "bench_import")


def main() -> int:
    """Run the named benchmarks, or all."""
    chosen = sys.argv[1:] or NAMES
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        print(f"unknown benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
        return 2
    for name in chosen:
        importlib.import_module(name).main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
