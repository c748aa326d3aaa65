"""diffrax: an initial value problem by adaptive steps, and its derivative."""

import diffrax
import jax
import jax.numpy as jnp


def solve(k):
    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, _: -k * y),
        diffrax.Tsit5(),
        0.0,
        1.0,
        0.1,
        jnp.array([1.0, 2.0]),
        stepsize_controller=diffrax.PIDController(rtol=1e-5, atol=1e-5),
        saveat=diffrax.SaveAt(ts=jnp.linspace(0, 1, 3)),
    ).ys


times = jnp.linspace(0, 1, 3)[:, None]
assert jnp.allclose(solve(1.0), jnp.exp(-times) * jnp.array([1.0, 2.0]), atol=1e-4)
assert abs(jax.grad(lambda k: solve(k)[-1].sum())(1.0) + 3 * jnp.exp(-1.0)) < 1e-3
