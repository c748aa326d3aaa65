"""A private step (DP-SGD): gradients of each example clipped, summed, blurred by noise, applied."""

from __future__ import annotations

import bench_per_example as mlp
import numpy
from bench_cnn import lenet, lenet_params, lenet_products, torch_conv
from training import RATE, cross_entropy
from works import Work, labels, leaves, map_tree, normal

CLIP, NOISE = 1.0, 1.1


def private_step(fw, loss):
    """A step: ((params, count), x, y) to ((params, count), mean loss and sums of gradients).

    The sums are given out to be compared; the noise has each library's own random numbers.
    """
    np, tree = fw.numpy, fw.tree_util

    def step(state, x, y):
        params, count = state
        values, grads = fw.vmap(fw.value_and_grad(loss), (None, 0, 0))(params, x, y)
        flat, treedef = tree.tree_flatten(grads)
        squares = sum(np.sum(g.reshape(len(x), -1) ** 2, -1) for g in flat)
        scale = np.minimum(1.0, CLIP * fw.lax.rsqrt(squares))
        sums = [np.tensordot(scale, g, 1) for g in flat]
        keys = fw.random.split(fw.random.fold_in(fw.random.key(0), count), len(flat))
        noise = [
            CLIP * NOISE * fw.random.normal(k, g.shape) for k, g in zip(keys, sums, strict=True)
        ]
        updates = [RATE * (g + n) / len(x) for g, n in zip(sums, noise, strict=True)]
        params = tree.tree_map(lambda p, u: p - u, params, tree.tree_unflatten(treedef, updates))
        return (params, count + 1), (np.mean(values), sums)

    return step


def checked(inputs, out):
    """The loss and the clipped sums; not the params, which have noise."""
    _, (value, sums) = out
    return [value, *sums]


def torch_private(tools, params, loss, x, y, shown):
    """The same with torch.func; `shown` gives gradients in our layout."""
    torch = tools.torch
    flat = tuple(leaves(params))
    each = torch.func.vmap(torch.func.grad_and_value(loss), in_dims=(None, 0, 0))

    def call():
        with torch.no_grad():
            grads, values = each(flat, x, y)
            squares = sum(g.flatten(1).square().sum(1) for g in grads)
            scale = torch.clamp(CLIP * squares.rsqrt(), max=1.0)
            sums = [torch.tensordot(scale, g, 1) for g in grads]
            for p, g in zip(flat, sums, strict=True):
                p -= RATE * (g + CLIP * NOISE * torch.randn_like(g)) / len(x)
        return [values.mean(), *(shown(g) for g in sums)]

    return call


# A multilayer perceptron.


def mlp_step(fw):
    return private_step(fw, lambda params, x, y: mlp.loss(fw, params, x, y))


def mlp_torch(tools, state, x, y):
    torch, functional = tools.torch, tools.torch.nn.functional

    def loss(params, x, y):
        w1, b1, w2, b2 = params
        return functional.cross_entropy(torch.relu(x @ w1 + b1) @ w2 + b2, y)

    params = map_tree(tools.tensor, state[0])
    batch = tools.tensor(x), tools.tensor(y).long()
    return torch_private(tools, params, loss, *batch, lambda g: g)


# A convolutional network: the LeNet of bench_cnn with few features.


def cnn_step(fw):
    return private_step(
        fw, lambda params, x, y: cross_entropy(fw, lenet(fw, params, x[None]), y[None])
    )


def cnn_torch(tools, state, x, y):
    torch, functional = tools.torch, tools.torch.nn.functional

    def loss(params, x, y):
        w1, b1, w2, b2, w3, b3, w4, b4 = params
        x = functional.max_pool2d(torch.relu(torch_conv(torch, x[None], w1) + b1[:, None, None]), 2)
        x = functional.max_pool2d(torch.relu(torch_conv(torch, x, w2) + b2[:, None, None]), 2)
        x = torch.relu(x.permute(0, 2, 3, 1).flatten(1) @ w3 + b3)
        return functional.cross_entropy(x @ w4 + b4, y[None])

    params = map_tree(tools.kernels, state[0])
    batch = tools.images(x), tools.tensor(y).long()
    return torch_private(tools, params, loss, *batch, tools.shown)


def work(name, step, torch, batch, shape, params, amount, smooth=None):
    def inputs(rng):
        state = params(rng), numpy.int32(0)
        return state, normal(rng, batch, *shape), labels(rng, batch, 7)

    return Work(
        name,
        inputs,
        step,
        torch=torch,
        carry=True,
        checked=checked,
        # A maximum of two numbers that are nearly equal goes another way for one example.
        tolerance=5e-3,
        amount=batch * amount,
        smooth=smooth,
    )


def mlp_work(batch, sizes, smooth=None):
    name = f"DP-SGD step, MLP {'-'.join(map(str, sizes))}, batch {batch}"
    amount = sizes[0] * sizes[1] + sizes[1] * sizes[2]
    params = lambda rng: mlp.network(rng, sizes)  # noqa: E731
    return work(name, mlp_step, mlp_torch, batch, sizes[:1], params, amount, smooth)


def cnn_work(batch, side, widths, smooth=None):
    name = f"DP-SGD step, CNN {'-'.join(map(str, widths))}, {side}×{side}, batch {batch}"
    amount = lenet_products(side, 1, widths)
    params = lambda rng: lenet_params(rng, side, 1, widths)  # noqa: E731
    return work(name, cnn_step, cnn_torch, batch, (side, side, 1), params, amount, smooth)


MLP, CNN = mlp_work(256, mlp.SIZES), cnn_work(128, 28, (16, 32, 64))
WORKS = [
    MLP,
    mlp_work(127, (783, 255, 7), MLP.name),
    CNN,
    cnn_work(63, 31, (15, 31, 63), CNN.name),
]
