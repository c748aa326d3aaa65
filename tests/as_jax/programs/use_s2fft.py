"""s2fft: harmonic coefficients to values on a sphere and back."""

import jax
import numpy as np
import s2fft

jax.config.update("jax_enable_x64", True)
band = 16
coefficients = s2fft.utils.signal_generator.generate_flm(np.random.default_rng(0), band)
values = s2fft.inverse_jax(coefficients, band)
np.testing.assert_allclose(s2fft.forward_jax(values, band), coefficients, atol=1e-12)
