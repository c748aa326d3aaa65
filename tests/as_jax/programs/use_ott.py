"""ott-jax: entropic optimal transport between point clouds, and its derivative."""

import jax
import jax.numpy as jnp
from ott.geometry import pointcloud
from ott.problems.linear import linear_problem
from ott.solvers.linear import sinkhorn

x = jax.random.normal(jax.random.key(0), (6, 2))
y = jax.random.normal(jax.random.key(1), (7, 2)) + 1.0


@jax.jit
def transport(x):
    geometry = pointcloud.PointCloud(x, y, epsilon=0.5)
    return sinkhorn.Sinkhorn()(linear_problem.LinearProblem(geometry))


out = transport(x)
assert bool(out.converged)
assert jnp.allclose(out.matrix.sum(0), jnp.full(7, 1 / 7), atol=1e-3)
slope = jax.grad(lambda x: transport(x).reg_ot_cost)(x)
step = 1e-2
change = (transport(x.at[0, 0].add(step)).reg_ot_cost - out.reg_ot_cost) / step
assert jnp.allclose(slope[0, 0], change, atol=5e-2)
