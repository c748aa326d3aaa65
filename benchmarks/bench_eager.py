"""One eager elementwise operation on a small array; goal: at most 10 µs above NumPy's own."""

from __future__ import annotations

import numpy as np
from timing import interleaved, report

import funcgrad.numpy as fnp


def main() -> None:
    """Time x + y and sin(x) on 10 elements, in µs."""
    x, y = np.ones(10, np.float32), np.ones(10, np.float32)
    a, b = fnp.asarray(x), fnp.asarray(y)
    cases = {
        "x + y": {"funcgrad": lambda: a + b, "numpy": lambda: x + y},
        "x + 1.0": {"funcgrad": lambda: a + 1.0, "numpy": lambda: x + 1.0},
        "sin(x)": {"funcgrad": lambda: fnp.sin(a), "numpy": lambda: np.sin(x)},
    }
    try:
        import jax.numpy as jnp

        p, q = jnp.asarray(x), jnp.asarray(y)
        cases["x + y"]["jax"] = lambda: p + q
        cases["x + 1.0"]["jax"] = lambda: p + 1.0
        cases["sin(x)"]["jax"] = lambda: jnp.sin(p)
    except ImportError:
        print("jax is not installed: no peer in bench_eager")
    for title, contenders in cases.items():
        times = interleaved(contenders, rounds=30, calls=1000)
        report(f"eager {title}, 10 elements (µs)", times)
        above = (times["funcgrad"][0] - times["numpy"][0]) * 1e6
        print(f"  above NumPy: {above:.2f} µs (goal: at most 10)")
