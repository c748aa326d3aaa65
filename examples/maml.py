"""MAML: weights from which one step of gradient descent on a few points is enough.

Run: python examples/maml.py [--steps 3000] [--output demo-output]

Each task is a sine of its own amplitude (0.1 to 5) and phase (0 to π), known at 10 points. The
weights are trained so that the loss after a step on these points is small: a gradient through a
gradient, mapped over tasks. Beside it the same network trained on all tasks at once. A table of the
losses on new tasks after 0 to 10 steps is printed and a picture of one task is written.
Source: Finn et al., arXiv:1703.03400, section 5.1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, optim, random, tree

TASKS, POINTS, RATE = 25, 10, 0.01
network = nn.serial(nn.dense(40), nn.relu, nn.dense(40), nn.relu, nn.dense(1))


def draw_tasks(key, number):
    """Points to learn from and to test on, x and y f32[number, POINTS, 1] each."""
    sizes, phases, places = random.split(key, 3)
    size = random.uniform(sizes, (number, 1, 1), minval=0.1, maxval=5)
    phase = random.uniform(phases, (number, 1, 1), maxval=np.pi)
    x = random.uniform(places, (2, number, POINTS, 1), minval=-5, maxval=5)
    y = size * fnp.sin(x - phase)
    return (x[0], y[0]), (x[1], y[1])


def loss(params, points):
    """Mean squared error; the network has no state."""
    x, y = points
    predicted, _ = network.apply(params, [()] * 5, x)
    return fnp.mean(fnp.square(predicted - y))


def adapted(params, points, steps=1):
    """The params after some steps on the points of a task."""
    for _ in range(steps):
        grads = fg.grad(loss)(params, points)
        params = tree.map(lambda p, g: p - RATE * g, params, grads)
    return params


def loss_after_a_step(params, known, new):
    """What MAML minimises."""
    return loss(adapted(params, known), new)


def loss_at_once(params, known, new):
    """What training on all tasks at once minimises."""
    return loss(params, new)


def train(objective, steps, key):
    """Params that minimise the mean of the objective over tasks."""
    key, own = random.split(key)
    params, _ = network.init(own, fg.ShapeDtypeStruct((POINTS, 1), np.float32))
    optimizer = optim.adam(2e-3)

    @fg.jit
    def step(params, memory, key):
        def mean(params):
            return fnp.mean(fg.vmap(objective, (None, 0, 0))(params, *draw_tasks(key, TASKS)))

        updates, memory = optimizer.update(fg.grad(mean)(params), memory, params)
        return optim.apply_updates(params, updates), memory

    memory = optimizer.init(params)
    for own in random.split(key, steps):
        params, memory = step(params, memory, own)
    return params


def losses_on_new_tasks(params, counts):
    """The mean loss of 500 tasks after so many steps each."""
    known, new = draw_tasks(random.key(99), 500)

    def after(count):
        return fg.vmap(lambda known, new: loss(adapted(params, known, count), new))(known, new)

    return [float(fnp.mean(fg.jit(after, static_argnums=0)(count))) for count in counts]


def draw(file, found):
    """One new task: the sine, its points, and both networks before and after steps on them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    known, _ = draw_tasks(random.key(7), 1)
    known = tree.map(lambda a: a[0], known)
    x = np.linspace(-5, 5, 200, dtype=np.float32)[:, None]
    figure, axes = plt.subplots(1, len(found), figsize=(11, 4), layout="constrained", sharey=True)
    for cell, (name, params) in zip(axes, found.items(), strict=True):
        for steps, style in ((0, ":"), (1, "--"), (10, "-")):
            y, _ = network.apply(adapted(params, known, steps), [()] * 5, x)
            cell.plot(x, y, style, color="tab:red", label=f"after {steps}")
        cell.plot(*known, "k^", label="known points")
        cell.set(title=name)
        cell.legend()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(steps, output):
    """Train both, print the table, write the picture; return the losses of each."""
    output.mkdir(parents=True, exist_ok=True)
    counts = (0, 1, 5, 10)
    ways = {"MAML": loss_after_a_step, "all tasks at once": loss_at_once}
    found = {name: train(way, steps, random.key(0)) for name, way in ways.items()}
    losses = {name: losses_on_new_tasks(params, counts) for name, params in found.items()}
    print(f"{'loss after':20}" + "".join(f"{count:7} steps" for count in counts))
    for name, values in losses.items():
        print(f"{name:20}" + "".join(f"{value:13.3f}" for value in values))
    draw(output / "maml.png", found)
    print(f"picture: {output / 'maml.png'}")
    return losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    options = parser.parse_args()
    main(options.steps, options.output)
