"""A layer that is the solution of an equation, with the derivative of the solution.

Run: python examples/implicit_layer.py [--steps 100] [--output demo-output]

z = tanh(Wz + Ux + b) has one solution where W is small. custom_root finds it by iteration, and
differentiates it by the implicit function theorem: whatever the number of iterations, the gradient
solves one linear equation and keeps z alone. Beside it the same iterations written out, for reverse
mode to go back through. Tables show how the two gradients approach each other and what memory
(the compiled program's plan) each needs; then the layer is trained on scikit-learn's wines.
Source: Bai et al., arXiv:1909.01377; Blondel et al., arXiv:2105.15183.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn, optim, random
from funcgrad.scipy.sparse.linalg import bicgstab

WIDTH = 32
COUNTS = (1, 2, 4, 8, 16, 32)


def turn(params, x, z):
    """One iteration of the equation."""
    # Of norm 0.9 at most, so that iterations converge.
    w = 0.9 * params["w"] / fnp.maximum(fnp.linalg.norm(params["w"]), 1)
    return fnp.tanh(z @ w + x @ params["u"] + params["b"])


def unrolled(params, x, count):
    """z after so many iterations from 0."""
    z = fnp.zeros((x.shape[0], WIDTH), x.dtype)
    return lax.scan(lambda z, _: (turn(params, x, z), None), z, length=count)[0]


def equilibrium(params, x):
    """The z that an iteration leaves as it is."""

    def residual(z):
        return turn(params, x, z) - z

    def solve(residual, z):
        def far(carry):
            _, change, count = carry
            return (change > 1e-12) & (count < 500)

        def closer(carry):
            z, _, count = carry
            change = residual(z)
            return z + change, fnp.max(fnp.abs(change)), count + 1

        return lax.while_loop(far, closer, (z, fnp.inf, 0))[0]

    def solve_linear(product, b):
        return bicgstab(product, b, tol=1e-12)[0]

    return lax.custom_root(residual, fnp.zeros((x.shape[0], WIDTH), x.dtype), solve, solve_linear)


def make_params(key, inputs):
    """W, U and b, and the dense layer behind them."""
    first, second, third = random.split(key, 3)
    return {
        "w": random.normal(first, (WIDTH, WIDTH)) / WIDTH,
        "u": random.normal(second, (inputs, WIDTH)) / np.sqrt(inputs),
        "b": fnp.zeros(WIDTH),
        "out": random.normal(third, (WIDTH, 3)) / np.sqrt(WIDTH),
    }


def load_wines():
    """Scaled measurements f64[178, 13] and cultivars i64[178]: rows to train on, rows held out."""
    from sklearn.datasets import load_wine

    x, labels = load_wine(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x, labels = ((x - x.mean(0)) / x.std(0))[order], labels[order]
    return (x[:120], labels[:120]), (x[120:], labels[120:])


def loss(params, x, labels, layer):
    """Mean cross-entropy behind the layer, and the share of right answers."""
    logits = layer(params, x) @ params["out"]
    return fnp.mean(nn.softmax_cross_entropy(logits, labels)), nn.accuracy(logits, labels)


def compare(params, x, labels):
    """Rows (iterations or None, memory in KiB, largest difference of gradients from the root's)."""
    rows, wanted = [], None
    for count in (None, *COUNTS):

        def layer(params, x, count=count):
            return equilibrium(params, x) if count is None else unrolled(params, x, count)

        slope = fg.jit(
            lambda params, layer=layer: fg.grad(loss, has_aux=True)(params, x, labels, layer)[0]
        )
        compiled = slope.lower(params).compile()
        grads = np.concatenate([np.ravel(g) for g in fg.tree.leaves(compiled(params))])
        wanted = grads if wanted is None else wanted
        memory = compiled.memory_analysis().temp_size_in_bytes / 1024
        rows.append((count, memory, float(np.max(np.abs(grads - wanted)))))
    return rows


def train(params, rows, held_out, steps):
    """The loss of each step, and the accuracy on what is held out."""
    optimizer = optim.adam(0.01)

    @fg.jit
    def step(params, memory):
        slope = fg.value_and_grad(loss, has_aux=True)
        (value, _), grads = slope(params, *rows, equilibrium)
        updates, memory = optimizer.update(grads, memory, params)
        return optim.apply_updates(params, updates), memory, value

    memory = optimizer.init(params)
    losses = []
    for _ in range(steps):
        params, memory, value = step(params, memory)
        losses.append(float(value))
    return losses, float(loss(params, *held_out, equilibrium)[1])


def draw(file, rows, losses):
    """Memory and difference over iterations, and the loss of training."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    (_, least, _), *rest = rows
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    counts = [count for count, *_ in rest]
    axes[0].plot(counts, [memory for _, memory, _ in rest], "o-", label="iterations written out")
    axes[0].axhline(least, color="tab:orange", label="custom_root")
    axes[0].set(xlabel="iterations", ylabel="KiB", title="memory of the gradient")
    axes[0].legend()
    axes[1].semilogy(counts, [gap for *_, gap in rest], "o-")
    axes[1].set(xlabel="iterations", title="difference of the gradients")
    axes[2].semilogy(losses)
    axes[2].set(xlabel="step", title="training loss on wines")
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(steps, output):
    """Print the table, train, write the picture; return rows, losses and accuracy."""
    output.mkdir(parents=True, exist_ok=True)
    with fg.enable_x64(True):
        rows_in, held_out = load_wines()
        params = make_params(random.key(0), rows_in[0].shape[1])
        rows = compare(params, *rows_in)
        print(f"{'iterations':12}{'memory KiB':>12}{'gradients differ by':>22}")
        for count, memory, gap in rows:
            print(f"{count or 'custom_root':<12}{memory:12.0f}{gap:22.1e}")
        losses, share = train(params, rows_in, held_out, steps)
    draw(output / "implicit_layer.png", rows, losses)
    print(f"wines: loss {losses[0]:.3f} to {losses[-1]:.3f}, held-out accuracy {share:.1%}")
    print(f"picture: {output / 'implicit_layer.png'}")
    return rows, losses, share


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    options = parser.parse_args()
    main(options.steps, options.output)
