"""chex: dataclasses that are trees, and assertions."""

import chex
import jax
import jax.numpy as jnp


@chex.dataclass
class State:
    x: chex.Array
    y: chex.Array


state = jax.tree.map(lambda a: a + 1, State(x=jnp.ones(2), y=jnp.zeros(3)))
chex.assert_shape(state.x, (2,))
chex.assert_type(state.x, jnp.float32)
chex.assert_tree_all_finite(state)
chex.assert_trees_all_close(state, State(x=jnp.full(2, 2.0), y=jnp.ones(3)))


@jax.jit
@chex.assert_max_traces(1)
def step(x):
    return x + 1


assert step(step(jnp.float32(1.0))) == 3
