"""The figures that the examples of looking into networks state."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp


@pytest.mark.slow
def test_salient_pixels_matter_and_dreams_convince(load, tmp_path, capsys):
    shares, sure = load("what_a_network_sees").main(150, 0, tmp_path, held_out=100)
    assert shares["as they are"] > 0.88
    assert shares["gradient"] < shares["random"] - 0.1
    assert shares["smooth"] < shares["random"] - 0.2
    assert shares["guided"] < shares["as they are"] - 0.05
    assert sure.shape == (10,) and sure.min() > 0.95
    assert "accuracy on 100 images with 30 of 784 pixels turned" in capsys.readouterr().out
    for name in ("features", "saliency", "dreams"):
        assert (tmp_path / f"sees-{name}.png").stat().st_size > 10_000


def test_guided_gradients_pass_where_both_are_positive(load):
    relu = load("what_a_network_sees").guided_relu
    weights = np.array([1.0, -1.0, 1.0, -1.0], np.float32)
    slope = fg.grad(lambda x: fnp.sum(weights * relu(x)))(np.array([2.0, 2.0, -2.0, -2.0], "f4"))
    np.testing.assert_array_equal(slope, [1, 0, 0, 0])


def test_the_pixels_turned_are_those_of_largest_value(load):
    sees = load("what_a_network_sees")
    rng = np.random.default_rng(0)
    images, maps = rng.uniform(size=(2, 3, 28, 28, 1)).astype(np.float32)
    changed = np.asarray(sees.turned(images, maps))
    for before, after, values in zip(images, changed, maps, strict=True):
        chosen = np.argsort(values.ravel())[-sees.TURNED :]
        expected = before.ravel().copy()
        expected[chosen] = 1 - expected[chosen]
        np.testing.assert_allclose(after.ravel(), expected)


@pytest.mark.slow
def test_style_is_taken_over_and_content_kept(load, tmp_path, capsys):
    losses = load("style_transfer").main(80, 0, tmp_path, height=64)
    np.testing.assert_allclose(losses["content"], [0, 1], atol=1e-5)
    np.testing.assert_allclose(losses["style"], [1, 0], atol=1e-5)
    content, style = losses["painted"]
    assert content < 0.5
    assert style < 0.1
    assert "painted" in capsys.readouterr().out
    assert (tmp_path / "style_transfer.png").stat().st_size > 10_000
