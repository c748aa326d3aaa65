"""tinygp: a Gaussian process fitted and conditioned, dense and by its states."""

import jax
import jax.numpy as jnp
import numpy as np
from tinygp import GaussianProcess, kernels
from tinygp.kernels import quasisep

x = jnp.linspace(0, 5, 40)
y = jnp.sin(x)


def process(params):
    kernel = jnp.exp(params["amplitude"]) * kernels.ExpSquared(scale=jnp.exp(params["scale"]))
    return GaussianProcess(kernel, x, diag=jnp.exp(params["noise"]))


@jax.jit
@jax.value_and_grad
def loss(params):
    return -process(params).log_probability(y)


params = {"amplitude": jnp.zeros(()), "scale": jnp.zeros(()), "noise": jnp.full((), -4.0)}
first, _ = loss(params)
for _ in range(20):
    last, slopes = loss(params)
    params = jax.tree.map(lambda p, slope: p - 0.01 * slope, params, slopes)
assert last < first - 20, (first, last)
_, posterior = process(params).condition(y, jnp.array([1.1, 2.2]))
np.testing.assert_allclose(posterior.loc, np.sin([1.1, 2.2]), atol=0.01)
by_states = GaussianProcess(quasisep.Matern32(scale=1.5), x, diag=0.1)
dense = GaussianProcess(kernels.Matern32(scale=1.5), x, diag=0.1)
np.testing.assert_allclose(
    jax.jit(lambda y: by_states.log_probability(y))(y), dense.log_probability(y), rtol=1e-4
)
