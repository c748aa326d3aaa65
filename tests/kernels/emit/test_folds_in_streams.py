"""Folds that read several streams: what they give does not depend on how many."""

from __future__ import annotations

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import numpy as fnp
from funcgrad.config import config

WIDE = 4099


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((301, WIDE)).astype(np.float32)


FOLDS = {
    "sum": (lambda x: x.sum(1), lambda x: x.sum(1)),
    "greatest": (lambda x: x.max(1), lambda x: x.max(1)),
    "sum and greatest": (
        lambda x: x.sum(1) + x.max(1),
        lambda x: x.sum(1) + x.max(1),
    ),
    "scaled by its row": (
        lambda x: (x * x).sum(1) * fnp.arange(x.shape[0]),
        lambda x: (x * x).sum(1) * np.arange(x.shape[0]),
    ),
}


@pytest.mark.parametrize("name", FOLDS)
def test_rows_in_pairs_are_what_each_is_alone(table: np.ndarray, name: str) -> None:
    ours, theirs = FOLDS[name]
    found = np.asarray(fg.jit(ours)(table))
    assert np.allclose(found, theirs(table.astype(np.float64)), rtol=1e-5, atol=1e-2)


def test_a_row_gives_the_same_bits_wherever_it_is(table: np.ndarray) -> None:
    # Of an odd number the last row is in no pair.
    total = fg.jit(lambda x: x.sum(1))
    there, back = np.asarray(total(table)), np.asarray(total(table[::-1].copy()))
    assert np.array_equal(there, back[::-1])


@pytest.mark.parametrize("size", [1 << 21, (1 << 21) + 1, 1_999_999, 2_000_037])
def test_parts_of_a_long_fold_are_all_there_once(size: int) -> None:
    x = np.ones(size, np.int32)
    x[[0, size // 2, size - 1]] = (5, 7, 11)
    assert int(fg.jit(fnp.sum)(x)) == size + 20
    total, least = fg.jit(lambda x: (x.sum(), x.min()))(-x)
    assert (int(total), int(least)) == (-size - 20, -11)


def test_parts_of_a_long_fold_do_not_depend_on_threads() -> None:
    x = np.random.default_rng(1).standard_normal(1_500_001).astype(np.float32)
    found: set[bytes] = set()
    before = config.num_threads
    try:
        for threads in (1, 2, 3):
            config.update("num_threads", threads)
            found.add(np.asarray(fg.jit(fnp.sum)(x)).tobytes())
    finally:
        config.update("num_threads", before)
    assert len(found) == 1


@pytest.mark.parametrize("shape", [(127, 783, 255), (64, 1, 100_003), (40, 5, 9)])
def test_large_partial_results_are_joined_in_order(shape: tuple[int, ...]) -> None:
    # Sums of outer products that are also squared, row by row, are kept by chunk.
    n, rows, columns = shape
    rng = np.random.default_rng(2)
    left, right = rng.standard_normal((n, rows)), rng.standard_normal((n, columns))

    def clipped(x, y):
        outer = x[:, :, None] * y[:, None, :]
        scale = fnp.minimum(1.0, 100.0 / fnp.sqrt((outer * outer).sum((1, 2))))
        return fnp.tensordot(scale, outer, 1)

    x, y = left.astype(np.float32), right.astype(np.float32)
    size = np.sqrt((left**2).sum(1) * (right**2).sum(1))
    want = np.einsum("n,ni,nj->ij", np.minimum(1.0, 100.0 / size), left, right)
    found: set[bytes] = set()
    before = config.num_threads
    try:
        for threads in (1, 2):
            config.update("num_threads", threads)
            got = np.asarray(fg.jit(clipped)(x, y))
            assert np.abs(got - want).max() < 1e-4 * np.abs(want).max()
            found.add(got.tobytes())
    finally:
        config.update("num_threads", before)
    assert len(found) == 1
