"""Learn what makes two digits the same from nothing but pairs that are, and pairs that are not.

Run: python examples/siamese_digits.py [--steps 600] [--output demo-output]

One network maps both images of a pair to points; the contrastive loss pulls pairs of the same digit
together and pushes others apart up to a margin. Of held-out pairs, those nearer than half the
margin are called the same, which is right for more than 92 %; and as many held-out digits are
nearest to the mean point of their kind. A picture shows them along their two main directions.

Source: Hadsell, Chopra & LeCun, CVPR 2006.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mnist
import numpy as np
from matplotlib.figure import Figure

import funcgrad as fg
from funcgrad import data, nn, optim, train
from funcgrad.nn import zoo

BATCH = 64
MARGIN = 1.0
EMBED = nn.serial(
    nn.conv(16, (5, 5), bias=False),
    nn.max_pool((2, 2)),
    nn.batch_norm(),
    nn.relu,
    nn.conv(32, (5, 5), bias=False),
    nn.max_pool((2, 2)),
    nn.batch_norm(),
    nn.relu,
    nn.flatten(),
    nn.dense(128),
    nn.relu,
    nn.dense(8),
    name="embed",
)
NETWORK = zoo.siamese(EMBED)


class Pairs(data.Source):
    """Rows ((image, image), same): each image beside some of its own kind and as many others."""

    def __init__(self, images, labels, partners, seed):
        self.images = images
        draw = np.random.default_rng(seed)
        anchors = np.repeat(np.arange(len(labels)), 2 * partners)
        self.same = np.tile([True, False], len(labels) * partners)
        others = np.array(
            [
                draw.choice(np.flatnonzero((labels == labels[anchor]) == same))
                for anchor, same in zip(anchors, self.same, strict=True)
            ]
        )
        self.rows = np.stack([anchors, others], axis=1)

    def __len__(self):
        return len(self.rows)

    def take(self, rows):
        first, second = self.rows[rows].T
        return (self.images[first], self.images[second]), self.same[rows]


def loss(params, state, batch):
    """Mean contrastive loss of a batch of pairs, and how many of them are told rightly."""
    pair, same = batch
    (a, b), state = NETWORK.apply(params, state, pair, train=True)
    value = nn.contrastive_loss(a, b, same, margin=MARGIN).mean()
    return value, (state, {"accuracy": nn.contrastive_accuracy(a, b, same, threshold=MARGIN / 2)})


@fg.jit
def accuracy(model, batch):
    """Share of pairs for which the distance tells whether they are the same."""
    pair, same = batch
    (a, b), _ = NETWORK.apply(model.params, model.state, pair)
    return nn.contrastive_accuracy(a, b, same, threshold=MARGIN / 2)


@fg.jit
def embed(model, images):
    """The points f32[n, 8] of images: the network of one of a pair has the params of both."""
    return EMBED.apply(model.params, model.state, images)[0]


def nearest_center(model, digits, held_out):
    """Share of held-out digits whose point is nearest to the mean point of their kind."""
    points, labels = np.asarray(embed(model, digits[0])), digits[1]
    centers = np.stack([points[labels == digit].mean(axis=0) for digit in range(10)])
    points = np.asarray(embed(model, held_out[0]))
    distances = np.linalg.norm(points[:, None] - centers, axis=-1)
    return float(np.mean(distances.argmin(axis=1) == held_out[1]))


def draw(path, points, labels, history):
    """The loss, and the points along their two main directions."""
    centered = points - points.mean(axis=0)
    _, _, directions = np.linalg.svd(centered, full_matrices=False)
    x, y = directions[:2] @ centered.T
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.semilogy([row["step"] for row in history], [row["loss"] for row in history])
    left.set(xlabel="step", ylabel="contrastive loss")
    for digit in range(10):
        own = labels == digit
        right.scatter(x[own], y[own], s=6, color=f"C{digit}", label=str(digit))
    right.set(title="held-out digits", xlabel="first direction", ylabel="second direction")
    right.legend(markerscale=3)
    figure.savefig(path, dpi=120)


def main(steps, output, seed=0):
    """Train, print both accuracies, write the picture; return them."""
    digits, held_out = mnist.load()
    output.mkdir(parents=True, exist_ok=True)
    pairs, held_out_pairs = Pairs(*digits, 8, seed), Pairs(*held_out, 2, seed)
    every_pair = held_out_pairs.take(np.arange(len(held_out_pairs)))
    params, state = NETWORK.init(fg.random.key(seed), (digits[0][:1],) * 2)
    optimizer = optim.adam(optim.cosine_decay_schedule(2e-3, steps))
    run = train.fit(
        train.gradient_step(loss, optimizer),
        train.Model(params, state, optimizer.init(params)),
        data.batches(pairs, BATCH, seed=seed),
        steps=steps,
        evaluate=lambda model: {"accuracy": accuracy(model, every_pair)},
        evaluate_every=100,
    )
    of_pairs, of_digits = (
        run.history[-1]["eval/accuracy"],
        nearest_center(run.state, digits, held_out),
    )
    print(f"held-out pairs told rightly: {of_pairs:.1%} of {len(held_out_pairs)}")
    print(f"held-out digits nearest to the center of their kind: {of_digits:.1%}")
    picture = output / "siamese_digits.png"
    draw(picture, np.asarray(embed(run.state, held_out[0])), held_out[1], run.history)
    print(f"picture: {picture}")
    return of_pairs, of_digits


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, got {options.steps}")
    main(options.steps, options.output, options.seed)
