"""The figures that the examples of derivatives and descent state."""

import inspect

import numpy as np
import pytest

from funcgrad import optim


def test_gradients_of_a_cnn_agree_with_the_formulas(load, capsys):
    gaps = load("gradients_of_a_cnn").main()
    assert len(gaps) == 10
    assert max(gaps.values()) < 1e-13
    assert "x, transposed conv" in capsys.readouterr().out


def test_feature_scaling_finds_the_coefficients(load, capsys):
    raw, scaled = load("feature_scaling").main()
    np.testing.assert_allclose(scaled, [3, 7, -2600], rtol=1e-6)
    # Without it the wide feature is there at once and the others are hardly begun.
    np.testing.assert_allclose(raw[2], -13, atol=0.1)
    assert abs(raw[0] - 3) > 1
    assert abs(raw[1] - 7) > 1
    assert "with scaling" in capsys.readouterr().out


def test_descent_paths_end_where_they_say(load, tmp_path):
    losses = load("descent_paths").main(tmp_path)
    assert 1e-9 < losses["gradient descent"] < 1e-7
    assert 1e-59 < losses["momentum 0.7"] < 1e-55
    assert losses["Newton"] < 1e-25
    # Both leave the saddle, where the function has no least value.
    assert losses["SGD"] < -10
    assert losses["Adagrad"] < -10
    assert (tmp_path / "descent_paths.png").stat().st_size > 10_000


def is_optimizer(name):
    """Whether a name of `optim` is a whole optimizer and not a part of one."""
    f = getattr(optim, name)
    if not inspect.isfunction(f) or name.startswith("scale_by"):
        return False
    takes = set(inspect.signature(f).parameters)
    return bool({"learning_rate", "max_learning_rate"} & takes) and "base_optimizer" not in takes


@pytest.mark.slow
def test_every_optimizer_comes_down_the_bent_valley(load, tmp_path):
    paths = load("descent_paths")
    losses = paths.every(tmp_path)
    assert set(filter(is_optimizer, dir(optim))) == {name.split(",")[0] for name in losses}
    start = float(paths.bent(np.array([-1.5, 2.0])))
    assert start == pytest.approx(6.5)
    assert max(losses.values()) < 0.1 * start
    exact = ("lbfgs", "newton", "gauss_newton", "natural_gradient")
    assert max(losses[name] for name in exact) < 1e-15
    assert losses["sgd, momentum"] < losses["sgd"] / 100
    assert (tmp_path / "descent_of_each.png").stat().st_size > 10_000


def test_both_modes_step_by_step(load, tmp_path, capsys):
    modes = load("forward_vs_reverse")
    by_tangents, by_adjoints, rows, at = modes.main(tmp_path, shapes=((2, 512), (32, 32), (512, 2)))
    np.testing.assert_allclose(by_tangents, [5.5, 2 - np.cos(5)], rtol=1e-14)
    np.testing.assert_allclose(by_adjoints, by_tangents, rtol=1e-14)
    # Two passes against 512.
    assert rows[0][2] < rows[0][3] and rows[-1][2] > rows[-1][3]
    assert 1 / 256 < at < 256
    printed = capsys.readouterr().out
    assert "d  mul a b      10.0000    5.0000" in printed
    assert "a      5.5000   5.0000 through d + 0.5000 through c" in printed
    assert (tmp_path / "forward_vs_reverse.png").stat().st_size > 10_000
