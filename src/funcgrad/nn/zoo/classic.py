"""Chains of convolutions, pools and dense layers: LeNet-5, AlexNet, VGG-16."""

from __future__ import annotations

from ... import nn
from ..layer import Layer, Part


def lenet5(classes: int = 10) -> Layer:
    """LeNet-5: f32[n, 28, 28, 1] to logits f32[n, classes]; 61,706 params.

    Each map of the second convolution sees all maps of the first, and the output is dense, where
    the paper has a table of connections and radial basis functions (60,000 params).

    Source: LeCun et al., Proc. IEEE 86 (1998), section II.B.
    """
    return nn.serial(
        nn.conv(6, (5, 5)),
        nn.tanh,
        nn.avg_pool((2, 2)),
        nn.conv(16, (5, 5), padding="VALID"),
        nn.tanh,
        nn.avg_pool((2, 2)),
        nn.flatten(),
        nn.dense(120),
        nn.tanh,
        nn.dense(84),
        nn.tanh,
        nn.dense(classes),
        name="lenet5",
    )


def alexnet(classes: int = 1000, *, dropout: float = 0.5) -> Layer:
    """AlexNet in one column: f32[n, 224, 224, 3] to logits f32[n, classes]; 61,100,840 params.

    Source: Krizhevsky, arXiv:1404.5997 (the form of torchvision), after Krizhevsky et al., NIPS
        2012.
    """
    return nn.serial(
        nn.conv(64, (11, 11), (4, 4), (2, 2)),
        nn.relu,
        nn.max_pool((3, 3), (2, 2)),
        nn.conv(192, (5, 5)),
        nn.relu,
        nn.max_pool((3, 3), (2, 2)),
        nn.conv(384, (3, 3)),
        nn.relu,
        nn.conv(256, (3, 3)),
        nn.relu,
        nn.conv(256, (3, 3)),
        nn.relu,
        nn.max_pool((3, 3), (2, 2)),
        nn.adaptive_avg_pool((6, 6)),
        nn.flatten(),
        *_head(classes, dropout),
        name="alexnet",
    )


def vgg16(classes: int = 1000, *, dropout: float = 0.5) -> Layer:
    """VGG-16 (configuration D): f32[n, 224, 224, 3] to logits f32[n, classes]; 138,357,544 params.

    Source: Simonyan & Zisserman, arXiv:1409.1556, table 1.
    """
    parts: list[Part] = []
    for features, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        parts += [nn.conv(features, (3, 3)), nn.relu] * depth
        parts.append(nn.max_pool((2, 2)))
    return nn.serial(
        *parts,
        nn.adaptive_avg_pool((7, 7)),
        nn.flatten(),
        *_head(classes, dropout),
        name="vgg16",
    )


def _head(classes: int, dropout: float) -> list[Part]:
    """The three dense layers that AlexNet and VGG end with, dropout before the first two."""
    wide: list[Part] = [nn.dropout(dropout), nn.dense(4096), nn.relu]
    return [*wide, *wide, nn.dense(classes)]
