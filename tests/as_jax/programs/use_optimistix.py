"""optimistix: roots, minima and least squares."""

import jax
import jax.numpy as jnp
import optimistix as ox


def root(a):
    return ox.root_find(lambda y, a: y**2 - a, ox.Newton(1e-6, 1e-6), jnp.array(1.0), a).value


assert abs(root(jnp.array(2.0)) - 2**0.5) < 1e-5
assert abs(jax.grad(root)(2.0) - 0.5 / 2**0.5) < 1e-5
one, zero = jnp.ones(2), jnp.zeros(2)
found = ox.minimise(lambda y, a: jnp.sum((y - a) ** 2), ox.BFGS(1e-5, 1e-5), zero, one).value
assert jnp.allclose(found, one, atol=1e-3)
solver = ox.LevenbergMarquardt(1e-5, 1e-5)
assert jnp.allclose(ox.least_squares(lambda y, a: y - a, solver, zero, one).value, one, atol=1e-3)
