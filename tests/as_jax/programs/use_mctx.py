"""mctx: searches in trees of a bandit find its best arm."""

from functools import partial

import jax
import jax.numpy as jnp
import mctx
import numpy as np

rewards = jnp.array([[0.1, 2.0, -1.0], [3.0, 0.5, 0.2]])


def pull(params, key, action, embedding):
    found = rewards[jnp.arange(2), action]
    nothing = jnp.zeros_like(found)
    arms = jnp.zeros((2, 3))
    return (
        mctx.RecurrentFnOutput(reward=found, discount=nothing, prior_logits=arms, value=nothing),
        embedding,
    )


root = mctx.RootFnOutput(prior_logits=jnp.zeros((2, 3)), value=jnp.zeros(2), embedding=jnp.zeros(2))
for policy in (mctx.muzero_policy, mctx.gumbel_muzero_policy):
    search = jax.jit(partial(policy, None, recurrent_fn=pull, num_simulations=32))
    found = search(rng_key=jax.random.key(0), root=root)
    np.testing.assert_array_equal(jnp.argmax(found.action_weights, -1), [1, 0])
