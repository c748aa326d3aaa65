"""jax-md: soft spheres brought to rest, with and without lists of neighbours, then heated."""

import jax
import numpy as np
from jax_md import energy, minimize, simulate, space

distance, shift = space.periodic(10.0)
places = jax.random.uniform(jax.random.PRNGKey(0), (32, 2)) * 10
energy_of = energy.soft_sphere_pair(distance)
start, step = minimize.fire_descent(energy_of, shift)
step = jax.jit(step)
state = start(places)
for _ in range(30):
    state = step(state)
assert energy_of(state.position) < 0.01 * energy_of(places)
find, energy_near = energy.soft_sphere_neighbor_list(distance, 10.0)
near = find.allocate(places)
np.testing.assert_allclose(energy_near(places, neighbor=near), energy_of(places), rtol=1e-5)
near = jax.jit(near.update)(state.position)
np.testing.assert_allclose(
    energy_near(state.position, neighbor=near), energy_of(state.position), rtol=1e-4, atol=1e-8
)
start, step = simulate.nvt_nose_hoover(energy_of, shift, 1e-3, 0.1)
moving = start(jax.random.PRNGKey(1), state.position)
moving = jax.jit(lambda s: jax.lax.fori_loop(0, 10, lambda i, s: step(s), s))(moving)
assert np.isfinite(moving.position).all() and (moving.position != state.position).any()
