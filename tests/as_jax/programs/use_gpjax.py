"""gpjax: a Gaussian process fitted to a sine by optax, and what it predicts."""

import gpjax
import jax
import jax.numpy as jnp
import numpy as np
import optax

jax.config.update("jax_enable_x64", True)
x = jnp.linspace(-3, 3, 30)[:, None]
y = jnp.sin(2 * x) + 0.1 * jax.random.normal(jax.random.key(0), x.shape, "float64")
data = gpjax.Dataset(X=x, y=y)
prior = gpjax.gps.Prior(mean_function=gpjax.mean_functions.Zero(), kernel=gpjax.kernels.RBF())
fitted, losses = gpjax.fit(
    model=prior * gpjax.likelihoods.Gaussian(0.5),
    objective=lambda model, given: -gpjax.objectives.conjugate_mll(model, given),
    train_data=data,
    optim=optax.adam(0.05),
    num_iters=60,
    key=jax.random.key(1),
    verbose=False,
)
# As on JAX, to rounding.
np.testing.assert_allclose(losses[jnp.array([0, -1])], [20.08938244, -2.70706058], rtol=1e-6)
found = fitted.predict(x, train_data=data)
np.testing.assert_allclose(found.mean[:3], [0.28590382, 0.64198647, 0.9098639], rtol=1e-5)
assert (jnp.diag(found.covariance()) > 0).all()
