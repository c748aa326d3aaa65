"""Training steps for GPUs: an LSTM, ResNet-18 and a Transformer of 6 layers, as on the CPU.

Their texts are those of `bench_recurrent`, `bench_cnn` and `bench_transformer`, at the sizes of a
GPU; PyTorch's versions take tensors of its device.
"""

from __future__ import annotations

import bench_cnn
import bench_recurrent
import bench_transformer
import numpy as np
from training import sgd_step, torch_step
from works import map_tree, normal


class Tools:
    """What PyTorch's versions are made with, on a GPU.

    Args:
        compiles: whether losses go through torch.compile.
    """

    channels_last = False

    def __init__(self, torch, compiles):
        self.torch = torch
        self._compiles = compiles

    def tensor(self, x):
        """A tensor with its own copy of the data."""
        x = np.asarray(x)
        if x.dtype.name == "bfloat16":
            return self.torch.tensor(x.astype(np.float32), device="cuda").bfloat16()
        return self.torch.tensor(x, device="cuda")

    def compiled(self, f):
        """The function under torch.compile, where that is the variant."""
        return self.torch.compile(f) if self._compiles else f

    def images(self, x):
        """Images NHWC as NCHW."""
        return self.tensor(x).permute(0, 3, 1, 2).contiguous()

    def kernels(self, w):
        """Kernels HWIO as OIHW; others as they are."""
        w = self.tensor(w)
        return w.permute(3, 2, 0, 1).contiguous() if w.ndim == 4 else w


def lstm(steps, batch, inputs, hidden):
    """Arguments of the LSTM's step."""
    rng = np.random.default_rng(0)
    wx = normal(rng, inputs, 4 * hidden, scale=inputs**-0.5)
    wh = normal(rng, hidden, 4 * hidden, scale=hidden**-0.5)
    params = (wx, wh, normal(rng, 4 * hidden, scale=0.1), normal(rng, hidden, 8, scale=0.1))
    return [params, normal(rng, steps, batch, inputs), normal(rng, batch, 8)]


def lstm_step(lib):
    """A step of gradient descent."""
    return sgd_step(lib.fw, bench_recurrent.loss(lib.fw))


def lstm_torch(tools, params, x, y):
    """The same with PyTorch's own LSTM."""
    torch = tools.torch
    wx, wh, b, wo = map_tree(tools.tensor, params)
    net = torch.nn.LSTM(wx.shape[0], wh.shape[0]).cuda()
    with torch.no_grad():
        net.weight_ih_l0.copy_(wx.T)
        net.weight_hh_l0.copy_(wh.T)
        net.bias_ih_l0.copy_(b)
        net.bias_hh_l0.zero_()
    wo.requires_grad_(True)
    data, wanted = tools.tensor(x), tools.tensor(y)
    weights = [*net.parameters(), wo]
    updates = torch.optim.SGD(weights, lr=1e-3)

    def call():
        updates.zero_grad(set_to_none=True)
        ((net(data)[0][-1] @ wo - wanted) ** 2).mean().backward()
        updates.step()

    return call


def resnet18(batch, side, width, classes, stages=4, depth=2):
    """Arguments of ResNet-18's step: four stages of two blocks, the first convolution 3×3."""
    rng = np.random.default_rng(0)

    def layer(m, n):
        kernel = bench_cnn.kernel(rng, 3, 3, m, n)
        return kernel, 1 + normal(rng, n, scale=0.1), normal(rng, n, scale=0.1)

    blocks, m = [], width
    for stage in range(stages):
        n = width << stage
        for _ in range(depth):
            shortcut = () if m == n else (bench_cnn.kernel(rng, 1, 1, m, n),)
            blocks.append((layer(m, n), layer(n, n), shortcut))
            m = n
    dense = (normal(rng, m, classes, scale=m**-0.5), normal(rng, classes, scale=0.1))
    labels = rng.integers(0, classes, batch).astype(np.int32)
    return [(layer(3, width), blocks, dense), normal(rng, batch, side, side, 3), labels]


def resnet18_step(lib):
    """A step of gradient descent."""
    fw = lib.fw

    def loss(params, x, y):
        return bench_cnn.cross_entropy(fw, bench_cnn.resnet(fw, params, x), y)

    return sgd_step(fw, loss)


def resnet18_torch(tools, params, x, y):
    """Value and gradient in PyTorch."""
    return bench_cnn.resnet_torch(tools, params, x, y)


def transformer(layers, batch, length, width):
    """Arguments of the Transformer's step."""
    rng = np.random.default_rng(0)
    return list(bench_transformer.arguments(rng, layers, batch, length, width))


def transformer_step(heads):
    """A step of AdamW."""
    return lambda lib: bench_transformer.step(heads)(lib.fw)


def transformer_torch(heads):
    """The same with PyTorch's fused AdamW and its attention."""

    def made(tools, state, tokens, wanted):
        params = map_tree(tools.tensor, state[0])
        batch = (tools.tensor(tokens).long(), tools.tensor(wanted).long())
        loss = bench_transformer.torch_loss(tools.torch, heads)
        return torch_step(tools, params, loss, batch, bench_transformer.torch_adamw)

    return made
