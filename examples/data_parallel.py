"""Train on several devices: each takes its part of every batch, and gradients are averaged.

Run: python examples/data_parallel.py [--devices 4] [--steps 60] [--platform cpu]

`shard_map` runs one step on each device of a mesh: parameters are the same everywhere, batches are
divided over the axis "data", and `pmean` over it makes the gradient of the whole batch of the
gradients of its parts. The table has the loss beside that of the same step on one device; the two
agree to rounding. On the CPU a device is a thread; with `--platform gpu` devices are GPUs, joined
by NCCL, and the program is the same.
"""

from __future__ import annotations

import argparse

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import P, lax, optim
from funcgrad.sharding import Mesh

SAMPLES, FEATURES, HIDDEN = 64, 8, 32
optimizer = optim.adam(1e-2)


def init(key):
    """Weights of two layers."""
    first, second = fg.random.split(key)
    return {
        "first": fg.random.normal(first, (FEATURES, HIDDEN)) / FEATURES**0.5,
        "second": fg.random.normal(second, (HIDDEN,)) / HIDDEN**0.5,
    }


def loss(params, x, y):
    """Mean squared error of the network."""
    return fnp.mean((fnp.tanh(x @ params["first"]) @ params["second"] - y) ** 2)


def update(params, state, value, slopes):
    """The parameters and the optimizer's state after a step, and the loss before it."""
    updates, state = optimizer.update(slopes, state, params)
    return optim.apply_updates(params, updates), state, value


@fg.jit
def on_one(params, state, x, y):
    """A step on one device."""
    return update(params, state, *fg.value_and_grad(loss)(params, x, y))


def on_each(params, state, x, y):
    """What each device does: its part of the batch, then the mean over all parts."""
    value, slopes = lax.pmean(fg.value_and_grad(loss)(params, x, y), "data")
    return update(params, state, value, slopes)


def batches(steps, seed):
    """Batches of a function that the network can learn."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=FEATURES).astype(np.float32)
    for _ in range(steps):
        x = rng.normal(size=(SAMPLES, FEATURES)).astype(np.float32)
        yield x, np.sin(x @ direction)


def main(devices=4, steps=60, platform="cpu", seed=0):
    """Train both ways; the two losses of each step."""
    if platform == "cpu":
        fg.config.update("num_cpu_devices", devices)
    mesh = Mesh(fg.devices(platform)[:devices], "data")
    on_all = fg.jit(
        fg.shard_map(
            on_each,
            mesh=mesh,
            in_specs=(P(), P(), P("data"), P("data")),
            out_specs=P(),
        )
    )
    params = init(fg.random.key(seed))
    one = many = (params, optimizer.init(params))
    losses = []
    print(f"step  one device  {mesh.size} devices")
    for step, (x, y) in enumerate(batches(steps, seed)):
        *one, alone = on_one(*one, x, y)
        *many, together = on_all(*many, x, y)
        losses.append((float(alone), float(together)))
        if step % 10 == 0 or step == steps - 1:
            print(f"{step:4d}  {losses[-1][0]:10.6f}  {losses[-1][1]:9.6f}")
    return losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--platform", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
