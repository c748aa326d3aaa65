"""jax-cosmo: distances, matter's power and spectra of lenses, and their derivatives."""

import jax
import jax.numpy as jnp
import jax_cosmo as jc
import numpy as np

cosmo = jc.Planck15()
a = jnp.linspace(0.1, 1.0, 5)
np.testing.assert_allclose(jc.background.radial_comoving_distance(cosmo, a)[-1], 0, atol=1e-3)
np.testing.assert_allclose(jc.background.growth_factor(cosmo, a)[-1], 1, rtol=1e-5)
k = jnp.logspace(-3, 0, 6)


def power(matter):
    return jc.power.nonlinear_matter_power(jc.Planck15(Omega_c=matter), k).sum()


slope = jax.grad(power)(0.25)
np.testing.assert_allclose(slope, (power(0.251) - power(0.249)) / 0.002, rtol=1e-2)
galaxies = jc.redshift.smail_nz(1.0, 2.0, 1.0)
probes = [
    jc.probes.WeakLensing([galaxies]),
    jc.probes.NumberCounts([galaxies], jc.bias.constant_linear_bias(1.0)),
]


@jax.jit
def spectra(matter):
    multipoles = jnp.logspace(1, 3, 5)
    return jc.angular_cl.angular_cl(jc.Planck15(Omega_c=matter), multipoles, probes)


found = spectra(0.25)
assert found.shape == (3, 5)
assert (found[jnp.array([0, 2])] > 0).all()
slopes = jax.jit(jax.jacfwd(spectra))(0.25)
np.testing.assert_allclose(slopes, (spectra(0.26) - spectra(0.24)) / 0.02, rtol=5e-2, atol=1e-9)
