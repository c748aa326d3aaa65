"""coordax: fields with coordinates, functions mapped over their axes."""

import coordax as cx
import jax
import jax.numpy as jnp
import numpy as np

x, y = cx.SizedAxis("x", 4), cx.LabeledAxis("y", np.linspace(0, 1, 3))
data = np.arange(12.0).reshape(4, 3)
field = cx.wrap(jnp.asarray(data), x, y)
np.testing.assert_array_equal((field * 2 + 1).data, data * 2 + 1)
mean = cx.cmap(jnp.mean)(field.untag("y"))
assert mean.dims == ("x",)
np.testing.assert_allclose(mean.data, data.mean(1))
slopes = jax.grad(lambda f: cx.cmap(jnp.sum)((f * f).untag("x", "y")).data)(field)
assert slopes.dims == ("x", "y")
np.testing.assert_array_equal(slopes.data, 2 * data)
sums = jax.jit(lambda f: cx.cmap(jnp.cumsum)(f.untag("y")).tag("z"))(field)
assert sums.dims == ("z", "x")
np.testing.assert_array_equal(sums.data, data.cumsum(1).T)
assert field.order_as("y", "x").data.shape == (3, 4)
