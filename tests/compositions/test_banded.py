"""Tridiagonal systems by elimination, beside LAPACK's and beside dense matrices."""

import numpy as np
import pytest

from .running import both

DRAW = np.random.default_rng(11)
SHAPES = [((7,), 2), ((3, 5), 1), ((1,), 2), ((2,), 1), ((2, 3, 40), 3), ((300,), 1)]


def drawn(shape, count, dtype):
    made = [DRAW.normal(size=s) for s in (shape, shape, shape, (*shape, count))]
    if np.dtype(dtype).kind == "c":
        made = [x + 1j * DRAW.normal(size=x.shape) for x in made]
    return [x.astype(dtype) for x in made]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize(("shape", "count"), SHAPES, ids=str)
def test_solutions(shape, count, dtype):
    lower, middle, upper, b = drawn(shape, count, dtype)
    (found,), (wanted,) = both("tridiagonal_solve", lower, middle, upper, b, perturb_singular=False)
    n, wide = shape[-1], np.result_type(dtype, np.float64)
    whole = np.zeros((*shape, n), wide)
    place = np.arange(n)
    whole[..., place, place] = middle
    whole[..., place[1:], place[:-1]] = lower[..., 1:]
    whole[..., place[:-1], place[1:]] = upper[..., :-1]
    size = np.abs(whole).sum((-2, -1)).max() * np.abs(found).max()
    bound = 4 * n * np.finfo(dtype).eps
    assert np.abs(whole @ found.astype(wide) - b).max() <= bound * size
    assert np.abs(whole @ wanted.astype(wide) - b).max() <= bound * size


SINGULAR = [np.zeros(4), np.array([1.0, 0, 0, 2]), np.ones(4), np.ones((4, 1))]


@pytest.mark.parametrize("args", [SINGULAR, [np.zeros((2, 3))] * 3 + [np.ones((2, 3, 1))]])
@pytest.mark.parametrize("perturbed", [False, True])
def test_singular_matrices(args, perturbed):
    (found,), (wanted,) = both("tridiagonal_solve", *args, perturb_singular=perturbed)
    np.testing.assert_allclose(found, wanted, 1e-12)
    assert np.isfinite(found).all() == perturbed
    # One of a batch is singular, its neighbour is not.
    regular = [np.zeros(4), np.ones(4), np.zeros(4), np.ones((4, 1))]
    batch = [np.stack([x, y]) for x, y in zip(SINGULAR, regular, strict=True)]
    (found,), (wanted,) = both("tridiagonal_solve", *batch, perturb_singular=perturbed)
    np.testing.assert_allclose(found, wanted, 1e-12)
