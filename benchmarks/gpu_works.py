"""What is timed on a GPU: elementwise programs, folds, rows, products, factors, training steps.

In: how far sizes are shrunk. Out: `Work`s, with the bytes and operations that each needs at least.
"""

from __future__ import annotations

from functools import partial

import bench_updates as updates
import gpu_steps as steps
import ml_dtypes
import numpy as np
from gpu_matrices import matrices


def f32(*shape):
    """Normal numbers; large arrays repeat some, for drawing all would take longer than the rest."""
    size = int(np.prod(shape))
    drawn = np.random.default_rng(0).standard_normal(min(size, 1 << 20), np.float32)
    return np.resize(drawn, shape)


def halves(*shape):
    """The same in 16 bits."""
    return f32(*shape).astype(ml_dtypes.bfloat16)


class Work:
    """What is timed.

    Args:
        make: of a library's namespaces (`np`, `nn`, `grad`), the function.
        given: makes its arguments.
        moved: bytes that must go through memory at least; `flops`: floating-point operations.
        torch: PyTorch's version, `torch(tools, *args)`, where the text is not one for it too.
        carry: the first argument is a state: donated, and replaced by the first output.
        plain: whether it is an array function without derivatives, which CuPy has too.
        rounded: whether it asks for TF32, by `lib.rounded`.
    """

    def __init__(self, name, make, given, moved=0, flops=0, **told):
        self.name = name
        self.make = make
        self._given = given
        self.moved = moved
        self.flops = flops
        self.torch = told.get("torch")
        self.carry = told.get("carry", False)
        self.plain = told.get("plain", False)
        self.rounded = told.get("rounded", False)

    @property
    def args(self):
        """The arguments, made anew."""
        return self._given()


def chain(lib):
    return lambda x: lib.np.tanh(x) * x + lib.np.exp(-x * x) * 0.5


def chain_gradient(lib):
    return lib.grad(lambda x: chain(lib)(x).sum())


def row_sums(lib):
    return lambda x: x.sum(-1)


def softmax(lib):
    return lambda x: lib.nn.softmax(x, axis=-1)


def layer_norm(lib):
    def f(x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / lib.np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)

    return f


def layer_norm_gradient(lib):
    return lib.grad(lambda x: (layer_norm(lib)(x) ** 3).sum())


def cross_entropy_gradient(lib):
    return lib.grad(lambda x: -lib.nn.log_softmax(x, axis=-1)[:, 0].mean())


def mlp(lib):
    def loss(params, x):
        for w, b in params:
            x = lib.np.tanh(x @ w + b)
        return (x * x).mean()

    def step(params, x):
        slopes = lib.grad(loss)(params, x)
        return [(w - 0.1 * v, b - 0.1 * c) for (w, b), (v, c) in zip(params, slopes, strict=True)]

    return step


def attention(lib):
    def f(parts):
        return lib.nn.dot_product_attention(*parts, is_causal=True)

    return f


def attention_gradient(lib):
    return lib.grad(lambda parts: attention(lib)(parts).sum())


def attention_layer(heads, lib):
    """The gradient of a layer whose queries, keys and values are parts of one product."""

    def loss(params, x):
        w, b, v = params
        parts = (x @ w + b).reshape(*x.shape[:2], 3, heads, -1)
        y = attention(lib)([parts[:, :, k] for k in range(3)])
        return (y.reshape(x.shape) @ v).sum()

    return lib.grad(loss)


def fifty(lib):
    def f(x):
        for _ in range(50):
            x = lib.np.cumsum(x, axis=-1) * 0.01
        return x

    return f


def _one(shape):
    return [f32(*shape)]


def works(scale):
    """The table of works; `scale` shrinks them."""
    n = max(int(1e8 * scale), 64)
    rows = [128, 1024, 8192, 65536] if scale == 1 else [128]
    found = [
        Work("negation", lambda lib: lambda x: -x, lambda: [f32(n)], 8 * n, plain=True),
        Work("elementwise chain", chain, lambda: [f32(n)], 8 * n, plain=True),
        Work("its gradient", chain_gradient, lambda: [f32(n)], 8 * n),
        Work("sum", lambda lib: lambda x: x.sum(), lambda: [f32(n)], 4 * n, plain=True),
        Work(
            "place of the largest",
            lambda lib: lambda x: lib.np.argmax(x),
            lambda: [f32(n)],
            4 * n,
            plain=True,
        ),
        Work(
            "column sums",
            lambda lib: lambda x: x.sum(0),
            lambda: [f32(n // 64, 64)],
            4 * n,
            plain=True,
        ),
        Work(
            "cumsum", lambda lib: lambda x: lib.np.cumsum(x, 0), lambda: [f32(n)], 8 * n, plain=True
        ),
        Work(
            "cumsum of rows",
            lambda lib: lambda x: lib.np.cumsum(x, -1),
            lambda: [f32(n // 64, 64)],
            8 * n,
            plain=True,
        ),
        Work(
            "transposition",
            lambda lib: lambda x: x.T + 0,
            lambda: [f32(n // 64, 64)],
            8 * n,
            plain=True,
        ),
    ]
    for row in rows:
        shape = max(int(2**26 * scale) // row, 2), row
        for name, make in (
            ("softmax", softmax),
            ("layer norm", layer_norm),
            ("layer norm's gradient", layer_norm_gradient),
            ("cross-entropy's gradient", cross_entropy_gradient),
        ):
            found.append(
                Work(f"{name}, rows of {row}", make, partial(_one, shape), 8 * shape[0] * row)
            )
    few = 8, max(n // 100, 64)
    found += [
        Work("softmax, 8 long rows", softmax, partial(_one, few), 8 * few[0] * few[1]),
        Work("layer norm, 8 long rows", layer_norm, partial(_one, few), 8 * few[0] * few[1]),
        Work("sums of 8 long rows", row_sums, partial(_one, few), 4 * few[0] * few[1]),
    ]
    for side in [256, 1024, 4096, 8192] if scale == 1 else [64]:
        found += products(side)
    for length in [512, 2048, 8192] if scale == 1 else [16]:
        found += attentions(length, scale == 1)
    wide = 1024 if scale == 1 else 8

    def layers():
        return [[(f32(wide, wide) * 0.02, f32(wide)) for _ in range(4)], f32(wide, wide)]

    flops = 6 * 4 * wide * wide * wide
    found += [
        Work("MLP train step", mlp, layers, flops=flops),
        *trained(scale == 1),
        *updated(scale == 1),
        *matrices(Work, scale == 1),
        Work("empty call", lambda lib: lambda x: x, lambda: [f32(4)]),
        Work("50 kernels", fifty, lambda: [f32(64, 64) if scale == 1 else f32(4, 4)]),
    ]
    return found


def products(side):
    """Products of square matrices, in each arithmetic, and one with what follows it in a layer."""
    flops = 2 * side**3

    def pair():
        return [f32(side, side), f32(side, side)]

    def short():
        return [halves(side, side), halves(side, side)]

    def layer():
        return [*short(), halves(side)]

    return [
        Work(f"product of {side}", lambda lib: lambda x, y: x @ y, pair, flops=flops, plain=True),
        Work(f"product of {side}, TF32", lambda lib: lib.rounded, pair, flops=flops, rounded=True),
        Work(f"product of {side}, bfloat16", lambda lib: lambda x, y: x @ y, short, flops=flops),
        Work(
            f"product of {side} with bias and GELU, bfloat16",
            lambda lib: lambda x, w, b: lib.nn.gelu(x @ w + b),
            layer,
            flops=flops,
        ),
    ]


def attentions(length, full):
    """Causal attention of 16 heads of 64 in bfloat16, 16384 positions in all."""
    shape = (16384 // length, length, 16, 64) if full else (1, length, 2, 8)

    def parts():
        return [tuple(halves(*shape) for _ in range(3))]

    def layer():
        n, t, heads, width = shape
        wide = heads * width
        params = halves(wide, 3 * wide), halves(3 * wide), halves(wide, wide)
        return [params, halves(n, t, wide)]

    flops = 2 * shape[0] * shape[2] * length * length * shape[3]
    products = 6 * 4 * shape[0] * length * (shape[2] * shape[3]) ** 2
    return [
        Work(f"attention over {length}", attention, parts, flops=flops),
        Work(
            f"attention's gradient over {length}", attention_gradient, parts, flops=7 * flops // 2
        ),
        Work(
            f"attention layer's gradient over {length}",
            partial(attention_layer, shape[2]),
            layer,
            flops=9 * flops // 2 + products,
        ),
    ]


def updated(full):
    """Few elements of large arrays changed, and what is made of running folds."""
    turns, size = (1000, 1_000_000) if full else (3, 20)
    rows, row = (4096, 512) if full else (70, 4)

    def sets(tools, x):
        x = tools.tensor(x)

        def call():
            found = x.clone()
            for i in range(turns):
                found[3 * i + 1] = tools.torch.sin(found[i]) * 2
            return found

        return call

    def caches(tools, cache, row, at):
        cache, row = tools.tensor(cache), tools.tensor(row)

        def call():
            cache[int(at)] = row
            return cache, cache[:64] @ row

        return call

    return [
        Work(
            f"{turns:,} elements of {size:,} set in turns",
            lambda lib: updates.recurrence(lib.fw, turns),
            lambda: [f32(size)],
            torch=sets,
        ),
        Work(
            f"a row into a cache of {rows} × {row}",
            lambda lib: updates.cached(lib.fw),
            lambda: [f32(rows, row), f32(row), np.int32(7)],
            torch=caches,
            carry=True,
        ),
        Work(
            "exponential of a cumsum of rows",
            lambda lib: lambda x: lib.np.exp(0.01 * lib.np.cumsum(x, -1)),
            lambda: [f32(rows * 16 if full else 4, row)],
            8 * (rows * 16 if full else 4) * row,
        ),
    ]


def trained(full):
    """The steps of networks; their states are donated."""
    heads = 8 if full else 2
    sizes = {
        "LSTM train step": (128, 64, 512, 512) if full else (3, 2, 4, 4),
        "ResNet-18 train step": (128, 32, 64, 10) if full else (1, 4, 2, 4, 2, 1),
        "6-layer Transformer train step": (6, 16, 512, 512) if full else (1, 1, 4, 4),
    }
    parts = {
        "LSTM train step": (steps.lstm_step, steps.lstm, steps.lstm_torch),
        "ResNet-18 train step": (steps.resnet18_step, steps.resnet18, steps.resnet18_torch),
        "6-layer Transformer train step": (
            steps.transformer_step(heads), steps.transformer, steps.transformer_torch(heads),
        ),
    }  # fmt: skip
    return [
        Work(name, make, partial(args, *sizes[name]), torch=torch, carry=True)
        for name, (make, args, torch) in parts.items()
    ]
