"""distrax: distributions, their samples, and bijectors."""

import distrax
import jax
import jax.numpy as jnp

normal, key = distrax.Normal(0.0, 1.0), jax.random.PRNGKey(0)
samples = normal.sample(seed=key, sample_shape=(3,))
assert jnp.allclose(normal.log_prob(samples), jax.scipy.stats.norm.logpdf(samples), atol=1e-6)
assert abs(normal.kl_divergence(distrax.Normal(1.0, 2.0)) - 0.44315) < 1e-4
shares = jax.nn.softmax(jnp.arange(3.0))
entropy = distrax.Categorical(logits=jnp.arange(3.0)).entropy()
assert jnp.allclose(entropy, -jnp.sum(shares * jnp.log(shares)), atol=1e-6)
bounded = distrax.Transformed(normal, distrax.Tanh())
value, log_prob = jax.jit(lambda k: bounded.sample_and_log_prob(seed=k))(key)
assert abs(value) < 1 and jnp.allclose(log_prob, bounded.log_prob(value), atol=1e-4)
diagonal = jax.grad(lambda m: distrax.MultivariateNormalDiag(m, jnp.ones(2)).log_prob(m * 0))
assert jnp.allclose(diagonal(jnp.ones(2)), -jnp.ones(2))
