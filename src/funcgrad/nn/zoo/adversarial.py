"""Generators and discriminators: DCGAN, pix2pix (U-Net and patches), CycleGAN."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ... import nn
from ... import numpy as fnp
from ...core.sources import user_line
from ..layer import Layer, Part
from ..normalization import batch_norm

_draw = nn.initializers.normal(0.02)
_leaky = nn.activation(partial(nn.leaky_relu, negative_slope=0.2), "leaky_relu")


def dcgan_generator(channels: int = 3, *, width: int = 64, size: int = 64) -> Layer:
    """Noise f32[n, z] to images f32[n, size, size, channels] in −1 … 1.

    3,576,704 params for z = 100.

    Args:
        width: features before the image; each layer before has twice as many as the next.
        size: extents of the images, a power of 2 from 8 on; the first layer makes 4×4, each other
            one doubles it.

    state: the running averages of its batch norms.
    Raises:
        ValueError: another size.
    Source: Radford et al., arXiv:1511.06434, figure 1; sizes of PyTorch's example.
    """
    doublings = _doublings("dcgan_generator", size)
    parts: list[Part] = [nn.activation(lambda x: x[:, None, None, :], "as_pixel")]
    for i in range(doublings):
        step = (1, 1) if i == 0 else (2, 2)
        pad = "VALID" if i == 0 else (1, 1)
        n = width * 2 ** (doublings - 1 - i)
        up = nn.conv_transpose(n, (4, 4), step, pad, bias=False, weight_init=_draw)
        parts += [up, nn.batch_norm(), nn.relu]
    last = nn.conv_transpose(channels, (4, 4), (2, 2), (1, 1), bias=False, weight_init=_draw)
    return nn.serial(*parts, last, nn.tanh, name="dcgan_generator")


def dcgan_discriminator(*, width: int = 64, size: int = 64) -> Layer:
    """Images f32[n, size, size, channels] to logits f32[n]; 2,765,568 params for 3 channels.

    Args:
        width: features of the first layer; each later one has twice as many.
        size: extents of the images, a power of 2 from 8 on.

    state: the running averages of its batch norms.
    Raises:
        ValueError: another size.
    Source: Radford et al., arXiv:1511.06434; sizes of PyTorch's example, without its sigmoid.
    """
    parts: list[Part] = [_down(width, bias=False), _leaky]
    for i in range(1, _doublings("dcgan_discriminator", size)):
        parts += [_down(width * 2**i, bias=False), nn.batch_norm(), _leaky]
    last = nn.conv(1, (4, 4), padding="VALID", bias=False, weight_init=_draw)
    flat = nn.activation(lambda x: x[:, 0, 0, 0], "logit")
    return nn.serial(*parts, last, flat, name="dcgan_discriminator")


def _doublings(name: str, size: int) -> int:
    """How often 4 is doubled to come to the size."""
    n = size.bit_length() - 3
    if n < 1 or size != 4 << n:
        raise ValueError(
            f"{name} got a size of {size}.\n  {user_line()}\n"
            "  Give a power of 2 from 8 on, and pad or resize the images to it."
        )
    return n


def unet(channels: int = 3, *, width: int = 64, depth: int = 8, dropout: float = 0.5) -> Layer:
    """pix2pix's U-Net: images f32[n, h, w, c] to f32[n, h, w, channels] in −1 … 1.

    54,413,955 params for c = 3. Space is halved `depth` times and doubled again; at each extent,
    what came in is joined to what comes back.

    Args:
        channels: of the image that it gives.
        width: features at half of the extent; doubled at each level, up to 8 times.
        depth: levels, 2 or more; h and w are multiples of 2**depth.
        dropout: share dropped on the way up at the levels between the innermost one and those
            where features double: the noise of the generator.

    state: the running averages of its batch norms, the keys of its dropout.
    Source: Isola et al., arXiv:1611.07004, section 6.1; Ronneberger et al., arXiv:1505.04597.
    """
    features = [width * min(2**i, 8) for i in range(depth)]
    inner: list[Part] = [
        _leaky,
        _down(features[-1], bias=False),
        nn.relu,
        _up(features[-2], bias=False),
        nn.batch_norm(),
    ]
    for i in range(depth - 2, 0, -1):
        inner = [
            _leaky,
            _down(features[i], bias=False),
            nn.batch_norm(),
            _with_input(inner),
            nn.relu,
            _up(features[i - 1], bias=False),
            nn.batch_norm(),
            *([nn.dropout(dropout)] if i > 3 else []),
        ]
    return nn.serial(
        _down(width, bias=False),
        _with_input(inner),
        nn.relu,
        _up(channels, bias=True),
        nn.tanh,
        name="unet",
    )


def _with_input(parts: list[Part]) -> Layer:
    """The input and what the parts make of it, their channels joined."""
    return nn.serial(nn.branch(nn.identity, nn.serial(*parts)), nn.concat(), name="level")


def _down(features: int, *, bias: bool, stride: int = 2) -> Layer:
    step = (stride, stride)
    return nn.conv(features, (4, 4), step, (1, 1), bias=bias, weight_init=_draw)


def _up(features: int, *, bias: bool) -> Layer:
    return nn.conv_transpose(features, (4, 4), (2, 2), (1, 1), bias=bias, weight_init=_draw)


def patch_discriminator(
    *, width: int = 64, norm: Callable[[], Layer] = batch_norm, bias: bool = False
) -> Layer:
    """f32[n, h, w, c] to a logit for each patch of 70×70: f32[n, h / 8 − 2, w / 8 − 2, 1].

    2,768,705 params for c = 6, an image joined to the one that it was made of.

    Args:
        width: features of the first layer; later ones have 2, 4 and 8 times as many.
        norm: makes the norm after all layers but the first and the last.
        bias: whether the layers before a norm have one.

    state: that of the norms.
    Source: Isola et al., arXiv:1611.07004, section 6.1.2.
    """
    parts: list[Part] = [_down(width, bias=True), _leaky]
    for factor, stride in ((2, 2), (4, 2), (8, 1)):
        parts += [_down(width * factor, bias=bias, stride=stride), norm(), _leaky]
    return nn.serial(*parts, _down(1, bias=True, stride=1), name="patch_discriminator")


def cyclegan_discriminator(*, width: int = 64) -> Layer:
    """`patch_discriminator` with instance norms without params; 2,764,737 params for 3 channels.

    Source: Zhu et al., arXiv:1703.10593, section 7.2.
    """
    return patch_discriminator(width=width, norm=_instance_norm, bias=True)


def cyclegan_generator(channels: int = 3, *, width: int = 64, blocks: int = 9) -> Layer:
    """Images f32[n, h, w, c] to f32[n, h, w, channels] in −1 … 1; 11,378,179 params for c = 3.

    Args:
        channels: of the image that it gives.
        width: features of the first layer; 4 times as many in the blocks.
        blocks: residual blocks at a quarter of the extents; 6 for images of 128×128.

    Source: Zhu et al., arXiv:1703.10593, section 7.2; Johnson et al., arXiv:1603.08155.
    """
    parts: list[Part] = [_reflected(3), *_normed(_plain(width, 7)), nn.relu]
    for factor in (2, 4):
        conv = nn.conv(factor * width, (3, 3), (2, 2), (1, 1), weight_init=_draw)
        parts += [*_normed(conv), nn.relu]
    for _ in range(blocks):
        once = (_reflected(1), *_normed(_plain(4 * width, 3)))
        parts.append(nn.residual(nn.serial(*once, nn.relu, *once)))
    for factor in (2, 1):
        up = nn.conv_transpose(
            factor * width, (3, 3), (2, 2), (1, 1), output_padding=(1, 1), weight_init=_draw
        )
        parts += [*_normed(up), nn.relu]
    last = (_reflected(3), _plain(channels, 7), nn.tanh)
    return nn.serial(*parts, *last, name="cyclegan_generator")


def _plain(features: int, size: int) -> Layer:
    return nn.conv(features, (size, size), padding="VALID", weight_init=_draw)


def _instance_norm() -> Layer:
    return nn.instance_norm(scale=False, shift=False)


def _normed(layer: Layer) -> tuple[Part, ...]:
    return layer, _instance_norm()


def _reflected(n: int) -> Layer:
    """n pixels more on each side, mirrored at the border."""
    pads = ((0, 0), (n, n), (n, n), (0, 0))
    return nn.activation(lambda x: fnp.pad(x, pads, mode="reflect"), "reflect")
