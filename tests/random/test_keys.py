"""Keys: the cipher's published vectors, streams, kinds of keys, and the check of reuse."""

from __future__ import annotations

import numpy as np
import pytest

import funcgrad.numpy as fnp
from funcgrad import jit, lax, random, vmap
from funcgrad.config import debug_key_reuse
from funcgrad.errors import KeyReuseError
from funcgrad.primitives.bit_generator import rng_bit_generator
from funcgrad.primitives.random_bits import threefry2x32_p
from funcgrad.primitives.threefry import threefry2x32

# Known answers of the Random123 distribution: threefry2x32, 20 rounds; counter, key, result.
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_known_answers(counter, key, result):
    words = [np.uint32(w) for w in (*key, *counter)]
    assert tuple(int(w) for w in threefry2x32(*words)) == result
    assert tuple(int(w) for w in threefry2x32_p.bind(*words)) == result


def test_raw_and_typed_keys_agree():
    typed, raw = random.key(42), random.PRNGKey(42)
    np.testing.assert_array_equal(np.asarray(random.key_data(typed)), np.asarray(raw))
    for draw in (random.normal, random.exponential):
        np.testing.assert_array_equal(np.asarray(draw(typed, (3,))), np.asarray(draw(raw, (3,))))
    assert random.split(raw).shape == (2, 2)
    assert random.split(typed, (2, 3)).shape == (2, 3)
    wrapped = random.wrap_key_data(raw)
    assert wrapped.dtype == typed.dtype and wrapped.shape == ()


def test_keys_equal_those_of_jax():
    jax = pytest.importorskip("jax")
    for seed in (0, -1, 2**31 - 1, 2**40 + 3):
        ours, theirs = random.key(seed), jax.random.key(seed)
        for step in (lambda m, k: k, lambda m, k: m.split(k, 3), lambda m, k: m.fold_in(k, 7)):
            np.testing.assert_array_equal(
                np.asarray(random.key_data(step(random, ours))),
                np.asarray(jax.random.key_data(step(jax.random, theirs))),
            )


@pytest.mark.parametrize("wrong", [3.0, np.ones(2, np.float32), np.ones(3, np.uint32), "key"])
def test_what_is_no_key(wrong):
    with pytest.raises(TypeError, match=r"random\.key"):
        random.uniform(wrong)


def test_many_keys_where_one_is_needed():
    with pytest.raises(ValueError, match="vmap"):
        random.split(random.split(random.key(0)))


def test_reuse_is_found():
    with debug_key_reuse(True):
        key = random.key(0)
        random.normal(key)
        with pytest.raises(KeyReuseError, match="normal"):
            random.gamma(key, 1.0)
        random.gamma(random.clone(key), 1.0)
        first, second = random.split(random.key(1))
        random.beta(first, 1.0, 2.0)
        random.choice(second, 5, (2,), replace=False)


def test_bit_generator_goes_on_where_it_ended():
    state = np.array([1, 2, 0xFFFFFFFF, 0], np.uint32)
    after, bits = rng_bit_generator(state, (4,))
    first_state, first = rng_bit_generator(state, (2,))
    last_state, second = rng_bit_generator(first_state, (2,))
    np.testing.assert_array_equal(np.asarray(bits), np.concatenate([first, second]))
    np.testing.assert_array_equal(np.asarray(after), np.asarray(last_state))
    mapped = vmap(lambda s: rng_bit_generator(s, (4,))[1])(np.stack([state, np.asarray(after)]))
    np.testing.assert_array_equal(np.asarray(mapped)[0], np.asarray(bits))
    with pytest.raises(TypeError, match="u64"):
        rng_bit_generator(state[:3], ())
    with pytest.raises(TypeError, match="unsigned"):
        rng_bit_generator(state, (), np.int32)
    with pytest.raises(ValueError, match="RNG_DEFAULT"):
        rng_bit_generator(state, (), algorithm=9)


def test_generators_by_name_and_by_dtype():
    dtype = random.key_dtype()
    assert random.key(0).dtype == dtype == random.key_dtype("threefry2x32")
    words = random.key_data(random.key(3))
    assert (random.key_data(random.key(3, dtype=dtype)) == words).all()
    assert (random.key_data(random.wrap_key_data(words, dtype=dtype)) == words).all()
    with pytest.raises(ValueError, match="not as both"):
        random.key(0, impl="threefry2x32", dtype=dtype)
    with pytest.raises(TypeError, match="no dtype of keys"):
        random.key(0, dtype="uint32")
    with pytest.raises(ValueError, match="unrecognized PRNG implementation"):
        random.key_dtype("rbg")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_words_of_few_elements_are_those_of_many(count):
    rng = np.random.default_rng(count)
    operands = rng.integers(0, 2**32, (4, 60), dtype=np.uint32)
    operands[:, :4] = 2**32 - 1
    operands[:, 4:8] = 0
    many = threefry2x32(*operands)
    for k in range(0, 60, count):
        few = threefry2x32(*operands[:, k : k + count])
        for words, wanted in zip(few, many, strict=True):
            np.testing.assert_array_equal(words, wanted[k : k + count])
    key1, key2 = operands[:2, 9:10]
    for words, wanted in zip(
        threefry2x32(key1, key2, *operands[2:, :count]),
        threefry2x32(key1, key2, *operands[2:]),
        strict=True,
    ):
        np.testing.assert_array_equal(words, wanted[:count])


@pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])
def test_arrays_of_keys_are_filled_by_words(wrap):
    key = random.key(3)
    words = wrap(lambda x: random.key_data(fnp.full(2, x, key.dtype)))
    for fill, word in ((1, 1), (-1, 2**32 - 1), (1.7, 1), (np.uint8(4), 4)):
        np.testing.assert_array_equal(words(fill), np.full((2, 2), word, np.uint32))
    made = wrap(
        lambda: [
            fnp.zeros_like(key),
            fnp.ones_like(key),
            fnp.empty(3, key.dtype),
            lax.full_like(random.split(key), 7),
            fnp.full_like(random.split(key), key),
        ]
    )()
    wanted = [[0, 0], [1, 1], [[0, 0]] * 3, [[7, 7]] * 2, [[0, 3]] * 2]
    for keys, data in zip(made, wanted, strict=True):
        assert keys.dtype == key.dtype
        np.testing.assert_array_equal(random.key_data(keys), data)


@pytest.mark.parametrize("wrap", [lambda f: f, jit], ids=["eager", "jit"])
def test_keys_are_no_numbers(wrap):
    key = random.key(0)
    for f in (
        lambda k: k + 1,
        lambda k: 1 - k,
        lambda k: k == 1,
        lambda k: fnp.hypot(k, 1.0),
        lambda k: fnp.clip(k, 0, 1),
        lambda k: bool(k),
    ):
        with pytest.raises(TypeError):
            wrap(f)(key)
    with pytest.raises(ValueError, match="cannot convert key"):
        wrap(fnp.all)(key)
    with pytest.raises(ValueError, match="does not promote"):
        wrap(lambda k: fnp.where(True, k, 1))(key)


def test_folding_takes_what_converts_to_a_word():
    key = random.key(3)
    for data, word in ((1.7, 1), (np.float32(-1.0), 0), (True, 1), (np.int8(-1), 2**32 - 1)):
        found = random.key_data(random.fold_in(key, data))
        np.testing.assert_array_equal(found, random.key_data(random.fold_in(key, word)))
    for beyond in (-1, 2**33):
        with pytest.raises(OverflowError):
            random.fold_in(key, beyond)
    with pytest.raises(TypeError, match="real number"):
        random.fold_in(key, 1j)
