"""Folds over segments, and images in other sizes, beside JAX and by their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import image, ops

rng = np.random.default_rng(0)
ROWS = rng.normal(size=(9, 2)).astype(np.float32)
IDS = np.array([0, 2, 1, 2, 4, 7, -1, 0, 0], np.int32)
FOLDS = "segment_sum segment_prod segment_min segment_max".split()


@pytest.mark.parametrize("name", FOLDS)
@pytest.mark.parametrize(
    "options", [{}, {"bucket_size": 4}, {"mode": "clip"}, {"indices_are_sorted": False}]
)
@pytest.mark.parametrize("count", [5, 8])
def test_segments_as_in_jax(name: str, options: Any, count: int) -> None:
    theirs = pytest.importorskip("jax.ops")
    for data in (ROWS, (ROWS * 5).astype(np.int32)):
        want = getattr(theirs, name)(data, IDS, num_segments=count, **options)
        got = getattr(ops, name)(data, IDS, num_segments=count, **options)
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("name", FOLDS)
def test_segments_are_transformed(name: str) -> None:
    fold = getattr(ops, name)
    ids = np.abs(IDS)
    want = np.asarray(fold(ROWS, ids))
    assert want.shape == (8, 2)
    np.testing.assert_allclose(fg.jit(lambda d, i: fold(d, i, 8))(ROWS, ids), want, rtol=1e-6)
    mapped = fg.vmap(lambda d: fold(d, ids, 8), 1, 1)(ROWS)
    np.testing.assert_allclose(mapped, want, rtol=1e-6)

    def total(d: Any) -> Any:
        out = fold(d, ids, 8)
        return fnp.where(fnp.isfinite(out), out, 0).sum()

    if name == "segment_prod":
        with pytest.raises(TypeError, match="unique_indices"):
            fg.grad(total)(ROWS)
    else:
        slope = fg.grad(total)(ROWS)
        assert slope.shape == ROWS.shape and np.isfinite(slope).all()
    with pytest.raises(TypeError, match="num_segments"):
        fg.jit(lambda i: fold(ROWS, i))(ids)
    with pytest.raises(ValueError, match="non-negative"):
        fold(ROWS, ids, -1)


METHODS = "nearest linear cubic cubic-pytorch lanczos3 lanczos5 area".split()
PICTURE = rng.uniform(size=(7, 6, 3)).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("shape", [(14, 9, 3), (4, 5, 3), (7, 12, 3), (3, 6, 2)])
def test_resized_as_in_jax(method: str, antialias: bool, shape: tuple[int, ...]) -> None:
    theirs = pytest.importorskip("jax.image")
    want = theirs.resize(PICTURE, shape, method, antialias)
    got = image.resize(PICTURE, shape, method, antialias)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("method", METHODS[1:])
@pytest.mark.parametrize("antialias", [True, False])
def test_scaled_as_in_jax(method: str, antialias: bool) -> None:
    theirs = pytest.importorskip("jax.image")
    scale, shift = np.array([0.6, 1.7], np.float32), np.array([1.5, -2.0], np.float32)
    args = (PICTURE, (8, 8, 3), (0, 1), scale, shift, method, antialias)
    got = image.scale_and_translate(*args)
    np.testing.assert_allclose(got, theirs.scale_and_translate(*args), rtol=2e-4, atol=2e-5)
    if method == "area":
        return

    def total(s: Any, t: Any) -> Any:
        return image.scale_and_translate(PICTURE, (8, 8, 3), (0, 1), s, t, method, antialias).sum()

    for slope in fg.grad(total, (0, 1))(scale, shift):
        assert np.isfinite(slope).all()


def test_images_are_transformed_and_checked() -> None:
    small = fg.jit(lambda x: image.resize(x, (3, 3, 3), "linear"))(PICTURE)
    np.testing.assert_allclose(small, image.resize(PICTURE, (3, 3, 3), "linear"), rtol=1e-5)
    np.testing.assert_allclose(image.resize(np.ones((4, 4)), (7, 3), "cubic"), 1.0, rtol=1e-6)
    assert image.resize(np.arange(6), (3,), "nearest").dtype == np.int32
    assert image.ResizeMethod.from_string("bicubic") is image.ResizeMethod.CUBIC
    with pytest.raises(ValueError, match="Unknown resize method"):
        image.resize(PICTURE, (2, 2, 3), "round")
    with pytest.raises(ValueError, match="number of dimensions"):
        image.resize(PICTURE, (2, 2), "linear")
    with pytest.raises(ValueError, match="nearest"):
        image.scale_and_translate(PICTURE, (2, 2, 3), (0,), np.ones(1), np.ones(1), "nearest")
    with pytest.raises(ValueError, match="one scale"):
        image.scale_and_translate(PICTURE, (2, 2, 3), (0,), np.ones(2), np.ones(1), "linear")
