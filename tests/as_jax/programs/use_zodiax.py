"""zodiax: leaves of a model by their paths, its Jacobian and Hessian."""

import jax
import jax.numpy as jnp
import numpy as np
import zodiax

at = jnp.linspace(-2, 2, 9)


class Peak(zodiax.Base):
    place: jax.Array
    width: jax.Array

    def model(self):
        return jnp.exp(-0.5 * ((at - self.place) / self.width) ** 2)


peak = Peak(jnp.array(0.3), jnp.array(1.0))
assert peak.set("place", jnp.array(1.0)).place == 1
np.testing.assert_allclose(peak.add("place", 0.5).get("place"), 0.8)
slope = (at - 0.3) * peak.model()
found = jax.grad(lambda p: p.model().sum())(peak)
np.testing.assert_allclose(found.place, slope.sum(), rtol=1e-5)
params = {"place": peak.place, "width": peak.width}
jacobian, unravel = zodiax.diffops.jacobian(lambda p: Peak(**p).model(), params)
np.testing.assert_allclose(jacobian[:, 0], slope, rtol=1e-5, atol=1e-6)
assert set(unravel(jacobian[0])) == {"place", "width"}
hessian, _ = zodiax.diffops.hessian(lambda p: Peak(**p).model().sum(), params)
np.testing.assert_allclose(hessian, hessian.T, rtol=1e-5)
np.testing.assert_allclose(hessian[0, 0], (((at - 0.3) ** 2 - 1) * peak.model()).sum(), rtol=1e-4)
