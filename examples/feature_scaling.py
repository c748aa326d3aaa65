"""Gradient descent on y = 3 + 7·x₁ − 13·x₂ with and without scaling of the features.

Run: python examples/feature_scaling.py

x₂ is 200 times as wide as x₁. As it stands, the step that x₂ allows is far too small for the rest;
with x₂ / 200 in its place the coefficients (3, 7, −2600) are there after 1,000 iterations.
"""

from __future__ import annotations

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

ITERATIONS = 1000
SCALE = 200.0


def make_data():
    """x f64[100, 2], the second column in −200 … 200, and y f64[100] without noise."""
    x = np.random.default_rng(0).uniform(-1, 1, (100, 2)) * [1, SCALE]
    return x, 3 + 7 * x[:, 0] - 13 * x[:, 1]


@fg.jit
def descend(x, y, rate):
    """The coefficients f64[3] after all iterations from zero, and the loss at each."""

    def loss(w):
        return fnp.mean((w[0] + x @ w[1:] - y) ** 2) / 2

    def step(w, _):
        value, slope = fg.value_and_grad(loss)(w)
        return w - rate * slope, value

    return lax.scan(step, fnp.zeros(3), length=ITERATIONS)


def main():
    """Print a table; return the coefficients without and with scaling."""
    with fg.enable_x64(True):
        x, y = make_data()
        # Steps near the largest that do not diverge: 1 / the largest eigenvalue of xᵀx / n.
        raw, raw_losses = descend(x, y, 1 / np.mean(x[:, 1] ** 2))
        scaled, losses = descend(x / [1, SCALE], y, 1.0)
    print(f"{'iteration':>10} {'loss as it stands':>18} {'loss with scaling':>18}")
    for i in (0, 1, 10, 100, ITERATIONS - 1):
        print(f"{i:10} {float(raw_losses[i]):18.3e} {float(losses[i]):18.3e}")
    print("as it stands:", np.asarray(raw).round(3), " wanted 3, 7, −13")
    print("with scaling:", np.asarray(scaled).round(3), " wanted 3, 7, −2600")
    return np.asarray(raw), np.asarray(scaled)


if __name__ == "__main__":
    main()
