"""Residual networks: sums of what two or three convolutions give and what they got."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ... import nn
from ..layer import Layer, Part


def resnet18(classes: int = 1000) -> Layer:
    """ResNet-18: f32[n, 224, 224, 3] to logits f32[n, classes]; 11,689,512 params.

    state: the running averages of its batch norms.
    Source: He et al., arXiv:1512.03385, table 1; shortcuts of option B.
    """
    return _resnet(_basic, (2, 2, 2, 2), classes, "resnet18")


def resnet34(classes: int = 1000) -> Layer:
    """ResNet-34: as `resnet18`, with 21,797,672 params."""
    return _resnet(_basic, (3, 4, 6, 3), classes, "resnet34")


def resnet50(classes: int = 1000) -> Layer:
    """ResNet-50: as `resnet18`, of bottlenecks, with 25,557,032 params.

    The stride is in the 3×3 convolution, as in torchvision (v1.5).
    """
    return _resnet(_bottleneck, (3, 4, 6, 3), classes, "resnet50")


def resnet101(classes: int = 1000) -> Layer:
    """ResNet-101: as `resnet50`, with 44,549,160 params."""
    return _resnet(_bottleneck, (3, 4, 23, 3), classes, "resnet101")


def resnet152(classes: int = 1000) -> Layer:
    """ResNet-152: as `resnet50`, with 60,192,808 params."""
    return _resnet(_bottleneck, (3, 8, 36, 3), classes, "resnet152")


def _resnet(
    block: Callable[[int, int, bool], Layer], depths: Sequence[int], classes: int, name: str
) -> Layer:
    """A 7×7 convolution, four stages of blocks, the mean over space, a dense layer.

    All blocks of a stage but the first are of one form: a scan, traced and compiled once.
    """
    stages: list[Part] = []
    for i, depth in enumerate(depths):
        features, stride = 64 * 2**i, 1 if i == 0 else 2
        stages.append(block(features, stride, True))
        stages.append(nn.repeat(block(features, 1, False), depth - 1))
    return nn.serial(
        *_conv(64, 7, 2),
        nn.relu,
        nn.max_pool((3, 3), (2, 2), (1, 1)),
        *stages,
        nn.global_avg_pool(),
        nn.dense(classes),
        name=name,
    )


def _basic(features: int, stride: int, first: bool) -> Layer:
    """Two convolutions of 3×3."""
    inner = (*_conv(features, 3, stride), nn.relu, *_conv(features, 3))
    # The first stage of basic blocks gets 64 features already.
    changes = first and (stride > 1 or features != 64)
    return _sum(inner, _conv(features, 1, stride) if changes else None)


def _bottleneck(features: int, stride: int, first: bool) -> Layer:
    """1×1 to few features, 3×3, 1×1 to four times as many."""
    inner = (
        *_conv(features, 1),
        nn.relu,
        *_conv(features, 3, stride),
        nn.relu,
        *_conv(4 * features, 1),
    )
    return _sum(inner, _conv(4 * features, 1, stride) if first else None)


def _sum(inner: Sequence[Part], shortcut: Sequence[Part] | None) -> Layer:
    way = nn.serial(*shortcut) if shortcut else None
    return nn.serial(nn.residual(nn.serial(*inner), way), nn.relu, name="block")


def _conv(features: int, size: int, stride: int = 1) -> tuple[Part, ...]:
    pad = (size // 2,) * 2
    return nn.conv(features, (size,) * 2, (stride,) * 2, pad, bias=False), nn.batch_norm()
