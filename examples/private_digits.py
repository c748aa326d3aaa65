"""Train on handwritten digits so that no single one can be told from the result: DP-SGD.

Run: python examples/private_digits.py [--noise 0 1 2 4] [--steps 320] [--output demo-output]

Each step takes the gradient of every example apart, by vmap of grad, clips its norm, sums, and adds
Gaussian noise. What an observer can learn of one example is bounded by (ε, δ)-differential privacy;
ε comes from the Rényi divergence of the noise. For each noise the table at the end has ε and the
accuracy on held-out digits; a picture shows how they grow. With noise 1, 94 % are read at ε = 8.3.

Source: Abadi et al., arXiv:1607.00133; the network: Papernot et al., arXiv:2007.14191, table 1.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import mnist
import numpy as np
from matplotlib.figure import Figure

import funcgrad as fg
from funcgrad import nn, optim, train

SHARE = 1 / 16  # of the examples that are in a lot
DELTA = 1e-4  # less than one over the number of examples
CLIP = 1.0  # bound on the norm of an example's gradient
RATE = 0.2
NETWORK = nn.serial(
    nn.conv(16, (8, 8), (2, 2)),
    nn.tanh,
    nn.max_pool((2, 2), (1, 1)),
    nn.conv(32, (4, 4), (2, 2), "VALID"),
    nn.tanh,
    nn.max_pool((2, 2), (1, 1)),
    nn.flatten(),
    nn.dense(32),
    nn.tanh,
    nn.dense(10),
)


def epsilon(noise, share, steps, delta):
    """ε of `steps` lots, in each of which an example is with probability `share`.

    The Rényi divergence of order α of one lot, for whole α, is
        log Σₖ C(α, k) · (1 − share)^(α − k) · shareᵏ · exp(k (k − 1) / (2 noise²)) / (α − 1);
    those of the lots add up, and ε is the least of divergence + log(1 / δ) / (α − 1).

    Source: Mironov, Talwar & Zhang, arXiv:1908.10530, section 3.3; Mironov, arXiv:1702.07476,
        proposition 3.
    """
    if noise == 0:
        return math.inf
    bounds = []
    for order in range(2, 128):
        k = np.arange(order + 1)
        log_choose = np.array([math.lgamma(order + 1) - math.lgamma(i + 1) for i in k])
        log_choose -= np.array([math.lgamma(order - i + 1) for i in k])
        terms = log_choose + k * math.log(share) + (order - k) * math.log1p(-share)
        terms += k * (k - 1) / (2 * noise**2)
        divergence = np.logaddexp.reduce(terms) / (order - 1)
        bounds.append(steps * divergence + math.log(1 / delta) / (order - 1))
    return float(min(bounds))


def lots(images, labels, seed):
    """Lots as the accountant supposes them: each example is drawn or not, on its own.

    They are filled up to one size with examples of weight 0, so that one program does all steps.
    """
    rng = np.random.default_rng(seed)
    n = len(labels)
    size = math.ceil(n * SHARE + 6 * math.sqrt(n * SHARE))
    while True:
        rows = np.flatnonzero(rng.random(n) < SHARE)
        weights = (np.arange(size) < len(rows)).astype(np.float32)
        rows = np.resize(rows, size)
        yield images[rows], labels[rows], weights


def loss(params, state, image, label, weight):
    """Cross-entropy of one example, and its gradient, as they count in a lot."""
    logits, _ = NETWORK.apply(params, state, image[None], train=True)
    return weight * nn.softmax_cross_entropy(logits, label[None])[0]


def make_step(optimizer):
    """One private step: from a model and a lot to the model after it and the mean loss."""

    def step(model, lot):
        each = fg.vmap(fg.value_and_grad(loss), (None, None, 0, 0, 0))
        values, grads = each(model.params, model.state, *lot)
        # dpsgd clips and sums the gradients of the examples, adds noise, and divides by the size
        # that lots are filled up to.
        updates, moments = optimizer.update(grads, model.moments, model.params)
        params = optim.apply_updates(model.params, updates)
        return train.Model(params, model.state, moments), {"loss": values.sum() / lot[2].sum()}

    return step


def learn(noise, steps, seed, digits, held_out):
    """Train with a noise multiplier; the records of the run, with accuracy and ε on the way."""
    params, state = NETWORK.init(fg.random.key(seed), digits[0][:1])
    optimizer = optim.dpsgd(RATE, CLIP, noise, seed, momentum=0.9)

    @fg.jit
    def accuracy(model):
        logits, _ = NETWORK.apply(model.params, model.state, held_out[0])
        return nn.accuracy(logits, held_out[1])

    run = train.fit(
        make_step(optimizer),
        train.Model(params, state, optimizer.init(params)),
        lots(*digits, seed),
        steps=steps,
        evaluate=lambda model: {"accuracy": accuracy(model)},
        evaluate_every=20,
        log_every=20,
    )
    return [
        {**row, "epsilon": epsilon(noise, SHARE, int(row["step"]), DELTA)} for row in run.history
    ]


def draw(path, runs):
    """Accuracy over steps, and over ε where that is finite."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for noise, rows in runs.items():
        values = [row["eval/accuracy"] for row in rows]
        (line,) = left.plot([row["step"] for row in rows], values, label=f"noise {noise:g}")
        if noise > 0:
            right.plot([row["epsilon"] for row in rows], values, color=line.get_color())
    left.set(xlabel="step", ylabel="accuracy on held-out digits")
    right.set(xlabel=f"ε at δ = {DELTA:g}")
    left.legend()
    figure.savefig(path, dpi=120)


def main(noises, steps, output, seed=0):
    """Train with each noise, print the table, write the picture; return the last records."""
    digits, held_out = mnist.load()
    output.mkdir(parents=True, exist_ok=True)
    runs = {}
    for noise in noises:
        print(f"noise {noise:g}:", flush=True)
        runs[noise] = learn(noise, steps, seed, digits, held_out)
    print(f"{'noise':>6} {'ε at δ = ' + format(DELTA, 'g'):>14} {'accuracy':>9}")
    for noise, rows in runs.items():
        print(f"{noise:6g} {rows[-1]['epsilon']:14.2f} {rows[-1]['eval/accuracy']:9.1%}")
    draw(output / "private_digits.png", runs)
    print(f"picture: {output / 'private_digits.png'}")
    return {noise: rows[-1] for noise, rows in runs.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--noise", type=float, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--steps", type=int, default=320)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if min(options.noise) < 0 or options.steps < 1:
        parser.error("--noise must not be negative, and --steps must be at least 1")
    main(options.noise, options.steps, options.output, options.seed)
