"""brax: a pendulum on a cart, by positions and by springs, for several carts at once."""

import jax
import jax.numpy as jnp
from brax import envs

for backend in ("positional", "spring"):
    cart = envs.get_environment("inverted_pendulum", backend=backend)
    state = jax.jit(jax.vmap(cart.reset))(jax.random.split(jax.random.PRNGKey(0), 3))
    step = jax.jit(jax.vmap(cart.step))
    for _ in range(3):
        state = step(state, jnp.full((3, cart.action_size), 0.5))
    # Pushed forward, it falls back.
    assert (state.obs[:, 2] > 0).all() and (state.obs[:, 3] < 0).all(), state.obs
    assert (state.reward == 1).all()
