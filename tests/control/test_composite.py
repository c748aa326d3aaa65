"""composite: one eqn with a name, attributes and a definition; run and batched by the latter."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

X = np.arange(3.0, dtype=np.float32)


def softplus():
    return lax.composite(
        lambda x, /, *, beta: fnp.log1p(fnp.exp(beta * x)) / beta, "my.softplus", 2
    )


def want(x, beta):
    return np.log1p(np.exp(beta * x)) / beta


def test_value_eager_and_jitted():
    call = softplus()
    np.testing.assert_allclose(call(X, beta=2.0), want(X, 2.0), rtol=1e-6)
    np.testing.assert_allclose(fg.jit(lambda x: call(x, beta=2.0))(X), want(X, 2.0), rtol=1e-6)


def test_one_eqn_with_its_name_and_attributes():
    call = softplus()
    (eqn,) = fg.make_jaxpr(lambda x: call(x, beta=2.0))(X).jaxpr.eqns
    assert (eqn.primitive.name, eqn.params["name"], eqn.params["version"]) == (
        "composite",
        "my.softplus",
        2,
    )
    ((key, leaves, _),) = eqn.params["attributes"]
    assert (key, leaves) == ("beta", (2.0,))


def test_batch_runs_the_decomposition():
    call = softplus()
    batch = np.stack([X, X + 1], axis=1)
    got = fg.vmap(lambda x: call(x, beta=2.0), in_axes=1)(batch)
    np.testing.assert_allclose(got, want(batch.T, 2.0), rtol=1e-6)


def test_trees_and_constants_of_the_definition():
    shift = fnp.ones(3)
    call = lax.composite(lambda t: {"out": t["a"] + shift, "in": t}, "my.shift")
    out = fg.jit(call)({"a": X})
    np.testing.assert_allclose(out["out"], X + 1)
    np.testing.assert_allclose(out["in"]["a"], X)


def test_derivatives_are_refused_with_a_remedy():
    call = softplus()
    with pytest.raises(
        ValueError, match=r"JVP rule for composite: 'my.softplus'.*\n.*\n.*custom_jvp"
    ):
        fg.grad(lambda x: call(x, beta=1.0).sum())(X)
    free = fg.grad(lambda x, y: (call(y, beta=1.0) * x).sum())(X, X)
    np.testing.assert_allclose(free, want(X, 1.0), rtol=1e-6)
    ruled = fg.custom_jvp(lambda x: call(x, beta=1.0))
    ruled.defjvps(lambda t, out, x: t * fg.nn.sigmoid(x))
    np.testing.assert_allclose(
        fg.grad(lambda x: ruled(x).sum())(X), 1 / (1 + np.exp(-X)), rtol=1e-6
    )


def test_traced_values_must_be_arguments():
    def closes(x):
        return lax.composite(lambda z: z + x, "my.add")(x)

    with pytest.raises(fg.errors.UnexpectedTracerError, match="is a constant of the composite"):
        fg.jit(closes)(X)
    with pytest.raises(fg.errors.UnexpectedTracerError, match="is an attribute of the composite"):
        fg.jit(lambda x: softplus()(x, beta=x))(X)
