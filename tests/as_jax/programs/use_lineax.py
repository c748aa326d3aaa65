"""lineax: linear systems by operators and tags."""

import jax
import jax.numpy as jnp
import lineax as lx

A, b = jnp.array([[2.0, 1.0], [1.0, 3.0]]), jnp.array([1.0, 2.0])
x = jnp.linalg.solve(A, b)
assert jnp.allclose(lx.linear_solve(lx.MatrixLinearOperator(A), b).value, x)
positive = lx.MatrixLinearOperator(A, lx.positive_semidefinite_tag)
slope = jax.grad(lambda b: lx.linear_solve(positive, b, lx.CG(1e-6, 1e-6)).value.sum())(b)
assert jnp.allclose(slope, jnp.linalg.solve(A, jnp.ones(2)), atol=1e-5)


@jax.jit
@jax.vmap
def by_qr(b):
    return lx.linear_solve(lx.MatrixLinearOperator(A), b, lx.QR()).value


assert jnp.allclose(by_qr(jnp.stack([b, 2 * b])), jnp.stack([x, 2 * x]), atol=1e-5)
