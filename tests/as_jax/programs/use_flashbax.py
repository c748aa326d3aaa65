"""flashbax: buffers of items and trajectories, and one that samples by priorities."""

import flashbax
import jax
import jax.numpy as jnp
import numpy as np

step = {"view": jnp.zeros(3), "reward": jnp.array(0.0)}
buffer = flashbax.make_item_buffer(max_length=32, min_length=2, sample_batch_size=4)
state = buffer.init(step)
assert not buffer.can_sample(state)
add = jax.jit(buffer.add)
for i in range(5):
    state = add(state, {"view": jnp.full(3, float(i)), "reward": jnp.array(float(i))})
assert buffer.can_sample(state)
drawn = jax.jit(buffer.sample)(state, jax.random.PRNGKey(0)).experience
np.testing.assert_array_equal(drawn["view"], np.stack([drawn["reward"]] * 3, -1))
assert (drawn["reward"] < 5).all()

buffer = flashbax.make_trajectory_buffer(
    add_batch_size=2,
    sample_batch_size=3,
    sample_sequence_length=4,
    period=1,
    min_length_time_axis=4,
    max_length_time_axis=16,
)
steps = {"view": jnp.arange(30.0).reshape(2, 5, 3), "reward": jnp.arange(10.0).reshape(2, 5)}
state = jax.jit(buffer.add, donate_argnums=0)(buffer.init(step), steps)
rewards = np.asarray(buffer.sample(state, jax.random.PRNGKey(1)).experience["reward"])
np.testing.assert_array_equal(np.diff(rewards), np.ones((3, 3)))

buffer = flashbax.make_prioritised_flat_buffer(
    max_length=64, min_length=4, sample_batch_size=8, add_sequences=True, priority_exponent=1.0
)
steps = {"view": jnp.arange(30.0).reshape(10, 3), "reward": jnp.arange(10.0)}
state = buffer.add(buffer.init(step), steps)
found = jax.jit(buffer.sample)(state, jax.random.PRNGKey(2))
np.testing.assert_allclose(found.probabilities, 1 / 9, rtol=1e-5)
# Of all pairs of steps one alone keeps its priority.
state = jax.jit(buffer.set_priorities)(state, jnp.arange(9), jnp.zeros(9).at[4].set(1.0))
again = buffer.sample(state, jax.random.PRNGKey(3)).experience
np.testing.assert_array_equal(again.first["reward"], np.full(8, 4.0))
np.testing.assert_array_equal(again.second["reward"], np.full(8, 5.0))
