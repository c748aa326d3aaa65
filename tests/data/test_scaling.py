"""Scaling against scikit-learn, and random changes of images against loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import data, tree

X = np.random.default_rng(0).normal(3.0, [1.0, 20.0, 0.0, 1e-3], (50, 4)).astype(np.float32)
IMAGES = np.arange(1, 1 + 6 * 4 * 5 * 2).reshape(6, 4, 5, 2).astype(np.float32)
KEY = fg.random.key(1)

SCALERS = [
    ("StandardScaler", {}, data.standardize, {}),
    ("MinMaxScaler", {}, data.min_max, {}),
    ("MinMaxScaler", {"feature_range": (-1, 2)}, data.min_max, {"low": -1, "high": 2}),
]


@pytest.mark.parametrize(("name", "theirs", "fit", "ours"), SCALERS)
def test_scaling_is_that_of_scikit_learn(name: str, theirs: Any, fit: Any, ours: Any) -> None:
    module = pytest.importorskip("sklearn.preprocessing", reason="compares with the peer")
    scaling = fit(X, **ours)
    expected = getattr(module, name)(**theirs).fit_transform(X.astype(np.float64))
    np.testing.assert_allclose(scaling(X), expected, atol=2e-3)
    np.testing.assert_allclose(scaling.inverse(scaling(X)), X, rtol=1e-5)


def test_scaling_is_a_pure_function_and_a_pytree() -> None:
    scaling = data.standardize(X)
    y = np.asarray(fg.jit(lambda s, x: s(x))(scaling, X))
    np.testing.assert_allclose(y[:, :2].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y[:, :2].std(0), 1, atol=1e-5)
    assert (y[:, 2] == 0).all()  # a constant feature
    assert [x.dtype for x in tree.leaves(scaling)] == [np.float32] * 2


def test_images_of_bytes_are_scaled_to_floats() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 3, 2), dtype=np.uint8)
    scaling = data.channel_scaling(images)
    assert scaling.shift.shape == (2,)
    assert scaling(images).dtype == np.float32
    np.testing.assert_allclose(np.asarray(scaling(images)).mean((0, 1, 2)), 0, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_mean_image_is_the_same_in_any_chunks(chunk: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (11, 3, 3, 2), dtype=np.uint8)
    source = data.arrays((images, np.zeros(11)))
    expected = images.mean(0)
    np.testing.assert_allclose(data.mean_image(source, chunk), expected, rtol=1e-6)
    np.testing.assert_allclose(data.mean_image(images), expected, rtol=1e-6)


@pytest.mark.parametrize("jitted", [False, True])
def test_flips_turn_whole_images(jitted: bool) -> None:
    for axis in (1, 2):

        def flip(key: Any, x: Any, axis: int = axis) -> Any:
            return data.random_flip(key, x, axis=axis)

        out = np.asarray((fg.jit(flip) if jitted else flip)(KEY, IMAGES))
        turned = np.flip(IMAGES, axis)
        kinds = [
            (np.array_equal(o, i), np.array_equal(o, t))
            for o, i, t in zip(out, IMAGES, turned, strict=True)
        ]
        assert set(kinds) == {(True, False), (False, True)}


def test_flips_are_as_probable_as_told() -> None:
    images = np.broadcast_to(np.arange(2.0).reshape(1, 1, 2, 1), (4000, 1, 2, 1))
    share = np.asarray(data.random_flip(KEY, images, probability=0.2))[:, 0, 0, 0].mean()
    assert abs(share - 0.2) < 5 * np.sqrt(0.16 / 4000)


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("padding", [0, 2])
def test_crops_are_windows_at_every_place(jitted: bool, padding: int) -> None:
    def crop(key: Any, x: Any) -> Any:
        return data.random_crop(key, x, (3, 2), padding=padding)

    many = np.tile(IMAGES[:1], (600, 1, 1, 1))
    out = np.asarray((fg.jit(crop) if jitted else crop)(KEY, many))
    padded = np.pad(IMAGES[0], ((padding, padding), (padding, padding), (0, 0)))
    rows, columns = 4 + 2 * padding - 2, 5 + 2 * padding - 1
    windows = {padded[i : i + 3, j : j + 2].tobytes() for i in range(rows) for j in range(columns)}
    assert {x.tobytes() for x in out} == windows


def test_shifts_are_crops_of_padded_images() -> None:
    out = np.asarray(data.random_shift(KEY, IMAGES, 1))
    assert out.shape == IMAGES.shape
    same = data.random_crop(KEY, IMAGES, (4, 5), padding=1)
    np.testing.assert_array_equal(out, same)
    np.testing.assert_array_equal(data.random_shift(KEY, IMAGES, 0), IMAGES)
    assert data.random_shift(KEY, IMAGES.astype(np.uint8), 1).dtype == np.uint8


def test_center_crop() -> None:
    np.testing.assert_array_equal(data.center_crop(IMAGES, (2, 3)), IMAGES[:, 1:3, 1:4])


BAD = [
    (lambda: data.random_flip(KEY, IMAGES[0]), r"\[n, h, w, c\]"),
    (lambda: data.random_flip(KEY, IMAGES, axis=0), "axis 0"),
    (lambda: data.random_crop(KEY, IMAGES, (5, 5)), r"window \(5, 5\) does not fit into \(4, 5\)"),
    (lambda: data.center_crop(IMAGES, (4, 6)), "does not fit"),
    (lambda: data.random_shift(KEY, IMAGES, -1), "most=-1"),
    (lambda: data.standardize(np.zeros((0, 3))), "no data"),
    (lambda: data.min_max(X, 1, 1), "low=1 is not below"),
]


@pytest.mark.parametrize(("call", "text"), BAD)
def test_bad_input_is_refused(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
