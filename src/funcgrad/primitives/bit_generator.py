"""rng_bit_generator: random bits of an explicit state, and the state advanced past them.

A state is u32[4] or u64[2]: two words of key and two of a 64-bit counter of blocks. The one idea:
block i of the output is the cipher of counter + i, so no block is ever drawn twice.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.axes import to_front
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray, canonical_shape
from ..ir.loops import Lowered, Map, Operand
from .lowered_random import advanced, drawn_from
from .random_bits import no_derivative
from .threefry import threefry2x32


class RandomAlgorithm(enum.IntEnum):
    """The generators that can be asked for."""

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1


class RngBitGenerator(Primitive):
    """The advanced state and an array of random bits; axes before the state's last are batches."""

    name = "rng_bit_generator"
    multiple_results = True
    jvp_term = no_derivative

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (state,) = avals
        words = {np.dtype(np.uint32): 4, np.dtype(np.uint64): 2}.get(state.dtype)
        if not state.shape or state.shape[-1] != words:
            raise TypeError(
                f"rng_bit_generator takes a state u32[4] or u64[2], got {state.long()}.\n"
                f"  {user_line()}"
            )
        return [
            state.update(weak_type=False),
            ShapedArray(state.shape[:-1] + params["shape"], params["dtype"]),
        ]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (state,) = arrays
        words = np.ascontiguousarray(state).view(np.uint32)
        key1, key2, low, high = (words[..., i, None] for i in range(4))
        dtype, size = params["dtype"], math.prod(params["shape"])
        blocks = -(-size * dtype.itemsize // 8)
        start = low.astype(np.uint64) | (high.astype(np.uint64) << np.uint64(32))
        index = start + np.arange(blocks, dtype=np.uint64)
        pair = threefry2x32(
            key1, key2, (index >> np.uint64(32)).astype(np.uint32), index.astype(np.uint32)
        )
        bits = np.stack(pair, axis=-1).reshape(*words.shape[:-1], 2 * blocks)
        drawn = bits.view(dtype)[..., :size].reshape((*words.shape[:-1], *params["shape"]))
        advanced = words.copy()
        end = start[..., 0] + np.uint64(blocks)
        advanced[..., 2] = end.astype(np.uint32)
        advanced[..., 3] = (end >> np.uint64(32)).astype(np.uint32)
        return [advanced.view(state.dtype), drawn]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        return self.bind(to_front(args[0], dims[0], axis.size), **params), [0, 0]

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (state,) = operands
        dtype, shape = params["dtype"], params["shape"]
        blocks = -(-math.prod(shape) * dtype.itemsize // 8)
        return [Map(advanced(state, blocks)), Map(drawn_from(state, dtype, shape))]

    def examples(self) -> Iterator[Example]:
        state = np.arange(4, dtype=np.uint32) + np.uint32(2**32 - 4)
        for width in (8, 16, 32, 64):
            params = {"dtype": np.dtype(f"u{width // 8}"), "shape": (3, 5)}
            yield Example((state,), params)
        params = {"dtype": np.dtype(np.uint32), "shape": ()}
        yield Example((state.view(np.uint64),), params)
        yield Example((np.stack([state, state]),), params)
        yield Example((state,), {**params, "shape": (0, 2)})


rng_bit_generator_p = RngBitGenerator()


def rng_bit_generator(
    key: Any, shape: Any, dtype: Any = np.uint32, algorithm: Any = RandomAlgorithm.RNG_DEFAULT
) -> tuple[Any, Any]:
    """Random bits of a state, and the next state.

    Args:
        key: the state, u32[4] or u64[2].
        shape: of the bits.
        dtype: an unsigned dtype.
        algorithm: of `RandomAlgorithm`; both are threefry2x32.
    Returns:
        (next state, bits).
    Raises:
        TypeError: the state or the dtype does not fit.
        ValueError: there is no such algorithm.
    """
    if algorithm not in tuple(RandomAlgorithm):
        raise ValueError(
            f"rng_bit_generator: unknown algorithm {algorithm!r}.\n  {user_line()}\n"
            "  Give RandomAlgorithm.RNG_DEFAULT or RandomAlgorithm.RNG_THREE_FRY."
        )
    canonical = dtypes.canonicalize_dtype(dtype)
    if not dtypes.issubdtype(canonical, np.unsignedinteger):
        raise TypeError(
            f"rng_bit_generator draws unsigned integers, got dtype {canonical}.\n  {user_line()}"
        )
    shape = canonical_shape(shape, "rng_bit_generator")
    state, bits = rng_bit_generator_p.bind(key, dtype=canonical, shape=shape)
    return state, bits
