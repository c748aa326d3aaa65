"""jax-cfd: decaying turbulence, on a staggered grid and by its spectrum."""

import jax
import jax.numpy as jnp
import jax_cfd.base as cfd
import numpy as np
from jax_cfd import spectral
from jax_cfd.base import funcutils, grids

viscosity = 1e-2
grid = grids.Grid((32, 32), domain=((0, 2 * jnp.pi), (0, 2 * jnp.pi)))
start = cfd.initial_conditions.filtered_velocity_field(jax.random.PRNGKey(42), grid, 7.0, 4)
dt = float(cfd.equations.stable_time_step(7.0, 0.5, viscosity, grid))
step = cfd.equations.semi_implicit_navier_stokes(density=1.0, viscosity=viscosity, dt=dt, grid=grid)
_, path = jax.jit(funcutils.trajectory(funcutils.repeated(step, 5), 6))(start)
energy = sum(np.square(component.data).mean((1, 2)) for component in path)
assert path[0].data.shape == (6, 32, 32)
assert (np.diff(energy) < 0).all(), energy
last = tuple(grids.GridVariable(grids.GridArray(c.data[-1], c.offset, grid), c.bc) for c in path)
divergence = cfd.finite_differences.divergence(last)
assert np.abs(divergence.data).max() < 1e-3 * np.abs(path[0].data).max() / grid.step[0]

vorticity = cfd.finite_differences.curl_2d(start).data
equation = spectral.equations.NavierStokes2D(viscosity, grid, smooth=True)
step = spectral.time_stepping.crank_nicolson_rk4(equation, dt)
_, path = jax.jit(funcutils.trajectory(funcutils.repeated(step, 5), 4))(jnp.fft.rfftn(vorticity))
enstrophy = np.square(np.fft.irfftn(np.asarray(path), axes=(1, 2))).mean((1, 2))
assert (np.diff(enstrophy) < 0).all(), enstrophy
