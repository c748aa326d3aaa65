"""What tensor cores do, and how tiles come to them, for the emulator.

In: the registers of lanes, or places in memory. Out: registers, memory. Where each register of a
lane belongs is in the manual of PTX. A copy is on its way until it is waited for: what it will
write is nobody's to read or write, and when it comes, it is written like by the lane that began it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .lanes import WARP, EmulationError, Memory, NDArray, Team

_HALVES = 8
_WORDS = _HALVES // 2


def half_of(kind: Any, words: Any, half: int) -> Any:
    """The float in a half of words of 32 bits; without a kind, a bfloat16."""
    bits = (words >> np.uint32(16 * half)).astype(np.uint16)
    if kind is not None:
        return bits.view(kind).astype(np.float32)
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def packed(kind: Any, low: Any, high: Any) -> Any:
    """Two float32 as halves of a word, rounded to the nearest; without a kind, bfloat16."""
    found = np.uint32(0)
    for k, x in enumerate(map(np.asarray, (low, high))):
        if kind is not None:
            bits = x.astype(kind).view(np.uint16).astype(np.uint32)
        else:
            whole = np.atleast_1d(x.astype(np.float32)).view(np.uint32).astype(np.uint64)
            near = (whole + 0x7FFF + ((whole >> 16) & 1)) >> 16
            bits = np.where(np.isnan(x), 0x7FFF, near).astype(np.uint32).reshape(x.shape)
        found = found | (bits << np.uint32(16 * k))
    return found


def multiplied(kind: Any, lanes: int, registers: Sequence[Any]) -> tuple[NDArray, ...]:
    """16 × 16 times 16 × 8 of each warp, added to 16 × 8; sums are float32."""
    found = [np.broadcast_to(r, (lanes,)).reshape(-1, WARP) for r in registers]
    group, turn = np.arange(WARP) // 4, np.arange(WARP) % 4
    a = np.zeros((len(found[0]), 16, 16), np.float32)
    b, c = (np.zeros((len(found[0]), 16, 8), np.float32) for _ in range(2))
    for half in range(2):
        for k in range(4):
            row, step = group + 8 * (k % 2), 2 * turn + 8 * (k // 2) + half
            a[:, row, step] = half_of(kind, found[k], half)
        for k in range(2):
            b[:, 2 * turn + 8 * k + half, group] = half_of(kind, found[4 + k], half)
    places = [(group + 8 * (k // 2), 2 * turn + k % 2) for k in range(4)]
    for k, (row, column) in enumerate(places):
        c[:, row, column] = found[6 + k]
    d = a @ b + c
    return tuple(d[:, row, column].reshape(-1) for row, column in places)


def rounded(x: Any) -> Any:
    """Float32 with a mantissa of 10 bits, as words of 32; halves go away from zero."""
    bits = np.asarray(x).astype(np.float32)[()].view(np.uint32)
    return (bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)


def multiplied_rounded(lanes: int, registers: Sequence[Any]) -> tuple[NDArray, ...]:
    """16 × 8 times 8 × 8 of each warp, added to 16 × 8; what is multiplied was rounded before."""
    found = [np.broadcast_to(r, (lanes,)).reshape(-1, WARP) for r in registers]
    group, turn = np.arange(WARP) // 4, np.arange(WARP) % 4
    a = np.zeros((len(found[0]), 16, 8), np.float32)
    b, c = (np.zeros((len(found[0]), n, 8), np.float32) for n in (8, 16))
    for words in found[:6]:
        if np.any(words & np.uint32(0x1FFF)):
            raise EmulationError("tensor cores are given float32 that was not rounded")
    for k in range(4):
        a[:, group + 8 * (k % 2), turn + 4 * (k // 2)] = found[k].view(np.float32)
    for k in range(2):
        b[:, turn + 4 * k, group] = found[4 + k].view(np.float32)
    places = [(group + 8 * (k // 2), 2 * turn + k % 2) for k in range(4)]
    for k, (row, column) in enumerate(places):
        c[:, row, column] = found[6 + k]
    d = a @ b + c
    return tuple(d[:, row, column].reshape(-1) for row, column in places)


def fetched(
    team: Team, tiles: Memory, place: Any, mask: NDArray, turned: bool
) -> tuple[NDArray, ...]:
    """Of four matrices the two neighbours that each lane gets; the lanes name their rows."""
    place = np.broadcast_to(place, mask.shape)
    if np.any(place[mask] % _WORDS):
        raise EmulationError(f"{tiles.name}: a row of a matrix begins between two boundaries")
    mine = team.lane % WARP
    group, turn = mine // 4, mine % 4
    found: list[NDArray] = []
    for k in range(4):
        first = team.lane - mine + 8 * k
        if not turned:
            found.append(tiles.load(place[first + group] + turn, mask))
            continue
        word = np.zeros(mask.shape, np.uint32)
        for half in range(2):
            row = tiles.load(place[first + 2 * turn + half] + group // 2, mask)
            bits = (row >> (16 * (group % 2)).astype(np.uint32)) & np.uint32(0xFFFF)
            word |= bits << np.uint32(16 * half)
        found.append(word)
    _check_banks(tiles, place, mask)
    return tuple(found)


def _check_banks(tiles: Memory, place: NDArray, mask: NDArray) -> None:
    """Rows that are fetched at once lie in different banks."""
    pieces = (place[mask] // _WORDS % _HALVES).reshape(-1, _HALVES)
    if np.any(np.sort(pieces, axis=1) != np.arange(_HALVES)):
        raise EmulationError(f"{tiles.name}: rows of a matrix lie in one bank")


class _Copy(NamedTuple):
    tiles: Memory
    place: NDArray
    words: list[NDArray]
    lanes: NDArray


class Copies:
    """The copies of a launch that have been begun and not been waited for."""

    def __init__(self) -> None:
        self._flying: list[_Copy] = []

    def begin(
        self, tiles: Memory, place: Any, source: Memory, at: Any, mask: NDArray, there: Any
    ) -> None:
        """Lanes begin to copy 16 bytes, or zeros."""
        place = np.broadcast_to(place, mask.shape).copy()
        inside = mask & np.broadcast_to(there, mask.shape)
        if np.any(place[mask] % _WORDS) or np.any(np.broadcast_to(at, mask.shape)[inside] % 8):
            raise EmulationError(f"{tiles.name}: 16 bytes are copied from between two boundaries")
        words: list[NDArray] = []
        for k in range(_WORDS):
            low, high = (source.load(at + 2 * k + n, inside).astype(np.uint32) for n in range(2))
            words.append(low | (high << np.uint32(16)))
            tiles.store(place + k, np.uint32(0), mask)
        copy = _Copy(tiles, place, words, mask.copy())
        self._mark(copy, True)
        self._flying.append(copy)

    def end(self, mask: NDArray) -> None:
        """What the lanes that are there have begun has come."""
        for copy in self._flying:
            done = copy._replace(lanes=copy.lanes & mask)
            self._mark(done, False)
            for k, word in enumerate(copy.words):
                copy.tiles.store(copy.place + k, word, done.lanes)
        left = (c._replace(lanes=c.lanes & ~mask) for c in self._flying)
        self._flying = [c for c in left if c.lanes.any()]

    def check_done(self) -> None:
        """Nothing is on its way."""
        if self._flying:
            raise EmulationError(f"{self._flying[0].tiles.name}: a copy is never waited for")

    @staticmethod
    def _mark(copy: _Copy, flying: bool) -> None:
        tiles, lanes = copy.tiles, np.flatnonzero(copy.lanes)
        first = copy.place[lanes] + tiles.team.block[lanes] * tiles.size
        for k in range(_WORDS):
            tiles.flying[first + k] = flying
