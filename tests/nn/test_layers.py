"""Layers, activations and losses: shapes, derivatives, errors."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn, random
from funcgrad.test_util import check_grads

key = random.key(0)
x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)

LAYERS = {
    "dense": (nn.dense(4), (2, 6, 6, 4)),
    "conv": (nn.conv(4, (3, 3)), (2, 6, 6, 4)),
    "conv_valid": (nn.conv(4, (3, 2), (2, 1), "VALID"), (2, 2, 5, 4)),
    "max_pool": (nn.max_pool((2, 2)), (2, 3, 3, 3)),
    "avg_pool": (nn.avg_pool((3, 3), (1, 1), "SAME"), (2, 6, 6, 3)),
    "flatten": (nn.flatten(), (2, 108)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_shapes_and_derivatives(name):
    layer, shape = LAYERS[name]
    params, state = layer.init(key, x)
    assert layer.apply(params, state, x)[0].shape == shape
    if name != "max_pool":
        check_grads(lambda p, x: layer.apply(p, state, x)[0], (params, fnp.asarray(x)), 1)


def test_pools_by_value():
    ones = fnp.ones((1, 4, 4, 1))
    averages, _ = nn.avg_pool((3, 3), (1, 1), "SAME").apply((), (), ones)
    np.testing.assert_allclose(averages, ones)
    ramp = fnp.arange(4.0).reshape(1, 2, 2, 1)
    assert float(nn.max_pool((2, 2)).apply((), (), ramp)[0][0, 0, 0, 0]) == 3


def test_layer_errors():
    with pytest.raises(ValueError, match="conv with a window of 2 axes"):
        nn.conv(4, (3, 3)).init(key, x[0])
    with pytest.raises(ValueError, match="at least two axes"):
        nn.initializers.he_normal()(key, (3,))
    with pytest.raises(ValueError, match="variance_scaling takes a mode"):
        nn.initializers.variance_scaling(1.0, "fan", "normal")


@pytest.mark.parametrize(
    "name", "elu gelu leaky_relu log_sigmoid log_softmax relu sigmoid silu softmax softplus".split()
)
def test_activations(name):
    f = getattr(nn, name)
    check_grads(f, (x[0, 0],), 2)
    far = fnp.array([-100.0, 100.0])
    assert bool(fnp.isfinite(fg.grad(lambda v: f(v).sum())(far)).all())


def test_one_hot():
    found = nn.one_hot(np.array([0, 2, 5]), 3)
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 0, 1], [0, 0, 0]])


def test_losses():
    logits = fnp.asarray(x[0, 0])
    labels = np.array([0, 2, 1, 1, 0, 2])
    by_number = nn.softmax_cross_entropy(logits, labels)
    by_share = nn.softmax_cross_entropy(logits, nn.one_hot(labels, 3))
    np.testing.assert_allclose(by_number, by_share, rtol=1e-5)
    assert by_number.shape == (6,)
    check_grads(lambda v: nn.softmax_cross_entropy(v, labels), (logits,), 2)
    assert bool(fnp.isnan(nn.softmax_cross_entropy(logits, labels + 7)).all())
    with pytest.raises(ValueError, match=r"Give labels of shape \(6,\)"):
        nn.softmax_cross_entropy(logits, labels[:2])
    assert float(nn.accuracy(nn.one_hot(labels, 3), labels)) == 1.0
    np.testing.assert_allclose(nn.squared_error(fnp.ones(2), fnp.zeros(2)), [1, 1])
