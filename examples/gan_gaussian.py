"""A generator and a critic learn a Gaussian of two dimensions from its points.

Run: python examples/gan_gaussian.py [--steps 2000] [--seed 0] [--output demo-output]

Real points are A·z + μ with z normal. The generator is linear, so that its mean and covariance can
be read off its params and held against μ and A·Aᵀ. The critic pays for its slope at real points;
without that the two go round each other for ever. After 2,000 steps the relative errors are below
5%. A table is printed and a picture written at the end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import data, nn, optim, train

A = np.array([[1.0, 2.0], [-0.2, 0.5]])
MEAN = np.array([2.0, 1.0])

generator = nn.dense(2)
critic = nn.serial(nn.dense(32), nn.tanh, nn.dense(32), nn.tanh, nn.dense(1))


def make_points(n, seed):
    """f32[n, 2] of the Gaussian with mean μ and covariance A·Aᵀ."""
    normal = np.random.default_rng(seed).normal(size=(n, 2))
    return (normal @ A.T + MEAN).astype(np.float32)


def made_of(model, noise):
    """What the generator makes of noise."""
    return generator.apply(*model, noise)[0]


def score_of(model, x):
    """How real the critic finds points."""
    return critic.apply(*model, x)[0]


def critic_loss(model, key, real, made):
    """How badly the critic tells real points from made ones, and how steep it is at real ones."""
    steep = nn.gradient_penalty(lambda x: score_of(model, x), key, real, real, target=0.0)
    told = nn.minimax_critic_loss(score_of(model, real), score_of(model, made))
    return fnp.mean(told) + fnp.mean(steep) / 2


def generator_loss(model, of_critic, noise):
    """How surely the critic finds out what the generator makes."""
    scores = score_of(of_critic, made_of(model, noise))
    return fnp.mean(nn.non_saturating_generator_loss(scores))


def make_step(method):
    """One step of both networks against each other, and of the average of the generators."""

    def step(state, real):
        models, moments, average, key = state
        key, of_noise, of_place = fg.random.split(key, 3)
        noise = fg.random.normal(of_noise, real.shape)
        made = made_of(models["generator"], noise)
        lost, slope = fg.value_and_grad(critic_loss)(models["critic"], of_place, real, made)
        missed, other = fg.value_and_grad(generator_loss)(
            models["generator"], models["critic"], noise
        )
        updates, moments = method.update({"critic": slope, "generator": other}, moments, models)
        models = optim.apply_updates(models, updates)
        average = optim.incremental_update(models["generator"], average, 0.005)
        return (models, moments, average, key), {"critic loss": lost, "generator loss": missed}

    return step


def moments_of(model):
    """Mean and covariance of what the generator makes of normal noise."""
    params, _ = model
    weight = np.asarray(params["weight"], np.float64)
    return np.asarray(params["bias"], np.float64), weight.T @ weight


def draw(file, real, made):
    """Real and made points beside each other."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, 2, figsize=(9, 2.4), layout="constrained", sharex=True, sharey=True
    )
    for cell, title, points in zip(axes, ("real", "made"), (real, made), strict=True):
        cell.plot(*points.T, ".", markersize=2)
        cell.set(title=title, xlabel="x₁", ylabel="x₂", aspect="equal")
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(steps, seed, output):
    """Train, print the table, write the picture; return the relative errors of the moments."""
    output.mkdir(parents=True, exist_ok=True)
    points = make_points(8192, seed)
    keys = fg.random.split(fg.random.key(seed), 3)
    models = {
        "generator": generator.init(keys[0], points[:1]),
        "critic": critic.init(keys[1], points[:1]),
    }
    method = optim.adam(5e-3, b1=0.5)
    state = (models, method.init(models), models["generator"], keys[2])
    batches = data.batches(points, 256, seed=seed, prefetch=0)
    run = train.fit(make_step(method), state, batches, steps=steps, log_every=max(steps // 10, 1))
    average = run.state[2]
    rows = {"true": (MEAN, A @ A.T), "of the points": (points.mean(0), np.cov(points.T))}
    rows |= {"before": moments_of(models["generator"]), "made": moments_of(average)}
    print(f"{'':14}{'mean':>16}{'covariance':>40}")
    for name, (mean, covariance) in rows.items():
        print(f"{name:14}{mean.round(3)!s:>16}{covariance.round(3).tolist()!s:>40}")
    errors = [
        float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
        for found, wanted in zip(moments_of(average), rows["true"], strict=True)
    ]
    print(f"relative errors of mean and covariance: {errors[0]:.1%}, {errors[1]:.1%}")
    noise = fg.random.normal(fg.random.key(seed), (1000, 2))
    draw(output / "gan_gaussian.png", points[:1000], np.asarray(made_of(average, noise)))
    print(f"picture: {output / 'gan_gaussian.png'}")
    return errors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    main(**vars(parser.parse_args()))
