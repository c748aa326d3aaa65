"""orthax: polynomials of several bases, their fits, roots and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev, legendre
from orthax import chebyshev as our_chebyshev
from orthax import legendre as our_legendre
from orthax import polynomial

x = jnp.linspace(-1, 1, 9)
np.testing.assert_allclose(
    polynomial.polyval(x, jnp.array([1.0, 2.0, 3.0])), 1 + 2 * x + 3 * x**2, rtol=1e-5
)
roots = np.sort(np.real(polynomial.polyroots(jnp.array([6.0, -5.0, 1.0]))))
np.testing.assert_allclose(roots, [2, 3], rtol=1e-4)
fitted = our_chebyshev.chebfit(x, jnp.sin(x), 5)
np.testing.assert_allclose(fitted, chebyshev.chebfit(x, np.sin(x), 5), atol=1e-5)
slope = jax.grad(lambda c: our_chebyshev.chebval(0.3, c))(jnp.arange(4.0))
np.testing.assert_allclose(slope, np.cos(np.arange(4) * np.arccos(0.3)), rtol=1e-5, atol=1e-6)
np.testing.assert_allclose(
    our_legendre.legint(jnp.arange(4.0)), legendre.legint(np.arange(4.0)), rtol=1e-5
)
for ours, exact in zip(our_legendre.leggauss(5), legendre.leggauss(5), strict=True):
    np.testing.assert_allclose(ours, exact, atol=1e-5)
