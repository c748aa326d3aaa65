"""Squeeze handwritten digits through 20 numbers, by an autoencoder and by a variational one.

Run: python examples/autoencoders.py [--steps 1000] [--output demo-output]

Both networks have the same layers. The first is trained on the cross-entropy of the pixels alone,
and its codes lie anywhere; the second pays for codes that tell more than N(0, 1) does and draws
them with noise in training, so that noise decodes to what is like a digit. The table has what
held-out digits cost, after 1,000 steps some 81 nats and 88 + 22; the picture shows some of them,
both ways back, and what both make of noise.

Source: Kingma & Welling, arXiv:1312.6114.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mnist
import numpy as np
from matplotlib.figure import Figure

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import data, nn, optim, train
from funcgrad.nn import zoo

BATCH = 100
CODE = 20
DECODER = zoo.vae_decoder()
ENCODER = nn.serial(nn.flatten(), nn.dense(400), nn.relu, nn.dense(CODE), name="encoder")
AUTOENCODER = nn.serial(ENCODER, DECODER, name="autoencoder")
VARIATIONAL = zoo.vae(latent=CODE)


def pixel_cost(logits, images):
    """Cross-entropy of the pixels of each image, in nats."""
    pixels = images.reshape(len(images), -1)
    return nn.sigmoid_binary_cross_entropy(logits, pixels).sum(-1).mean()


def plain_loss(params, state, images, train=True):
    """The cost of the pixels."""
    logits, state = AUTOENCODER.apply(params, state, images, train=train)
    pixels = pixel_cost(logits, images)
    return pixels, (state, {"pixels": pixels})


def variational_loss(params, state, images, train=True):
    """The cost of the pixels, and that of the code: the divergence of its Gaussian from N(0, 1)."""
    (logits, mean, log_variance), state = VARIATIONAL.apply(params, state, images, train=train)
    pixels = pixel_cost(logits, images)
    code = (mean**2 + fnp.exp(log_variance) - log_variance - 1).sum(-1).mean() / 2
    return pixels + code, (state, {"pixels": pixels, "code": code})


def learn(network, loss, steps, seed, images, held_out):
    """Train; the run, with what held-out digits cost among its records."""
    params, state = network.init(fg.random.key(seed), images[:1])
    optimizer = optim.adam(optim.cosine_decay_schedule(2e-3, steps))

    @fg.jit
    def evaluate(model):
        _, (_, costs) = loss(model.params, model.state, held_out, train=False)
        return costs

    return train.fit(
        train.gradient_step(loss, optimizer),
        train.Model(params, state, optimizer.init(params)),
        data.batches(images, BATCH, seed=seed),
        steps=steps,
        evaluate=evaluate,
        log_every=50,
    )


@fg.jit
def decode(params, state, codes):
    """The images f32[n, 784] that a decoder makes of codes f32[n, 20]."""
    logits, _ = DECODER.apply(params, state, codes)
    return nn.sigmoid(logits)


def pictures(plain, variational, images, held_out, seed, count=12):
    """Rows of images by what they are: digits, both ways back, and codes at random decoded."""
    shown = held_out[:count]
    noise = np.random.default_rng(seed).normal(size=(count, CODE)).astype(np.float32)
    # The codes of the plain one have a mean and a deviation of their own: noise is given those.
    codes, _ = ENCODER.apply(plain.params[0], plain.state[0], images)
    own_noise = np.mean(codes, 0) + np.std(codes, 0) * noise
    (logits, _, _), _ = VARIATIONAL.apply(variational.params, variational.state, shown)
    plain_logits, _ = AUTOENCODER.apply(plain.params, plain.state, shown)
    return {
        "held-out digits": shown,
        "back from the autoencoder": nn.sigmoid(plain_logits),
        "back from the variational one": nn.sigmoid(logits),
        "noise, decoded by the autoencoder": decode(plain.params[1], plain.state[1], own_noise),
        "noise, decoded by the variational one": decode(
            variational.params[-1][0][1], variational.state[-1][0][1], noise
        ),
    }


def draw(path, rows):
    """The rows of images under their names."""
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    for part, (name, images) in zip(figure.subfigures(len(rows), 1), rows.items(), strict=True):
        part.suptitle(name, fontsize=9)
        mnist.show(part, np.asarray(images), 1)
    figure.savefig(path, dpi=120)


def main(steps, output, seed=0):
    """Train both, print the table, write the picture; return the last records of each."""
    (images, _), (held_out, _) = mnist.load()
    output.mkdir(parents=True, exist_ok=True)
    runs = {}
    for name, network, loss in (
        ("plain", AUTOENCODER, plain_loss),
        ("variational", VARIATIONAL, variational_loss),
    ):
        print(f"{name}:", flush=True)
        runs[name] = learn(network, loss, steps, seed, images, held_out)
    costs = {name: run.history[-1] for name, run in runs.items()}
    print(f"{'nats for a held-out digit':26} {'pixels':>8} {'code':>8}")
    for name, cost in costs.items():
        code = f"{cost['eval/code']:.1f}" if "eval/code" in cost else "-"
        print(f"{name:26} {cost['eval/pixels']:8.1f} {code:>8}")
    rows = pictures(*(run.state for run in runs.values()), images, held_out, seed)
    draw(output / "autoencoders.png", rows)
    print(f"picture: {output / 'autoencoders.png'}")
    return costs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, got {options.steps}")
    main(options.steps, options.output, options.seed)
