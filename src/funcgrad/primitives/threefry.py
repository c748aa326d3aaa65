"""Threefry-2x32 with 20 rounds: the counter-based generator behind random keys, in NumPy.

A key and a counter, two 32-bit words each, give two random words. Any element of a stream can be
computed alone, so streams are split and mapped over without being stored.
Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Words = Any

rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
parity = np.uint32(0x1BD11BDA)
_mask = 0xFFFFFFFF
_few = 4
_block = 8192
_by_block: Any = ("external_loop", "buffered")


def threefry2x32(key1: Words, key2: Words, count1: Words, count2: Words) -> tuple[Words, Words]:
    """The two words for each key and counter; operands are u32 arrays that broadcast."""
    operands = (key1, key2, count1, count2)
    shape = np.broadcast_shapes(*(np.shape(x) for x in operands))
    first, second = np.empty(shape, np.uint32), np.empty(shape, np.uint32)
    with np.errstate(over="ignore"):
        if first.size <= _few:
            for k, words in enumerate(zip(*(_ints(x, shape) for x in operands), strict=True)):
                first.flat[k], second.flat[k] = _encrypt_one(*words)
            return first, second
        if first.size <= _block:
            _encrypt(*operands, first, second)
            return first, second
        # Block by block, the hundred passes of the rounds stay in the cache.
        whole: Any = (*operands, first, second)
        access: Any = [["readonly"]] * 4 + [["writeonly"]] * 2
        with np.nditer(whole, _by_block, access, buffersize=_block) as blocks:
            for block in blocks:
                _encrypt(*block)
    return first, second


def _ints(x: Words, shape: tuple[int, ...]) -> list[int]:
    """The words of each element of a shape they broadcast to."""
    if np.size(x) == 1:
        return [int(np.reshape(x, ()))] * math.prod(shape)
    return np.broadcast_to(x, shape).ravel().tolist()


def _encrypt_one(key1: int, key2: int, count1: int, count2: int) -> tuple[int, int]:
    """The two words of one element: for few, Python's ints are quicker than NumPy's arrays."""
    keys = (key1, key2, key1 ^ key2 ^ int(parity))
    x, y = count1 + key1, count2 + key2
    for group in range(5):
        for rotation in rotations[group % 2]:
            x, y = (x + y) & _mask, y & _mask
            y = (y << rotation | y >> 32 - rotation) & _mask ^ x
        x += keys[(group + 1) % 3]
        y += keys[(group + 2) % 3] + group + 1
    return x & _mask, y & _mask


def _encrypt(key1: Words, key2: Words, count1: Words, count2: Words, x: Words, y: Words) -> None:
    """Write the two words of each element to x and y, in place."""
    keys = (key1, key2, key1 ^ key2 ^ parity)
    other = np.empty_like(y)
    np.add(count1, keys[0], out=x)
    np.add(count2, keys[1], out=y)
    for group in range(5):
        for rotation in rotations[group % 2]:
            np.add(x, y, out=x)
            np.left_shift(y, np.uint32(rotation), out=other)
            np.right_shift(y, np.uint32(32 - rotation), out=y)
            np.bitwise_or(y, other, out=y)
            np.bitwise_xor(x, y, out=y)
        np.add(x, keys[(group + 1) % 3], out=x)
        np.add(y, keys[(group + 2) % 3], out=y)
        np.add(y, np.uint32(group + 1), out=y)


def counters(shape: tuple[int, ...]) -> tuple[Words, Words]:
    """High and low words of the 64-bit row-major index of every element of a shape."""
    size = int(np.prod(shape, dtype=np.int64))
    index = np.arange(size, dtype=np.uint64).reshape(shape)
    return (index >> np.uint64(32)).astype(np.uint32), index.astype(np.uint32)
