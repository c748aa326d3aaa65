"""interpax: a sine between its knots, in one and two dimensions, and its derivative by them."""

import interpax
import jax
import jax.numpy as jnp
import numpy as np

knots = jnp.linspace(0, 3, 10)
values = jnp.sin(knots)
at = jnp.linspace(0.1, 2.9, 7)
for method, error in {"linear": 0.02, "cubic": 0.01, "cubic2": 1e-2, "akima": 0.01}.items():
    found = interpax.interp1d(at, knots, values, method=method)
    np.testing.assert_allclose(found, np.sin(at), atol=error)
grid = interpax.interp2d(at, at, knots, knots, values[:, None] * values, method="cubic")
np.testing.assert_allclose(grid, np.sin(at) ** 2, atol=0.02)
spline = interpax.CubicSpline(knots, values)
np.testing.assert_allclose(spline(at, 1), np.cos(at), atol=0.01)
slopes = jax.grad(lambda v: interpax.interp1d(at, knots, v, method="linear").sum())(values)
np.testing.assert_allclose(slopes.sum(), 7, rtol=1e-5)
