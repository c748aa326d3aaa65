"""penzai: named axes, and a model whose parts are selected and replaced."""

import jax
import jax.numpy as jnp
from penzai import pz

a = pz.nx.wrap(jnp.arange(6.0).reshape(2, 3)).tag("row", "column")
b = pz.nx.wrap(jnp.array([1.0, 10.0])).tag("row")
total = (a * b).untag("row").sum()
assert jnp.array_equal(total.unwrap("column"), jnp.array([30.0, 41.0, 52.0]))
layer = pz.nn.Sequential([pz.nn.Elementwise(jnp.sin), pz.nn.Elementwise(jnp.cos)])
assert jnp.allclose(layer(jnp.ones(2)), jnp.cos(jnp.sin(jnp.ones(2))))
changed = pz.select(layer).at(lambda m: m.sublayers[1]).set(pz.nn.Elementwise(jnp.tanh))
assert jnp.allclose(jax.jit(changed)(jnp.ones(2)), jnp.tanh(jnp.sin(jnp.ones(2))))
