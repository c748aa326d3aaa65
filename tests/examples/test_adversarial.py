"""The figures that the examples of generators and critics state."""

import numpy as np
import pytest


@pytest.mark.slow
def test_gan_finds_the_moments_of_the_gaussian(load, tmp_path, capsys):
    errors = load("gan_gaussian").main(steps=2000, seed=0, output=tmp_path)
    assert max(errors) < 0.05
    assert "relative errors" in capsys.readouterr().out
    assert (tmp_path / "gan_gaussian.png").stat().st_size > 10_000


@pytest.mark.slow
def test_dcgan_comes_nearer_to_the_digits(load, tmp_path, capsys):
    before, after, counts = load("dcgan").main(100, 0, tmp_path, width=8, batch=32, rate=4e-3)
    assert 240 < before < 270
    # Training of adversaries is chaotic: last bits of a product move the end by a tenth.
    assert after < 0.9 * before
    assert counts.sum() == 1000
    assert "two halves of the real digits are 0." in capsys.readouterr().out
    assert (tmp_path / "dcgan.png").stat().st_size > 50_000


def test_the_distance_of_gaussians_is_that_of_the_formula(load):
    # Along an axis: (m − m')² + (s − s')².
    rng = np.random.default_rng(0)
    a = rng.normal(size=(500, 3))
    a = (a - a.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(a.T))).T
    np.testing.assert_allclose(load("dcgan").distance(a, 3 * a + 1), 3 * (1 + 4), rtol=1e-6)
