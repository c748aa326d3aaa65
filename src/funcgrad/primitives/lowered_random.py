"""The cipher of random keys as scalar expressions, and the counters that it is given.

In: expressions of u32 words. Out: the two words of the cipher, bit for bit those of
`threefry.py`. Keys are pairs of words along a last axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.loops import (
    Affine,
    Const,
    Expr,
    IndexTuple,
    Operand,
    apply,
    cast,
    const,
    equals,
    flat_index,
    select,
    value_of,
)
from .scalars import like, rotated_left
from .threefry import parity, rotations

Words = tuple[Expr, Expr]
u32 = np.dtype(np.uint32)
u64 = np.dtype(np.uint64)


def added(x: Expr, y: Expr) -> Expr:
    """x + y, at once where both are known."""
    if isinstance(x, Const) and isinstance(y, Const):
        return const((int(x.value) + int(y.value)) % (1 << 32), u32)
    if isinstance(y, Const) and y.value == 0:
        return x
    return y if isinstance(x, Const) and x.value == 0 else apply("add", x, y)


def cipher(key: Words, count: Words) -> Words:
    """The two words for a key and a counter: threefry-2x32 with 20 rounds."""
    third = apply("xor", apply("xor", key[0], key[1]), const(int(parity), u32))
    keys = (*key, third)
    x, y = added(count[0], keys[0]), added(count[1], keys[1])
    for group in range(5):
        for rotation in rotations[group % 2]:
            x = apply("add", x, y)
            y = apply("xor", x, rotated_left(y, rotation))
        x = apply("add", x, keys[(group + 1) % 3])
        y = apply("add", y, apply("add", keys[(group + 2) % 3], const(group + 1, u32)))
    return x, y


def key_at(keys: Operand, index: Sequence[Affine]) -> Words:
    """The two words of a key."""
    return keys.at((*index, Affine(0))), keys.at((*index, Affine(1)))


def word(words: Sequence[Expr], which: Affine) -> Expr:
    """The word at a place; the last one for all greater places."""
    out = words[-1]
    for i in reversed(range(len(words) - 1)):
        here = equals(which, i)
        bounds = which.bounds()
        if bounds is not None and not bounds[0] <= i <= bounds[1]:
            continue
        out = words[i] if here is None else select(here, words[i], out)
    return out


def halves(x: Expr) -> Words:
    """The high and the low word of a u64."""
    return cast(apply("shift_right_logical", x, like(x, 32)), u32), cast(x, u32)


def joined(high: Expr, low: Expr) -> Expr:
    """The u64 of two words."""
    wide = cast(high, u64)
    return apply("or", apply("shift_left", wide, like(wide, 32)), cast(low, u64))


def counter(index: Sequence[Affine], shape: Sequence[int]) -> Words:
    """High and low word of the C-order position of an element of a shape."""
    flat = value_of(flat_index(tuple(index), shape))
    if int(np.prod(shape, dtype=np.int64)) <= 1 << 32:
        return const(0, u32), as_word(flat)
    return halves(cast(flat, u64))


def as_word(x: Expr) -> Expr:
    """A nonnegative integer as a word."""
    return const(int(x.value), u32) if isinstance(x, Const) else cast(x, u32)


def bits(words: Words, width: int) -> Expr:
    """An unsigned integer of a width from the two words of a block."""
    if width == 64:
        return joined(*words)
    return cast(apply("xor", *words), f"u{width // 8}")


def words_of_state(state: Operand, lead: Sequence[Affine]) -> list[Expr]:
    """The four words of a state u32[4] or u64[2], the low word of each u64 first."""
    if state.dtype == u32:
        return [state.at((*lead, Affine(i))) for i in range(4)]
    pairs = [halves(state.at((*lead, Affine(i)))) for i in range(2)]
    return [w for high, low in pairs for w in (low, high)]


def drawn_from(state: Operand, dtype: Any, shape: Sequence[int]) -> Callable[[IndexTuple], Expr]:
    """Elements of the stream of a state: block by block, the first word of each below."""
    rank = len(shape)
    in_word = max(1, 4 // dtype.itemsize)

    def at(index: IndexTuple) -> Expr:
        lead = index[: len(index) - rank]
        key1, key2, low, high = words_of_state(state, lead)
        flat = value_of(flat_index(index[len(lead) :], shape))
        per_block = 8 // dtype.itemsize
        block = flat if per_block == 1 else apply("div", flat, like(flat, per_block))
        place = apply("add", joined(high, low), cast(block, u64))
        first, second = cipher((key1, key2), halves(place))
        if per_block == 1:
            return joined(second, first)
        within = apply("rem", flat, like(flat, per_block))
        is_first = apply("lt", within, like(within, in_word))
        chosen = select(is_first, first, second)
        if in_word == 1:
            return chosen
        places = apply("rem", within, like(within, in_word))
        places = apply("mul", places, like(places, 8 * dtype.itemsize))
        return cast(apply("shift_right_logical", chosen, cast(places, u32)), dtype)

    return at


def advanced(state: Operand, blocks: int) -> Callable[[IndexTuple], Expr]:
    """The state with its counter moved on by some blocks."""

    def at(index: IndexTuple) -> Expr:
        lead, which = index[:-1], index[-1]
        key1, key2, low, high = words_of_state(state, lead)
        start = joined(high, low)
        end = apply("add", start, like(start, blocks))
        if state.dtype == u64:
            return word([state.at((*lead, Affine(0))), end], which)
        after_high, after_low = halves(end)
        return word([key1, key2, after_low, after_high], which)

    return at
