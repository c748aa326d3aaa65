"""Calls of compiled programs: from threads, on any memory, with any hash seed."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp


def test_many_threads_call_one_program():
    def f(x):
        shape = fg.ShapeDtypeStruct(x.shape, x.dtype)
        return fnp.tanh(x).sum(), fg.pure_callback(np.negative, shape, x)

    jitted = fg.jit(f)
    inputs = [fnp.full(300_000, k / 10) for k in range(8)]
    wrong = []

    def work(k):
        for _ in range(5):
            total, negative = jitted(inputs[k])
            right = np.allclose(total, 300_000 * np.tanh(k / 10), rtol=1e-4)
            if not (right and np.all(np.asarray(negative) == np.float32(-k / 10))):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_what_a_call_out_raises_reaches_the_caller():
    def fails(x):
        raise KeyError("from the user's function")

    f = fg.jit(lambda x: fg.pure_callback(fails, fg.ShapeDtypeStruct((3,), np.float32), x))
    for _ in range(2):
        with pytest.raises(KeyError, match="from the user's function"):
            f(fnp.ones(3))
    assert np.all(fg.jit(lambda x: x + 1)(fnp.ones(3)) == 2)


@pytest.mark.parametrize(
    "given",
    [
        np.arange(24, dtype=np.float32).reshape(4, 6).T,
        np.arange(48, dtype=np.float32).reshape(4, 12)[:, ::2].T,
        np.arange(24, dtype=np.float32)[::-1].reshape(6, 4),
        np.frombuffer(b"\0" + np.arange(24, dtype=np.float32).tobytes(), np.uint8)[1:]
        .view(np.float32)
        .reshape(6, 4),
        np.arange(24, dtype=">f4").reshape(6, 4),
    ],
    ids=["transposed", "strided", "reversed", "misaligned", "byte-swapped"],
)
def test_memory_of_any_layout(given):
    f = fg.jit(lambda x: fnp.exp(x / 10) @ fnp.ones((4, 3)))
    expected = np.exp(given.astype(np.float32) / 10) @ np.ones((4, 3), np.float32)
    np.testing.assert_allclose(f(given), expected, rtol=1e-5)
    np.testing.assert_allclose(f(fnp.asarray(given)), expected, rtol=1e-5)


def test_results_share_no_memory_with_arguments_or_each_other():
    x = fnp.ones((256, 1024))
    a, b, c = fg.jit(lambda x: (x, x, x * 2))(x)
    memory = [np.asarray(v) for v in (x, a, b, c)]
    assert not any(np.shares_memory(p, q) for i, p in enumerate(memory) for q in memory[i + 1 :])


@pytest.mark.parametrize("size", [3, 1 << 20])
def test_numpy_arrays_and_numbers_are_read_as_they_lie_and_results_are_memory_of_their_own(size):
    x = np.arange(size, dtype=np.float32)
    f = fg.jit(lambda x, n: (x, x[::-1], x * n))
    f(x, 2.0)
    for given in (x, x[::-1], x.astype(">f4"), x.astype(np.float64)):
        same, turned, doubled = map(np.asarray, f(given, 2.0))
        assert not np.shares_memory(same, given)
        np.testing.assert_array_equal(same, given)
        np.testing.assert_array_equal(turned, given[::-1])
        np.testing.assert_array_equal(doubled, 2 * given)
    kept = np.asarray(f(x, np.float32(2))[0])
    x[0] = 7
    assert kept[0] == 0 and float(f(x, 2)[0][0]) == 7


def test_memory_of_a_result_is_used_again_only_when_nobody_holds_it():
    f = fg.jit(lambda x: x + 1)
    x = fnp.zeros(1 << 19)
    kept = f(x)
    view = np.asarray(f(kept))[5:]
    for _ in range(4):
        x = f(x)
    assert np.all(np.asarray(kept) == 1) and np.all(view == 2) and np.all(np.asarray(x) == 4)


def test_results_that_do_not_fit_are_an_error_that_says_what_takes_the_room():
    def wide(x):
        return fnp.broadcast_to(x, (1 << 30, 1 << 20))

    with fg.enable_x64(True), pytest.raises(MemoryError) as caught:
        fg.jit(wide)(fnp.ones(()))
    text = str(caught.value)
    assert "8.0 PiB for its results and 0 bytes" in text
    assert (
        "f64[1073741824,1048576] = broadcast_in_dim  test_launch.py" in text and "in wide" in text
    )


def test_values_in_between_that_do_not_fit_are_an_error_and_the_next_call_runs():
    def total(x):
        return fnp.sort(x[:, None] * x, axis=0).sum()

    f = fg.jit(total)
    with pytest.raises(MemoryError, match=r"4 bytes for its results and 32\.0 TiB"):
        f(fnp.ones(1 << 21))
    assert f(fnp.ones(8)) == 64


TEXT = """
import hashlib, numpy as np, funcgrad as fg, funcgrad.numpy as fnp
def loss(p, x):
    h = fnp.tanh(x @ p["w"] + p["b"])
    return fnp.mean(fnp.log(fnp.sum(fnp.exp(h), -1)))
p = {"w": np.ones((8, 5), np.float32), "b": np.ones(5, np.float32)}
lowered = fg.jit(fg.value_and_grad(loss)).lower(p, np.ones((300, 8), np.float32))
print(hashlib.sha256(str(lowered.llvm).encode()).hexdigest())
"""


def test_same_text_under_any_hash_seed():
    found = {
        subprocess.run(
            [sys.executable, "-c", TEXT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(found) == 1


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_same_bits_for_any_number_of_threads(threads):
    x = np.random.default_rng(0).standard_normal((700, 513)).astype(np.float32)

    def f(x):
        return x.sum(), x.sum(0), fnp.exp(x).sum(1), x @ x.T

    reference = [np.asarray(v) for v in fg.jit(f)(x)]
    before = fg.config.num_threads
    fg.config.update("num_threads", threads)
    try:
        for a, b in zip(fg.jit(f)(x), reference, strict=True):
            assert np.array_equal(a, b)
    finally:
        fg.config.update("num_threads", before)
