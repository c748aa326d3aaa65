"""Every gradient of a small convolutional network by hand, next to the one that autodiff gives.

Run: python examples/gradients_of_a_cnn.py

A 3×3 convolution of stride 2, ReLU, a 2×2 max-pool, a dense layer of 3 and softmax cross-entropy.
The δ of a value is the derivative of the loss with respect to it. A table of the largest difference
of each is printed at the end.
"""

from __future__ import annotations

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn

TARGET = np.array([[0.3, 0.5, 0.2]])


def make_inputs():
    """The image f64[1, 9, 9, 1] and the params, as after `np.random.seed(0)`."""
    draw = np.random.RandomState(0).randn
    x = draw(1, 9, 9, 1)
    return x, {
        "kernel": draw(3, 3),
        "bias": draw(),
        "weight": draw(4, 3),
        "offset": draw(3),
    }


def network(params, x, shifts):
    """Loss, and the values on the way; `shifts`, zeros, are added to them to differentiate by."""
    kernel = params["kernel"][:, :, None, None]
    dims = ("NHWC", "HWIO", "NHWC")
    conv = lax.conv_general_dilated(x, kernel, (2, 2), "VALID", dimension_numbers=dims)
    z = conv + params["bias"] + shifts["z"]
    a = nn.relu(z) + shifts["a"]
    pooled = lax.reduce_window(a, -fnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    pooled = pooled + shifts["pooled"]
    logits = pooled.reshape(1, -1) @ params["weight"] + params["offset"] + shifts["logits"]
    values = {"z": z, "a": a, "pooled": pooled, "logits": logits}
    return nn.softmax_cross_entropy(logits, TARGET).sum(), values


def by_autodiff(params, x):
    """Derivatives by params, input and every value on the way."""
    zeros = {"z": (1, 4, 4, 1), "a": (1, 4, 4, 1), "pooled": (1, 2, 2, 1), "logits": (1, 3)}
    shifts = {name: np.zeros(shape) for name, shape in zeros.items()}
    slope = fg.grad(network, argnums=(0, 1, 2), has_aux=True)
    (of_params, of_x, of_values), values = fg.jit(slope)(params, x, shifts)
    return {**of_params, "x": of_x, **of_values}, values


def correlate(image, kernel):
    """Σ image[i + p, j + q] · kernel[p, q] at every place where the kernel fits."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("ijpq,pq->ij", windows, kernel)


def by_hand(params, x, values):
    """The formulas of the derivation, from the values of the forward pass."""
    values = {name: np.asarray(value) for name, value in values.items()}
    shares = np.exp(values["logits"])
    delta = {"logits": shares / shares.sum() - TARGET}  # δ₃ = a − y
    delta["weight"] = values["pooled"].reshape(1, -1).T @ delta["logits"]
    delta["offset"] = delta["logits"][0]
    delta["pooled"] = (delta["logits"] @ params["weight"].T).reshape(1, 2, 2, 1)
    # Upsampling: each δ goes to the first of the largest of its window, the others get none.
    windows = values["a"].reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    chosen = np.eye(4)[windows.argmax(axis=1)] * delta["pooled"].reshape(4, 1)
    delta["a"] = chosen.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(1, 4, 4, 1)
    delta["z"] = delta["a"] * (values["z"] > 0)
    # A stride of 2 forward is a gap between the δs backward.
    dilated = np.zeros((7, 7))
    dilated[::2, ::2] = delta["z"][0, :, :, 0]
    delta["kernel"] = correlate(x[0, :, :, 0], dilated)
    delta["bias"] = delta["z"].sum()
    turned = np.rot90(params["kernel"], 2)
    delta["x"] = correlate(np.pad(dilated, 2), turned)[None, :, :, None]
    return delta


def transposed(params, delta):
    """The gradient by the input once more: a transposed convolution of δ with the kernel."""
    layer = nn.conv_transpose(1, (3, 3), (2, 2), "VALID", bias=False)
    weight = params["kernel"][:, :, None, None]
    return layer.apply({"weight": weight}, (), fnp.asarray(delta["z"]))[0]


def main():
    """Print the table; return the largest difference of each derivative."""
    with fg.enable_x64(True):
        x, params = make_inputs()
        found, values = by_autodiff(params, x)
        hand = by_hand(params, x, values)
        found["x, transposed conv"], hand["x, transposed conv"] = (
            transposed(params, hand),
            hand["x"],
        )
        gaps = {name: float(np.abs(hand[name] - np.asarray(found[name])).max()) for name in hand}
    print(f"{'derivative by':20} {'shape':14} {'norm':>9} {'difference':>11}")
    for name, gap in gaps.items():
        value = np.asarray(hand[name])
        print(f"{name:20} {value.shape!s:14} {np.linalg.norm(value):9.5f} {gap:11.1e}")
    return gaps


if __name__ == "__main__":
    main()
