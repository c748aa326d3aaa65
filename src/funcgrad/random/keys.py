"""Keys: making, splitting and unwrapping them; the check every sampler starts with.

A typed key is an array of dtype `key<fry>`; a raw key is u32[..., 2], the form of `PRNGKey`.
Functions that return keys return the kind they were given.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..config import config
from ..control.plans import planned
from ..core.array import Array as ArrayValue
from ..core.sources import user_line
from ..core.trace import as_array
from ..errors import KeyReuseError
from ..ir import dtypes
from ..ir.avals import aval_of, canonical_shape
from ..primitives.casting import convert_element_type
from ..primitives.random_bits import (
    random_clone_p,
    random_fold_in_p,
    random_seed_p,
    random_split_p,
    random_unwrap_p,
    random_wrap_p,
)
from ..typing import Array, ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Integer, Key, Real, UInt32

# As texts, since jaxtyping is not loaded at run time: one key, and keys of any shape.
KeyLike: TypeAlias = "Key[Array, ''] | UInt32[ArrayLike, '2']"
Keys: TypeAlias = "Key[Array, '*shape'] | UInt32[ArrayLike, '*shape 2']"

_impls = (None, "threefry2x32", "fry")


def _check_impl(impl: Any, dtype: Any = None) -> None:
    if impl is not None and dtype is not None:
        raise ValueError(f"Give a generator as impl or as dtype, not as both: {impl!r}, {dtype!r}.")
    if dtype is not None and not dtypes.is_key_dtype(dtype):
        raise TypeError(f"{dtype!r} is no dtype of keys: random.key_dtype() is the one there is.")
    if impl not in _impls:
        raise ValueError(
            f"unrecognized PRNG implementation {impl!r}: the one there is is 'threefry2x32'."
        )


def key(seed: Integer[ArrayLike, ""], *, impl: Any = None, dtype: Any = None) -> Key[Array, ""]:
    """A typed key from an integer seed.

    Args:
        seed: a Python integer, or an integer array of shape ().
        impl: None or "threefry2x32".
        dtype: the same as a dtype, that of `key_dtype`.
    Returns:
        key<fry>[].
    Raises:
        TypeError: the seed is no integer scalar, or dtype is not that of keys.
        ValueError: unknown impl, or both impl and dtype are given.
    """
    _check_impl(impl, dtype)
    if isinstance(seed, int) and not isinstance(seed, bool):
        # Python integers of any size: their low bits count, 64 of them with 64-bit types.
        bits = 64 if config.enable_x64 else 32
        low = seed & ((1 << bits) - 1)
        seed = np.array(low, f"u{bits // 8}").view(f"i{bits // 8}")
    aval = aval_of(seed)
    if aval.shape:
        raise TypeError(
            f"key accepts a scalar seed, but was given an array of shape {aval.shape}.\n"
            f"  {user_line()}\n  Use vmap for batching."
        )
    if not dtypes.issubdtype(aval.dtype, np.integer):
        raise TypeError(f"PRNG key seed must be an integer; got {aval.long()}.\n  {user_line()}")
    return random_seed_p.bind(as_array(seed))


def PRNGKey(seed: Integer[ArrayLike, ""], *, impl: Any = None) -> UInt32[Array, "2"]:  # noqa: N802 - the field's name
    """A raw key u32[2] from an integer seed; see `key`."""
    return random_unwrap_p.bind(key(seed, impl=impl))


@planned
def wrap_key_data(
    key_bits_array: UInt32[ArrayLike, "*shape 2"], *, impl: Any = None, dtype: Any = None
) -> Key[Array, "*shape"]:
    """Raw words u32[..., 2] as a key array; impl and dtype as in `key`."""
    _check_impl(impl, dtype)
    return random_wrap_p.bind(as_array(key_bits_array))


@planned
def key_data(keys: Keys) -> UInt32[Array, "*shape 2"]:
    """The raw words u32[..., 2] of a key array; raw keys are returned as they are."""
    keys = as_array(keys)
    return random_unwrap_p.bind(keys) if dtypes.is_key_dtype(keys.dtype) else keys


def key_dtype(impl_spec: Any = None) -> np.dtype[Any]:
    """The dtype of keys of a generator, `key<fry>`.

    Raises:
        ValueError: there is no such generator.
    """
    _check_impl(impl_spec)
    return dtypes.key_dtype


def key_impl(keys: Keys) -> str:
    """Name of the generator of a key array."""
    check_key("key_impl", keys, allow_batched=True, consume=False)
    return "threefry2x32"


def clone(key: Keys) -> Array:
    """The same key or keys, counted as unused by `debug_key_reuse`."""
    keys, raw = check_key("clone", key, allow_batched=True, consume=False)
    return _as_given(random_clone_p.bind(keys), raw)


_used_ids: dict[int, tuple[weakref.ref[ArrayValue], str]] = {}


def _consume(name: str, keys: Any) -> None:
    """Note that an Array of keys was used; raise if it was before."""
    found = _used_ids.get(id(keys))
    if found is not None and found[0]() is keys:
        raise KeyReuseError(
            f"Previously-consumed key passed to random.{name}; it was consumed by "
            f"random.{found[1]} before.\n  {user_line()}\n"
            "  Make new keys by random.split, or random.clone to reuse one on purpose."
        )
    here = id(keys)
    _used_ids[here] = (weakref.ref(keys, lambda _: _used_ids.pop(here, None)), name)


def check_key(
    name: str, keys: Any, *, allow_batched: bool = False, consume: bool = True
) -> tuple[Any, bool]:
    """The typed form of a key, and whether it was raw.

    Raises:
        TypeError: no key.
        ValueError: a batch of keys where a single key is needed.
        KeyReuseError: used before, under `debug_key_reuse`.
    """
    try:
        aval = aval_of(keys)
    except TypeError:
        raise TypeError(
            f"random.{name} expects a key, got {type(keys).__name__}.\n  {user_line()}\n"
            "  Make one by random.key(seed)."
        ) from None
    raw = not dtypes.is_key_dtype(aval.dtype)
    if raw:
        if aval.dtype != np.uint32 or not aval.shape or aval.shape[-1] != 2:
            raise TypeError(
                f"random.{name} expects a key: a typed key array, or raw u32[2]; got "
                f"{aval.long()}.\n  {user_line()}\n  Make one by random.key(seed)."
            )
        typed = random_wrap_p.bind(as_array(keys))
    else:
        typed = keys
    if aval_of(typed).shape and not allow_batched:
        raise ValueError(
            f"random.{name} accepts a single key, but was given a key array of shape "
            f"{aval_of(typed).shape} != ().\n  {user_line()}\n  Use vmap for batching."
        )
    if consume and config.debug_key_reuse and type(typed) is ArrayValue and not raw:
        _consume(name, typed)
    return typed, raw


def _as_given(keys: Any, raw: bool) -> Any:
    return random_unwrap_p.bind(keys) if raw else keys


@planned
def split(key: KeyLike, num: int | Sequence[int] = 2) -> Array:
    """New keys from a key.

    Args:
        key: a single key.
        num: how many, or the shape of the array of new keys.
    Returns:
        key<fry>[*num], or u32[*num, 2] for a raw key.
    """
    typed, raw = check_key("split", key)
    shape = canonical_shape((num,) if isinstance(num, (int, np.integer)) else num, "split")
    return _as_given(random_split_p.bind(typed, shape=shape), raw)


def fold_in(key: KeyLike, data: Real[ArrayLike, ""]) -> Array:
    """A new key from a key and an integer.

    Args:
        key: a single key.
        data: i32[], or a Python integer from 0 to 2**32 - 1; other real numbers become u32.
    Raises:
        TypeError: data is no real scalar.
        OverflowError: data is a Python integer that uint32 does not hold.
    """
    typed, raw = check_key("fold_in", key, consume=False)
    if isinstance(data, int):
        data = np.uint32(data)
    aval = aval_of(data)
    if aval.shape:
        raise TypeError(
            f"fold_in accepts a scalar, but was given an array of shape {aval.shape}.\n"
            f"  {user_line()}\n  Use vmap for batching."
        )
    if aval.dtype.kind == "c" or dtypes.is_key_dtype(aval.dtype):
        raise TypeError(f"fold_in accepts a real number, got {aval.long()}.\n  {user_line()}")
    return _as_given(random_fold_in_p.bind(typed, convert_element_type(data, np.uint32)), raw)
