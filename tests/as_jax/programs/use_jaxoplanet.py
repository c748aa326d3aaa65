"""jaxoplanet: the light curve of a transit, its derivatives by the star's limb."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxoplanet.light_curves import limb_dark_light_curve
from jaxoplanet.orbits import TransitOrbit

orbit = TransitOrbit(
    period=3.456, duration=0.12, time_transit=0.0, impact_param=0.2, radius_ratio=0.1
)
times = jnp.linspace(-0.1, 0.1, 21)


def curve(limb):
    return limb_dark_light_curve(orbit, limb)(times)


uniform = curve(jnp.array([0.0, 0.0]))
np.testing.assert_allclose(uniform[10], -0.01, rtol=1e-3)
np.testing.assert_array_equal(uniform[jnp.array([0, -1])], np.zeros(2))
limb = jnp.array([0.1, 0.3])
slopes = jax.jit(jax.jacfwd(curve))(limb)
change = (curve(limb + jnp.array([0.01, 0])) - curve(limb - jnp.array([0.01, 0]))) / 0.02
np.testing.assert_allclose(slopes[:, 0], change, atol=1e-5)
