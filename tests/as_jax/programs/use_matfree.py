"""matfree: traces and determinants of matrices that are functions, by random vectors."""

import jax
import jax.numpy as jnp
import numpy as np
from matfree import decomp, funm, stochtrace

matrix = jax.random.normal(jax.random.PRNGKey(1), (20, 20))
matrix = matrix @ matrix.T + 5 * jnp.eye(20)
like = jnp.ones(20)
key = jax.random.PRNGKey(0)


def times(vector, matrix):
    return matrix @ vector


signs = stochtrace.sampler_signs(like, num=2000)
trace = stochtrace.estimator_monte_carlo(stochtrace.monte_carlo_trace(), signs)
exact = jnp.trace(matrix)
found = jax.jit(lambda key: trace(lambda v: matrix @ v, key))(key)
np.testing.assert_allclose(found, exact, rtol=2e-2)
by_trees = stochtrace.estimator_leave_one_out(
    stochtrace.leave_one_out_xtrace(), stochtrace.sampler_sphere(like, num=15)
)
np.testing.assert_allclose(by_trees(lambda v: matrix @ v, key), exact, rtol=5e-2)

few = stochtrace.sampler_signs(like, num=400)
logarithm = stochtrace.estimator_monte_carlo(
    funm.monte_carlo_funm_sym_logdet(decomp.tridiag_sym(12)), few
)
value, slope = jax.jit(jax.value_and_grad(lambda m: logarithm(times, key, m)))(matrix)
np.testing.assert_allclose(value, jnp.linalg.slogdet(matrix)[1], rtol=2e-2)
np.testing.assert_allclose(jnp.trace(slope), jnp.trace(jnp.linalg.inv(matrix)), rtol=5e-2)
