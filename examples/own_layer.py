"""A layer of one's own: a Numba kernel with a derivative of one's own, under every transform.

Run: python examples/own_layer.py [--steps 300] [--output demo-output]

The layer smooths each channel over time, hₜ = a·hₜ₋₁ + (1 − a)·xₜ, with a trained decay a for each
channel. A loop over time is what a Numba kernel is good for; machine code has no derivative, so a
second kernel goes back through time as a custom_vjp. The layer is jitted, vmapped, checked against
finite differences and against the same thing as a scan; then it finds the decays that signals were
smoothed with. Tables are printed and a picture is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numba
import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn, optim
from funcgrad.test_util import check_grads

DECAYS = np.array([0.5, 0.8, 0.9, 0.95])
# All orders of the decays that turn round.
GRID = (np.arange(4)[:, None] + np.arange(4)) % 4


@fg.custom_kernel(shape=lambda x, decay: x)
@numba.njit
def run(x, decay, out):
    """h f[time, channels] of x f[time, channels] and decay f[channels]."""
    for channel in range(x.shape[1]):
        h = x[0, channel] * 0
        for t in range(x.shape[0]):
            h = decay[channel] * h + (1 - decay[channel]) * x[t, channel]
            out[t, channel] = h


@fg.custom_kernel(shape=lambda x, decay, h, ct: [x, decay])
@numba.njit
def run_back(x, decay, h, ct, dx, d_decay):
    """The cotangents of x and decay, from that of h, last step first."""
    for channel in range(x.shape[1]):
        a = decay[channel]
        carry = total = ct[0, channel] * 0
        for t in range(x.shape[0] - 1, -1, -1):
            carry = ct[t, channel] + a * carry
            before = h[t - 1, channel] if t else carry * 0
            dx[t, channel] = (1 - a) * carry
            total += carry * (before - x[t, channel])
        d_decay[channel] = total


@fg.custom_vjp
def smooth(x, decay):
    """hₜ = a·hₜ₋₁ + (1 − a)·xₜ, from h = 0."""
    return run(x, decay)


def smooth_forward(x, decay):
    """The value, and what going back needs."""
    h = run(x, decay)
    return h, (x, decay, h)


def smooth_backward(kept, ct):
    """The cotangents of x and decay."""
    return tuple(run_back(*kept, ct))


smooth.defvjp(smooth_forward, smooth_backward)


def smooth_by_scan(x, decay):
    """The same in the library's own words, to compare with."""

    def step(h, x):
        h = decay * h + (1 - decay) * x
        return h, h

    return lax.scan(step, fnp.zeros_like(x[0]), x)[1]


def smoother():
    """The layer: f[batch, time, channels] to the same; params `{"logit": f[channels]}`."""

    def init(key, x):
        return {"logit": fnp.zeros(x.shape[-1], x.dtype)}, ()

    def apply(params, state, x, *, train=False):
        decay = nn.sigmoid(params["logit"])
        return fg.vmap(smooth, (0, None))(x, decay), state

    return nn.Layer(init, apply, "smoother")


def check():
    """The largest differences of kernel and scan: values, gradients, under jit and vmap."""
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(2, 3, 50, len(DECAYS)))

    def loss(f, x, decay):
        return fnp.sum(fg.vmap(f, (0, None))(x, decay) * weights)

    slope = fg.grad(loss, (1, 2))
    ways = {
        "values": lambda f: f(x[0], DECAYS),
        "values, jit": lambda f: fg.jit(f)(x[0], DECAYS),
        "values, vmap over decays": lambda f: fg.vmap(f, (None, 0))(x[0], DECAYS[GRID]),
        "gradients": lambda f: slope(f, x, DECAYS),
        "gradients, jit": lambda f: fg.jit(slope, static_argnums=0)(f, x, DECAYS),
        "gradients of each, jit and vmap": lambda f: fg.jit(
            fg.vmap(fg.grad(lambda x, a: fnp.sum(f(x, a)), (0, 1)), (0, None))
        )(x, DECAYS),
    }
    gaps = {}
    for name, way in ways.items():
        pairs = zip(fg.tree.leaves(way(smooth)), fg.tree.leaves(way(smooth_by_scan)), strict=True)
        gaps[name] = max(float(np.max(np.abs(np.subtract(*pair)))) for pair in pairs)
    check_grads(smooth, (x[0], DECAYS), 1, ("rev",), eps=1e-6)
    return gaps


def train(steps):
    """Decays that the layer finds from smoothed noise, and the losses."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(16, 200, len(DECAYS))).astype(np.float32)
    wanted = fg.vmap(smooth_by_scan, (0, None))(x, DECAYS.astype(np.float32))
    layer = smoother()
    params, state = layer.init(fg.random.key(0), x)
    optimizer = optim.adam(0.05)

    def loss(params):
        return fnp.mean(fnp.square(layer.apply(params, state, x, train=True)[0] - wanted))

    @fg.jit
    def step(params, memory):
        value, grads = fg.value_and_grad(loss)(params)
        updates, memory = optimizer.update(grads, memory, params)
        return optim.apply_updates(params, updates), memory, value

    memory = optimizer.init(params)
    losses, decays = [], []
    for _ in range(steps):
        params, memory, value = step(params, memory)
        losses.append(float(value))
        decays.append(np.asarray(nn.sigmoid(params["logit"])))
    return np.array(decays), losses


def draw(file, decays, losses):
    """The decays and the loss over the steps."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    left.plot(decays)
    for wanted in DECAYS:
        left.axhline(wanted, color="0.6", linestyle=":")
    left.set(xlabel="step", title="decays; dotted: wanted")
    right.semilogy(losses)
    right.set(xlabel="step", title="loss")
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(steps, output):
    """Print both tables, write the picture; return the differences and the decays found."""
    output.mkdir(parents=True, exist_ok=True)
    with fg.enable_x64(True):
        gaps = check()
    for name, gap in gaps.items():
        print(f"{name:34}{gap:10.1e} from the scan")
    print("gradients agree with finite differences")
    decays, losses = train(steps)
    print(f"\n{'wanted':>8}{'found':>10}")
    for wanted, found in zip(DECAYS, decays[-1], strict=True):
        print(f"{wanted:8.3f}{found:10.5f}")
    draw(output / "own_layer.png", decays, losses)
    print(f"loss {losses[0]:.1e} to {losses[-1]:.1e}; picture: {output / 'own_layer.png'}")
    return gaps, decays[-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    options = parser.parse_args()
    main(options.steps, options.output)
