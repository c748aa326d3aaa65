"""tree-math: trees as vectors, conjugate gradients on them."""

import jax
import jax.numpy as jnp
import numpy as np
import tree_math
from jax.flatten_util import ravel_pytree


@tree_math.struct
class State:
    position: jax.Array
    speed: jax.Array


vector = tree_math.Vector({"x": jnp.arange(3.0), "y": jnp.ones((2, 2))})
assert vector @ vector == 9
np.testing.assert_array_equal((vector * 2 - vector / 2).tree["x"], 1.5 * np.arange(3))
np.testing.assert_array_equal(tree_math.numpy.where(vector > 1, vector, 0).tree["x"], [0, 0, 2])
state = State(jnp.ones(2), jnp.arange(3.0))
np.testing.assert_array_equal(abs(-state + state * 3).speed, [0, 2, 4])
halved = jax.jit(lambda v: v / 2)(vector)
assert jax.tree.structure(halved) == jax.tree.structure(vector)


@tree_math.wrap
def solve(b):
    """The solution of (2 + the sum's square) applied to it = b."""
    x = residual = direction = b * 0
    residual = direction = b
    for _ in range(3):
        applied = direction * 2 + tree_math.numpy.ones_like(direction) * (
            direction @ tree_math.numpy.ones_like(direction)
        )
        along = (residual @ residual) / (direction @ applied)
        x, following = x + along * direction, residual - along * applied
        direction = following + (following @ following) / (residual @ residual + 1e-20) * direction
        residual = following
    return x


right = {"a": jnp.arange(3.0), "b": jnp.ones(2)}
found, _ = ravel_pytree(jax.jit(solve)(right))
wanted = np.linalg.solve(2 * np.eye(5) + np.ones((5, 5)), [0, 1, 2, 1, 1])
np.testing.assert_allclose(found, wanted, atol=1e-5)
