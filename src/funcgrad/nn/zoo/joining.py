"""Networks that join channels: GoogLeNet (Inception v1), DenseNet-121."""

from __future__ import annotations

from ... import nn
from ..layer import Layer, Part

# Features of each block: 1×1; 1×1 then 3×3; 1×1 then 3×3; 1×1 after the pool. None: a pool.
_blocks: tuple[tuple[int, int, int, int, int, int] | None, ...] = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


def googlenet(classes: int = 1000, *, dropout: float = 0.2) -> Layer:
    """GoogLeNet, Inception v1: f32[n, 224, 224, 3] to logits f32[n, classes]; 6,624,904 params.

    As in torchvision: batch norms, windows of 3×3 in the branch that has 5×5 in the paper, and no
    auxiliary classifiers, whose params are not counted.

    state: the running averages of its batch norms, the key of its dropout.
    Source: Szegedy et al., arXiv:1409.4842, table 1.
    """
    # Two pixels of space become one, the last one alone where the extent is odd.
    pool = nn.max_pool((3, 3), (2, 2), ((0, 1), (0, 1)))
    blocks = [pool if sizes is None else _inception(*sizes) for sizes in _blocks]
    return nn.serial(
        *_conv(64, 7, 2),
        pool,
        *_conv(64, 1),
        *_conv(192, 3),
        pool,
        *blocks,
        nn.global_avg_pool(),
        nn.dropout(dropout),
        nn.dense(classes),
        name="googlenet",
    )


def _inception(one: int, few: int, three: int, fewer: int, five: int, pooled: int) -> Layer:
    """Four branches on the same input, their channels joined."""
    return nn.serial(
        nn.branch(
            nn.serial(*_conv(one, 1)),
            nn.serial(*_conv(few, 1), *_conv(three, 3)),
            nn.serial(*_conv(fewer, 1), *_conv(five, 3)),
            nn.serial(nn.max_pool((3, 3), (1, 1), "SAME"), *_conv(pooled, 1)),
        ),
        nn.concat(),
        name="inception",
    )


def _conv(features: int, size: int, stride: int = 1) -> tuple[Part, ...]:
    pad = (size // 2,) * 2
    conv = nn.conv(features, (size,) * 2, (stride,) * 2, pad, bias=False)
    return conv, nn.batch_norm(epsilon=1e-3), nn.relu


def densenet121(classes: int = 1000, *, growth: int = 32) -> Layer:
    """DenseNet-121: f32[n, 224, 224, 3] to logits f32[n, classes]; 7,978,856 params.

    Each layer of a block adds `growth` channels to those that it got.

    state: the running averages of its batch norms.
    Source: Huang et al., arXiv:1608.06993, table 1.
    """
    channels = 2 * growth
    parts: list[Part] = [
        nn.conv(channels, (7, 7), (2, 2), (3, 3), bias=False),
        nn.batch_norm(),
        nn.relu,
        nn.max_pool((3, 3), (2, 2), (1, 1)),
    ]
    for i, depth in enumerate((6, 12, 24, 16)):
        if i:
            channels //= 2
            parts += [*_after_norm(channels, 1), nn.avg_pool((2, 2))]
        parts.append(nn.serial(*(_growing(growth) for _ in range(depth)), name="block"))
        channels += depth * growth
    return nn.serial(
        *parts,
        nn.batch_norm(),
        nn.relu,
        nn.global_avg_pool(),
        nn.dense(classes),
        name="densenet121",
    )


def _growing(growth: int) -> Layer:
    """The input, with `growth` more channels made of it."""
    new = nn.serial(*_after_norm(4 * growth, 1), *_after_norm(growth, 3))
    return nn.serial(nn.branch(nn.identity, new), nn.concat())


def _after_norm(features: int, size: int) -> tuple[Part, ...]:
    return nn.batch_norm(), nn.relu, nn.conv(features, (size, size), bias=False)
