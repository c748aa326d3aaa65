"""Initializers: the values of jax.nn.initializers for the same key, and PyTorch's bounds."""

import math

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import nn, random
from funcgrad.nn import initializers

AXES = "{f}(in_axis=(0, 1), out_axis=2, batch_axis=3)"
CALLS = {
    "zeros": "zeros",
    "ones": "ones",
    "constant": "constant(2.5)",
    "constant array": "constant(np.arange(5.0), np.float32)",
    "uniform": "uniform(3.0)",
    "normal": "normal(0.5)",
    "truncated_normal": "truncated_normal(2.0, None, -1.0, 3.0)",
    "orthogonal": "orthogonal(2.0)",
    "orthogonal axis": "orthogonal(column_axis=1)",
    "delta_orthogonal": "delta_orthogonal()",
    **{
        f"{mode} {kind}": f"variance_scaling(1.7, {mode!r}, {kind!r})"
        for mode in ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
        for kind in ("normal", "truncated_normal", "uniform")
    },
    "complex uniform": "variance_scaling(1.0, 'fan_in', 'uniform', dtype=np.complex64)",
    "complex normal": "variance_scaling(1.0, 'fan_in', 'normal', dtype=np.complex64)",
    "complex cut": "variance_scaling(1.0, 'fan_in', 'truncated_normal', dtype=np.complex64)",
    **{
        f"{name}{'' if form == '{f}()' else ' axes'}": form.format(f=name)
        for form in ("{f}()", AXES)
        for name in "glorot_normal glorot_uniform he_normal he_uniform kaiming_normal "
        "kaiming_uniform lecun_normal lecun_uniform xavier_normal xavier_uniform".split()
    },
}


def build(name, initializers):
    return eval(CALLS[name], {"np": np, **vars(initializers)})


@pytest.mark.parametrize("name", CALLS)
def test_values_are_those_of_jax(name):
    jax = pytest.importorskip("jax", reason="a differential test needs the peer: funcgrad[bench]")
    shape = (3, 2, 4, 5)
    ours = build(name, initializers)(random.key(3), shape)
    theirs = build(name, jax.nn.initializers)(jax.random.key(3), shape)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", CALLS)
def test_dtypes_and_transforms(name):
    with fg.enable_x64(True):
        init, keys = build(name, initializers), random.split(random.key(0), 3)
        wide = np.complex128 if "complex" in name else np.float64
        many = fg.jit(fg.vmap(lambda k: init(k, (2, 4, 4, 5), wide)))(keys)
        assert many.dtype == wide
        one = init(keys[1], (2, 4, 4, 5), wide)
        np.testing.assert_allclose(many[1], one, rtol=1e-9, atol=1e-12)


def test_orthogonal_is():
    q = initializers.orthogonal()(random.key(0), (3, 2, 4))
    rows = np.reshape(q, (6, 4))
    np.testing.assert_allclose(rows.T @ rows, np.eye(4), atol=1e-6)
    assert initializers.orthogonal()(random.key(0), (0, 4)).shape == (0, 4)


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in"),
    [
        (lambda **how: nn.dense(7, **how), (2, 200), 200),
        (lambda **how: nn.conv(8, (3, 3), **how), (2, 5, 5, 20), 180),
        (lambda **how: nn.conv(8, (3, 3), groups=4, **how), (2, 5, 5, 20), 45),
    ],
)
def test_defaults_of_pytorch(layer, shape, fan_in):
    how = {"weight_init": initializers.torch_weight(), "bias_init": initializers.torch_bias()}
    params, _ = layer(**how).init(random.key(0), fg.ShapeDtypeStruct(shape, np.float32))
    bound = 1 / math.sqrt(fan_in)
    for value in params.values():
        assert 0.5 * bound < np.abs(value).max() <= bound
    assert abs(np.var(params["weight"]) - bound**2 / 3) < 0.15 * bound**2 / 3


def test_errors():
    with pytest.raises(ValueError, match=r"at least two axes.*\(3,\)"):
        initializers.he_normal()(random.key(0), (3,))
    with pytest.raises(ValueError, match="variance_scaling takes a mode"):
        initializers.variance_scaling(1.0, "fan", "normal")
    with pytest.raises(ValueError, match="orthogonal needs a shape"):
        initializers.orthogonal()(random.key(0), (3,))
    with pytest.raises(ValueError, match="delta_orthogonal needs"):
        initializers.delta_orthogonal()(random.key(0), (3, 5, 4))
    with pytest.raises(TypeError, match=r"random\.key"):
        initializers.normal()(np.zeros(3, np.float32), (2, 2))
