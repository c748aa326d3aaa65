"""jaxlie: rotations and rigid motions, their logarithms, and gradients on manifolds."""

import jax
import jax.numpy as jnp
import jaxlie
import numpy as np

motion = jaxlie.SE3.exp(jnp.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
np.testing.assert_allclose(motion.log(), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], rtol=1e-5)
np.testing.assert_allclose((motion @ motion.inverse()).log(), np.zeros(6), atol=1e-6)
turns = jax.random.uniform(jax.random.key(0), (4, 3), minval=-1.0, maxval=1.0)
back = jax.jit(jax.vmap(lambda turn: jaxlie.SO3.exp(turn).log()))(turns)
np.testing.assert_allclose(back, turns, rtol=1e-4, atol=1e-6)
place, target = jnp.array([1.0, 2.0, 3.0]), jnp.array([3.0, 2.0, 1.0])
turn = jaxlie.SO3.identity()
slope = jaxlie.manifold.grad(lambda turn: jnp.sum((turn @ place - target) ** 2))(turn)
# 2 (place - target) · (axis × place), by axis
np.testing.assert_allclose(slope, 2 * np.cross(place, place - target), atol=1e-4)
