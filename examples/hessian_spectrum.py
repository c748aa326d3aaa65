"""The spectrum of a network's Hessian by Lanczos' method, which needs only its products.

Run: python examples/hessian_spectrum.py [--steps 60] [--output demo-output]

A small network is trained on the 8×8 digits of scikit-learn. A product of the Hessian with a vector
is a derivative of the gradient in that direction: jvp of grad, no matrix. From 60 products Lanczos'
method finds the largest eigenvalues; here the network is so small that the whole Hessian can be
made and decomposed beside it. A few eigenvalues, about as many as classes, stand far out of the
bulk near 0. A table is printed and a picture written.
Source: Golub & Van Loan, Matrix Computations, section 10.3; Ghorbani et al., arXiv:1901.10159.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import flatten_util, lax, nn, optim

HIDDEN = 8
network = nn.serial(nn.dense(HIDDEN), nn.tanh, nn.dense(10))


def load_digits():
    """Images f64[1797, 64] in [0, 1] and labels i64[1797]."""
    from sklearn.datasets import load_digits as load

    images, labels = load(return_X_y=True)
    return images / 16, labels


def lanczos(product, start, steps):
    """The tridiagonal matrix f64[steps, steps] of a symmetric linear map in its Krylov space.

    Each new vector is made orthogonal to all before it, twice: rounding would bring back what was
    found already.
    """

    def step(carry, i):
        basis, v = carry
        basis = basis.at[i].set(v)
        w = product(v)
        diagonal = v @ w
        for _ in range(2):
            w = w - basis.T @ (basis @ w)
        beside = fnp.linalg.norm(w)
        return (basis, w / beside), (diagonal, beside)

    v = start / fnp.linalg.norm(start)
    first = (fnp.zeros((steps, start.size)), v)
    _, (diagonal, beside) = lax.scan(step, first, fnp.arange(steps))
    return fnp.diag(diagonal) + fnp.diag(beside[:-1], 1) + fnp.diag(beside[:-1], -1)


def train():
    """The loss as a function of the flat params, and where training ended."""
    images, labels = load_digits()
    params, state = network.init(fg.random.key(0), images[:1])
    flat, unravel = flatten_util.ravel_pytree(params)

    def loss(flat):
        logits, _ = network.apply(unravel(flat), state, images)
        return fnp.mean(nn.softmax_cross_entropy(logits, labels))

    optimizer = optim.adam(0.01)

    @fg.jit
    def descend(flat):
        def step(carry, _):
            flat, memory = carry
            value, slope = fg.value_and_grad(loss)(flat)
            updates, memory = optimizer.update(slope, memory, flat)
            return (optim.apply_updates(flat, updates), memory), value

        return lax.scan(step, (flat, optimizer.init(flat)), length=300)

    (flat, _), values = descend(flat)
    print(f"{flat.size} params, loss {float(values[0]):.3f} to {float(values[-1]):.3f}")
    return loss, flat


def density(nodes, weights, at, width):
    """A sum of Gaussians: the spectrum, blurred."""
    return (
        np.exp(-0.5 * ((at[:, None] - nodes) / width) ** 2) @ weights / width / np.sqrt(2 * np.pi)
    )


def draw(file, exact, nodes, weights):
    """Both spectra, blurred alike, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    reach = float(exact[-1])
    at, width = np.linspace(-0.1 * reach, 1.1 * reach, 1000), reach / 100
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    even = np.full(len(exact), 1 / len(exact))
    axes.semilogy(at, density(exact, even, at, width), label="whole Hessian")
    axes.semilogy(at, density(nodes, weights, at, width), "--", label="Lanczos, one start")
    axes.set(xlabel="eigenvalue", ylabel="density", ylim=(1e-5, None))
    axes.legend()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(steps, output):
    """Print the table, write the picture; return the exact eigenvalues and those of Lanczos."""
    output.mkdir(parents=True, exist_ok=True)
    with fg.enable_x64(True):
        loss, flat = train()

        def product(v):
            return fg.jvp(fg.grad(loss), (flat,), (v,))[1]

        start = fg.random.normal(fg.random.key(1), flat.shape)
        small = fg.jit(lanczos, static_argnums=(0, 2))(product, start, steps)
        nodes, vectors = np.linalg.eigh(np.asarray(small))
        exact = np.linalg.eigvalsh(np.asarray(fg.jit(fg.hessian(loss))(flat)))
    print(f"{'':6}{'whole Hessian':>16}{f'{steps} products':>16}")
    for i in range(1, 13):
        print(f"{i:6}{exact[-i]:16.6f}{nodes[-i]:16.6f}")
    print(f"{'least':6}{exact[0]:16.6f}{nodes[0]:16.6f}")
    draw(output / "hessian_spectrum.png", exact, nodes, vectors[0] ** 2)
    print(f"picture: {output / 'hessian_spectrum.png'}")
    return exact, nodes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    options = parser.parse_args()
    main(options.steps, options.output)
