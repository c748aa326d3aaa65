"""Integers: common divisors and multiples, and truth values packed into bytes."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import canonical_axis
from ..typing import Array, ArrayLike
from .arithmetic import abs, floor_divide, remainder
from .manipulation import broadcast_arrays, moveaxis
from .promotion import check_arraylike, dtype_of, promote_dtypes, to_array
from .selection import where

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _magnitudes(name: str, x1: Any, x2: Any) -> tuple[Any, Any]:
    """The absolute values of two arrays of integers, in one dtype and shape."""
    check_arraylike(name, x1, x2)
    a, b = promote_dtypes(x1, x2)
    if dtype_of(a).kind not in "iu":
        raise ValueError(
            f"Arguments to {name} must be integers, got {dtypes.short_name(dtype_of(a))}."
            f"\n  {user_line()}\n  Convert them with astype."
        )
    a, b = broadcast_arrays(abs(a), abs(b))
    return a, b


def gcd(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """The greatest common divisor of |x1| and |x2|, and 0 of two zeros.

    Raises:
        ValueError: an operand is not an integer.
    Source: Euclid, Elements VII.2.
    """

    def step(pair: Any) -> Any:
        a, b = pair
        done = b == 0
        return where(done, a, b), where(done, b, remainder(a, where(done, 1, b)))

    pair = _magnitudes("gcd", x1, x2)
    from ..control.loops import while_loop

    # The least integer is its own magnitude, so that the last remainder may be negative.
    return abs(while_loop(lambda pair: (pair[1] != 0).any(), step, pair)[0])


def lcm(x1: Shaped[ArrayLike, "*#shape"], x2: Shaped[ArrayLike, "*#shape"], /) -> Array:
    """The least common multiple of |x1| and |x2|; 0 where one of them is 0.

    Raises:
        ValueError: an operand is not an integer.
    """
    a, b = _magnitudes("lcm", x1, x2)
    divisor = gcd(a, b)
    return where(divisor == 0, 0, a * floor_divide(b, where(divisor == 0, 1, divisor)))


def _bit_places(bitorder: str) -> Any:
    """The place of each of eight bits in its byte."""
    if bitorder not in ("little", "big"):
        raise ValueError(f"'bitorder' must be either 'little' or 'big', got {bitorder!r}.")
    places = np.arange(8, dtype=np.uint8)
    return places if bitorder == "little" else places[::-1].copy()


def _last(x: Any, axis: int | None) -> tuple[Any, int]:
    """The array with the axis at the end, and where that belongs; None ravels."""
    if axis is None:
        return x.reshape(-1), 0
    along = canonical_axis(operator.index(axis), x.ndim)
    return moveaxis(x, along, -1), along


def packbits(a: Shaped[ArrayLike, "..."], axis: int | None = None, bitorder: str = "big") -> Array:
    """Truth values packed into bytes, eight in one, along an axis (None ravels).

    Args:
        a: booleans or integers; what is not 0 is a bit 1. Zeros fill up the last byte.
        bitorder: "big" puts the first value into the highest bit, "little" into the lowest.
    Returns:
        uint8.
    Raises:
        TypeError: `a` is neither boolean nor integer.
    """
    check_arraylike("packbits", a)
    x = to_array(a)
    if dtype_of(x).kind not in "biu":
        raise TypeError(
            "Expected an input array of integer or boolean data type: packbits got "
            f"{dtypes.short_name(dtype_of(x))}.\n  {user_line()}\n  Compare it first."
        )
    places = _bit_places(bitorder)
    bits, along = _last((x != 0).astype(np.uint8), axis)
    bits = _filled(bits, -bits.shape[-1] % 8)
    groups = bits.reshape((*bits.shape[:-1], bits.shape[-1] // 8, 8))
    return moveaxis((groups << places).sum(axis=-1, dtype=np.uint8), -1, along)


def unpackbits(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = None,
    count: int | None = None,
    bitorder: str = "big",
) -> Array:
    """The bits of bytes as 0 and 1 along an axis (None ravels); the inverse of `packbits`.

    Args:
        count: how many bits to return; zeros fill up what is missing. A negative one leaves out
            bits at the end.
    Returns:
        uint8.
    Raises:
        TypeError: `a` is not uint8.
    """
    check_arraylike("unpackbits", a)
    x = to_array(a)
    if dtype_of(x) != np.uint8:
        raise TypeError(
            "Expected an input array of unsigned byte data type: unpackbits got "
            f"{dtypes.short_name(dtype_of(x))}.\n  {user_line()}\n  Use view or astype('uint8')."
        )
    places = _bit_places(bitorder)
    packed, along = _last(x, axis)
    bits = (packed[..., None] >> places) & 1
    bits = bits.reshape((*packed.shape[:-1], 8 * packed.shape[-1]))
    if count is not None:
        missing = count - bits.shape[-1]
        if missing > 0:
            bits = _filled(bits, missing)
        bits = bits[..., :count]
    return moveaxis(bits, -1, along)


def _filled(bits: Any, missing: int) -> Any:
    """Bits with zeros behind them."""
    from .padding import pad

    return pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, missing)])
