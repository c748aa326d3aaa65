"""e3nn-jax: tensor products and spherical harmonics that turn with what they are made of."""

import e3nn_jax as e3nn
import jax
import jax.numpy as jnp

vectors = e3nn.IrrepsArray("1o", jax.random.normal(jax.random.key(0), (5, 3)))
turn = e3nn.rand_matrix(jax.random.key(1))


@jax.jit
def features(v):
    harmonics = e3nn.spherical_harmonics("0e + 1o + 2e", v, normalize=True)
    return e3nn.tensor_product(harmonics, v, filter_ir_out="0e + 1o")


turned = features(vectors.transform_by_matrix(turn))
assert jnp.allclose(turned.array, features(vectors).transform_by_matrix(turn).array, atol=1e-4)
slope = jax.grad(lambda v: jnp.sum(e3nn.norm(features(v)).array))(vectors)
assert jnp.all(jnp.isfinite(slope.array))
