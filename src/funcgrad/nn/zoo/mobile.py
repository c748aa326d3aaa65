"""Networks of few params and operations: SqueezeNet, MobileNet, ShuffleNet."""

from __future__ import annotations

from ... import nn
from ...core.sources import user_line
from ..layer import Layer, Part

_squeezed: dict[str, tuple[int | None, ...]] = {
    "1.0": (16, 16, 32, None, 32, 48, 48, 64, None, 64),
    "1.1": (16, 16, None, 32, 32, None, 48, 48, 64, 64),
}


def squeezenet(classes: int = 1000, *, version: str = "1.0", dropout: float = 0.5) -> Layer:
    """SqueezeNet: f32[n, 224, 224, 3] to logits f32[n, classes].

    1,248,424 params in version 1.0, 1,235,496 in version 1.1.

    Args:
        version: `"1.0"`, that of the paper, or `"1.1"`, with 2.4 times fewer operations.
    Raises:
        ValueError: another version.
    Source: Iandola et al., arXiv:1602.07360.
    """
    if version not in _squeezed:
        raise ValueError(
            f"squeezenet has the versions {tuple(_squeezed)}, got {version!r}.\n  {user_line()}"
        )
    # A pixel after the last one, so that an even extent becomes half of it.
    pool = nn.max_pool((3, 3), (2, 2), ((0, 1), (0, 1)))
    first = nn.conv(96, (7, 7), (2, 2), "VALID") if version == "1.0" else None
    return nn.serial(
        first or nn.conv(64, (3, 3), (2, 2), "VALID"),
        nn.relu,
        pool,
        *(pool if few is None else _fire(few) for few in _squeezed[version]),
        nn.dropout(dropout),
        nn.conv(classes, (1, 1)),
        nn.relu,
        nn.global_avg_pool(),
        name="squeezenet",
    )


def _fire(few: int) -> Layer:
    """1×1 to few features, then 1×1 and 3×3 to four times as many each, joined."""
    return nn.serial(
        nn.conv(few, (1, 1)),
        nn.relu,
        nn.branch(nn.conv(4 * few, (1, 1)), nn.conv(4 * few, (3, 3))),
        nn.concat(),
        nn.relu,
        name="fire",
    )


def mobilenet(classes: int = 1000, *, width: float = 1.0, dropout: float = 1e-3) -> Layer:
    """MobileNet v1: f32[n, 224, 224, 3] to logits f32[n, classes]; 4,231,976 params.

    Args:
        width: factor of the numbers of features, α of the paper.

    state: the running averages of its batch norms, the key of its dropout.
    Source: Howard et al., arXiv:1704.04861, table 1.
    """
    parts = [*_conv(int(32 * width), 3, 2), nn.relu]
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    features = (64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)
    for stride, n in zip(strides, features, strict=True):
        parts += [*_depthwise(stride), nn.relu, *_conv(int(n * width), 1), nn.relu]
    return nn.serial(
        *parts,
        nn.global_avg_pool(),
        nn.dropout(dropout),
        nn.dense(classes),
        name="mobilenet",
    )


def shufflenet(classes: int = 1000) -> Layer:
    """ShuffleNet v2 of width 1: f32[n, 224, 224, 3] to logits f32[n, classes]; 2,278,604 params.

    state: the running averages of its batch norms.
    Source: Ma et al., arXiv:1807.11164, table 5.
    """
    parts = [*_conv(24, 3, 2), nn.relu, nn.max_pool((3, 3), (2, 2), (1, 1))]
    for features, depth in ((116, 4), (232, 8), (464, 4)):
        half = features // 2
        parts.append(_halving(half))
        parts += [_shuffled(half) for _ in range(1, depth)]
    return nn.serial(
        *parts,
        *_conv(1024, 1),
        nn.relu,
        nn.global_avg_pool(),
        nn.dense(classes),
        name="shufflenet",
    )


def _halving(half: int) -> Layer:
    """Space halved on both of two ways, their channels joined and dealt out anew."""
    short = nn.serial(*_depthwise(2), *_conv(half, 1), nn.relu)
    long = nn.serial(*_conv(half, 1), nn.relu, *_depthwise(2), *_conv(half, 1), nn.relu)
    return nn.serial(nn.branch(short, long), nn.concat(), nn.channel_shuffle(2), name="halving")


def _shuffled(half: int) -> Layer:
    """One half of the channels as it is, the other through three convolutions."""
    long = nn.serial(*_conv(half, 1), nn.relu, *_depthwise(1), *_conv(half, 1), nn.relu)
    return nn.serial(
        nn.split(2),
        nn.parallel(nn.identity, long),
        nn.concat(),
        nn.channel_shuffle(2),
        name="unit",
    )


def _conv(features: int, size: int, stride: int = 1) -> tuple[Part, ...]:
    pad = (size // 2,) * 2
    return nn.conv(features, (size,) * 2, (stride,) * 2, pad, bias=False), nn.batch_norm()


def _depthwise(stride: int) -> tuple[Part, ...]:
    conv = nn.depthwise_conv((3, 3), (stride,) * 2, (1, 1), bias=False)
    return conv, nn.batch_norm()
