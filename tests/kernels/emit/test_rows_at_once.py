"""Folds of several rows at once: what a row gives does not depend on its neighbours."""

from __future__ import annotations

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import numpy as fnp
from funcgrad.config import config
from funcgrad.ir.loops import Affine, Apply, Axis, Load, axis_index
from funcgrad.ir.nests import Acc, Accumulate, Buffer, For, Store
from funcgrad.kernels.emit.llvm_streams import ADDED, rows_at_once

F32 = np.dtype(np.float32)

# By the vector: rows that share it; of the vector: rows that are added to one.
WORKS = {
    "by": (lambda x, v, w: x @ v, lambda x, v, w: x @ v),
    "of": (lambda x, v, w: w @ x, lambda x, v, w: w @ x),
    "sum": (lambda x, v, w: x.sum(0), lambda x, v, w: x.sum(0)),
    "greatest": (lambda x, v, w: x.max(0), lambda x, v, w: x.max(0)),
    "distances": (
        lambda x, v, w: fnp.abs(x - v).sum(1) * w,
        lambda x, v, w: np.abs(x - v).sum(1) * w,
    ),
    "greatest of products": (
        lambda x, v, w: (x * v).max(1),
        lambda x, v, w: (x * v).max(1),
    ),
}
SHAPES = [(1, 64), (2, 65), (3, 1), (4, 64), (5, 63), (7, 1000), (64, 999), (130, 257), (523, 1003)]


def drawn(shape: tuple[int, int], dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(shape)
    sizes = (shape, shape[1:], shape[:1])
    least = 0 if dtype[0] == "u" else -3
    return [rng.integers(least, 4, size).astype(dtype) for size in sizes]


@pytest.mark.parametrize("dtype", ["float32", "int32", "int16", "float16", "uint8"])
@pytest.mark.parametrize("shape", [*SHAPES, (0, 5), (5, 0)], ids=str)
def test_rows_of_whole_numbers_give_what_numpy_gives(shape, dtype) -> None:
    if dtype == "float16" and max(shape) > 200:
        pytest.skip("sums of so many are beyond the whole numbers of float16")
    given = drawn(shape, dtype)
    wide = [a.astype(np.int64) for a in given]
    for name, (ours, theirs) in WORKS.items():
        if "greatest" in name and 0 in shape:
            continue  # there is none
        if name == "distances" and dtype == "uint8":
            continue  # differences below zero wrap
        got = np.asarray(fg.jit(ours)(*given))
        np.testing.assert_array_equal(got, theirs(*wide).astype(got.dtype), err_msg=name)


@pytest.mark.parametrize("name", WORKS)
def test_bits_are_those_of_any_number_of_threads(name) -> None:
    x, v, w = (a.astype(np.float32) / 7 for a in drawn((1021, 1003), "float32"))
    work, found, before = WORKS[name][0], set[bytes](), config.num_threads
    try:
        for threads in (1, 2, 3, 4):
            config.update("num_threads", threads)
            found.add(np.asarray(fg.jit(work)(x, v, w)).tobytes())
    finally:
        config.update("num_threads", before)
    assert len(found) == 1


@pytest.mark.parametrize("columns", [64, 100, 1000])
def test_a_row_gives_the_same_bits_wherever_it_is(columns) -> None:
    x, v, _ = (a.astype(np.float32) / 7 for a in drawn((11, columns), "float32"))
    times = fg.jit(lambda x, v: (x * v).sum(1))
    there, back = np.asarray(times(x, v)), np.asarray(times(x[::-1].copy(), v))
    np.testing.assert_array_equal(there, back[::-1])


def test_what_is_no_number_stays_in_its_row_and_column() -> None:
    x, v, w = (a.astype(np.float32) for a in drawn((14, 130), "float32"))
    x[5, 77] = np.nan
    x[9, 129] = np.inf
    rows, columns = fg.jit(lambda x, v: x @ v)(x, v), fg.jit(lambda x, w: w @ x)(x, w)
    assert np.flatnonzero(~np.isfinite(rows)).tolist() == [5, 9]
    assert np.flatnonzero(~np.isfinite(columns)).tolist() == [77, 129]


def rows(*, extent: int = 9, columns: int = 64, shared: bool = True) -> For:
    """Rows that are multiplied with one row, or each with one of its own, and added up."""
    x, y, out = (
        Buffer((extent, columns), F32, "x"),
        Buffer((extent, columns), F32, "y"),
        Buffer((extent,), F32, "out"),
    )
    i, j = Axis(extent, "i"), Axis(columns, "j")
    at = (axis_index(i), axis_index(j))
    other = (Affine(0), axis_index(j)) if shared else at
    acc = Acc("add", F32, "acc")
    value = Apply("mul", (Load(x, at, F32, None), Load(y, other, F32, None)), F32)
    inner = For(j, [Accumulate(acc, value)], [acc], vector=True)
    return For(i, [inner, Store(out, (axis_index(i),), acc)])


def columns_of(op: str = "add", dtype: np.dtype = F32, source: Buffer | None = None) -> For:
    """Rows that are added to one."""
    out = Buffer((100,), dtype, "out")
    x = source or Buffer((9, 100), dtype, "x")
    i, j = Axis(9, "i"), Axis(100, "j")
    value = Load(x, (axis_index(i), axis_index(j)), dtype, None)
    return For(i, [For(j, [Store(out, (axis_index(j),), value, op)], vector=True)])


def test_which_loops_are_done_several_turns_at_once() -> None:
    def count(loop: For) -> int:
        found = rows_at_once(loop, 4)
        return 1 if found is None else found[-1]

    assert count(rows()) == 4
    assert count(rows(extent=3)) == 1
    assert count(rows(columns=63)) == 1
    assert count(rows(shared=False)) == 1  # small: it comes from a cache
    assert count(rows(extent=2000, columns=1024, shared=False)) == 2
    assert count(columns_of()) == count(columns_of("max")) == ADDED
    assert count(columns_of(dtype=np.dtype(np.float16))) == 1  # each sum is rounded
    assert count(columns_of("")) == 1


def test_rows_that_are_added_read_and_write_the_sum_once() -> None:
    found = rows_at_once(columns_of(), 4)
    assert found is not None
    ((body,), _, _, turns) = found
    assert isinstance(body, For)
    (store,) = body.body
    assert isinstance(store, Store)
    assert (turns, store.combine) == (ADDED, "")
