"""What the example of several devices states."""

import numpy as np


def test_both_ways_lose_the_same(load, cpus, capsys):
    losses = np.array(load("data_parallel").main(devices=4, steps=30))
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-4)
    assert losses[-1, 1] < losses[0, 1] / 2
    assert "4 devices" in capsys.readouterr().out
