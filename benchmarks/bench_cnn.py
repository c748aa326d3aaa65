"""Convolutions: a LeNet-like step, ResNet-20 with batch norm, separable, dilated, grouped."""

from __future__ import annotations

from itertools import pairwise

import numpy
from training import (
    adam_checked,
    adam_state,
    adam_step,
    cross_entropy,
    torch_adam,
    torch_gradient,
    torch_step,
)
from works import Work, labels, leaves, map_tree, normal

CHANNELS_LAST = ("torch channels-last",)


def kernel(rng, height, width, inputs, outputs):
    """A kernel HWIO, scaled for relu."""
    return normal(rng, height, width, inputs, outputs, scale=(2 / (height * width * inputs)) ** 0.5)


def conv(fw, x, w, stride=1, groups=1, dilation=1):
    """Convolution NHWC with a kernel HWIO; as many rows out as in, over the stride."""
    return fw.lax.conv_general_dilated(
        x,
        w,
        (stride, stride),
        "SAME",
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def torch_conv(torch, x, w, stride=1, groups=1, dilation=1):
    """The same in PyTorch, where padding before and after may differ by one for strides."""
    extent = dilation * (w.shape[-1] - 1) + 1
    total = max(0, (-(-x.shape[-1] // stride) - 1) * stride + extent - x.shape[-1])
    before, after = total // 2, total - total // 2
    if before != after:
        x = torch.nn.functional.pad(x, (before, after, before, after))
        before = 0
    return torch.nn.functional.conv2d(
        x, w, stride=stride, padding=before, groups=groups, dilation=dilation
    )


# LeNet-like: two convolutions with pooling, two dense layers; a step of Adam.


def pool(fw, x):
    """The maximum of 2×2 squares."""
    window = (1, 2, 2, 1)
    return fw.lax.reduce_window(x, -numpy.inf, fw.lax.max, window, window, "VALID")


def lenet(fw, params, x):
    w1, b1, w2, b2, w3, b3, w4, b4 = params
    x = pool(fw, fw.nn.relu(conv(fw, x, w1) + b1))
    x = pool(fw, fw.nn.relu(conv(fw, x, w2) + b2))
    x = fw.nn.relu(x.reshape(x.shape[0], -1) @ w3 + b3)
    return x @ w4 + b4


def lenet_step(fw):
    return adam_step(fw, lambda params, x, y: cross_entropy(fw, lenet(fw, params, x), y))


def lenet_torch(tools, state, x, y):
    torch, functional = tools.torch, tools.torch.nn.functional

    def loss(params, x, y):
        w1, b1, w2, b2, w3, b3, w4, b4 = params
        x = functional.max_pool2d(torch.relu(functional.conv2d(x, w1, b1, padding="same")), 2)
        x = functional.max_pool2d(torch.relu(functional.conv2d(x, w2, b2, padding="same")), 2)
        # Flat in our order, so that the dense weights are the same; a view for channels last.
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = torch.relu(torch.addmm(b3, x, w3))
        return functional.cross_entropy(torch.addmm(b4, x, w4), y)

    params = map_tree(tools.kernels, state[0])
    batch = (tools.images(x), tools.tensor(y).long())
    return torch_step(tools, params, loss, batch, torch_adam, tools.shown)


def lenet_params(rng, side, channels, widths):
    """Kernel and bias of each layer, in a row."""
    a, b, c = widths
    flat = (side // 4) ** 2 * b
    kernels = kernel(rng, 3, 3, channels, a), kernel(rng, 3, 3, a, b)
    dense = normal(rng, flat, c, scale=flat**-0.5), normal(rng, c, 10, scale=c**-0.5)
    biases = [normal(rng, n, scale=0.1) for n in (a, b, c, 10)]
    return [x for pair in zip((*kernels, *dense), biases, strict=True) for x in pair]


def lenet_products(side, channels, widths):
    """Products of numbers for one image."""
    a, b, c = widths
    return 9 * a * (side**2 * channels + (side // 2) ** 2 * b) + (side // 4) ** 2 * b * c


def lenet_work(name, batch, side, channels, widths=(32, 64, 128), goal=None, smooth=None):
    def inputs(rng):
        params = lenet_params(rng, side, channels, widths)
        return adam_state(params), normal(rng, batch, side, side, channels), labels(rng, batch, 10)

    return Work(
        name,
        inputs,
        lenet_step,
        goal=goal,
        torch=lenet_torch,
        carry=True,
        checked=adam_checked,
        variants=CHANNELS_LAST,
        amount=batch * lenet_products(side, channels, widths),
        smooth=smooth,
    )


# ResNet-20 with batch norm over the batch; value and gradient.


def normed(fw, x, scale, shift):
    """Batch norm over all axes but the last."""
    mean = fw.numpy.mean(x, (0, 1, 2))
    variance = fw.numpy.var(x, (0, 1, 2))
    return (x - mean) * fw.lax.rsqrt(variance + 1e-5) * scale + shift


def resnet(fw, params, x):
    first, blocks, (w, b) = params
    x = fw.nn.relu(normed(fw, conv(fw, x, first[0]), *first[1:]))
    for one, two, shortcut in blocks:
        stride = 2 if shortcut else 1
        y = fw.nn.relu(normed(fw, conv(fw, x, one[0], stride), *one[1:]))
        y = normed(fw, conv(fw, y, two[0]), *two[1:])
        x = fw.nn.relu(y + (conv(fw, x, shortcut[0], 2) if shortcut else x))
    return fw.numpy.mean(x, (1, 2)) @ w + b


def resnet_gradient(fw):
    return fw.value_and_grad(
        lambda params, x, y: cross_entropy(fw, resnet(fw, params, x), y), argnums=0
    )


def resnet_torch(tools, params, x, y):
    torch, functional = tools.torch, tools.torch.nn.functional

    def norm(x, scale, shift):
        return functional.batch_norm(x, None, None, scale, shift, training=True)

    def loss(params):
        first, blocks, (w, b) = params
        h = torch.relu(norm(torch_conv(torch, images, first[0]), *first[1:]))
        for one, two, shortcut in blocks:
            stride = 2 if shortcut else 1
            g = torch.relu(norm(torch_conv(torch, h, one[0], stride), *one[1:]))
            g = norm(torch_conv(torch, g, two[0]), *two[1:])
            h = torch.relu(g + (torch_conv(torch, h, shortcut[0], 2) if shortcut else h))
        return functional.cross_entropy(torch.addmm(b, h.mean((2, 3)), w), classes)

    images, classes = tools.images(x), tools.tensor(y).long()
    params = map_tree(tools.kernels, params)
    flat = list(leaves(params))
    for p in flat:
        p.requires_grad_(True)

    def call():
        value = loss(params)
        return [value, *map(tools.shown, torch.autograd.grad(value, flat))]

    return call


def resnet_inputs(batch, side):
    def inputs(rng):
        def layer(m, n):
            return kernel(rng, 3, 3, m, n), 1 + normal(rng, n, scale=0.1), normal(rng, n, scale=0.1)

        blocks, m = [], 16
        for n in (16, 16, 16, 32, 32, 32, 64, 64, 64):
            shortcut = () if m == n else (kernel(rng, 1, 1, m, n),)
            blocks.append((layer(m, n), layer(n, n), shortcut))
            m = n
        dense = (normal(rng, 64, 10, scale=0.125), normal(rng, 10, scale=0.1))
        params = (layer(3, 16), blocks, dense)
        return params, normal(rng, batch, side, side, 3), labels(rng, batch, 10)

    return inputs


def resnet_work(name, batch, side=32, goal=None, smooth=None):
    return Work(
        name,
        resnet_inputs(batch, side),
        resnet_gradient,
        goal=goal,
        torch=resnet_torch,
        variants=CHANNELS_LAST,
        amount=batch * side**2,
        smooth=smooth,
        # Of millions of relus a few have arguments within rounding of zero and go either way.
        tolerance=3e-2,
    )


# Stacks of convolutions; value and gradient with respect to the images and all kernels.


def stack(fw, layers):
    """The mean square of what comes out of a row of convolutions with relu between."""

    def value(x, *kernels):
        for w, options in zip(kernels, layers, strict=True):
            x = fw.nn.relu(conv(fw, x, w, **options))
        return fw.numpy.mean(x * x)

    return value


def stack_work(name, batch, side, channels, layers, goal=None, smooth=None):
    """Layers are (size, inputs a group, outputs, options)."""

    def inputs(rng):
        kernels = [kernel(rng, k, k, m, n) for k, m, n, _ in layers]
        return normal(rng, batch, side, side, channels), *kernels

    options = [o for *_, o in layers]

    def function(fw):
        arguments = tuple(range(len(layers) + 1))
        return fw.value_and_grad(stack(fw, options), argnums=arguments)

    def torch_version(tools, x, *kernels):
        def value(x, *kernels):
            for w, o in zip(kernels, options, strict=True):
                x = tools.torch.relu(torch_conv(tools.torch, x, w, **o))
            return (x * x).mean()

        call = torch_gradient(tools, (tools.images(x), *map(tools.kernels, kernels)), value)

        def shown():
            out, image, *rest = call()
            return [out, image.permute(0, 2, 3, 1), *map(tools.shown, rest)]

        return shown

    pixels = sum(k * k * m * n / o.get("stride", 1) ** 2 for k, m, n, o in layers)
    return Work(
        name,
        inputs,
        function,
        goal=goal,
        torch=torch_version,
        variants=CHANNELS_LAST,
        amount=batch * side**2 * pixels,
        smooth=smooth,
    )


def separable(*widths):
    """Depthwise 3×3 and pointwise layers between the widths."""
    found = []
    for m, n in pairwise(widths):
        found += [(3, 1, m, {"groups": m}), (1, m, n, {})]
    return found


LENET = "LeNet-like CNN step, batch 128"
RESNET = "ResNet-20 with batch norm, value and gradient, batch 64"
SEPARABLE = "depthwise-separable stack 32-64-64-128, 32×32, batch 32"
DILATED = "3×3 convolution, dilation 2, 64→64, 32×32, batch 16"
GROUPED = "3×3 convolution, 8 groups, 128→128, 32×32, batch 16"
PLAIN = "3×3 convolution, 64→64, 32×32, batch 16"
WORKS = [
    lenet_work(LENET, 128, 28, 1, goal=0.65),
    lenet_work("LeNet-like, 3 channels, 31×31, batch 127", 127, 31, 3, (33, 65, 127), smooth=LENET),
    lenet_work("LeNet-like, batch 1", 1, 28, 1),
    resnet_work(RESNET, 64, goal=0.85),
    resnet_work("ResNet-20, 31×31, batch 17", 17, 31, smooth=RESNET),
    stack_work(SEPARABLE, 32, 32, 32, separable(32, 64, 64, 128), goal=0.9),
    stack_work(
        "depthwise-separable stack 31-63-63-127, 31×31, batch 33",
        33,
        31,
        31,
        separable(31, 63, 63, 127),
        smooth=SEPARABLE,
    ),
    stack_work(PLAIN, 16, 32, 64, [(3, 64, 64, {})]),
    stack_work(
        "3×3 convolution, 63→65, 31×31, batch 17", 17, 31, 63, [(3, 63, 65, {})], None, PLAIN
    ),
    stack_work("5×5 convolution, stride 2, 3→48, 64×64", 16, 64, 3, [(5, 3, 48, {"stride": 2})]),
    stack_work(DILATED, 16, 32, 64, [(3, 64, 64, {"dilation": 2})], goal=0.9),
    stack_work(GROUPED, 16, 32, 128, [(3, 16, 128, {"groups": 8})], goal=0.9),
]
