"""The ways that optimizers take down a narrow valley and off a saddle.

Run: python examples/descent_paths.py [--output demo-output]

Gradient descent with and without momentum on x² + 50y² from (100, 100), SGD and Adagrad on the
saddle x² − 2x + 100xy + 10y² + 20y, and Newton's single step on the valley. A picture is written at
the end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, optim


def valley(p):
    """x² + 50y²."""
    return p[0] ** 2 + 50 * p[1] ** 2


def saddle(p):
    """x² − 2x + 100xy + 10y² + 20y."""
    x, y = p
    return x**2 - 2 * x + 100 * x * y + 10 * y**2 + 20 * y


def path(loss, method, start, steps):
    """The points f64[steps + 1, 2] that the method comes through."""

    def step(carry, _):
        p, state = carry
        updates, state = method.update(fg.grad(loss)(p), state, p)
        p = optim.apply_updates(p, updates)
        return (p, state), p

    start = fnp.asarray(start)
    _, points = lax.scan(step, (start, method.init(start)), length=steps)
    return np.concatenate([start[None], points])


def newton(loss, start):
    """The point after one step of Newton's method."""
    p = fnp.asarray(start)
    return np.asarray(p - fnp.linalg.solve(fg.hessian(loss)(p), fg.grad(loss)(p)))


def draw(file, panels):
    """Contours of each function with the paths on it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(panels), figsize=(11, 5), layout="constrained")
    for cell, (title, loss, reach, paths) in zip(axes, panels, strict=True):
        x, y = np.meshgrid(np.linspace(-reach, reach, 200), np.linspace(-reach, reach, 200))
        cell.contour(x, y, np.asarray(loss(np.stack([x, y]))), 30, linewidths=0.5)
        for name, points in paths.items():
            cell.plot(*points.T, ".-", label=name, markersize=3, linewidth=1)
        cell.set(title=title, xlim=(-reach, reach), ylim=(-reach, reach), xlabel="x", ylabel="y")
        cell.legend()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(output):
    """Run all, print a table, write the picture; return the last loss of each."""
    output.mkdir(parents=True, exist_ok=True)
    with fg.enable_x64(True):
        start = np.array([100.0, 100.0])
        down = {
            "gradient descent": path(valley, optim.sgd(0.016), start, 400),
            "momentum 0.7": path(valley, optim.sgd(0.016, momentum=0.7), start, 400),
            "Newton": np.stack([start, newton(valley, start)]),
        }
        off = {
            "SGD": path(saddle, optim.sgd(0.001), np.array([1.0, -1.2]), 60),
            "Adagrad": path(saddle, optim.adagrad(0.1), np.array([1.0, -1.2]), 60),
        }
        panels = [("x² + 50y²", valley, 120, down), ("the saddle", saddle, 6, off)]
        losses = {
            name: float(loss(points[-1]))
            for _, loss, _, paths in panels
            for name, points in paths.items()
        }
        draw(output / "descent_paths.png", panels)
    for name, value in losses.items():
        print(f"{name:18} last loss {value:10.2e}")
    print(f"picture: {output / 'descent_paths.png'}")
    return losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    main(parser.parse_args().output)
