"""xminigrid: worlds of rules walked at random, several at once, steps scanned."""

import jax
import jax.numpy as jnp
import xminigrid

world, params = xminigrid.make("XLand-MiniGrid-R4-9x9")
actions = world.num_actions(params)


@jax.jit
@jax.vmap
def walk(key):
    def step(carry, _):
        moment, key = carry
        key, acting = jax.random.split(key)
        moment = world.step(params, moment, jax.random.randint(acting, (), 0, actions))
        return (moment, key), (moment.reward, moment.observation)

    return jax.lax.scan(step, (world.reset(params, key), key), None, 60)[1]


rewards, views = walk(jax.random.split(jax.random.key(0), 3))
assert rewards.shape == (3, 60)
assert ((rewards >= 0) & (rewards <= 1)).all()
assert views.shape == (3, 60, *world.observation_shape(params))
# Each walker turns and goes, so that its view changes.
assert (jnp.abs(jnp.diff(views.astype(int), axis=1)).sum((1, 2, 3, 4)) > 0).all()
