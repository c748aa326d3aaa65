"""Tracing a function of 1,000 eqns with its gradient; goal: at most 60 µs an eqn.

Also nested gradients of growing programs: the time must grow linearly.
"""

from __future__ import annotations

import time

from timing import interleaved, report

import funcgrad as fg
import funcgrad.numpy as fnp


def chain(module, count):
    """A function of about `count` eqns."""

    def f(x):
        for _ in range(count // 2):
            x = module.sin(x) * 0.5
        return x

    return f


def seconds(call) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Time make_jaxpr(grad(f)) beside JAX's, and its growth."""
    f = fg.grad(chain(fnp, 1000))
    contenders = {"funcgrad": lambda: fg.make_jaxpr(f)(1.0)}
    try:
        import jax
        import jax.numpy as jnp

        # A new function each time: JAX remembers the trace of one it has seen.
        contenders["jax"] = lambda: jax.make_jaxpr(jax.grad(chain(jnp, 1000)))(1.0)
    except ImportError:
        print("jax is not installed: no peer in bench_tracing")
    times = interleaved(contenders, rounds=7)
    report("trace the gradient of 1,000 eqns (ms)", times, unit=1e3)
    eqns = len(fg.make_jaxpr(f)(1.0).eqns)
    least = times["funcgrad"][0] * 1e6
    print(f"  {least / 1000:.1f} µs an eqn of f, {least / eqns:.1f} of the {eqns} eqns written")
    print("  goal: at most 60 µs an eqn")
    print("\nthird derivative, time by program size (linear: the last column is constant)")
    for count in (50, 100, 200, 400):
        h = fg.grad(fg.grad(fg.grad(chain(fnp, count))))
        spent = min(seconds(lambda h=h: fg.make_jaxpr(h)(1.0)) for _ in range(5))
        print(f"  {count:5d} eqns {spent * 1e3:9.1f} ms {spent / count * 1e6:9.1f} µs an eqn")
