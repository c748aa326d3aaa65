"""quadax: integrals by several rules, derivatives by parameters, several at once."""

import jax
import jax.numpy as jnp
import numpy as np
import quadax

jax.config.update("jax_enable_x64", True)


def falling(t, rate):
    return jnp.exp(-rate * t) * jnp.cos(t)


found, _ = quadax.quadgk(falling, [0, jnp.inf], args=(1.0,))
np.testing.assert_allclose(found, 0.5, rtol=1e-8)
found, _ = quadax.quadts(lambda t: t * jnp.log(1 + t), [0, 1])
np.testing.assert_allclose(found, 0.25, rtol=1e-8)
found, _ = quadax.romberg(jnp.sin, [0, jnp.pi])
np.testing.assert_allclose(found, 2, rtol=1e-8)


def integral(rate):
    return quadax.quadgk(falling, [0.0, 3.0], args=(rate,))[0]


slope = jax.jit(jax.grad(integral))(1.0)
np.testing.assert_allclose(slope, (integral(1.001) - integral(0.999)) / 0.002, rtol=1e-5)
many = jax.vmap(lambda rate: quadax.quadcc(falling, [0.0, 3.0], args=(rate,))[0])(
    jnp.array([1.0, 2.0])
)
np.testing.assert_allclose(many, [integral(1.0), integral(2.0)], rtol=1e-8)
