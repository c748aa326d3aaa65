"""craftax: several of its classic worlds played at random, steps scanned."""

import jax
import jax.numpy as jnp
import numpy as np
from craftax.craftax_env import make_craftax_env_from_name

world = make_craftax_env_from_name("Craftax-Classic-Symbolic-v1", auto_reset=True)
params = world.default_params
keys = jax.random.split(jax.random.PRNGKey(0), 4)
views, states = jax.jit(jax.vmap(world.reset, in_axes=(0, None)))(keys, params)
assert views.shape == (4, *world.observation_space(params).shape)


@jax.jit
def play(key, states):
    def step(carry, _):
        key, states = carry
        key, acting, stepping = jax.random.split(key, 3)
        actions = jax.random.randint(acting, (4,), 0, world.num_actions)
        keys = jax.random.split(stepping, 4)
        views, states, rewards, done, _ = jax.vmap(world.step, in_axes=(0, 0, 0, None))(
            keys, states, actions, params
        )
        return (key, states), (views, rewards, done)

    return jax.lax.scan(step, (key, states), None, length=50)


(_, last), (views, rewards, done) = play(jax.random.PRNGKey(0), states)
assert views.shape[:2] == rewards.shape == done.shape == (50, 4)
assert jnp.isfinite(views).all()
# Each of the first achievements, such as a sapling collected, rewards a world once.
assert ((rewards >= 0) & (rewards <= 3)).all()
np.testing.assert_array_equal(np.asarray(last.timestep)[~np.asarray(done).any(0)], 50)
