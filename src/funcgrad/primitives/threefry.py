"""Threefry-2x32 with 20 rounds: the counter-based generator behind random keys, in NumPy.

A key and a counter, two 32-bit words each, give two random words. Any element of a stream can be
computed alone, so streams are split and mapped over without being stored.
Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Words = Any

rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
parity = np.uint32(0x1BD11BDA)


def threefry2x32(key1: Words, key2: Words, count1: Words, count2: Words) -> tuple[Words, Words]:
    """The two words for each key and counter; operands are u32 arrays that broadcast."""
    keys = (key1, key2, key1 ^ key2 ^ parity)
    with np.errstate(over="ignore"):
        x, y = count1 + keys[0], count2 + keys[1]
        for group in range(5):
            for rotation in rotations[group % 2]:
                x = x + y
                y = (y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))
                y = x ^ y
            x = x + keys[(group + 1) % 3]
            y = y + keys[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


def counters(shape: tuple[int, ...]) -> tuple[Words, Words]:
    """High and low words of the 64-bit row-major index of every element of a shape."""
    size = int(np.prod(shape, dtype=np.int64))
    index = np.arange(size, dtype=np.uint64).reshape(shape)
    return (index >> np.uint64(32)).astype(np.uint32), index.astype(np.uint32)
