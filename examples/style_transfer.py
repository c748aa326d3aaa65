"""One photograph painted with the colours and textures of another.

Run: python examples/style_transfer.py [--steps 300] [--seed 0] [--output demo-output]

A style is the Gram matrices of features, how channels go together wherever they do; what is in a
picture is the features of a deeper layer, place by place. The features are those of convolutions
with random weights, which do about as well as trained ones. Pixels go down the gradient of both
losses, from the picture that gives the content. The pictures are the two that scikit-learn ships.
The loss of style falls below a tenth of what it was, and that of content stays below half of what
the other picture has. A table and a picture come at the end.

Source: Gatys et al., arXiv:1508.06576; random weights: He et al., arXiv:1606.04801.
"""

from __future__ import annotations

import argparse
from itertools import repeat
from pathlib import Path

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import image, nn, optim, train

CONTENT, ROUGH = 0.2, 1e-6

# The norms keep mean and variance of what they see once: random weights are scaled to the pictures.
blocks = tuple(
    nn.serial(*before, nn.conv(width, window), nn.batch_norm(momentum=0.0), nn.relu)
    for before, width, window in (
        ((), 32, (5, 5)),
        ((nn.avg_pool((2, 2)),), 64, (3, 3)),
        ((nn.avg_pool((2, 2)),), 64, (3, 3)),
    )
)


def load_pictures(height):
    """The temple and the flower of scikit-learn: f32[1, height, 3 / 2 · height, 3] in 0 … 1."""
    from sklearn.datasets import load_sample_image

    shape = (height, height * 3 // 2, 3)
    for name in ("china.jpg", "flower.jpg"):
        pixels = load_sample_image(name).astype(np.float32) / 255
        yield image.resize(pixels, shape, "linear")[None]


def init(key, pictures):
    """Params and state of each block, with the averages of the pictures in its norm."""
    models, x = [], pictures
    for block, own in zip(blocks, fg.random.split(key, len(blocks)), strict=True):
        params, state = block.init(own, x)
        x, state = block.apply(params, state, x, train=True)
        models.append((params, state))
    return models


def features(models, x):
    """What each block sees in pictures, a tree of f32[n, height, width, channels]."""
    seen = []
    for block, model in zip(blocks, models, strict=True):
        x, _ = block.apply(*model, x)
        seen.append(x)
    return seen


def make_losses(models, content, style):
    """Losses of content and of style of pictures, each as a share of what it was at the start."""
    of_content, of_style = features(models, content), features(models, style)
    weights = [
        float(1 / (len(blocks) * nn.gram_loss(a, b)[0]))
        for a, b in zip(of_content, of_style, strict=True)
    ]
    whole = float(fnp.mean(fnp.square(of_content[-1] - of_style[-1])))

    def losses(x):
        seen = features(models, x)
        far = nn.perceptual_loss(seen[-1], of_content[-1])[0] / whole
        return far, nn.gram_loss(seen, of_style, weights)[0]

    return losses


def make_step(losses, method):
    """One step of the pixels down the gradient of both losses."""

    def total(x):
        content, style = losses(x)
        rough = nn.total_variation_loss(x)[0]
        return CONTENT * content + style + ROUGH * rough, {"content": content, "style loss": style}

    def step(state, _):
        x, moments = state
        slope, metrics = fg.grad(total, has_aux=True)(x)
        updates, moments = method.update(slope, moments)
        return (fnp.clip(optim.apply_updates(x, updates), 0, 1), moments), metrics

    return step


def draw(file, pictures):
    """The pictures under each other with their names."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3.8), layout="constrained")
    for cell, (name, x) in zip(figure.subplots(1, len(pictures)), pictures.items(), strict=True):
        cell.imshow(np.clip(np.asarray(x[0]), 0, 1))
        cell.set_title(name)
        cell.axis("off")
    figure.savefig(file, dpi=120)


def main(steps, seed, output, height=160):
    """Paint, print the table, write the picture; return both losses of each picture."""
    output.mkdir(parents=True, exist_ok=True)
    content, style = load_pictures(height)
    models = init(fg.random.key(seed), fnp.concatenate([content, style]))
    losses = make_losses(models, content, style)
    method = optim.adam(0.02)
    run = train.fit(
        make_step(losses, method),
        (content, method.init(content)),
        repeat(()),
        steps=steps,
        log_every=25,
    )
    painted = run.state[0]
    rows = {"content": content, "style": style, "painted": painted}
    found = {name: [float(value) for value in losses(x)] for name, x in rows.items()}
    print(f"{'picture':10} {'content loss':>13} {'style loss':>11}")
    for name, (far, unlike) in found.items():
        print(f"{name:10} {far:13.3f} {unlike:11.4f}")
    draw(output / "style_transfer.png", rows)
    print(f"picture: {output / 'style_transfer.png'}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    main(**vars(parser.parse_args()))
