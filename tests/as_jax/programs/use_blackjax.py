"""blackjax: chains of Markov, and the adaptation of their steps."""

import blackjax
import jax
import jax.numpy as jnp


def log_density(x):
    return -0.5 * jnp.sum((x - 1.0) ** 2)


def positions(kernel, steps=400):
    def one(state, key):
        state, _ = kernel.step(key, state)
        return state, state.position

    keys = jax.random.split(jax.random.key(0), steps)
    return jax.jit(lambda s, k: jax.lax.scan(one, s, k))(kernel.init(jnp.zeros(2)), keys)[1]


mass = jnp.ones(2)
for kernel in (
    blackjax.nuts(log_density, 0.5, mass),
    blackjax.hmc(log_density, 0.5, mass, 5),
    blackjax.mala(log_density, 0.3),
):
    drawn = positions(kernel)
    assert jnp.all(abs(drawn.mean(0) - 1) < 0.35), drawn.mean(0)
    assert jnp.all(abs(drawn.std(0) - 1) < 0.35), drawn.std(0)
warmup = blackjax.window_adaptation(blackjax.nuts, log_density)
(_, tuned), _ = warmup.run(jax.random.key(0), jnp.zeros(2), 100)
assert 0.1 < tuned["step_size"] < 5
