"""Activations: values and derivatives of jax.nn, finite differences, corners, errors."""

import inspect

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import nn
from funcgrad.test_util import check_grads

ELEMENTWISE = (
    "celu elu gelu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu log_sigmoid "
    "mish relu relu6 selu sigmoid silu soft_sign softplus sparse_plus sparse_sigmoid squareplus "
    "swish tanh"
).split()
ROWS = "glu log_softmax softmax standardize logsumexp logmeanexp".split()

rng = np.random.default_rng(0)
x = rng.normal(0, 3, (4, 6)).astype(np.float32)
mask = np.array([True, False, True, True, False, True])

CALLS = {
    "celu alpha": lambda nn: nn.celu(x, 0.7),
    "elu alpha": lambda nn: nn.elu(x, 2.0),
    "gelu exact": lambda nn: nn.gelu(x, approximate=False),
    "leaky slope": lambda nn: nn.leaky_relu(x, 0.3),
    "squareplus b": lambda nn: nn.squareplus(x, 1.0),
    "glu axis": lambda nn: nn.glu(x, axis=0),
    "softmax axes": lambda nn: nn.softmax(x, axis=(0, 1)),
    "softmax where": lambda nn: nn.softmax(x, where=mask),
    "softmax nowhere": lambda nn: nn.softmax(x, where=np.zeros(6, bool)),
    "log_softmax where": lambda nn: nn.log_softmax(x, axis=1, where=mask),
    "logsumexp b": lambda nn: nn.logsumexp(x, axis=1, b=np.float32(2.0), keepdims=True),
    "logsumexp sign": lambda nn: nn.logsumexp(x, axis=0, b=x, return_sign=True)[1],
    "logmeanexp where": lambda nn: nn.logmeanexp(x, axis=1, where=mask),
    "log1mexp": lambda nn: nn.log1mexp(np.array([0.0, 1e-6, 0.3, 0.7, 5.0, 90.0], np.float32)),
    "standardize axes": lambda nn: nn.standardize(x, axis=(0, 1), epsilon=0.1),
    "standardize stable": lambda nn: nn.standardize(x, algorithm="stable"),
    "standardize given": lambda nn: nn.standardize(x, mean=0.5, variance=2.0, where=mask),
    "standardize where": lambda nn: nn.standardize(x, where=mask),
    "one_hot": lambda nn: nn.one_hot(np.array([[0, 2], [5, -1]], np.int32), 3, axis=0),
    "one_hot dtype": lambda nn: nn.one_hot(np.array([1]), 3, dtype=bool),
    **{
        f"int {name}": lambda nn, name=name: getattr(nn, name)(np.arange(-3, 3))
        for name in "celu elu hard_sigmoid hard_tanh leaky_relu relu relu6 squareplus".split()
    },
    **{name: lambda nn, name=name: getattr(nn, name)(x) for name in ELEMENTWISE + ROWS},
}


@pytest.mark.parametrize("name", CALLS)
def test_values_are_those_of_jax(name):
    jax = pytest.importorskip("jax", reason="a differential test needs the peer: funcgrad[bench]")
    ours, theirs = CALLS[name](nn), CALLS[name](jax.nn)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "log1mexp"])
def test_slopes_at_the_corners_are_those_of_jax(name):
    jax = pytest.importorskip("jax", reason="a differential test needs the peer: funcgrad[bench]")
    at = np.array([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, 1e4, np.inf], np.float32)
    at = at[at > 0] if name == "log1mexp" else at
    # Infinity times zero is NaN in one order of the product rule and not in the other.
    at = at[~np.isinf(at)] if name in ("gelu", "hard_silu", "hard_swish", "mish") else at
    ours = fg.vmap(fg.grad(getattr(nn, name)))(at)
    np.testing.assert_allclose(
        ours, jax.vmap(jax.grad(getattr(jax.nn, name)))(at), rtol=2e-5, atol=1e-6
    )


def test_every_name_of_jax_is_there():
    jax = pytest.importorskip("jax", reason="a differential test needs the peer: funcgrad[bench]")
    # Block-scaled products need dtypes of 8 and fewer bits.
    scaled = {"get_scaled_dot_general_config", "scaled_dot_general", "scaled_matmul"}
    elsewhere = scaled | {"dot_product_attention"}
    names = {name for name in dir(jax.nn) if not name.startswith("_")} - elsewhere
    assert not [name for name in names if not hasattr(nn, name)]
    names = {n for n in dir(jax.nn.initializers) if not n.startswith("_")}
    assert not [name for name in names if not hasattr(nn.initializers, name)]
    for name in ELEMENTWISE + ROWS:
        theirs = list(inspect.signature(getattr(jax.nn, name)).parameters)
        assert list(inspect.signature(getattr(nn, name)).parameters) == theirs, name


@pytest.mark.parametrize("name", ELEMENTWISE + ROWS)
def test_derivatives(name):
    f = getattr(nn, name)
    with fg.enable_x64(True):
        check_grads(f, (x.astype(np.float64),), 2)
    far = fnp.array([-100.0, 100.0])
    assert bool(fnp.isfinite(fg.grad(lambda v: f(v).sum())(far)).all())


def test_not_a_number_stays():
    for name in ELEMENTWISE:
        assert np.isnan(float(getattr(nn, name)(np.float32(np.nan)))), name


def test_one_hot_over_a_mapped_axis():
    ids = np.array([2, 0])
    by_axis = fg.vmap(lambda _: nn.one_hot(ids, 3, axis="c"), axis_name="c", out_axes=1)
    np.testing.assert_array_equal(by_axis(np.arange(3)), nn.one_hot(ids, 3))


ERRORS = {
    "glu": (lambda: nn.glu(x[:, :3]), r"f32\[4,3\] is odd"),
    "standardize": (lambda: nn.standardize(x, algorithm="slow"), "'fast' and 'stable', got 'slow'"),
    "one_hot": (
        lambda: fg.vmap(lambda _: nn.one_hot(1, 4, axis="c"), axis_name="c")(np.arange(3)),
        "4 classes over the axis 'c' of 3",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, text = ERRORS[name]
    with pytest.raises(ValueError, match=text) as caught:
        call()
    assert "test_activations.py" in str(caught.value)


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if n != "identity"])
def test_numbers_are_weakly_typed(name):
    function = getattr(nn, name)
    half = fnp.ones(3, "bfloat16")
    assert function(0.5).weak_type and (function(0.5) * half).dtype == half.dtype
    assert not function(np.float32(0.5)).weak_type
    for given in ([0.5], None, "a"):
        with pytest.raises(TypeError, match=r"(?s)requires ndarray or scalar.*test_activations"):
            function(given)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 2)])
def test_softmax_of_nothing_is_nothing(name, shape):
    function = getattr(nn, name)
    for f in (function, fg.jit(function), fg.grad(lambda x: function(x).sum())):
        assert f(np.zeros(shape, np.float32)).shape == shape
