"""A hunt for faults: `python -m tests.random_programs --seconds 600 --seed 7`.

Programs are those of the seeds from 1,000,000 times the given number on. Each fault is printed with
the smallest program found that has it.
"""

import argparse
import importlib.util
import os
import sys
import time

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from .trials import SIZES, WAYS, drawn, faults, report


def main(args):
    options = argparse.ArgumentParser(prog="python -m tests.random_programs")
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--size", choices=SIZES, default="large")
    options.add_argument("--ways", nargs="*", choices=WAYS, default=["jit", "eager", "jax"])
    chosen = options.parse_args(args)
    if "jax" in chosen.ways and importlib.util.find_spec("jax") is None:
        sys.stderr.write("JAX is not installed: nothing is compared with it.\n")
        chosen.ways.remove("jax")
    end = time.monotonic() + chosen.seconds
    count = wrong = 0
    while time.monotonic() < end:
        program = drawn(chosen.seed * 1_000_000 + count, chosen.size)
        count += 1
        found = faults(program, chosen.ways)
        if found:
            wrong += 1
            sys.stdout.write(report(program, found) + "\n\n" + "-" * 80 + "\n")
            sys.stdout.flush()
    sys.stdout.write(f"{count} programs, {wrong} with faults\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
