"""flowjax: a masked autoregressive flow learns two columns of unequal spread."""

import jax.numpy as jnp
import jax.random as jr
from flowjax.distributions import Normal
from flowjax.flows import masked_autoregressive_flow
from flowjax.train import fit_to_data

x = jr.normal(jr.key(0), (200, 2)) * jnp.array([1.0, 0.3]) + 1
flow = masked_autoregressive_flow(jr.key(1), base_dist=Normal(jnp.zeros(2)), flow_layers=2)
flow, losses = fit_to_data(jr.key(2), flow, x, max_epochs=5, show_progress=False)
assert losses["train"][-1] < losses["train"][0]
assert flow.log_prob(x[:3]).shape == (3,) and flow.sample(jr.key(3), (2,)).shape == (2, 2)
