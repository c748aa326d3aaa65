"""mpax: linear and quadratic programs, one and several at once."""

import jax
import jax.numpy as jnp
import mpax
import numpy as np
from scipy.optimize import linprog

cost = np.array([-1.0, -2.0, 1.0])
equal, to = np.array([[1.0, 1.0, 1.0]]), np.array([4.0])
above, least = np.array([[-1.0, -2.0, 0.0], [0.0, -1.0, -1.0]]), np.array([-6.0, -3.0])
bounds = jnp.zeros(3), jnp.full(3, 10.0)
rest = *map(jnp.asarray, (equal, to, above, least)), *bounds


def solve(cost):
    program = mpax.create_lp(cost, *rest, use_sparse_matrix=False)
    return mpax.r2HPDHG(eps_abs=1e-4, eps_rel=1e-4).optimize(program).primal_solution


exact = linprog(cost, -above, -least, equal, to, (0, 10))
found = jax.jit(solve)(jnp.asarray(cost))
np.testing.assert_allclose(cost @ found, exact.fun, atol=1e-2)
many = jax.vmap(solve)(jnp.stack([cost, -cost]))
np.testing.assert_allclose(many[0], found, atol=1e-2)
other = linprog(-cost, -above, -least, equal, to, (0, 10))
np.testing.assert_allclose(-cost @ many[1], other.fun, atol=1e-2)

program = mpax.create_qp(jnp.eye(3), jnp.asarray(cost), *rest, use_sparse_matrix=False)
found = mpax.raPDHG(eps_abs=1e-4, eps_rel=1e-4).optimize(program).primal_solution
# The sum and the first bound hold with equality, and no coordinate is at its own bound.
np.testing.assert_allclose(found, [5 / 3, 13 / 6, 1 / 6], atol=1e-2)
