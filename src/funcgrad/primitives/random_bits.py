"""Random keys and bits as primitives: seed, split, fold in, draw bits, wrap and unwrap.

A key is one element of dtype `key<fry>` (two 32-bit words); every primitive works on arrays of
keys at once, so batching them is natural. Streams are those of JAX's default generator
(threefry2x32 with partitionable counters).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.axes import to_front
from ..core.primitive import AxisData, Example, NotDifferentiable, Primitive
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import Expr, IndexTuple, Lowered, Map, Operand, cast, const, zero_index
from .kinds import Elementwise, expand_at, integers, stretched
from .lowered_random import bits, cipher, counter, halves, key_at, word
from .scalars import bits_of
from .threefry import counters, threefry2x32

no_derivative = NotDifferentiable("random bits are integers", zero=True)


def make_keys(hi: Any, lo: Any) -> np.ndarray[Any, Any]:
    """A key array of its words."""
    keys = np.empty(np.shape(hi), dtypes.key_dtype)
    keys["hi"], keys["lo"] = hi, lo
    return keys


def check_keys(name: str, keys: ShapedArray) -> None:
    """Raise TypeError unless the operand is a key array."""
    if not dtypes.is_key_dtype(keys.dtype):
        raise TypeError(
            f"{name} takes an array of random keys (dtype key<fry>), got {keys.long()}.\n"
            f"  {user_line()}\n  Make one by random.key(seed) or random.wrap_key_data(data)."
        )


class KeyPrimitive(Primitive):
    """A primitive on key arrays whose batch axes lead."""

    jvp_term = no_derivative

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        moved = [
            x if d is None and not aval_of(x).shape else to_front(x, d, axis.size)
            for x, d in zip(args, dims, strict=True)
        ]
        return self.bind(*moved, **params), 0


def example_keys(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Keys for tests."""
    hi, lo = counters(shape)
    return make_keys(hi + np.uint32(7), lo * np.uint32(77))


class RandomSeed(KeyPrimitive):
    """Keys made of integer seeds: the high and low word of each."""

    name = "random_seed"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (seeds,) = avals
        if not dtypes.issubdtype(seeds.dtype, np.integer):
            raise TypeError(
                f"PRNG key seed must be an integer; got {seeds.long()}.\n  {user_line()}"
            )
        return ShapedArray(seeds.shape, dtypes.key_dtype)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (seeds,) = arrays
        wide = seeds.dtype.itemsize == 8
        high = (seeds.astype(np.uint64) >> np.uint64(32)) if wide else np.zeros(seeds.shape)
        return make_keys(high.astype(np.uint32), seeds.astype(np.uint32))

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (seeds,) = operands
        wide = seeds.dtype.itemsize == 8

        def at(index: IndexTuple) -> Expr:
            seed = seeds.at(index[:-1])
            high = halves(bits_of(seed, "u"))[0] if wide else const(0, np.uint32)
            return word((high, cast(seed, np.uint32)), index[-1])

        return Map(at)

    def examples(self) -> Iterator[Example]:
        yield Example((np.array([1, -1, 2**31 - 1], np.int32),))
        yield Example((np.array(-5, np.int64),))


class RandomSplit(KeyPrimitive):
    """From each key, an array of new keys of the given shape."""

    name = "random_split"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (keys,) = avals
        check_keys(self.name, keys)
        return keys.update(shape=keys.shape + params["shape"])

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return make_keys(*_draw(arrays[0], params["shape"]))

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (keys,) = operands
        shape: tuple[int, ...] = params["shape"]

        def at(index: IndexTuple) -> Expr:
            return word(drawn(keys, index[:-1], shape), index[-1])

        return Map(at)

    def examples(self) -> Iterator[Example]:
        yield Example((example_keys(()),), {"shape": (2,)})
        yield Example((example_keys((3,)),), {"shape": (2, 2)})


def _draw(keys: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Two words for each key and each element of a shape."""
    at = (...,) + (None,) * len(shape)
    hi, lo = counters(shape)
    shape = np.shape(keys) + shape
    first, second = threefry2x32(keys["hi"][at], keys["lo"][at], hi, lo)
    return np.broadcast_to(first, shape), np.broadcast_to(second, shape)


def drawn(keys: Operand, index: IndexTuple, shape: tuple[int, ...]) -> tuple[Expr, Expr]:
    """The two words that a key draws for an element of a shape."""
    lead = len(keys.shape) - 1
    return cipher(key_at(keys, index[:lead]), counter(index[lead:], shape))


class RandomFoldIn(KeyPrimitive):
    """New keys from keys and integers u32, which broadcast."""

    name = "random_fold_in"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        keys, data = avals
        check_keys(self.name, keys)
        if data.dtype != np.uint32:
            raise TypeError(f"random_fold_in takes u32 data, got {data.long()}.\n  {user_line()}")
        return keys.update(shape=np.broadcast_shapes(keys.shape, data.shape))

    def impl(self, *arrays: Any, **params: Any) -> Any:
        keys, data = arrays
        return make_keys(*threefry2x32(keys["hi"], keys["lo"], np.uint32(0), data))

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        keys, data = args
        rank = max(aval_of(x).ndim - (d is not None) for x, d in zip(args, dims, strict=True))
        keys, data = (
            x if d is None else expand_at(to_front(x, d, axis.size), 1, rank + 1 - aval_of(x).ndim)
            for x, d in zip(args, dims, strict=True)
        )
        return self.bind(keys, data), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        keys, data = operands

        def at(index: IndexTuple) -> Expr:
            lead = trailing(keys.shape[:-1], index[:-1])
            count = data.at(trailing(data.shape, index[:-1]))
            return word(cipher(key_at(keys, lead), (const(0, np.uint32), count)), index[-1])

        return Map(at)

    def examples(self) -> Iterator[Example]:
        yield Example((example_keys(()), np.uint32(3)))
        yield Example((example_keys((2,)), np.arange(2, dtype=np.uint32)))
        yield Example((example_keys(()), np.arange(2, dtype=np.uint32)))


def trailing(shape: Sequence[int], index: IndexTuple) -> IndexTuple:
    """The index of an operand that NumPy's rules stretch to the shape of an index."""
    own = index[len(index) - len(shape) :]
    return tuple(zero_index if n == 1 else i for n, i in zip(shape, own, strict=True))


class RandomBits(KeyPrimitive):
    """From each key, an array of random bits of a width and shape."""

    name = "random_bits"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (keys,) = avals
        check_keys(self.name, keys)
        return ShapedArray(keys.shape + params["shape"], np.dtype(f"u{params['bit_width'] // 8}"))

    def impl(self, *arrays: Any, **params: Any) -> Any:
        first, second = _draw(arrays[0], params["shape"])
        width = params["bit_width"]
        if width == 64:
            return (first.astype(np.uint64) << np.uint64(32)) | second
        return np.asarray(first ^ second).astype(np.dtype(f"u{width // 8}"))

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (keys,) = operands
        shape: tuple[int, ...] = params["shape"]
        width: int = params["bit_width"]

        def at(index: IndexTuple) -> Expr:
            return bits(drawn(keys, index, shape), width)

        return Map(at)

    def examples(self) -> Iterator[Example]:
        for width in (8, 16, 32, 64):
            yield Example((example_keys(()),), {"bit_width": width, "shape": (2, 3)})
        yield Example((example_keys((2,)),), {"bit_width": 32, "shape": ()})
        yield Example((example_keys((2,)),), {"bit_width": 32, "shape": (0, 2)})


class RandomWrap(KeyPrimitive):
    """Raw words u32[..., 2] as keys."""

    name = "random_wrap"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (words,) = avals
        if words.dtype != np.uint32 or not words.shape or words.shape[-1] != 2:
            raise TypeError(
                f"a key's data is u32[..., 2], got {words.long()}.\n  {user_line()}\n"
                "  Make a key by random.key(seed)."
            )
        return ShapedArray(words.shape[:-1], dtypes.key_dtype)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return make_keys(arrays[0][..., 0], arrays[0][..., 1])

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        return Map(operands[0].at)

    def examples(self) -> Iterator[Example]:
        yield Example((np.arange(2, dtype=np.uint32),))
        yield Example((np.arange(6, dtype=np.uint32).reshape(3, 2),))


class RandomUnwrap(KeyPrimitive):
    """The raw words u32[..., 2] of keys."""

    name = "random_unwrap"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (keys,) = avals
        check_keys(self.name, keys)
        return ShapedArray((*keys.shape, 2), np.uint32)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return np.stack([arrays[0]["hi"], arrays[0]["lo"]], axis=-1)

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        return Map(operands[0].at)

    def examples(self) -> Iterator[Example]:
        yield Example((example_keys(()),))
        yield Example((example_keys((2, 3)),))


class RandomClone(KeyPrimitive):
    """The same keys, counted as unused by `debug_key_reuse`."""

    name = "random_clone"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        check_keys(self.name, avals[0])
        return avals[0]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return arrays[0].copy()

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        return Map(operands[0].at)

    def examples(self) -> Iterator[Example]:
        yield Example((example_keys((2,)),))


class Threefry2x32(Elementwise):
    """The block cipher itself on u32 operands: two keys words, two counter words."""

    name = "threefry2x32"
    multiple_results = True
    accepts = (np.uint32,)
    domains = (integers(0, 2**31, np.uint32),) * 4
    jvp_term = no_derivative

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> Any:
        out = super().abstract_eval(*avals, **params)
        return [out, out]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        shape = np.broadcast_shapes(*[np.shape(x) for x in arrays])
        return [np.broadcast_to(x, shape) for x in threefry2x32(*arrays)]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        outs, dim = super().batch(axis, args, dims, **params)
        return outs, [dim, dim]

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        def words(index: IndexTuple) -> tuple[Expr, Expr]:
            key1, key2, high, low = (stretched(x, index) for x in operands)
            return cipher((key1, key2), (high, low))

        def first(index: IndexTuple) -> Expr:
            return words(index)[0]

        def second(index: IndexTuple) -> Expr:
            return words(index)[1]

        return [Map(first), Map(second)]


random_seed_p, random_split_p, random_fold_in_p = RandomSeed(), RandomSplit(), RandomFoldIn()
random_bits_p, random_wrap_p, random_unwrap_p = RandomBits(), RandomWrap(), RandomUnwrap()
random_clone_p, threefry2x32_p = RandomClone(), Threefry2x32()
