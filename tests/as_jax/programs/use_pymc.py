"""pymc: programs of pytensor compiled by its JAX linker, a model's density and its gradient."""

import jax
import numpy as np
import pymc
import pytensor
import pytensor.tensor as pt
from pymc.sampling.jax import get_jaxified_logp

x, w = pt.matrix("x"), pt.vector("w")
loss = -pt.log(pt.sigmoid(x @ w)).sum()
rng = np.random.default_rng(0)
inputs, weights = rng.normal(size=(5, 3)), np.ones(3)
value, slopes = pytensor.function([x, w], [loss, pt.grad(loss, w)], mode="JAX")(inputs, weights)
chance = 1 / (1 + np.exp(-inputs @ weights))
np.testing.assert_allclose(value, -np.log(chance).sum(), rtol=1e-5)
np.testing.assert_allclose(slopes, -(1 - chance) @ inputs, rtol=1e-4)

features = rng.normal(size=(50, 2))
with pymc.Model() as model:
    slope = pymc.Normal("slope", 0, 10, shape=2)
    spread = pymc.HalfNormal("spread", 1.0)
    pymc.Normal("y", features @ slope, spread, observed=features @ [1.0, -2.0])
density = get_jaxified_logp(model)
point = [np.array([0.9, -1.9]), np.array(-0.5)]
np.testing.assert_allclose(
    density(point),
    model.compile_logp()({"slope": point[0], "spread_log__": point[1]}),
    rtol=1e-5,
)
by_slope, by_spread = jax.jit(jax.grad(density))(point)
exact = model.compile_dlogp()({"slope": point[0], "spread_log__": point[1]})
np.testing.assert_allclose([*by_slope, by_spread], exact, rtol=1e-4)
