"""Products in loops by matrices that stay the same, which are packed once, before all turns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.kernels.program import LibraryCall, steps_of

TURNS = 5
RNG = np.random.default_rng(0)


def drawn(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return (RNG.standard_normal(shape) / np.sqrt(shape[0])).astype(dtype)


def packed_of(f: Any, *args: Any) -> int:
    """How many products of a program find their right side packed."""
    steps = steps_of(fg.jit(f).lower(*args).stages.block)
    return sum(isinstance(s, LibraryCall) and s.ready > 0 for s in steps)


def last(h: Any, w: Any) -> Any:
    return lax.scan(lambda h, _: (fnp.tanh(h @ w), None), h, length=TURNS)[0]


def transposed(h: Any, w: Any) -> Any:
    return lax.scan(lambda h, _: (fnp.tanh(h @ w.T), h[:, 0]), h, length=TURNS, reverse=True)


def nested(h: Any, w: Any) -> Any:
    def turn(h: Any, x: Any) -> Any:
        v = w * x
        h = lax.scan(lambda h, _: (fnp.tanh(h @ v), None), h, length=2)[0]
        return fnp.sin(h @ w), None

    return lax.scan(turn, h, fnp.arange(3, dtype=h.dtype) + 1)[0]


def gradients(h: Any, w: Any) -> Any:
    return fg.grad(lambda h, w: (last(h, w) ** 2).sum(), argnums=(0, 1))(h, w)


def two(h: Any, w: Any) -> Any:
    def turn(carry: Any, _: Any) -> Any:
        a, b = carry
        return (fnp.tanh(b @ w), fnp.tanh(a @ w.T) + b @ w), a.sum(0)

    return lax.scan(turn, (h, h + 1), length=TURNS)


CASES = {last: 1, transposed: 1, nested: 2, gradients: 2, two: 2}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "width"), [(32, 256), (31, 300), (100, 271)])
@pytest.mark.parametrize("f", CASES)
def test_results_are_those_of_products_one_by_one(f: Any, rows: int, width: int, dtype: Any):
    h, w = drawn(rows, width, dtype=dtype), drawn(width, width, dtype=dtype)
    assert packed_of(f, h, w) == CASES[f]
    with fg.disable_jit():
        expected = fg.tree.leaves(f(fnp.array(h), fnp.array(w)))
    for ours, plain in zip(fg.tree.leaves(fg.jit(f)(h, w)), expected, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=2e-4, atol=2e-4)


def test_matrices_that_change_and_products_of_few_rows_are_left_alone():
    h, w, few = drawn(32, 256), drawn(256, 256), drawn(9, 256)

    def changes(h: Any, w: Any) -> Any:
        return lax.scan(lambda c, _: ((fnp.tanh(c[0] @ c[1]), c[1] * 0.5), None), (h, w), length=3)

    def slices(h: Any, ws: Any) -> Any:
        return lax.scan(lambda h, w: (fnp.tanh(h @ w), None), h, ws)[0]

    assert packed_of(changes, h, w) == 0
    assert packed_of(slices, h, np.stack([w] * 3)) == 0
    assert packed_of(last, few, w) == 0
    assert packed_of(last, drawn(256, 64), drawn(64, 64)) == 0
    assert packed_of(lambda h, w: lax.scan(lambda h, _: (h @ w, None), h, length=1)[0], h, w) == 0


def test_the_explanation_says_so():
    text = fg.jit(last).lower(drawn(32, 256), drawn(256, 256)).explain()
    assert "its right side packed before the loop" in text


def test_threads_change_no_bits():
    h, w = drawn(33, 270), drawn(270, 270)
    run, found = fg.jit(two), list[Any]()
    try:
        for threads in (1, 2, 3, 4):
            fg.config.update("num_threads", threads)
            found.append([np.asarray(x) for x in fg.tree.leaves(run(h, w))])
    finally:
        fg.config.update("num_threads", None)
    for other in found[1:]:
        for x, y in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_donated_state_is_not_written_over():
    h, w = drawn(32, 256), drawn(256, 256)

    def step(state: Any) -> Any:
        h, w = state
        return last(h, w), w - 0.1 * last(h, w).T @ h

    expected = step((fnp.array(h), fnp.array(w)))
    state = (fnp.array(h) + 0, fnp.array(w) + 0)
    for ours, plain in zip(fg.jit(step, donate_argnums=0)(state), expected, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=2e-4, atol=2e-4)
