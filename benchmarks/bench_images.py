"""Images of bytes, as they are brought into networks and out of them: frames, numbers, channels."""

from __future__ import annotations

import numpy
from works import Work, normal


def image(size):
    return lambda rng: (rng.integers(0, 256, (size, size, 3), numpy.uint8),)


def framed(np, x):
    return np.pad(x, ((4, 4), (4, 4), (0, 0)))


def scaled(np, x):
    return (x.astype(numpy.float32) / 255 - 0.5).transpose(2, 0, 1)


def as_bytes(np, x):
    return np.clip(x * 255, 0, 255).astype(numpy.uint8)


def tiled(np, x):
    return np.tile(x, (2, 3))


def brighter(np, x):
    return np.where(x > 128, x, x + numpy.uint8(9))


def work(name, inputs, function):
    return Work(
        name,
        inputs,
        lambda fw: lambda x: function(fw.numpy, x),
        numpy=lambda x: [numpy.ascontiguousarray(function(numpy, x))],
    )


def plane(size):
    # Within [0, 1], so that all libraries round the same numbers.
    return lambda rng: (abs(normal(rng, size, size)) % 1,)


WORKS = [
    *(work(f"frame of 4 around {n}x{n}x3 bytes", image(n), framed) for n in (224, 1024)),
    *(work(f"{n}x{n} floats to bytes", plane(n), as_bytes) for n in (224, 1024)),
    work("224x224x3 bytes to floats, channels first", image(224), scaled),
    work("224x224 tiled 2x3", plane(224), tiled),
    work("choice in 1024x1024x3 bytes", image(1024), brighter),
]
