"""The figures that the examples of derivatives and descent state."""

import importlib.util
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_gradients_of_a_cnn_agree_with_the_formulas(capsys):
    gaps = load("gradients_of_a_cnn").main()
    assert len(gaps) == 10
    assert max(gaps.values()) < 1e-13
    assert "x, transposed conv" in capsys.readouterr().out


def test_feature_scaling_finds_the_coefficients(capsys):
    raw, scaled = load("feature_scaling").main()
    np.testing.assert_allclose(scaled, [3, 7, -2600], rtol=1e-6)
    # Without it the wide feature is there at once and the others are hardly begun.
    np.testing.assert_allclose(raw[2], -13, atol=0.1)
    assert abs(raw[0] - 3) > 1
    assert abs(raw[1] - 7) > 1
    assert "with scaling" in capsys.readouterr().out


def test_descent_paths_end_where_they_say(tmp_path):
    losses = load("descent_paths").main(tmp_path)
    assert 1e-9 < losses["gradient descent"] < 1e-7
    assert 1e-59 < losses["momentum 0.7"] < 1e-55
    assert losses["Newton"] < 1e-25
    # Both leave the saddle, where the function has no least value.
    assert losses["SGD"] < -10
    assert losses["Adagrad"] < -10
    assert (tmp_path / "descent_paths.png").stat().st_size > 10_000
