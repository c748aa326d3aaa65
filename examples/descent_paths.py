"""The ways that optimizers take down a narrow valley, off a saddle and along a bent valley.

Run: python examples/descent_paths.py [--output demo-output]

Gradient descent with and without momentum on x² + 50y² from (100, 100), SGD and Adagrad on the
saddle x² − 2x + 100xy + 10y² + 20y, and Newton's single step on the valley. Then every optimizer of
funcgrad.optim on one surface, (1 − x)² + 4(y − x²)² from (−1.5, 2), 200 steps each. Two pictures
are written at the end.
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


def residuals(p):
    """What the bent valley is the sum of squares of."""
    x, y = p[0], p[1]
    return fnp.stack([1 - x, 2 * (y - x**2)])


def squares(r):
    """Σ r²."""
    return fnp.sum(r**2, axis=0)


def bent(p):
    """(1 − x)² + 4(y − x²)²."""
    return squares(residuals(p))


# Each with a rate that suits the surface, not with its best one.
EVERY = {
    "sgd": optim.sgd(0.01),
    "sgd, momentum": optim.sgd(0.01, 0.9),
    "sgd, Nesterov": optim.sgd(0.01, 0.9, nesterov=True),
    "momentum": optim.momentum(0.05),
    "optimistic_gradient_descent": optim.optimistic_gradient_descent(0.01),
    "noisy_sgd": optim.noisy_sgd(0.01, seed=0),
    "dpsgd": optim.dpsgd(0.05, 1.0, 0.1, seed=0),
    "polyak_sgd": optim.polyak_sgd(0.1),
    "sign_sgd": optim.sign_sgd(0.02),
    "signum": optim.signum(0.02),
    "rprop": optim.rprop(0.1),
    "adagrad": optim.adagrad(0.5),
    "rmsprop": optim.rmsprop(0.03),
    "adadelta": optim.adadelta(1.0, eps=1e-3),
    "adam": optim.adam(0.1),
    "adamw": optim.adamw(0.1),
    "adamax": optim.adamax(0.1),
    "adamaxw": optim.adamaxw(0.1),
    "adabelief": optim.adabelief(0.1),
    "adafactor": optim.adafactor(0.1),
    "adan": optim.adan(0.1),
    "amsgrad": optim.amsgrad(0.1),
    "nadam": optim.nadam(0.1),
    "nadamw": optim.nadamw(0.1),
    "optimistic_adam_v2": optim.optimistic_adam_v2(0.05),
    "radam": optim.radam(0.1),
    "yogi": optim.yogi(0.1),
    "novograd": optim.novograd(0.1),
    "lamb": optim.lamb(0.1),
    "lars": optim.lars(10.0),
    "lion": optim.lion(0.03),
    "fromage": optim.fromage(0.06),
    "sm3": optim.sm3(0.3),
    "ademamix": optim.ademamix(0.05, alpha=1.0),
    "simplified_ademamix": optim.simplified_ademamix(0.01, 0.9),
    "adopt": optim.adopt(0.1),
    "acprop": optim.acprop(0.05),
    "madgrad": optim.madgrad(0.1),
    "cocob": optim.cocob(alpha=1.0),
    "dog": optim.dog(init_step=("distance", 0.1)),
    "dowg": optim.dowg(init_estim_sq_dist=0.01),
    "prodigy": optim.prodigy(estim_lr0=1e-2),
    "schedule_free_sgd": optim.schedule_free_sgd(0.02),
    "schedule_free_adamw": optim.schedule_free_adamw(0.1),
    "muon": optim.muon(0.05),
    "shampoo": optim.shampoo(0.5),
    "lbfgs": optim.lbfgs(),
    "newton": optim.newton(damping=1.0),
    "gauss_newton": optim.gauss_newton(damping=1.0),
    "natural_gradient": optim.natural_gradient(0.5, damping=1.0),
}
# What some need besides the gradient.
NEEDS = {
    "polyak_sgd": ("value",),
    "lbfgs": ("value", "grad", "value_fn"),
    "newton": ("value_fn",),
    "gauss_newton": ("predict_fn", "loss_fn"),
    "natural_gradient": ("predict_fn", "divergence_fn"),
}


def path(loss, method, start, steps, name=""):
    """The points f64[steps + 1, 2] that the method comes through."""

    def divergence(r, fixed):
        return squares(r - fixed)

    functions = {"value_fn": loss, "predict_fn": residuals, "loss_fn": squares}

    def step(carry, _):
        p, state = carry
        value, grad = fg.value_and_grad(loss)(p)
        known = {"value": value, "grad": grad, "divergence_fn": divergence, **functions}
        more = {need: known[need] for need in NEEDS.get(name, ())}
        # Of private SGD an example has its own gradient; here there is one example.
        updates, state = method.update(grad[None] if name == "dpsgd" else grad, state, p, **more)
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


def draw_each(file, loss, paths):
    """A small panel for each path, the last point as a dot and the minimum as a cross."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = 8
    rows = -(-len(paths) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(16, 2.1 * rows), layout="constrained")
    x, y = np.meshgrid(np.linspace(-2, 2, 100), np.linspace(-1, 3, 100))
    heights = np.asarray(loss(np.stack([x, y])))
    for cell, (name, points) in zip(axes.flat, paths.items(), strict=False):
        cell.contour(x, y, heights, 1.5 ** np.arange(-8, 12), linewidths=0.4)
        cell.plot(*points.T, "-", color="tab:red", linewidth=1)
        cell.plot(*points[-1], "o", color="tab:red", markersize=3)
        cell.plot(1, 1, "k+")
        cell.set(xlim=(-2, 2), ylim=(-1, 3))
        cell.set_title(name, fontsize=8)
    for cell in axes.flat:
        cell.axis("off")
    figure.savefig(file, dpi=120)
    plt.close(figure)


def every(output, steps=200):
    """The paths of all optimizers; print and return their last losses."""
    output.mkdir(parents=True, exist_ok=True)
    with fg.enable_x64(True):
        start = np.array([-1.5, 2.0])
        paths = {name: path(bent, method, start, steps, name) for name, method in EVERY.items()}
        losses = {name: float(bent(points[-1])) for name, points in paths.items()}
        draw_each(output / "descent_of_each.png", bent, paths)
    for name, value in sorted(losses.items(), key=lambda item: item[1]):
        print(f"{name:28} last loss {value:10.2e}")
    print(f"picture: {output / 'descent_of_each.png'}")
    return losses


def main(output):
    """Valley and saddle: print a table, write the picture; return the last loss of each."""
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
    options = parser.parse_args()
    main(options.output)
    every(options.output)
