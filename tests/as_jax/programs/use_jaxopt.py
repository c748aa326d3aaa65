"""jaxopt: minimizers, and derivatives of what they find."""

import jax
import jax.numpy as jnp
import jaxopt


def f(x, a):
    return jnp.sum((x - a) ** 2) + jnp.sum(jnp.abs(x) ** 4)


a, start = jnp.arange(3.0), jnp.zeros(3)
wanted = jnp.array([0.0, 0.5897, 0.8351])
for solver in (jaxopt.GradientDescent, jaxopt.LBFGS, jaxopt.BFGS, jaxopt.NonlinearCG):
    found = solver(fun=f, maxiter=100).run(start, a).params
    assert jnp.allclose(found, wanted, atol=1e-3), (solver, found)
slope = jax.jacobian(lambda a: jaxopt.LBFGS(fun=f, maxiter=100).run(start, a).params)(a)
assert jnp.allclose(jnp.diag(slope), 2 / (2 + 12 * wanted**2), atol=1e-3)
simplex = jaxopt.projection.projection_simplex
found = jaxopt.ProjectedGradient(fun=f, projection=simplex).run(jnp.ones(3) / 3, a=a).params
assert abs(found.sum() - 1) < 1e-5 and found.min() >= 0
root = jaxopt.Bisection(lambda x: x**3 - x - 1, 1.0, 2.0).run().params
assert abs(root - 1.3247) < 1e-3
