"""numpyro: NUTS and variational inference of a regression."""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import optax
from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO, autoguide


def model(x, y=None):
    slope = numpyro.sample("slope", dist.Normal(0, 1))
    width = numpyro.sample("width", dist.HalfNormal(1.0))
    with numpyro.plate("data", len(x)):
        numpyro.sample("y", dist.Normal(slope * x, width), obs=y)


x = jnp.linspace(-1, 1, 20)
y = 2 * x + 0.1 * jax.random.normal(jax.random.PRNGKey(2), (20,))
chain = MCMC(NUTS(model), num_warmup=100, num_samples=100, progress_bar=False)
chain.run(jax.random.PRNGKey(0), x, y)
assert abs(chain.get_samples()["slope"].mean() - 2) < 0.2
for optimizer in (
    numpyro.optim.optax_to_numpyro(optax.adam(0.05)),
    numpyro.optim.Adam(0.05),
    numpyro.optim.ClippedAdam(0.05, clip_norm=10.0),
):
    inference = SVI(model, autoguide.AutoNormal(model), optimizer, Trace_ELBO())
    losses = inference.run(jax.random.PRNGKey(0), 200, x, y, progress_bar=False).losses
    assert losses[-20:].mean() < losses[:20].mean()
