"""Scatters of rows by blocks of columns, and sums beside stores, for any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.kernels.program import Launch


def operands(words: int, width: int, count: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(5)
    table = fnp.asarray(rng.normal(size=(words, width)).astype(np.float32))
    ids = fnp.asarray(rng.integers(-words - 5, words + 5, count).astype(np.int32))
    return table, ids, fnp.asarray(rng.normal(size=(count, width)).astype(np.float32))


def results(f: Any, *args: Any) -> list[Any]:
    """By three numbers of threads, and by the loops as Python."""
    found: list[Any] = []
    threads = fg.config.num_threads
    try:
        for count in (1, 2, 4):
            fg.config.update("num_threads", count)
            found.append(fg.jit(f)(*args))
        fg.config.update("lowering", "python")
        found.append(fg.jit(f)(*args))
    finally:
        fg.config.update("num_threads", threads)
        fg.config.update("lowering", "fast")
    return found


def chunks(f: Any, *args: Any) -> list[int]:
    steps = fg.jit(f).lower(*args).stages.block.steps
    kernels = [s.kernel for s in steps if isinstance(s, Launch)]
    return [-(-k.extent // k.grain) for k in kernels]


@pytest.mark.parametrize("width", [128, 127, 100, 72])
@pytest.mark.parametrize("op", ["add", "set", "multiply", "min", "max"])
def test_scatters_of_rows_are_shared_by_columns(op: str, width: int) -> None:
    args = operands(200, width, 1500)

    def f(t: Any, ids: Any, u: Any) -> Any:
        return getattr(t.at[ids], op)(u * 2)

    assert max(chunks(f, *args)) > 1
    first, *others = results(f, *args)
    for other in others:
        np.testing.assert_array_equal(first, other)
    np.testing.assert_allclose(first, f(*args), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("width", [7, 31])
def test_narrow_rows_are_not_shared(width: int) -> None:
    args = operands(2000, width, 3000)

    def f(t: Any, ids: Any, u: Any) -> Any:
        return t.at[ids].add(u)

    np.testing.assert_allclose(fg.jit(f)(*args), f(*args), rtol=1e-4, atol=1e-5)


def test_rows_of_several_axes_are_shared_too() -> None:
    table, ids, u = operands(200, 96, 1500)
    args = table.reshape(200, 3, 32), ids, u.reshape(1500, 3, 32)

    def f(t: Any, ids: Any, u: Any) -> Any:
        return t.at[ids].add(u)

    assert max(chunks(f, *args)) > 1
    first, *others = results(f, *args)
    for other in others:
        np.testing.assert_array_equal(first, other)
    np.testing.assert_allclose(first, f(*args), rtol=1e-4, atol=1e-5)


def test_windows_that_overlap_are_not_shared() -> None:
    """Column 1 of one window may be column 0 of the next: their updates come in order."""
    rng = np.random.default_rng(6)
    starts = fnp.asarray(rng.integers(0, 300, 2000).astype(np.int32))
    u = fnp.asarray(rng.normal(size=(2000, 64)).astype(np.float32))

    def f(x: Any, starts: Any, u: Any) -> Any:
        return x.at[starts[:, None] + fnp.arange(64)].add(u)

    args = fnp.zeros(400, np.float32), starts, u
    first, *others = results(f, *args)
    for other in others:
        np.testing.assert_array_equal(first, other)
    expected = np.zeros(400)
    np.add.at(expected, np.asarray(starts)[:, None] + np.arange(64), np.asarray(u))
    np.testing.assert_allclose(first, expected, rtol=1e-3, atol=1e-3)


def test_what_a_large_scatter_starts_as_is_a_kernel_of_its_own() -> None:
    args = operands(20_000, 64, 500)

    def f(t: Any, ids: Any, u: Any) -> Any:
        return fnp.zeros_like(t).at[ids].add(fnp.ones_like(u) * u)

    *_, base, updates = (s.kernel for s in fg.jit(f).lower(*args).stages.block.steps)
    assert base.name == f"{updates.name}_base"
    assert -(-base.extent // base.grain) > 1
    # The product by 1 is read from where the updates are.
    assert len(updates.params) == 3
    first, *others = results(f, *args)
    for other in others:
        np.testing.assert_array_equal(first, other)
    np.testing.assert_allclose(first, f(*args), rtol=1e-4, atol=1e-5)


def summed(update: Any) -> Any:
    def f(x: Any, a: Any, b: Any) -> Any:
        return fnp.zeros_like(x).at[b].add(update(x, a, b))

    return f


@pytest.mark.parametrize(
    ("update", "kernels"),
    [
        (lambda x, a, b: a.astype(x.dtype) + 1, 1),
        (lambda x, a, b: 3 * fnp.where(a > 5, 1.0, -1.0), 1),
        (lambda x, a, b: fnp.tanh(x[a] - x[b]), 2),
        (lambda x, a, b: fnp.exp(x[a]) * 2 + fnp.float32(1), 2),
    ],
    ids=["cheap", "choice", "tanh", "exp"],
)
def test_costly_updates_are_computed_before_they_are_done_singly(update: Any, kernels: int) -> None:
    rng = np.random.default_rng(3)
    x = fnp.asarray(rng.normal(size=500).astype(np.float32))
    a, b = (fnp.asarray(i) for i in rng.integers(-520, 520, (2, 30_000)).astype(np.int32))
    f = summed(update)
    # The first is what the updates start from.
    assert len(chunks(f, x, a, b)) == kernels
    first, *others = results(f, x, a, b)
    for other in others:
        np.testing.assert_array_equal(first, other)
    np.testing.assert_allclose(first, f(x, a, b), rtol=1e-3, atol=1e-4)


def picked(x: Any, labels: Any, mode: Any = None) -> Any:
    found = fnp.take_along_axis(fg.nn.log_softmax(x), labels[:, None], 1, mode=mode)
    return -fnp.mean(fnp.where(fnp.isnan(found), 0, found))


def test_the_gradient_by_one_element_of_each_row_is_one_kernel() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(600, 70)).astype(np.float32)
    labels = rng.integers(-75, 75, 600).astype(np.int32)
    for mode in (None, "clip", "fill"):

        def f(x: Any, labels: Any, mode: Any = mode) -> Any:
            return fg.grad(lambda x: picked(x, labels, mode))(x)

        large = [
            s.kernel
            for s in fg.jit(f).lower(x, labels).stages.block.steps
            if isinstance(s, Launch) and any(b.size == x.size for b in s.kernel.params)
        ]
        assert len(large) == 1
        first, *others, loops = results(f, x, labels)
        for other in others:
            np.testing.assert_array_equal(first, other)
        # Sums of rows are folded in another order where the loops run as Python.
        np.testing.assert_allclose(first, loops, rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(first, f(x, labels), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("op", ["set", "add", "multiply", "min", "max"])
def test_each_row_may_have_an_update_of_its_own(op: str) -> None:
    rng = np.random.default_rng(5)
    x, u = (rng.normal(size=s).astype(np.float32) for s in ((9, 30), (9,)))
    at = rng.integers(-35, 35, 9).astype(np.int32)

    def f(x: Any, at: Any, u: Any) -> Any:
        return fg.vmap(lambda x, i, u: getattr(fnp.sin(x).at[i], op)(u))(x, at, u) * 2

    assert len(chunks(f, x, at, u)) == 1
    first, *others = results(f, x, at, u)
    for other in others:
        np.testing.assert_array_equal(first, other)
    np.testing.assert_allclose(first, f(x, at, u), rtol=1e-5)


def test_costly_updates_of_rows_stay_within_the_scatter() -> None:
    args = operands(200, 32, 1500)

    def f(t: Any, ids: Any, u: Any) -> Any:
        return t.at[ids].add(fnp.tanh(u))

    steps = fg.jit(f).lower(*args).stages.block.steps
    assert not any(b.shape == (1500, 32) for s in steps for b in s.kernel.written)
    np.testing.assert_allclose(fg.jit(f)(*args), f(*args), rtol=1e-4, atol=1e-5)


def test_sums_of_all_beside_stores_are_divided() -> None:
    args = operands(3000, 64, 4000)

    def f(t: Any, ids: Any, u: Any) -> Any:
        rows = t[ids]
        return fnp.sum(rows * u), rows * 3, fnp.max(rows - u)

    assert max(chunks(f, *args)) > 1
    first, *others, plain = results(f, *args)
    for other in others:
        fg.tree.map(np.testing.assert_array_equal, first, other)
    fg.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3), first, plain)
    for a, b in zip(first, f(*args), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)


def test_sums_that_others_wait_for_stay_whole() -> None:
    (table, _, _) = operands(600, 64, 10)

    def f(t: Any) -> Any:
        total = fnp.sum(t)
        return total, t / total, fnp.sum(t - total)

    first, *others, plain = results(f, table)
    for other in others:
        fg.tree.map(np.testing.assert_array_equal, first, other)
    fg.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-2), first, plain)
    for a, b in zip(first, f(table), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


# Many updates of few elements.

SENSES = {
    "add": (np.int32, np.uint8, np.int16),
    "multiply": (np.int32,),
    "min": (np.float32, np.int32),
    "max": (np.float32, np.uint8),
}
CASES = [(op, dtype) for op, dtypes in SENSES.items() for dtype in dtypes]


def segments(op: str, dtype: Any) -> Any:
    """Updates of 300 elements that start as what changes nothing."""
    ends = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else None
    low, high = (ends.min, ends.max) if ends else (-np.inf, np.inf)
    start = {"add": 0, "multiply": 1, "min": high, "max": low}[op]

    def f(i: Any, x: Any) -> Any:
        return getattr(fnp.full((3, 100), start, dtype).at[i // 100, i % 100], op)(x, mode="drop")

    return f, start


@pytest.mark.parametrize(("op", "dtype"), CASES)
def test_chunks_of_many_updates_of_few_elements_have_tables_of_their_own(op, dtype) -> None:
    rng = np.random.default_rng(5)
    count = (1 << 17) + 77
    i = rng.integers(0, 310, count).astype(np.int32)  # some are out of bounds
    x = rng.integers(0, 5, count).astype(dtype)
    if np.issubdtype(dtype, np.floating):
        x = np.where(rng.random(count) < 0.5, -0.0, x).astype(dtype)
        x[i == 7], x[77] = 0.0, np.nan
    f, start = segments(op, dtype)
    assert max(chunks(f, i, x)) > 1
    want = np.full(310, start, dtype)
    same = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}[op]
    with np.errstate(invalid="ignore"):
        same.at(want, i, x)
    found = [np.asarray(y) for y in results(f, i, x)]
    np.testing.assert_array_equal(found[0].ravel(), want[:300])
    assert len({y.tobytes() for y in found}) == 1


def test_sums_of_floats_and_scatters_onto_values_stay_in_order() -> None:
    i = np.zeros(1 << 17, np.int32)
    x = np.ones(1 << 17, np.float32)
    assert max(chunks(lambda i, x: fnp.zeros(300).at[i].add(x), i, x)) == 1
    assert max(chunks(lambda i, x, y: y.at[i].max(x), i, x, np.ones(300, np.float32))) == 1
    assert max(chunks(lambda i, x: fnp.zeros(300).at[i].max(x), i, x)) == 1
    few = 1 << 15
    assert max(chunks(lambda i, x: fg.ops.segment_max(x, i, 300), i[:few], x[:few])) == 1
