"""rlax: temporal differences, returns, losses of policies, mapped and differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import rlax

errors = jax.vmap(rlax.q_learning)(
    jnp.ones((3, 4)),
    jnp.array([0, 1, 2]),
    jnp.ones(3),
    jnp.full(3, 0.9),
    jnp.arange(12.0).reshape(3, 4),
)
np.testing.assert_allclose(errors, [2.7, 6.3, 9.9], rtol=1e-6)
returns = rlax.lambda_returns(jnp.arange(3.0), jnp.full(3, 0.9), jnp.ones(3), 0.8)
np.testing.assert_allclose(returns, [2.53296, 3.268, 2.9], rtol=1e-5)


def loss(logits):
    return rlax.policy_gradient_loss(logits, jnp.array([0, 1]), jnp.array([1.0, -1.0]), jnp.ones(2))


slopes = jax.jit(jax.grad(loss))(jnp.ones((2, 3)))
np.testing.assert_allclose(6 * slopes, [[-2, 1, 1], [-1, 2, -1]], rtol=1e-5)
policy = rlax.softmax()
assert policy.sample(jax.random.key(0), jnp.ones((2, 3))).shape == (2,)
np.testing.assert_allclose(policy.entropy(jnp.ones((2, 3))), np.log(3), rtol=1e-6)
projected = rlax.categorical_l2_project(jnp.arange(3.0), jnp.ones(3) / 3, jnp.linspace(0, 2, 5))
np.testing.assert_allclose(3 * projected, [1, 0, 1, 0, 1], atol=1e-6)
