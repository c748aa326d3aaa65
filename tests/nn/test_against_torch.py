"""Layers beside PyTorch's with the same weights: values, gradients, both precisions, both modes."""

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import nn, random

torch = pytest.importorskip("torch", reason="a differential test needs the peer: funcgrad[bench]")
functional = torch.nn.functional
WEIGHT = {"weight": "weight", "bias": "bias"}
NORM = {"scale": "weight", "shift": "bias"}


class Fn(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


def lrn(x):
    return functional.local_response_norm(x, 5, 1e-2, 0.6, 2.0)


def unpool(x):
    return functional.max_unpool2d(*functional.max_pool2d(x, 2, return_indices=True), 2)


def repool(pool):
    """Values of the pool put back where they were."""
    return nn.serial(nn.max_pool_indices((2, 2)), pool)


def conv(*args, **how):
    return lambda: torch.nn.Conv2d(*args, **how)


IMAGE = (2, 7, 8, 6)
# name: our layer, PyTorch's, shape of the input (channels last), names of the params
CASES = {
    "dense": (nn.dense(4), lambda: torch.nn.Linear(6, 4), (5, 6), WEIGHT),
    "dense axes": (nn.dense(4), lambda: torch.nn.Linear(6, 4), (2, 3, 6), WEIGHT),
    "conv1d": (nn.conv(4, (3,)), lambda: torch.nn.Conv1d(6, 4, 3, padding=1), (2, 9, 6), WEIGHT),
    "conv2d": (nn.conv(4, (3, 3)), conv(6, 4, 3, padding=1), IMAGE, WEIGHT),
    "conv2d even": (
        nn.conv(4, (4, 2)),
        lambda: torch.nn.Sequential(
            torch.nn.ZeroPad2d((0, 1, 1, 2)), torch.nn.Conv2d(6, 4, (4, 2))
        ),
        IMAGE,
        {"weight": "1.weight", "bias": "1.bias"},
    ),
    "conv2d strided": (
        nn.conv(4, (3, 2), (2, 3), "VALID"),
        conv(6, 4, (3, 2), (2, 3)),
        IMAGE,
        WEIGHT,
    ),
    "conv2d padded": (
        nn.conv(4, (4, 4), (2, 2), ((2, 2), (1, 1)), bias=False),
        conv(6, 4, 4, 2, (2, 1), bias=False),
        IMAGE,
        {"weight": "weight"},
    ),
    "conv2d dilated groups": (
        nn.conv(4, (3, 3), padding=(2, 2), dilation=(2, 2), groups=2),
        conv(6, 4, 3, padding=2, dilation=2, groups=2),
        IMAGE,
        WEIGHT,
    ),
    "depthwise": (
        nn.depthwise_conv((3, 3), multiplier=2),
        conv(6, 12, 3, padding=1, groups=6),
        IMAGE,
        WEIGHT,
    ),
    "conv3d": (
        nn.conv(3, (2, 2, 2), padding="VALID"),
        lambda: torch.nn.Conv3d(2, 3, 2),
        (2, 3, 4, 3, 2),
        WEIGHT,
    ),
    "transposed": (
        nn.conv_transpose(4, (4, 4), (2, 2), (1, 1)),
        lambda: torch.nn.ConvTranspose2d(6, 4, 4, 2, 1),
        IMAGE,
        WEIGHT,
    ),
    "transposed groups": (
        nn.conv_transpose(4, (3, 3), (2, 3), (1, 2), groups=2, output_padding=(1, 2)),
        lambda: torch.nn.ConvTranspose2d(6, 4, 3, (2, 3), (1, 2), (1, 2), groups=2),
        IMAGE,
        WEIGHT,
    ),
    "transposed dilated": (
        nn.conv_transpose(4, (3,), (2,), "VALID", dilation=(2,)),
        lambda: torch.nn.ConvTranspose1d(6, 4, 3, 2, dilation=2),
        (2, 5, 6),
        WEIGHT,
    ),
    "max_pool": (nn.max_pool((2, 3)), lambda: torch.nn.MaxPool2d((2, 3)), IMAGE, {}),
    "max_pool overlap": (
        nn.max_pool((3, 3), (2, 2), (1, 1)),
        lambda: torch.nn.MaxPool2d(3, 2, 1),
        IMAGE,
        {},
    ),
    "max_pool dilated": (
        nn.max_pool((2, 2), (1, 1), dilation=(2, 3)),
        lambda: torch.nn.MaxPool2d(2, 1, dilation=(2, 3)),
        IMAGE,
        {},
    ),
    "avg_pool": (
        nn.avg_pool((3, 3), (2, 2), (1, 1), count_padding=True),
        lambda: torch.nn.AvgPool2d(3, 2, 1),
        IMAGE,
        {},
    ),
    "avg_pool inside": (
        nn.avg_pool((3, 3), (2, 2), (1, 1)),
        lambda: torch.nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        IMAGE,
        {},
    ),
    "lp_pool": (
        nn.lp_pool(2.0, (3, 2), (2, 2)),
        lambda: torch.nn.LPPool2d(2, (3, 2), 2),
        IMAGE,
        {},
    ),
    "adaptive_avg": (
        nn.adaptive_avg_pool((3, 5)),
        lambda: torch.nn.AdaptiveAvgPool2d((3, 5)),
        IMAGE,
        {},
    ),
    "adaptive_max": (
        nn.adaptive_max_pool((3, 5)),
        lambda: torch.nn.AdaptiveMaxPool2d((3, 5)),
        IMAGE,
        {},
    ),
    "unpool": (repool(nn.max_unpool((2, 2), space=(6, 8))), lambda: Fn(unpool), (2, 6, 8, 3), {}),
    "upsample": (nn.upsample((2, 3)), lambda: torch.nn.Upsample(scale_factor=(2, 3)), IMAGE, {}),
    "upsample linear": (
        nn.upsample((2, 2), "linear"),
        lambda: torch.nn.Upsample(scale_factor=2, mode="bilinear"),
        IMAGE,
        {},
    ),
    "batch_norm": (nn.batch_norm(), lambda: torch.nn.BatchNorm2d(6), IMAGE, NORM),
    "batch_norm rows": (
        nn.batch_norm(momentum=0.7, epsilon=1e-3),
        lambda: torch.nn.BatchNorm1d(6, 1e-3, 0.3),
        (9, 6),
        NORM,
    ),
    "layer_norm": (nn.layer_norm(), lambda: torch.nn.LayerNorm(6), (2, 3, 6), NORM),
    "layer_norm axes": (
        nn.layer_norm((-2, -1)),
        lambda: torch.nn.LayerNorm((3, 6)),
        (2, 3, 6),
        NORM,
    ),
    "group_norm": (nn.group_norm(3), lambda: torch.nn.GroupNorm(3, 6), IMAGE, NORM),
    "instance_norm": (
        nn.instance_norm(),
        lambda: torch.nn.InstanceNorm2d(6, affine=True),
        IMAGE,
        NORM,
    ),
    "rms_norm": (
        nn.rms_norm(epsilon=1e-5),
        lambda: torch.nn.RMSNorm(6, 1e-5),
        (2, 3, 6),
        {"scale": "weight"},
    ),
    "local_response_norm": (
        nn.local_response_norm(5, alpha=1e-2, beta=0.6, k=2.0),
        lambda: Fn(lrn),
        IMAGE,
        {},
    ),
    "prelu": (nn.prelu(), lambda: torch.nn.PReLU(6), IMAGE, {"slope": "weight"}),
    "prelu of one": (
        nn.prelu(axis=()),
        lambda: torch.nn.PReLU(),
        IMAGE,
        {"slope": "weight"},
    ),
    "channel_shuffle": (nn.channel_shuffle(3), lambda: torch.nn.ChannelShuffle(3), IMAGE, {}),
    "pixel_shuffle": (nn.pixel_shuffle(2), lambda: torch.nn.PixelShuffle(2), (2, 3, 4, 8), {}),
    "pixel_unshuffle": (
        nn.pixel_unshuffle(2),
        lambda: torch.nn.PixelUnshuffle(2),
        (2, 4, 6, 3),
        {},
    ),
}
FEATURES_LAST = ("dense", "layer_norm", "rms_norm")


def to_torch(x, name):
    """Channels from last to where PyTorch has them."""
    moved = x if name.startswith(FEATURES_LAST) else np.moveaxis(x, -1, 1)
    return torch.tensor(np.ascontiguousarray(moved), requires_grad=True)


def from_torch(y, name):
    y = y.detach().numpy()
    return y if name.startswith(FEATURES_LAST) else np.moveaxis(y, 1, -1)


def weight_to_torch(w):
    return np.moveaxis(w, (-1, -2), (0, 1)) if w.ndim > 1 else w


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name, dtype, train):
    layer, build, shape, names = CASES[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(dtype)
    theirs = build().to(torch.float64 if dtype == np.float64 else torch.float32).train(train)
    with fg.enable_x64(True):
        params, state = layer.init(random.key(0), x)
        params = fg.tree.map(lambda p: p + 0.1 * rng.normal(size=p.shape).astype(dtype), params)
        if "mean" in state:
            state = {"mean": state["mean"] + 0.3, "variance": state["variance"] * 1.5}
            theirs.running_mean += 0.3
            theirs.running_var *= 1.5
        flat = name.startswith("layer_norm")
        with torch.no_grad():
            for ours, their in names.items():
                value = np.asarray(params[ours])
                value = value if flat else weight_to_torch(value)
                theirs.get_parameter(their).copy_(torch.tensor(value))
        apply = fg.jit(lambda p, x: layer.apply(p, state, x, train=train))
        y, back, new = fg.vjp(apply, params, x, has_aux=True)
        ct = rng.normal(size=y.shape).astype(dtype)
        slopes, slope = back(ct)
    given = to_torch(x, name)
    wanted = theirs(given)
    wanted.backward(to_torch(ct, name).detach())
    close = {"rtol": 1e-9, "atol": 1e-9} if dtype == np.float64 else {"rtol": 3e-4, "atol": 3e-5}
    assert y.dtype == slope.dtype == dtype
    np.testing.assert_allclose(y, from_torch(wanted, name), **close)
    np.testing.assert_allclose(slope, from_torch(given.grad, name), **close)
    for ours, their in names.items():
        found = np.asarray(slopes[ours])
        found = found if flat else weight_to_torch(found)
        np.testing.assert_allclose(found, theirs.get_parameter(their).grad.numpy(), **close)
    if "mean" in state:
        np.testing.assert_allclose(new["mean"], theirs.running_mean.numpy(), **close)
        np.testing.assert_allclose(new["variance"], theirs.running_var.numpy(), **close)


def test_bilinear():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
    with fg.enable_x64(True):
        layer = nn.bilinear(2)
        params, state = layer.init(random.key(0), (a, b))
        y, _ = layer.apply(params, state, (a, b))
        theirs = functional.bilinear(
            torch.tensor(a),
            torch.tensor(b),
            torch.tensor(np.moveaxis(params["weight"], -1, 0)),
            torch.tensor(np.asarray(params["bias"])),
        )
    np.testing.assert_allclose(y, theirs.numpy(), rtol=1e-12)


def test_embedding():
    layer = nn.embedding(7, 3, padding=2)
    ids = np.array([[1, 2], [6, 1]], np.int32)
    params, state = layer.init(random.key(0), ids)
    theirs = torch.nn.Embedding(7, 3, padding_idx=2)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(np.asarray(params["weight"])))
        theirs.weight[2] = 0
    y, back = fg.vjp(lambda p: layer.apply(p, state, ids)[0], params)
    wanted = theirs(torch.tensor(ids))
    np.testing.assert_array_equal(y, wanted.detach().numpy())
    wanted.backward(torch.tensor(np.asarray(y)))
    (slopes,) = back(y)
    np.testing.assert_allclose(slopes["weight"], theirs.weight.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_spectral_norm(train):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 5, 3))
    with fg.enable_x64(True):
        layer = nn.spectral_norm(nn.conv(4, (3, 3)))
        params, state = layer.init(random.key(0), x)
        y, back, new = fg.vjp(lambda p: layer.apply(p, state, x, train=train), params, has_aux=True)
        (slopes,) = back(y)
    theirs = torch.nn.Conv2d(3, 4, 3, padding=1).to(torch.float64)
    theirs = torch.nn.utils.parametrizations.spectral_norm(theirs).train(train)
    (norm,) = theirs.parametrizations.weight
    # PyTorch flattens a weight [features, channels, *window]; ours is [*window, channels].
    v = np.moveaxis(np.reshape(state["v"], (3, 3, 3)), -1, 0).reshape(-1)
    with torch.no_grad():
        theirs.parametrizations.weight.original.copy_(
            torch.tensor(weight_to_torch(np.asarray(params["weight"])))
        )
        theirs.bias.copy_(torch.tensor(np.asarray(params["bias"])))
        norm._u.copy_(torch.tensor(np.asarray(state["u"])))
        norm._v.copy_(torch.tensor(v))
    wanted = theirs(torch.tensor(np.moveaxis(x, -1, 1)))
    np.testing.assert_allclose(y, from_torch(wanted, ""), rtol=1e-9)
    wanted.backward(wanted.detach())
    theirs_slope = theirs.parametrizations.weight.original.grad.numpy()
    slope = weight_to_torch(np.asarray(slopes["weight"]))
    np.testing.assert_allclose(slope, theirs_slope, rtol=1e-8)
    assert (np.abs(new["u"] - state["u"]).max() > 0) == train
