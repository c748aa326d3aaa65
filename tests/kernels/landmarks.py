"""Programs that show what the compiler is for; their loops and sources are golden texts."""

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn


def softmax_gradient(x, ct):
    return fg.vjp(nn.softmax, x)[1](ct)


def cross_entropy_gradient(x, labels):
    def loss(x):
        return -fnp.mean(fnp.sum(labels * nn.log_softmax(x), axis=-1))

    return fg.value_and_grad(loss)(x)


def layer_norm(x, scale, shift):
    centred = x - x.mean(axis=-1, keepdims=True)
    return (
        centred * lax.rsqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5) * scale + shift
    )


def gelu_gradient(x):
    return fg.grad(lambda x: nn.gelu(x).sum())(x)


def adam_step(w, g, m, v, t):
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    rate = 1e-3 * fnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return w - rate * m / (fnp.sqrt(v) + 1e-8), m, v


def lstm_cell(x, h, c, w, u, b):
    gates = x @ w + h @ u + b
    i, f, g, o = fnp.split(gates, 4, axis=-1)
    c = lax.logistic(f) * c + lax.logistic(i) * fnp.tanh(g)
    return lax.logistic(o) * fnp.tanh(c), c


def convolution_step(w, b, x, y):
    def loss(w, b):
        z = lax.conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        z = lax.reduce_window(
            fnp.maximum(z + b, 0), -fnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
        )
        return fnp.mean((z.mean((1, 2)) - y) ** 2)

    gradients = fg.grad(loss, (0, 1))(w, b)
    return [p - 0.1 * g for p, g in zip((w, b), gradients, strict=True)]


def lorenz(s):
    def step(s, _):
        x, y, z = s
        new = x + 0.01 * 10 * (y - x), y + 0.01 * (x * (28 - z) - y), z + 0.01 * (x * y - 2.6 * z)
        return new, x

    return lax.scan(step, s, None, length=100)


def column_sums(x):
    return x.sum(axis=0), x.var(axis=0)


def cumulative(x):
    return fnp.cumsum(x, axis=1), lax.cummax(x, axis=0)


def embedding_gradient(table, tokens, ct):
    return fg.vjp(lambda t: t[tokens], table)[1](ct)


def collatz(n):
    def turn(s):
        return fnp.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1), s[1] + 1

    return lax.while_loop(lambda s: s[0] != 1, turn, (n, 0))[1]


def halvings(x):
    """A loop of which only memory can hold the carry: its condition reads all elements."""
    return lax.while_loop(lambda x: abs(x).sum() > 1, lambda x: x / 2, x)


@fg.vmap
def mandelbrot(a, b):
    def turn(s):
        x, y, count = s
        return x * x - y * y + a, 2 * x * y + b, count + 1

    def inside(s):
        return (s[0] * s[0] + s[1] * s[1] <= 4) & (s[2] < 50)

    return lax.while_loop(inside, turn, (0.0, 0.0, 0))[2]


def f32(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


LANDMARKS = {
    "softmax gradient": (softmax_gradient, f32(8, 10), f32(8, 10)),
    "cross-entropy gradient": (cross_entropy_gradient, f32(8, 10), f32(8, 10)),
    "layer norm": (layer_norm, f32(6, 32), f32(32), f32(32)),
    "GELU gradient": (gelu_gradient, f32(100)),
    "Adam step": (adam_step, f32(64), f32(64), f32(64), abs(f32(64)), np.float32(3)),
    "LSTM cell": (lstm_cell, f32(4, 16), f32(4, 16), f32(4, 16), f32(16, 64), f32(16, 64), f32(64)),
    "convolution step": (
        convolution_step, f32(3, 3, 3, 4), f32(4), f32(2, 6, 6, 3), f32(2, 4)
    ),
    "Lorenz": (lorenz, (np.float32(1), np.float32(1), np.float32(1))),
    "column sums": (column_sums, f32(512, 12)),
    "cumulative sums": (cumulative, f32(4, 9)),
    "argmax": (lambda x: (fnp.argmax(x, axis=1), fnp.argmin(x, axis=0)), f32(5, 7)),
    "embedding gradient": (
        embedding_gradient, f32(20, 4), np.arange(6).reshape(2, 3) % 4, f32(2, 3, 4)
    ),
    "Collatz": (collatz, np.int32(27)),
    "halvings": (halvings, f32(40)),
    "Mandelbrot": (mandelbrot, f32(37), f32(37)),
    "half precision": (lambda x, y: fnp.tanh(x) * y, *[f32(9).astype(np.float16)] * 2),
}  # fmt: skip
