"""The figures that the examples of generators and critics state."""

import pytest


@pytest.mark.slow
def test_gan_finds_the_moments_of_the_gaussian(load, tmp_path, capsys):
    errors = load("gan_gaussian").main(steps=2000, seed=0, output=tmp_path)
    assert max(errors) < 0.05
    assert "relative errors" in capsys.readouterr().out
    assert (tmp_path / "gan_gaussian.png").stat().st_size > 10_000
