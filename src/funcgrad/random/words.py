"""Random words without jit: by NumPy at first, by compiled programs for who draws often.

In: keys and counts, as NumPy arrays. Out: the words that `random_bits`, `random_split` and
`random_fold_in` give, to the last bit, for integers are exact. The one idea: the first n words of a
key are the same whatever n is, so one program for a power of two serves all smaller arrays, and
there are few programs in all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import tree
from ..config import config
from ..control.direct import Direct, not_known
from ..control.jit import executable
from ..core.array import Array
from ..core.staging import stage
from ..ir import dtypes
from ..ir.avals import ShapedArray, size_of
from ..primitives.random_bits import random_bits_p, random_fold_in_p, random_split_p

_FEWEST = 16
_MOST = 1 << 18
# Seconds that NumPy takes for a call, and for a word of one.
_CALL, _WORD = 60e-6, 20e-9
# What NumPy has to have taken before a program is made: as long as that takes where a store has
# it, and as long as loading the compiler takes where nothing was compiled yet.
_WORTH_A_PROGRAM, _WORTH_THE_COMPILER = 0.01, 0.2
_compiler = f"{__name__.removesuffix('random.words')}kernels.runtime.launch"
_leaf = tree.structure(0)
_key = ShapedArray((), dtypes.key_dtype)
_word = ShapedArray((), np.dtype(np.uint32))


class _Program:
    """One operation on one key, for up to as many words as its avals say."""

    spent_in_all = 0.0

    def __init__(self, operation: Callable[..., Any], *avals: ShapedArray) -> None:
        self._operation = operation
        self._avals = avals
        self._direct: Direct | None = None
        self._spent = 0.0

    def __call__(self, words: int, *arrays: Any) -> Any:
        """What the operation gives; None while NumPy is to do it.

        Args:
            words: how many are wanted.
        """
        if config.present_stamp()[2] < 0:
            return None
        direct = self._direct
        if direct is None:
            if not self._is_worth(words):
                return None
            direct = self._direct = self._made()
        leaves = tuple(map(Array.of, arrays, self._avals))
        found = direct(leaves)
        return None if found is not_known else found.numpy()

    def _is_worth(self, words: int) -> bool:
        seconds = _CALL + _WORD * words
        self._spent += seconds
        _Program.spent_in_all += seconds
        if self._spent < _WORTH_A_PROGRAM:
            return False
        return _compiler in sys.modules or _Program.spent_in_all > _WORTH_THE_COMPILER

    def _made(self) -> Direct:
        closed = stage(lambda *xs: [self._operation(*xs)], self._avals, "words")
        avals = tuple(self._avals)
        return Direct(executable(closed), avals, None, False, closed.out_avals, _leaf, ())


def _programs(operation: Callable[..., Any]) -> dict[int, _Program]:
    """A program for each power of two."""
    powers = [1 << k for k in range(_FEWEST.bit_length() - 1, _MOST.bit_length())]
    return {size: _Program(partial(operation, size=size), _key) for size in powers}


def _draw(key: Any, size: int) -> Any:
    return random_bits_p.bind(key, bit_width=32, shape=(size,))


def _split(key: Any, size: int) -> Any:
    return random_split_p.bind(key, shape=(size,))


_bits, _keys = _programs(_draw), _programs(_split)
_folded = _Program(random_fold_in_p.bind, _key, _word)


def _first(programs: dict[int, _Program], key: Any, shape: tuple[int, ...]) -> Any:
    """The first elements that a key gives, in a shape; None where NumPy is to find them."""
    size = size_of(shape)
    if key.shape or not 0 < size <= _MOST:
        return None
    rows = 1 << (size - 1).bit_length()
    found = programs[rows if rows > _FEWEST else _FEWEST](size, key)
    return None if found is None else found[:size].reshape(shape)


def _quick_bits(*arrays: Any, **params: Any) -> Any:
    width = params["bit_width"]
    found = None if width == 64 else _first(_bits, arrays[0], params["shape"])
    if found is None:
        return random_bits_p.impl(*arrays, **params)
    return found if width == 32 else found.astype(f"u{width // 8}")


def _quick_split(*arrays: Any, **params: Any) -> Any:
    found = _first(_keys, arrays[0], params["shape"])
    return random_split_p.impl(*arrays, **params) if found is None else found


def _quick_fold_in(*arrays: Any, **params: Any) -> Any:
    plain = not (arrays[0].shape or arrays[1].shape)
    found = _folded(1, *arrays) if plain else None
    return random_fold_in_p.impl(*arrays, **params) if found is None else found


random_bits_p.quick = _quick_bits
random_split_p.quick = _quick_split
random_fold_in_p.quick = _quick_fold_in
