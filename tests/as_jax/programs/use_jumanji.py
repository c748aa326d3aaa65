"""jumanji: a snake, sliding numbers and a travelling salesman, a few steps of each."""

import jax
import jumanji

for name in ("Snake-v1", "Game2048-v1", "TSP-v1"):
    world = jumanji.make(name)
    state, seen = jax.jit(world.reset)(jax.random.PRNGKey(0))
    step = jax.jit(world.step)
    for action in range(3):
        state, seen = step(state, world.action_spec.generate_value() + action)
    assert seen.reward.shape == () and seen.discount in (0, 1)
